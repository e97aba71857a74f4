//! The owner: holds leases, runs a lane for each channel it owns, tells lanes what falls due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::gate::{Gate, GateReason};
use domain::id::{ChannelId, ReplicaId};
use domain::provider::Provider;
use jiff::SignedDuration;
use store::Store;
use store::lease::Lease;
use store::outbox::WakeEvent;
use store::replica::Presence;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::attempt::Line;
use crate::chores::Chores;
use crate::lane::{Lane, Order, Shared};
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::settler::Settler;
use crate::wake::{Hints, Wake};

/// Rest of a lane that takes over from one of the same replica: that one may have used up the rate of the last second.
const REST: Duration = Duration::from_secs(1);
/// A channel that cannot be run is tried again after this time.
const UNUSABLE_LOOK: Duration = Duration::from_secs(60);
/// Beyond the longest call, for settling what came last.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// What the engine needs.
#[derive(Debug)]
pub struct Engine<P> {
    /// The database.
    pub store: Store,
    /// The way out.
    pub provider: P,
    /// Times and bounds.
    pub settings: Settings,
    /// Metrics.
    pub metrics: Metrics,
    /// Where hints arrive.
    pub wake: Wake,
    /// This process.
    pub replica: ReplicaId,
}

/// An engine at work.
#[derive(Debug)]
pub struct Running {
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
    chores: JoinHandle<()>,
    patience: Duration,
}

impl Running {
    /// Stops claiming, lets calls under way end, settles them, gives up leases. Bounded by the longest call and a
    /// margin; what is left then falls due again by itself.
    pub async fn stop(mut self) {
        self.orders.send_replace(Order::Stop);
        // Whatever it is at may be given up: it is done again.
        self.chores.abort();
        if tokio::time::timeout(self.patience, &mut self.task).await.is_err() {
            tracing::error!("the engine did not stop in time; open claims will lapse");
            self.task.abort();
        }
    }
}

impl<P: Provider> Engine<P> {
    /// Starts the engine's tasks.
    #[must_use]
    pub fn start(self) -> Running {
        let (orders, ordered) = watch::channel(Order::Run);
        let patience = self.settings.call_timeout + STOP_MARGIN;
        let chores = tokio::spawn(Chores::new(self.store.clone(), self.metrics.clone()).run(ordered.clone()));
        let (settler, settling) =
            Settler::start(self.store.clone(), self.replica, self.metrics.clone(), self.wake.clone());
        let shared = Arc::new(Shared {
            store: self.store,
            provider: Arc::new(self.provider),
            settings: self.settings,
            metrics: self.metrics,
            replica: self.replica,
            calls: Arc::new(Semaphore::new(self.settings.calls_max)),
            settler,
        });
        let owner = Owner {
            shared,
            wake: self.wake,
            lanes: HashMap::new(),
            ending: JoinSet::new(),
            presence: None,
            unusable: HashMap::new(),
            changed: HashSet::new(),
        };
        let task = tokio::spawn(owner.run(ordered, settling));
        Running { orders, task, chores, patience }
    }
}

struct LaneHandle {
    lease: Lease,
    orders: watch::Sender<Order>,
}

struct Owner<P> {
    shared: Arc<Shared<P>>,
    wake: Wake,
    lanes: HashMap<ChannelId, LaneHandle>,
    ending: JoinSet<()>,
    presence: Option<Presence>,
    /// Channels that this replica cannot run, as with another secret key, and since when: others may.
    unusable: HashMap<ChannelId, Instant>,
    /// Channels whose settings changed and whose lane has not been started since.
    changed: HashSet<ChannelId>,
}

impl<P: Provider> Owner<P> {
    async fn run(mut self, mut orders: watch::Receiver<Order>, settling: JoinHandle<()>) {
        let mut tick = interval(self.shared.settings.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut poll = interval(self.shared.settings.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while *orders.borrow() == Order::Run {
            tokio::select! {
                biased;
                changed = orders.changed() => if changed.is_err() { break },
                _ = tick.tick() => {
                    self.hold().await;
                    // A slow database must not leave all the time to this branch.
                    tick.reset();
                }
                _ = poll.tick() => self.look().await,
                Some(ended) = self.ending.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "a lane broke down");
                }
            }
        }
        self.stop(settling).await;
    }

    async fn stop(mut self, settling: JoinHandle<()>) {
        let channels: Vec<ChannelId> = self.lanes.keys().copied().collect();
        for channel in channels {
            self.end_lane(channel);
        }
        while self.ending.join_next().await.is_some() {}
        let (store, replica) = (self.shared.store.clone(), self.shared.replica);
        // The last sender of results goes, so the settler ends when all is written.
        drop(self.shared);
        drop(settling.await);
        if let Err(error) = store.release_leases(replica).await {
            tracing::warn!(%error, "leases cannot be given up; they will lapse");
        }
        drop(self.presence);
        if let Err(error) = store.forget_replica(replica).await {
            tracing::debug!(%error, "the replica's row cannot be removed");
        }
    }

    async fn hold(&mut self) {
        let (store, replica) = (self.shared.store.clone(), self.shared.replica);
        if !self.presence.as_ref().is_some_and(Presence::stands) {
            self.presence = match store.show_presence(replica).await {
                Ok(presence) => Some(presence),
                Err(error) => {
                    tracing::debug!(%error, "presence cannot be shown; leases alone decide");
                    None
                }
            };
        }
        self.unusable.retain(|_, since| since.elapsed() < UNUSABLE_LOOK);
        let unusable: Vec<ChannelId> = self.unusable.keys().copied().collect();
        self.shared.metrics.channels_unusable.set(i64::try_from(unusable.len()).unwrap_or(i64::MAX));
        match store.hold_leases(replica, self.shared.settings.lease, &unusable).await {
            Ok(leases) => self.follow(leases).await,
            // Lanes stay: what they claim is fenced by the lease itself.
            Err(error) => tracing::warn!(%error, "leases cannot be renewed"),
        }
    }

    /// Makes the lanes what the leases say.
    async fn follow(&mut self, leases: Vec<Lease>) {
        let held: HashMap<ChannelId, Lease> = leases.into_iter().map(|lease| (lease.channel, lease)).collect();
        let lost: Vec<ChannelId> = self.lanes.keys().filter(|channel| !held.contains_key(channel)).copied().collect();
        for channel in lost {
            tracing::info!(%channel, "the channel is no longer ours");
            self.end_lane(channel);
        }
        for (channel, lease) in held {
            match self.lanes.get(&channel).map(|lane| lane.lease) {
                Some(known)
                    if known.epoch == lease.epoch && known.revision == lease.revision && !self.has_ended(channel) => {}
                Some(known) => {
                    self.end_lane(channel);
                    if known.revision != lease.revision {
                        self.changed.insert(channel);
                    }
                    self.start_lane(lease, REST).await;
                }
                None => self.start_lane(lease, lease.rest).await,
            }
        }
        self.shared.metrics.channels_owned.set(i64::try_from(self.lanes.len()).unwrap_or(i64::MAX));
    }

    /// Whether a lane's task is gone although nobody ended it.
    fn has_ended(&self, channel: ChannelId) -> bool {
        self.lanes.get(&channel).is_some_and(|lane| lane.orders.is_closed())
    }

    /// Starts the lane of a channel. A gate that closed under other settings is not believed: the key may be mended.
    async fn start_lane(&mut self, lease: Lease, rest: Duration) {
        let store = &self.shared.store;
        let (workspace, channel) = (lease.workspace, lease.channel);
        let loaded = async {
            let settings = store.channel(workspace, channel).await?;
            let key = store.provider_key(workspace, channel).await?;
            let gate = store.gate(workspace, channel).await?;
            Ok::<_, store::error::Error>((settings, key, gate))
        };
        let (settings, key, gate) = match loaded.await {
            Ok((Some(settings), Some(key), gate)) => (settings, key, gate),
            Ok(_) => return,
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, %channel, "the channel cannot be loaded");
                return;
            }
            Err(error) => {
                tracing::error!(%error, %channel, "the channel cannot be run here; it is left to other replicas");
                self.unusable.insert(channel, Instant::now());
                return;
            }
        };
        let is_changed = self.changed.remove(&channel);
        let gate = gate.map(|gate| match gate.reason {
            GateReason::Credentials if is_changed => Gate { until: store.now(), ..gate },
            GateReason::Credentials | GateReason::RateLimit | GateReason::Breaker => gate,
        });
        let letters = self.wake.open(channel);
        let (orders, ordered) = watch::channel(Order::Run);
        let line = Line {
            number: settings.settings.number.clone(),
            key,
            longitude_spelling: settings.settings.longitude_spelling,
        };
        let lane = Lane::new(self.shared.clone(), lease, &settings, line, gate, letters, rest);
        self.ending.spawn(lane.run(ordered));
        self.lanes.insert(channel, LaneHandle { lease, orders });
        tracing::info!(%channel, epoch = lease.epoch, "the channel is ours");
    }

    fn end_lane(&mut self, channel: ChannelId) {
        self.wake.close(channel);
        if let Some(lane) = self.lanes.remove(&channel) {
            lane.orders.send_replace(Order::Stop);
        }
    }

    /// Tells lanes what falls due before the next look.
    async fn look(&mut self) {
        let channels: Vec<ChannelId> = self.lanes.keys().copied().collect();
        if channels.is_empty() {
            return;
        }
        let ahead = SignedDuration::try_from(self.shared.settings.poll * 2).unwrap_or(SignedDuration::ZERO);
        let now = self.shared.store.now();
        let until = now.saturating_add(ahead).unwrap_or(now);
        match self.shared.store.wake_times(&channels, until).await {
            Ok(times) => {
                for time in times {
                    let hints = match time.event {
                        WakeEvent::Due(lane) => Hints::due(lane, time.at),
                        WakeEvent::Expired => Hints { expired: time.at <= now, ..Hints::default() },
                    };
                    self.wake.tell(time.channel, hints);
                }
            }
            Err(error) => tracing::debug!(%error, "rows that fall due cannot be looked up"),
        }
    }
}
