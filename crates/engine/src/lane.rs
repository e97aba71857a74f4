//! The lane of one owned channel: claims what is due, gives each message its turn, takes in the outcomes.
//!
//! One task a channel, and the only place where its gate and its pace live. It waits neither for a call nor for a claim:
//! calls are tasks, claims are asked for, and what comes of both comes back here.

mod ending;

mod holding;
mod probing;
mod repeating;

use std::sync::Arc;
use std::time::Duration;

use domain::budget::RetryBudget;
use domain::decision::{self, Step};
use domain::message::Lane as MessageLane;
use domain::outcome::OnUnknown;
use domain::planted::{self, Bug};
use domain::provider::Provider;
use domain::schedule::DueReason;
use jiff::Timestamp;
use store::lease::Lease;
use store::outbox::Room;
use store::owned::OwnedChannel;
use store::settle::{Attempt, Settlement};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::account::{Account, Contender};
use crate::attempt::{self, Ended, Line, Ready};
use crate::claimer::Answer;
use crate::gatekeeper::Gatekeeper;
use crate::holds::Holds;
use crate::looks::{Looks, NEVER};
use crate::pace::Pace;
use crate::ready::ReadyQueues;
use crate::recipients::{ASIDE_MAX, Recipients};
use crate::settler::Settled;
use crate::shared::Shared;
use crate::starts::Starts;
use crate::wake::LetterBox;

/// Rows taken at once; more would only grow old waiting for their turn.
const CLAIM_MAX: usize = 200;
/// Rows taken at once when their validity is over.
const CLAIM_EXPIRED_MAX: i64 = 500;
/// Before the next look when all calls of the process are in use, or the database is away.
const SHORT_PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at messages that wait for an earlier one to their recipient.
const ASIDE_LOOK: Duration = Duration::from_secs(1);

/// Lanes of a channel.
const LANES: usize = MessageLane::ALL.len();

/// Why a claimed message is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The claim is too old, or the gate has closed: it waits on.
    GivenBack,
    /// Its validity is over.
    Expired,
    /// It was tried as often as may be.
    WornOut,
}

/// What the owner tells a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// Go on.
    Run,
    /// Stop claiming, finish what is under way, end.
    Stop,
}

type Call = (OwnedSemaphorePermit, Option<Ended>);

/// The lane of a channel.
pub(crate) struct Lane<P> {
    shared: Arc<Shared<P>>,
    lease: Lease,
    line: Arc<Line>,
    pace: Pace,
    rate: u32,
    on_unknown: OnUnknown,
    /// Where what may have been sent is held.
    starts: Option<Starts>,
    calls_max: usize,
    account: Option<Arc<Account>>,
    weight: u32,
    gatekeeper: Gatekeeper,
    budget: RetryBudget,
    recipients: Recipients,
    holds: Holds,
    letters: Arc<LetterBox>,
    looks: Looks,
    ready: ReadyQueues,
    calls: JoinSet<Call>,
    look_for_expired: bool,
    clear_up_at: Instant,
}

impl<P: Provider> Lane<P> {
    /// Makes the lane of a channel; its first turn comes after the rest that the lease names.
    pub(crate) fn new(
        shared: Arc<Shared<P>>,
        lease: Lease,
        owned: OwnedChannel,
        account: Option<Arc<Account>>,
        letters: Arc<LetterBox>,
    ) -> Self {
        let holds = Holds::new(&owned, &shared.metrics);
        let settings = owned.channel.settings;
        let rate = settings.messages_per_second;
        let line = Line { number: settings.number, key: owned.key, longitude_spelling: settings.longitude_spelling };
        Self {
            lease,
            line: Arc::new(line),
            pace: Pace::new(rate, lease.rest),
            rate,
            on_unknown: settings.on_unknown,
            starts: (settings.on_unknown == OnUnknown::Hold).then(|| Starts::new(&shared, rate)),
            calls_max: shared.settings.calls_of(rate),
            account,
            weight: owned.weight,
            gatekeeper: Gatekeeper::new(owned.gate, shared.metrics.clone()),
            budget: RetryBudget::new(shared.settings.retry_budget, shared.store.now()),
            recipients: Recipients::new(settings.recipient_rate),
            holds,
            looks: Looks::new(letters.clone(), settings.on_unknown),
            letters,
            ready: ReadyQueues::default(),
            calls: JoinSet::new(),
            look_for_expired: true,
            clear_up_at: Instant::now(),
            shared,
        }
    }

    /// Runs until told to stop; then everything claimed is settled or given back.
    pub(crate) async fn run(mut self, mut orders: watch::Receiver<Order>) {
        while *orders.borrow() == Order::Run {
            let pause = self.shared.settings.tick;
            self.gatekeeper.record(&self.shared.store, &self.lease, pause).await;
            self.take_expired().await;
            self.clear_up().await;
            self.plan_held().await;
            if *orders.borrow() != Order::Run {
                break;
            }
            self.follow_ramp();
            self.ask();
            let next = self.send_ready().await;
            tokio::select! {
                biased;
                Some(done) = self.calls.join_next() => {
                    self.finish(done).await;
                    while let Some(done) = self.calls.try_join_next() {
                        self.finish(done).await;
                    }
                }
                answer = self.looks.answer() => self.take(answer).await,
                changed = orders.changed() => if changed.is_err() { break },
                () = self.letters.told() => self.read_letters(),
                () = tokio::time::sleep_until(next) => {}
            }
        }
        self.stop().await;
    }

    async fn stop(mut self) {
        if self.looks.is_asking() {
            let answer = self.looks.answer().await;
            self.take(answer).await;
        }
        self.give_back_all().await;
        while let Some(done) = self.calls.join_next().await {
            self.finish(done).await;
        }
        self.gatekeeper.record(&self.shared.store, &self.lease, Duration::ZERO).await;
    }

    async fn give_back_all(&mut self) {
        for ready in self.recipients.take_all() {
            self.give_back(ready).await;
        }
        while let Some(ready) = self.ready.remove() {
            self.give_back(ready).await;
        }
    }

    fn read_letters(&mut self) {
        let hints = self.letters.take();
        for lane in MessageLane::ALL {
            if let Some(due) = hints.due[lane.index()] {
                self.looks.tell(lane, due.from, self.instant_of(due.at));
            }
        }
        self.look_for_expired |= hints.expired;
    }

    fn instant_of(&self, at: Timestamp) -> Instant {
        let wait = Duration::try_from(at.duration_since(self.shared.store.now())).unwrap_or(Duration::ZERO);
        Instant::now() + wait.min(NEVER)
    }

    /// Whether anything may be claimed or sent.
    fn is_allowed(&self) -> bool {
        self.shared.settler.is_recording() && self.shared.licence.holds() && self.shared.store.may_send()
    }

    /// Before the next look when nothing may be sent: what an operator ends may last for long.
    fn pause(&self) -> Duration {
        if self.shared.store.may_send() { SHORT_PAUSE } else { self.shared.settings.tick }
    }

    /// How many rows may be taken now.
    fn room(&mut self) -> Room {
        let now = self.shared.store.now();
        if self.holds.pauses.holds_all_until(now).is_some() {
            return Room::default();
        }
        let under_way = self.ready.len() + self.calls.len() + self.recipients.aside();
        match self.gatekeeper.gate() {
            Some(gate) if gate.until > now => Room::default(),
            // One goes as a probe.
            Some(_) => Room { lanes: [1; LANES], total: 1_usize.saturating_sub(under_way) },
            None => {
                let lanes = MessageLane::ALL.map(|lane| self.room_of(lane));
                Room { lanes, total: lanes.iter().sum() }
            }
        }
    }

    /// What a lane can send within a second and has a call free; taken again when half of it has gone.
    fn room_of(&self, lane: MessageLane) -> usize {
        let waiting = self.ready.len_of(lane);
        if self.recipients.aside_of(lane) >= ASIDE_MAX {
            return 0;
        }
        let rate = self.pace.rate() as usize;
        let rate = self.account.as_ref().map_or(rate, |account| rate.min(account.share()));
        let alone = self.calls_max.saturating_sub(self.calls.len()).min(rate).min(CLAIM_MAX);
        // Beside others it may have only its floor: what is taken must not grow old in memory.
        let ahead = if self.ready.len() == waiting { alone } else { alone.div_ceil(2) };
        if waiting * 2 > ahead { 0 } else { ahead.saturating_sub(waiting) }
    }

    fn ask(&mut self) {
        if self.looks.is_asking() || !self.is_allowed() {
            return;
        }
        let room = self.room();
        self.looks.ask(&self.shared.claimer, &self.lease, room);
    }

    async fn take(&mut self, answer: Option<Answer>) {
        match answer {
            Some(answer) => {
                self.looks.take(&answer);
                if !self.is_allowed() {
                    // The lease may have lapsed before the statement: then nothing says that there is nothing.
                    self.looks.look_after(self.shared.settings.tick);
                }
                if !answer.claimed.is_empty() {
                    self.letters.note_work();
                }
                self.take_in(answer.claimed, answer.asked_at).await;
            }
            None => {
                let settings = &self.shared.settings;
                self.looks.fail(settings.tick, settings.claim_lasting() + settings.tick);
            }
        }
    }

    /// Gives back what has waited too long for an earlier message to its recipient.
    async fn clear_up(&mut self) {
        if self.clear_up_at > Instant::now() {
            return;
        }
        self.clear_up_at = Instant::now() + ASIDE_LOOK;
        for ready in self.recipients.clear_up(self.shared.store.now(), self.shared.settings.claim_fresh) {
            self.give_back(ready).await;
        }
    }

    /// Starts the calls whose turn has come; answers when to look again.
    async fn send_ready(&mut self) -> Instant {
        while self.ready.len() > 0 {
            let now = self.shared.store.now();
            if let Some(end) = self.end_of_next(now) {
                if let Some(ready) = self.ready.remove() {
                    self.end(ready, end).await;
                }
                continue;
            }
            if self.hold_next(now).await {
                continue;
            }
            if self.calls.len() >= self.calls_max || !self.is_allowed() {
                return Instant::now() + self.pause();
            }
            let Ok(permit) = self.shared.calls.clone().try_acquire_owned() else {
                return Instant::now() + SHORT_PAUSE;
            };
            if self.put_off_next(now).await || self.hold_back_next(now).await {
                continue;
            }
            if let Err(wait) = self.take_turn() {
                return Instant::now() + wait;
            }
            if !self.passes_gate().await {
                return Instant::now() + self.shared.settings.tick;
            }
            if let Some(ready) = self.ready.take_turn() {
                let now = self.shared.store.now();
                self.recipients.begin(&ready, now);
                self.start(ready, permit);
            }
        }
        self.leave_account();
        self.next_look()
    }

    /// Why the next message is not sent now, if it is not.
    fn end_of_next(&mut self, now: Timestamp) -> Option<End> {
        let gate = self.gatekeeper.gate();
        let is_probe = gate.is_some_and(|gate| gate.until <= now) && self.calls.is_empty();
        let ready = self.ready.next()?;
        let settings = &self.shared.settings;
        if ready.claimed_at.elapsed() > settings.claim_fresh || (gate.is_some() && !is_probe) {
            Some(End::GivenBack)
        } else if ready.validity_left(now).is_zero() && !planted::is(Bug::ExpiryOnlyAtClaim) {
            Some(End::Expired)
        } else {
            let is_worn_out = ready.message.tries > settings.retry.tries_max && !planted::is(Bug::NoPoisonCap);
            is_worn_out.then_some(End::WornOut)
        }
    }

    /// Takes a turn of the channel, and of its account; else the time until there may be one.
    fn take_turn(&mut self) -> Result<(), Duration> {
        self.pace.hold()?;
        if let Some((account, lane)) = self.account.as_ref().zip(self.ready.most_urgent()) {
            let (workspace, weight) = (self.lease.workspace, self.weight);
            let letters = self.letters.clone();
            let contender = Contender { workspace, weight, lane, letters, asked_at: Instant::now() };
            account.take(self.lease.channel, contender)?;
        }
        self.pace.take();
        Ok(())
    }

    /// When nothing is ready: a call that ends, a claim or a letter comes first, most of the time.
    fn next_look(&mut self) -> Instant {
        if !self.is_allowed() {
            return Instant::now() + self.pause();
        }
        let now = self.shared.store.now();
        let gate = self.gatekeeper.gate().map(|gate| gate.until).filter(|until| *until > now);
        let look = match self.holds.pauses.holds_all_until(now).max(gate) {
            Some(closed_until) => Some(self.instant_of(closed_until)),
            None => {
                let room = self.room();
                self.looks.next(room)
            }
        };
        let aside = (self.recipients.aside() > 0).then_some(self.clear_up_at);
        let plan = self.holds.plans_at().map(|at| self.instant_of(at));
        [look, aside, plan].into_iter().flatten().min().unwrap_or_else(|| Instant::now() + NEVER)
    }

    fn start(&mut self, ready: Ready, permit: OwnedSemaphorePermit) {
        let call = attempt::begin(self.shared.clone(), self.line.clone(), self.starts.clone(), ready);
        self.calls.spawn(async move { (permit, call.await) });
    }

    /// Takes in the outcome of a call.
    async fn finish(&mut self, done: Result<Call, JoinError>) {
        let made = match done {
            Ok((_, Some(Ended::Made(made)))) => made,
            Ok((_, Some(Ended::NotBegun(ready)))) => return self.take_back(ready).await,
            Ok((_, None)) => return,
            Err(error) => {
                // Its claim lapses and the message is taken again, as one that may have been sent.
                tracing::error!(%error, channel = %self.lease.channel, "a call broke down");
                return;
            }
        };
        let now = self.shared.store.now();
        let progress = made.ready.progress();
        let settings = &self.shared.settings;
        let report = &made.attempt.report;
        let ruling = decision::after_call(report, &progress, &settings.retry, self.on_unknown, now, rand::random());
        let rule = report.rule;
        if made.ready.is_probe {
            self.shared.metrics.restraint.probes.with_label_values(&[report.outcome.as_str()]).inc();
            if self.gatekeeper.conclude(ruling.signal, now, &settings.gate, &self.lease, rule) {
                self.looks.look_now();
            }
        } else {
            self.gatekeeper.apply(ruling.signal, now, &settings.gate, &self.lease, rule);
        }
        let planned = self.plan_repetition(&made.ready, &ruling.step, now);
        // What the budget puts off must not end in quiet hours if it would go before them.
        let quiet = &self.holds.quiet;
        let step = quiet.fit(&made.ready.message, planned).or_else(|| quiet.fit(&made.ready.message, ruling.step));
        let step = step.unwrap_or_else(|| Step::Failed(decision::expired_in_quiet_hours(&progress)));
        self.count_unknown(&progress, &step);
        let goes_on_at = match step {
            Step::Wait { reason: DueReason::Unknown, .. } => None,
            Step::Wait { due_at, .. } => Some(due_at),
            Step::NextPart => Some(now),
            Step::Sent | Step::Failed(_) => None,
        };
        let next = self.recipients.end(&made.ready, goes_on_at, now);
        self.ready.push_front(next);
        self.settle(made.ready, step, Some(made.attempt)).await;
    }

    /// A claim that is not used: the message waits on, and no try is counted.
    async fn give_back(&mut self, ready: Ready) {
        // Its recipient's turn is its own still, and so is its place in what quiet hours let go.
        let waited_for = ready.message.waited_for;
        let keeps_turn = ready.has_turn && waited_for == DueReason::Recipient;
        let keeps_place = matches!(waited_for, DueReason::QuietHours | DueReason::Released);
        let other = if self.gatekeeper.gate().is_some() { DueReason::Gate } else { DueReason::Requested };
        let reason = if keeps_turn || keeps_place { waited_for } else { other };
        let due_at = ready.message.due_at;
        self.recipients.give_back(&ready, self.shared.store.now());
        self.wait(ready, due_at, reason).await;
    }

    async fn wait(&mut self, ready: Ready, due_at: Timestamp, reason: DueReason) {
        if ready.is_paid {
            self.budget.give_back();
        }
        let maybe_sent = ready.message.maybe_sent;
        self.settle(ready, Step::Wait { due_at, reason, counted: false, maybe_sent }, None).await;
    }

    async fn settle(&self, ready: Ready, step: Step, attempt: Option<Attempt>) {
        let lane = ready.message.lane;
        let settlement = Settlement::of(&ready.message, step, attempt);
        self.shared.settler.settle(Settled { channel: self.lease.channel, lane, settlement }).await;
    }
}

impl<P> Lane<P> {
    /// There is nothing to contend for.
    fn leave_account(&self) {
        if let Some(account) = &self.account {
            account.leave(self.lease.channel);
        }
    }
}

impl<P> Drop for Lane<P> {
    fn drop(&mut self) {
        self.leave_account();
    }
}
