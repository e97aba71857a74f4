//! The owner: holds the lease, runs a lane for each channel it owns, tells lanes what falls due.
//!
//! Where anybody has work, each replica renews its lease and looks after the others several times a second; where nobody
//! has, every few seconds, so that an idle installation asks its database next to nothing.

mod away;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::gate::{Gate, GateReason};
use domain::id::{AccountId, ChannelId};
use domain::limits::RATE_WINDOW;
use domain::message::Lane as MessageLane;
use domain::provider::Provider;
use jiff::{SignedDuration, Timestamp};
use store::error::Error;
use store::lease::{Held, Hold, Lease, Other};
use store::outbox::WakeEvent;
use store::owned::OwnedChannel;
use store::replica::Presence;
use tokio::sync::{oneshot, watch};
use tokio::task::{self, JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::account::Account;
use crate::beyond::Others;
use crate::lane::{Lane, Order};
use crate::shared::Shared;
use crate::wake::{Due, Hints, Wake};

/// A channel that cannot be run is tried again after this time.
const UNUSABLE_LOOK: Duration = Duration::from_secs(60);
/// Between two tries to show presence.
const PRESENCE_RETRY: Duration = Duration::from_secs(1);
/// The same where what is between does not keep a connection for one client.
const PRESENCE_RETRY_LONGEST: Duration = Duration::from_secs(60);
/// The least time between two renewals.
const BEAT_MIN: Duration = Duration::from_millis(100);
/// Channels loaded in one statement.
const LOADED_MAX: usize = 500;
/// Channels given up between two renewals.
const GIVEN_MAX: usize = 100;
/// A replica has far more than its share beyond one channel and this part of it.
const FAR: usize = 4;
/// A channel that came back because nobody took it is not offered again for so long.
const OFFERED: Duration = Duration::from_secs(600);
/// A row may become visible so long after its due instant: past it, accepting was given up.
const LATE_ROWS: SignedDuration = SignedDuration::from_secs(3);
/// Between two looks for messages whose validity is over: nobody waits for them.
const ENDS: Duration = Duration::from_secs(1);
/// Between two looks from the beginning, which find what no hint told of.
const SWEEP: Duration = Duration::from_secs(30);
/// The same after a take-over, while claims of the former owner may lapse, which no hint tells of.
const SWEEP_FOLLOWING: Duration = Duration::from_secs(1);

/// Beside an old transaction a sweep walks over all that was sent since: it rests for so many times as long as it took.
const SWEEP_REST: u32 = 10;

struct LaneHandle {
    lease: Lease,
    orders: watch::Sender<Order>,
    task: task::Id,
}

/// Where showing presence stands.
enum Showing {
    /// Not shown; tried again at an instant, after this pause then.
    Not(Instant, Duration),
    /// Being tried, after this pause.
    Trying(oneshot::Receiver<Result<Presence, Error>>, Duration),
    Shown(Presence),
}

pub(crate) struct Owner<P> {
    shared: Arc<Shared<P>>,
    wake: Wake,
    others: Arc<Others>,
    lanes: HashMap<ChannelId, LaneHandle>,
    accounts: HashMap<AccountId, Arc<Account>>,
    /// Lanes that run, also those that were told to end, and their channels.
    tasks: JoinSet<()>,
    channels: HashMap<task::Id, ChannelId>,
    showing: Showing,
    /// Replicas whose presence was gone at the last renewal.
    suspects: Vec<Other>,
    /// Whether another replica has work.
    is_busy_elsewhere: bool,
    /// Channels that this replica cannot run, as with another secret key, and since when: others may.
    unusable: HashMap<ChannelId, Instant>,
    /// Channels whose settings changed and whose lane has not been started since.
    changed: HashSet<ChannelId>,
    /// Channels that are being given up.
    leaving: HashSet<ChannelId>,
    /// Channels that were offered to others, and when.
    offered: HashMap<ChannelId, Instant>,
    /// When the last sweep ended, and how long it took.
    swept: Option<(Instant, Duration)>,
    looked_for_ends_at: Option<Instant>,
    /// When a channel was taken over last.
    took_over_at: Option<Instant>,
}

impl<P: Provider> Owner<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>, wake: Wake, others: Arc<Others>) -> Self {
        Self {
            shared,
            wake,
            others,
            lanes: HashMap::new(),
            accounts: HashMap::new(),
            tasks: JoinSet::new(),
            channels: HashMap::new(),
            showing: Showing::Not(Instant::now(), PRESENCE_RETRY),
            suspects: Vec::new(),
            is_busy_elsewhere: false,
            unusable: HashMap::new(),
            changed: HashSet::new(),
            leaving: HashSet::new(),
            offered: HashMap::new(),
            swept: None,
            looked_for_ends_at: None,
            took_over_at: None,
        }
    }

    pub(crate) async fn run(mut self, mut orders: watch::Receiver<Order>, settling: JoinHandle<()>) {
        // Whoever comes may have work to take over.
        self.wake.note_work();
        let (mut renewed_at, mut looked_at) = (None::<Instant>, None::<Instant>);
        let mut is_nudged = false;
        while *orders.borrow() == Order::Run {
            let settings = self.shared.settings;
            let is_calm = !self.has_work();
            let next = |last: Option<Instant>, pause| last.map_or_else(Instant::now, |last| last + pause);
            let tick = if is_calm { settings.idle_tick } else { settings.tick };
            let renew_at = next(renewed_at, if is_nudged { tick.min(BEAT_MIN) } else { tick });
            let can_wait = is_calm && matches!(self.showing, Showing::Shown(_));
            let look_at = next(looked_at, if can_wait { settings.idle_tick } else { settings.poll });
            let (others, wake) = (self.others.clone(), self.wake.clone());
            tokio::select! {
                biased;
                changed = orders.changed() => if changed.is_err() { break },
                () = tokio::time::sleep_until(renew_at) => {
                    is_nudged = false;
                    self.renew().await;
                    renewed_at = Some(Instant::now());
                }
                () = tokio::time::sleep_until(look_at) => {
                    self.look(if can_wait { settings.idle_tick } else { settings.poll }).await;
                    looked_at = Some(Instant::now());
                }
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.ended(ended).await;
                    is_nudged = true;
                }
                () = others.nudge.notified() => is_nudged = true,
                // The pauses of a calm time are over.
                () = wake.stirred() => {}
            }
        }
        self.stop(settling).await;
    }

    async fn stop(mut self, settling: JoinHandle<()>) {
        let channels: Vec<ChannelId> = self.lanes.keys().copied().collect();
        for channel in channels {
            self.end_lane(channel);
        }
        // One call that takes long must not keep the other channels from who goes on with them.
        self.leaving.extend(self.channels.values().copied());
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended).await;
        }
        let (store, replica) = (self.shared.store.clone(), self.shared.replica);
        // The last sender of results goes, so the settler ends when all is written.
        drop(self.shared);
        drop(settling.await);
        if let Err(error) = store.release_all_leases(replica).await {
            tracing::warn!(%error, "channels cannot be given up; they are free when the lease lapses");
        }
        drop(self.showing);
        if let Err(error) = store.forget_replica(replica).await {
            tracing::debug!(%error, "the replica's row cannot be removed");
        }
    }

    /// Whether anything is to be done, here or elsewhere.
    fn has_work(&self) -> bool {
        self.is_busy_elsewhere
            || !self.suspects.is_empty()
            || !self.leaving.is_empty()
            || self.wake.is_busy(self.shared.settings.idle_after)
    }

    async fn renew(&mut self) {
        if self.shared.store.clock().is_stepped() {
            return self.leave_all();
        }
        self.show_presence();
        self.unusable.retain(|_, since| since.elapsed() < UNUSABLE_LOOK);
        self.offered.retain(|_, at| at.elapsed() < OFFERED);
        let unusable: Vec<ChannelId> = self.unusable.keys().copied().collect();
        self.shared.metrics.channels_unusable.set(i64::try_from(unusable.len()).unwrap_or(i64::MAX));
        let settings = self.shared.settings;
        let hold = Hold {
            replica: self.shared.replica,
            lasting: settings.lease,
            is_busy: self.wake.is_busy(settings.idle_after),
            unusable: &unusable,
            suspects: &self.suspects,
        };
        let asked_at = Instant::now();
        match self.shared.store.hold_leases(hold).await {
            Ok(held) => {
                self.shared.licence.set(asked_at + settings.lease);
                self.follow(held).await;
            }
            // Lanes stay: what they claim is fenced by the lease itself, and they begin nothing past it.
            Err(error) => tracing::warn!(%error, "the lease cannot be renewed"),
        }
    }

    /// Goes on with showing presence, which may take long and must not keep the lease waiting.
    fn show_presence(&mut self) {
        let showing = std::mem::replace(&mut self.showing, Showing::Not(Instant::now(), PRESENCE_RETRY));
        self.showing = match showing {
            Showing::Shown(presence) if presence.stands() => Showing::Shown(presence),
            Showing::Shown(_) => {
                // Others may take it for gone: nothing is begun until the lease is renewed.
                self.shared.licence.set(Instant::now());
                self.try_presence(PRESENCE_RETRY)
            }
            Showing::Trying(mut tried, pause) => match tried.try_recv() {
                Ok(Ok(presence)) => Showing::Shown(presence),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "presence cannot be shown; leases alone decide");
                    Showing::Not(Instant::now() + pause, (pause * 2).min(PRESENCE_RETRY_LONGEST))
                }
                Err(oneshot::error::TryRecvError::Empty) => Showing::Trying(tried, pause),
                Err(oneshot::error::TryRecvError::Closed) => Showing::Not(Instant::now() + pause, pause),
            },
            Showing::Not(at, pause) if at > Instant::now() => Showing::Not(at, pause),
            Showing::Not(_, pause) => self.try_presence(pause),
        };
    }

    fn try_presence(&self, pause: Duration) -> Showing {
        let (answer, answered) = oneshot::channel();
        let (store, replica) = (self.shared.store.clone(), self.shared.replica);
        let (wake, others) = (self.wake.clone(), self.others.clone());
        tokio::spawn(async move {
            let heard = move |hint: store::notify::DueHint| {
                let due = Due { from: hint.due_at, at: hint.due_at };
                wake.tell(hint.channel, Hints::due(hint.lane, due));
            };
            let shown = store.show_presence(replica, heard).await;
            // An owner that has stopped meanwhile lets it go.
            drop(answer.send(shown));
            others.nudge.notify_one();
        });
        Showing::Trying(answered, pause)
    }

    /// Makes the lanes what the leases say.
    async fn follow(&mut self, held: Held) {
        self.others.are_there.store(!held.others.is_empty(), Ordering::Relaxed);
        self.is_busy_elsewhere = held.others.iter().any(|other| other.is_busy);
        self.suspects = held.others.iter().filter(|other| other.is_absent).copied().collect();
        let by_channel: HashMap<ChannelId, Lease> = held.leases.iter().map(|lease| (lease.channel, *lease)).collect();
        let lost: Vec<ChannelId> =
            self.lanes.keys().filter(|channel| !by_channel.contains_key(channel)).copied().collect();
        for channel in lost {
            tracing::info!(%channel, "the channel is no longer ours");
            self.end_lane(channel);
        }
        let mut starting = Vec::new();
        // One lane of a channel at a time: the next one starts when the former has ended.
        let ending: HashSet<ChannelId> =
            self.channels.values().filter(|channel| !self.lanes.contains_key(channel)).copied().collect();
        for lease in &held.leases {
            match self.lanes.get(&lease.channel).map(|lane| lane.lease) {
                Some(known) if is_same(&known, lease) => {}
                Some(known) => {
                    self.end_lane(lease.channel);
                    if known.revision != lease.revision {
                        self.changed.insert(lease.channel);
                    }
                }
                None if self.leaving.contains(&lease.channel) || ending.contains(&lease.channel) => {}
                None => starting.push(*lease),
            }
        }
        self.follow_accounts(&held.leases);
        for lanes in starting.chunks(LOADED_MAX) {
            self.start_lanes(lanes).await;
        }
        self.give_up(&held).await;
        self.shared.metrics.channels_owned.set(i64::try_from(self.lanes.len()).unwrap_or(i64::MAX));
        // The first channel of an account is here now; the others may come, too.
        if starting.iter().any(|lease| lease.account.is_some()) {
            self.others.nudge.notify_one();
        }
    }

    /// Limits of accounts hold at once; accounts that no lane uses are let go.
    fn follow_accounts(&mut self, leases: &[Lease]) {
        for limit in leases.iter().filter_map(|lease| lease.account) {
            if let Some(account) = self.accounts.get(&limit.id) {
                account.set_rate(limit.messages_per_second);
            }
        }
        self.accounts.retain(|_, account| Arc::strong_count(account) > 1);
    }

    /// Offers channels beyond this replica's share, and those that belong elsewhere.
    async fn give_up(&mut self, held: &Held) {
        let apart = held.leases.iter().filter(|lease| lease.is_apart);
        let (busy, calm): (Vec<&Lease>, Vec<&Lease>) = held
            .leases
            .iter()
            .filter(|lease| !lease.is_apart && lease.account.is_none() && !self.offered.contains_key(&lease.channel))
            .partition(|lease| self.wake.is_channel_busy(lease.channel, self.shared.settings.idle_after));
        let excess = held.excess.saturating_sub(self.leaving.len());
        // A hand-over costs a channel about a second: one with work is left alone unless the others have far less.
        let far = excess.saturating_sub(1 + held.leases.len().saturating_sub(held.excess) / FAR);
        let spare = calm.into_iter().chain(busy.into_iter().take(far)).take(excess);
        let chosen: Vec<ChannelId> = apart.chain(spare).take(GIVEN_MAX).map(|lease| lease.channel).collect();
        let mut idle = Vec::new();
        for channel in chosen {
            if self.leaving.insert(channel) {
                self.offered.insert(channel, Instant::now());
                self.end_lane(channel);
                // One whose lane is at its last call is given up when that has ended.
                idle.extend((!self.channels.values().any(|running| *running == channel)).then_some(channel));
            }
        }
        self.release(&idle).await;
    }

    /// Lanes have ended: those of channels that are left are given up, the others may be started again.
    async fn ended(&mut self, first: Result<(task::Id, ()), JoinError>) {
        let mut left = Vec::new();
        let mut next = Some(first);
        while let Some(ended) = next {
            let id = match ended {
                Ok((id, ())) => id,
                Err(error) => {
                    tracing::error!(%error, "a lane broke down");
                    error.id()
                }
            };
            if let Some(channel) = self.channels.remove(&id) {
                if self.lanes.get(&channel).is_some_and(|lane| lane.task == id) {
                    self.end_lane(channel);
                }
                left.extend(self.leaving.contains(&channel).then_some(channel));
            }
            next = self.tasks.try_join_next_with_id();
        }
        self.release(&left).await;
    }

    async fn release(&mut self, channels: &[ChannelId]) {
        if channels.is_empty() {
            return;
        }
        if let Err(error) = self.shared.store.release_leases(self.shared.replica, channels).await {
            // They are ours still: the next renewal starts their lanes again.
            tracing::warn!(%error, "channels cannot be given up");
        }
        for channel in channels {
            self.leaving.remove(channel);
        }
    }

    /// Starts the lanes of channels.
    async fn start_lanes(&mut self, leases: &[Lease]) {
        let channels: Vec<_> = leases.iter().map(|lease| (lease.workspace, lease.channel)).collect();
        let mut loaded: HashMap<ChannelId, Result<OwnedChannel, Error>> =
            match self.shared.store.owned_channels(&channels).await {
                Ok(loaded) => loaded.into_iter().collect(),
                Err(error) => {
                    tracing::warn!(%error, channels = leases.len(), "channels cannot be loaded");
                    return;
                }
            };
        for lease in leases {
            match loaded.remove(&lease.channel) {
                Some(Ok(owned)) => self.start_lane(*lease, owned),
                Some(Err(error)) => {
                    tracing::error!(%error, channel = %lease.channel, "the channel cannot be run here; it is left to other replicas");
                    self.unusable.insert(lease.channel, Instant::now());
                }
                None => {}
            }
        }
    }

    /// Starts the lane of a channel. A gate that closed under other settings is not believed: the key may be mended.
    fn start_lane(&mut self, lease: Lease, mut owned: OwnedChannel) {
        let channel = lease.channel;
        let (is_changed, now) = (self.changed.remove(&channel), self.shared.store.now());
        owned.gate = owned.gate.map(|gate| match gate.reason {
            GateReason::Credentials if is_changed => Gate { until: now, ..gate },
            GateReason::Credentials | GateReason::RateLimit | GateReason::Breaker => gate,
        });
        let account = lease.account.map(|limit| {
            // Another channel of the account may have used it up, here or elsewhere.
            let make = || Arc::new(Account::new(limit.messages_per_second, RATE_WINDOW));
            self.accounts.entry(limit.id).or_insert_with(make).clone()
        });
        self.took_over_at = Some(Instant::now());
        let letters = self.wake.open(channel);
        let (orders, ordered) = watch::channel(Order::Run);
        let lane = Lane::new(self.shared.clone(), lease, owned, account, letters);
        let task = self.tasks.spawn(lane.run(ordered)).id();
        self.channels.insert(task, channel);
        self.lanes.insert(channel, LaneHandle { lease, orders, task });
        tracing::info!(%channel, epoch = lease.epoch, "the channel is ours");
    }

    /// Whether claims of a former owner may still lapse.
    fn is_following(&self) -> bool {
        let lapsed = self.shared.settings.claim_lasting() + SWEEP_FOLLOWING * 2;
        self.took_over_at.is_some_and(|at| at.elapsed() < lapsed)
    }

    /// Tells a lane to end.
    fn end_lane(&mut self, channel: ChannelId) {
        self.wake.close(channel);
        if let Some(lane) = self.lanes.remove(&channel) {
            lane.orders.send_replace(Order::Stop);
        }
    }

    /// Tells lanes what falls due before the next look but one.
    async fn look(&mut self, pause: Duration) {
        let boxes = self.wake.boxes();
        if boxes.is_empty() {
            return;
        }
        let sweep = if self.is_following() { SWEEP_FOLLOWING } else { SWEEP };
        let is_sweep = self.swept.is_none_or(|(at, took)| at.elapsed() >= sweep.max(took * SWEEP_REST));
        let from = |due_from: Timestamp| match is_sweep {
            true => Timestamp::UNIX_EPOCH,
            false => due_from.saturating_sub(LATE_ROWS).unwrap_or(due_from).max(Timestamp::UNIX_EPOCH),
        };
        let looks_for_ends = self.looked_for_ends_at.is_none_or(|at| at.elapsed() >= ENDS);
        let channels: Vec<ChannelId> = boxes.iter().filter(|_| looks_for_ends).map(|(channel, _)| *channel).collect();
        if looks_for_ends {
            self.looked_for_ends_at = Some(Instant::now());
        }
        let lanes: Vec<(ChannelId, MessageLane, Timestamp)> = boxes
            .iter()
            .flat_map(|(channel, letters)| {
                MessageLane::ALL.into_iter().zip(letters.due_from()).map(move |(lane, at)| (*channel, lane, from(at)))
            })
            .collect();
        let ahead = SignedDuration::try_from(pause * 2).unwrap_or(SignedDuration::ZERO);
        let now = self.shared.store.now();
        let until = now.saturating_add(ahead).unwrap_or(now);
        let started = Instant::now();
        let found = self.shared.store.wake_times(&lanes, &channels, until).await;
        if is_sweep {
            // Also one that fails: the others must not wait for it.
            self.swept = Some((Instant::now(), started.elapsed()));
        }
        match found {
            Ok(times) => {
                for time in times {
                    let hints = match time.event {
                        WakeEvent::Due { lane, due_at } => Hints::due(lane, Due { from: due_at, at: time.at }),
                        WakeEvent::Expired => Hints { expired: time.at <= now, ..Hints::default() },
                    };
                    self.wake.tell(time.channel, hints);
                }
            }
            Err(error) => tracing::warn!(%error, is_sweep, "rows that fall due cannot be looked up"),
        }
    }
}

/// Whether a lane may go on under a lease.
fn is_same(known: &Lease, now: &Lease) -> bool {
    let account = |lease: &Lease| lease.account.map(|limit| limit.id);
    known.epoch == now.epoch && known.revision == now.revision && account(known) == account(now)
}
