//! The lane of one owned channel: claims what is due, gives each message its turn, takes in the outcomes.
//!
//! One task a channel, and the only place where its gate and its pace live. It never waits for a call: calls are
//! tasks, their outcomes come back here.

use std::sync::Arc;
use std::time::Duration;

use domain::decision::{self, Step};
use domain::gate::{Gate, Health, Signal};
use domain::id::ReplicaId;
use domain::message::Lane as MessageLane;
use domain::provider::Provider;
use domain::schedule::DueReason;
use jiff::Timestamp;
use store::Store;
use store::channel::Channel;
use store::lease::Lease;
use store::outbox::{Claimed, Room};
use store::settle::{Attempt, Settlement};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::attempt::{self, Line, Made, Ready};
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::ready::ReadyQueues;
use crate::settings::Settings;
use crate::settler::{Settled, Settler};
use crate::wake::LetterBox;

/// Rows taken at once; more would only grow old waiting for their turn.
const CLAIM_MAX: usize = 200;
/// Rows taken at once when their validity is over.
const CLAIM_EXPIRED_MAX: i64 = 500;
/// Before the next look when all calls of the process are in use, or the database is away.
const SHORT_PAUSE: Duration = Duration::from_millis(20);
/// Without hints a lane looks again after this time at the latest.
const IDLE_LOOK: Duration = Duration::from_secs(5);

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

/// What lanes share.
#[derive(Debug)]
pub(crate) struct Shared<P> {
    pub(crate) store: Store,
    pub(crate) provider: Arc<P>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) replica: ReplicaId,
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) settler: Settler,
}

/// The lane of a channel.
pub(crate) struct Lane<P> {
    shared: Arc<Shared<P>>,
    lease: Lease,
    line: Arc<Line>,
    pace: Pace,
    rate: usize,
    health: Health,
    gate_is_stale: bool,
    record_gate_at: Instant,
    letters: Arc<LetterBox>,
    ready: ReadyQueues,
    calls: JoinSet<(OwnedSemaphorePermit, Option<Made>)>,
    /// When the next claim may find something in a lane, by its index.
    look_at: [Instant; LANES],
    look_for_expired: bool,
}

impl<P: Provider> Lane<P> {
    /// Makes the lane of a channel; its first turn comes after a rest.
    #[allow(clippy::too_many_arguments, reason = "made in one place, of parts that have nothing else in common")]
    pub(crate) fn new(
        shared: Arc<Shared<P>>,
        lease: Lease,
        channel: &Channel,
        line: Line,
        gate: Option<Gate>,
        letters: Arc<LetterBox>,
        rest: Duration,
    ) -> Self {
        let rate = channel.settings.messages_per_second;
        let lane = Self {
            shared,
            lease,
            line: Arc::new(line),
            pace: Pace::new(rate, rest),
            rate: rate as usize,
            health: Health::with_gate(gate),
            gate_is_stale: false,
            record_gate_at: Instant::now(),
            letters,
            ready: ReadyQueues::default(),
            calls: JoinSet::new(),
            look_at: [Instant::now(); LANES],
            look_for_expired: true,
        };
        lane.count_gate(1);
        lane
    }

    /// Runs until told to stop; then everything claimed is settled or given back.
    pub(crate) async fn run(mut self, mut orders: watch::Receiver<Order>) {
        while *orders.borrow() == Order::Run {
            self.record_gate().await;
            self.take_expired().await;
            self.take_due().await;
            let next = self.send_ready().await;
            tokio::select! {
                biased;
                Some(done) = self.calls.join_next() => self.finish(done).await,
                changed = orders.changed() => if changed.is_err() { break },
                () = self.letters.told() => self.read_letters(),
                () = tokio::time::sleep_until(next) => {}
            }
        }
        while let Some(ready) = self.ready.remove() {
            self.give_back(ready).await;
        }
        while let Some(done) = self.calls.join_next().await {
            self.finish(done).await;
        }
        self.record_gate().await;
    }

    fn read_letters(&mut self) {
        let hints = self.letters.take();
        for lane in MessageLane::ALL {
            if let Some(due_at) = hints.due_at[lane.index()] {
                self.look_at(lane, self.instant_of(due_at));
            }
        }
        self.look_for_expired |= hints.expired;
    }

    /// There may be something to claim in a lane at an instant.
    fn look_at(&mut self, lane: MessageLane, at: Instant) {
        let known = &mut self.look_at[lane.index()];
        *known = at.min(*known);
    }

    fn instant_of(&self, at: Timestamp) -> Instant {
        let wait = Duration::try_from(at.duration_since(self.shared.store.now())).unwrap_or(Duration::ZERO);
        Instant::now() + wait.min(IDLE_LOOK)
    }

    /// How many rows may be taken now.
    fn room(&self) -> Room {
        let under_way = self.ready.len() + self.calls.len();
        match self.health.gate {
            Some(gate) if gate.until > self.shared.store.now() => Room::default(),
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
        let free = self.shared.settings.channel_calls_max.saturating_sub(self.calls.len());
        let alone = free.min(self.rate).min(CLAIM_MAX);
        // Beside others it may have only its floor: what is taken must not grow old in memory.
        let ahead = if self.ready.len() == waiting { alone } else { alone.div_ceil(2) };
        if waiting * 2 > ahead { 0 } else { ahead.saturating_sub(waiting) }
    }

    async fn take_due(&mut self) {
        let now = Instant::now();
        let mut room = self.room();
        for lane in MessageLane::ALL.into_iter().filter(|lane| self.look_at[lane.index()] > now) {
            room.lanes[lane.index()] = 0;
        }
        room.total = room.total.min(room.lanes.iter().sum());
        if room.total == 0 || !self.shared.settler.is_recording() {
            return;
        }
        // What has ended is settled before anything is claimed again.
        while let Some(done) = self.calls.try_join_next() {
            self.finish(done).await;
        }
        let claimed_at = Instant::now();
        let lasting = self.shared.settings.claim_lasting();
        match self.shared.store.claim(&self.lease, self.shared.replica, room, lasting).await {
            Ok(claimed) => self.take(claimed, room, claimed_at),
            Err(error) => {
                tracing::warn!(%error, channel = %self.lease.channel, "rows cannot be claimed");
                self.look_at = [Instant::now() + self.shared.settings.tick; LANES];
            }
        }
    }

    fn take(&mut self, claimed: Vec<Claimed>, room: Room, claimed_at: Instant) {
        let is_cut = claimed.len() >= room.total;
        let mut taken = [0; LANES];
        for message in claimed {
            taken[message.lane.index()] += 1;
            self.ready.push(Ready { message, claimed_at, is_claimed_to_end: false });
        }
        for ((look_at, taken), room) in self.look_at.iter_mut().zip(taken).zip(room.lanes) {
            if room > 0 {
                // A full lane may have more; so may one whose rows were cut off.
                let has_more = taken == room || is_cut;
                *look_at = if has_more { Instant::now() } else { Instant::now() + IDLE_LOOK };
            }
        }
    }

    async fn take_expired(&mut self) {
        if !self.look_for_expired || !self.shared.settler.is_recording() {
            return;
        }
        self.look_for_expired = false;
        let lasting = self.shared.settings.claim_lasting();
        match self.shared.store.claim_expired(&self.lease, self.shared.replica, CLAIM_EXPIRED_MAX, lasting).await {
            Ok(claimed) => {
                self.look_for_expired = i64::try_from(claimed.len()) == Ok(CLAIM_EXPIRED_MAX);
                let claimed_at = Instant::now();
                for message in claimed {
                    self.expire(Ready { message, claimed_at, is_claimed_to_end: true }).await;
                }
            }
            Err(error) => tracing::warn!(%error, channel = %self.lease.channel, "expired rows cannot be claimed"),
        }
    }

    /// Starts the calls whose turn has come; answers when to look again.
    async fn send_ready(&mut self) -> Instant {
        let settings = self.shared.settings;
        while let Some(ready) = self.ready.next() {
            let now = self.shared.store.now();
            if let Some(end) = self.end_of(ready, now) {
                if let Some(ready) = self.ready.remove() {
                    self.end(ready, end).await;
                }
                continue;
            }
            if self.calls.len() >= settings.channel_calls_max || !self.shared.settler.is_recording() {
                return Instant::now() + SHORT_PAUSE;
            }
            let Ok(permit) = self.shared.calls.clone().try_acquire_owned() else {
                return Instant::now() + SHORT_PAUSE;
            };
            if let Err(wait) = self.pace.take() {
                return Instant::now() + wait;
            }
            if let Some(ready) = self.ready.take_turn() {
                self.start(ready, permit, now);
            }
        }
        self.next_look()
    }

    /// Why a claimed message is not sent now, if it is not.
    fn end_of(&self, ready: &Ready, now: Timestamp) -> Option<End> {
        let settings = &self.shared.settings;
        let is_probe = self.health.gate.is_some_and(|gate| gate.until <= now) && self.calls.is_empty();
        if ready.claimed_at.elapsed() > settings.claim_fresh || (self.health.gate.is_some() && !is_probe) {
            Some(End::GivenBack)
        } else if ready.validity_left(now).is_zero() {
            Some(End::Expired)
        } else {
            (ready.message.tries > settings.retry.tries_max).then_some(End::WornOut)
        }
    }

    async fn end(&mut self, ready: Ready, end: End) {
        match end {
            End::GivenBack => self.give_back(ready).await,
            End::Expired => self.expire(ready).await,
            End::WornOut => {
                let failure = decision::worn_out(&ready.progress());
                self.settle(ready, Step::Failed(failure), None).await;
            }
        }
    }

    /// When nothing is ready: a call that ends or a letter comes first, most of the time.
    fn next_look(&self) -> Instant {
        if !self.shared.settler.is_recording() {
            return Instant::now() + SHORT_PAUSE;
        }
        match self.health.gate {
            Some(gate) if gate.until > self.shared.store.now() => self.instant_of(gate.until),
            Some(_) | None => {
                // A call that ends comes first.
                first_look(self.room(), self.look_at).unwrap_or_else(|| Instant::now() + IDLE_LOOK)
            }
        }
    }

    fn start(&mut self, ready: Ready, permit: OwnedSemaphorePermit, now: Timestamp) {
        let shared = &self.shared;
        let timeout = shared.settings.call_timeout.min(ready.validity_left(now));
        let call = attempt::call(
            shared.provider.clone(),
            shared.store.clone(),
            shared.metrics.clone(),
            self.line.clone(),
            ready,
            timeout,
        );
        self.calls.spawn(async move { (permit, call.await) });
    }

    /// Takes in the outcome of a call.
    async fn finish(
        &mut self,
        done: std::result::Result<(OwnedSemaphorePermit, Option<Made>), tokio::task::JoinError>,
    ) {
        let made = match done {
            Ok((_, Some(made))) => made,
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
        let ruling = decision::after_call(&made.attempt.report, &progress, &settings.retry, now, rand::random());
        self.apply(ruling.signal, now, &made.attempt);
        if let Step::Wait { due_at, .. } = ruling.step {
            self.look_at(made.ready.message.lane, self.instant_of(due_at));
        }
        self.settle(made.ready, ruling.step, Some(made.attempt)).await;
    }

    fn apply(&mut self, signal: Signal, now: Timestamp, attempt: &Attempt) {
        let before = self.health.gate;
        if !self.health.apply(signal, now, &self.shared.settings.gate, rand::random()) {
            return;
        }
        self.gate_is_stale = true;
        if let Some(gate) = before {
            self.shared.metrics.gates_closed.with_label_values(&[gate.reason.as_str()]).dec();
        }
        self.count_gate(1);
        let channel = self.lease.channel;
        match self.health.gate {
            Some(gate) => {
                let rule = attempt.report.rule;
                tracing::warn!(%channel, reason = gate.reason.as_str(), until = %gate.until, rule, "the channel's gate is closed");
            }
            None => {
                tracing::info!(%channel, "the channel's gate is open");
                self.look_at = [Instant::now(); LANES];
            }
        }
    }

    fn count_gate(&self, change: i64) {
        if let Some(gate) = self.health.gate {
            self.shared.metrics.gates_closed.with_label_values(&[gate.reason.as_str()]).add(change);
        }
    }

    async fn record_gate(&mut self) {
        if !self.gate_is_stale || self.record_gate_at > Instant::now() {
            return;
        }
        match self.shared.store.set_gate(&self.lease, self.health.gate).await {
            Ok(()) => self.gate_is_stale = false,
            Err(error) => {
                tracing::warn!(%error, channel = %self.lease.channel, "the gate cannot be recorded");
                self.record_gate_at = Instant::now() + self.shared.settings.tick;
            }
        }
    }

    /// A claim that is not used: the message waits on, and no try is counted.
    async fn give_back(&mut self, ready: Ready) {
        let reason = if self.health.gate.is_some() { DueReason::Gate } else { DueReason::Requested };
        let due_at = ready.message.due_at;
        let maybe_sent = ready.message.maybe_sent;
        self.look_at(ready.message.lane, Instant::now() + SHORT_PAUSE);
        self.settle(ready, Step::Wait { due_at, reason, counted: false, maybe_sent }, None).await;
    }

    async fn expire(&mut self, mut ready: Ready) {
        // The claim counted a try that was not made.
        if !ready.is_claimed_to_end {
            ready.message.tries = ready.message.tries.saturating_sub(1);
        }
        let failure = decision::expired(&ready.progress(), self.health.gate.map(|gate| gate.reason));
        self.settle(ready, Step::Failed(failure), None).await;
    }

    async fn settle(&self, ready: Ready, step: Step, attempt: Option<Attempt>) {
        let message = ready.message;
        let lane = message.lane;
        let settlement = Settlement {
            message: message.id,
            workspace: message.workspace,
            claim: message.claim,
            part: message.part,
            tries: message.tries,
            maybe_sent: message.maybe_sent,
            step,
            attempt,
        };
        self.shared.settler.settle(Settled { channel: self.lease.channel, lane, settlement }).await;
    }
}

/// When a claim may find something that there is room for; `None` without room.
fn first_look(room: Room, look_at: [Instant; LANES]) -> Option<Instant> {
    let looks = look_at.into_iter().zip(room.lanes).filter_map(|(at, room)| (room > 0).then_some(at));
    looks.min().filter(|_| room.total > 0)
}

impl<P> Drop for Lane<P> {
    fn drop(&mut self) {
        if let Some(gate) = self.health.gate {
            self.shared.metrics.gates_closed.with_label_values(&[gate.reason.as_str()]).dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_without_room_does_not_look_at_all() {
        let now = Instant::now();
        let (soon, later) = (now + Duration::from_secs(1), now + Duration::from_secs(2));
        let looks = [now, later, soon];
        // As while a probe is under way: there would be one in each lane, and none in all.
        assert_eq!(first_look(Room { lanes: [1; LANES], total: 0 }, looks), None);
        assert_eq!(first_look(Room { lanes: [1; LANES], total: 1 }, looks), Some(now));
        assert_eq!(first_look(Room { lanes: [0, 5, 5], total: 10 }, looks), Some(soon));
        assert_eq!(first_look(Room::default(), looks), None);
    }
}
