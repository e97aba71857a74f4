//! What waits on channels, remembered: so that an accept waits for no query, save the first one of a channel.
//!
//! Counted anew beside requests while they come, at most every second and ten times as long apart as it takes; what is
//! accepted here meanwhile is added. What other replicas accept is seen with the next count. Without a count nothing is
//! refused. Whoever counts waits for a turn, here and elsewhere: connections are for accepting and sending first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::id::{ChannelId, WorkspaceId};
use domain::message::Lane;
use jiff::Timestamp;
use store::Store;
use store::backlog::{Backlog, SharedLimit};
use store::channel::Channel;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::errors::ApiError;

/// Between two counts of a channel at least.
const REST_MIN: Duration = Duration::from_secs(1);
/// Between two counts as many times as long as one took: they use a tenth of a connection.
const REST_FACTOR: u32 = 10;
/// So long past its time a count is believed while the next is under way. After it a request waits for the next.
const GRACE: Duration = Duration::from_secs(10);
/// Requests wait for a count that takes no longer than this.
const COUNT_WAIT: Duration = Duration::from_secs(1);
/// An accept goes by what was counted so long ago; what is older is not asked: much may have been sent since.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// Counts at the same time, of all channels.
const COUNTS_MAX: usize = 2;
/// Whoever counts for one request waits no longer than this for a turn.
const TURN_WAIT: Duration = Duration::from_secs(2);
/// A count that takes longer has broken down.
const COUNT_MAX: Duration = Duration::from_secs(300);
/// A channel that shares no limit is asked again whether it does after this time.
const LIMIT_BELIEVED: Duration = Duration::from_secs(10);
/// Channels remembered: a few megabytes. Past it all are forgotten, which costs a count each.
const CHANNELS_MAX: usize = 10_000;
/// Lanes of a channel.
const LANES: usize = Lane::ALL.len();

/// What waits on a channel, as far as it is known here.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) counted: Arc<Backlog>,
    /// The limit that the channel shares with others, if it does.
    pub(crate) limit: Option<Arc<SharedLimit>>,
    /// What was accepted here since.
    pub(crate) since: Since,
}

/// What was accepted here since a count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Since {
    /// By the lane's index, due at once.
    pub(crate) due: [u64; LANES],
    /// Due later.
    pub(crate) later: u64,
}

impl Since {
    /// Another message was accepted, which may go from an instant on.
    pub(crate) fn add(&mut self, lane: Lane, due_at: Timestamp, now: Timestamp) {
        let count = if due_at <= now { &mut self.due[lane.index()] } else { &mut self.later };
        *count += 1;
    }

    pub(crate) fn sum(&self) -> u64 {
        self.due.iter().sum::<u64>() + self.later
    }

    fn without(self, earlier: Self) -> Self {
        let due = std::array::from_fn(|lane| self.due[lane].saturating_sub(earlier.due[lane]));
        Self { due, later: self.later.saturating_sub(earlier.later) }
    }
}

/// What is remembered of channels. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Backlogs {
    entries: Arc<Mutex<HashMap<ChannelId, Entry>>>,
    turns: Arc<Semaphore>,
}

impl Default for Backlogs {
    fn default() -> Self {
        Self { entries: Arc::default(), turns: Arc::new(Semaphore::new(COUNTS_MAX)) }
    }
}

#[derive(Debug)]
struct Entry {
    seen: Option<Seen>,
    seen_at: Instant,
    believed_until: Instant,
    count_at: Instant,
    /// When the count under way began.
    counting_since: Option<Instant>,
    limit_asked_at: Option<Instant>,
    /// Told after each count.
    counted: Arc<Notify>,
}

impl Entry {
    fn new(now: Instant) -> Self {
        Self {
            seen: None,
            seen_at: now,
            believed_until: now,
            count_at: now,
            counting_since: None,
            limit_asked_at: None,
            counted: Arc::default(),
        }
    }

    fn believed(&self, now: Instant) -> Option<Seen> {
        self.seen.clone().filter(|_| now < self.believed_until)
    }

    fn is_overdue(&self, now: Instant) -> bool {
        now >= self.count_at && self.counting_since.is_none_or(|since| now - since > COUNT_MAX)
    }

    /// Whether it should be asked whether the channel shares a limit: of one that does, who contends for it changes.
    fn asks_limit(&self, now: Instant) -> bool {
        let is_shared = self.seen.as_ref().is_some_and(|seen| seen.limit.is_some());
        is_shared || self.limit_asked_at.is_none_or(|at| now - at > LIMIT_BELIEVED)
    }
}

impl Backlogs {
    /// A turn to count for one request.
    ///
    /// # Errors
    /// When too many count.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let turn = tokio::time::timeout(TURN_WAIT, self.turns.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(ApiError::Unavailable)
    }

    /// What is known of what waits on a channel; waits only where it was never counted.
    pub(crate) async fn known(&self, store: &Store, channel: &Channel) -> Option<Seen> {
        let (known, age) = {
            let now = Instant::now();
            let mut entries = self.lock();
            let entry = self.entry(&mut entries, store, channel, now);
            (entry.seen.clone(), now - entry.seen_at)
        };
        match known {
            Some(seen) => (age < KNOWN_FOR).then_some(seen),
            None => self.of(store, channel).await,
        }
    }

    /// What waits on a channel; `None` when it cannot be counted in time.
    pub(crate) async fn of(&self, store: &Store, channel: &Channel) -> Option<Seen> {
        let (counted, left) = {
            let now = Instant::now();
            let mut entries = self.lock();
            let entry = self.entry(&mut entries, store, channel, now);
            let left = entry.counting_since.map(|since| COUNT_WAIT.saturating_sub(now - since));
            match (entry.believed(now), left.filter(|left| !left.is_zero())) {
                (Some(seen), _) => return Some(seen),
                (None, None) => return None,
                (None, Some(left)) => (entry.counted.clone().notified_owned(), left),
            }
        };
        if tokio::time::timeout(left, counted).await.is_err() {
            tracing::warn!(channel = %channel.id, "what waits on a channel is not counted yet");
        }
        self.lock().get(&channel.id).and_then(|entry| entry.believed(Instant::now()))
    }

    /// The entry of a channel, which is counted anew beside if it is time.
    fn entry<'a>(
        &self,
        entries: &'a mut HashMap<ChannelId, Entry>,
        store: &Store,
        channel: &Channel,
        now: Instant,
    ) -> &'a mut Entry {
        if entries.len() >= CHANNELS_MAX && !entries.contains_key(&channel.id) {
            entries.clear();
        }
        let entry = entries.entry(channel.id).or_insert_with(|| Entry::new(now));
        if entry.is_overdue(now) {
            entry.counting_since = Some(now);
            let since = entry.seen.as_ref().map(|seen| seen.since).unwrap_or_default();
            let asks_limit = entry.asks_limit(now);
            let (backlogs, store) = (self.clone(), store.clone());
            let asked = Asked {
                workspace: channel.workspace,
                channel: channel.id,
                enough: u64::from(channel.settings.backlog_max),
            };
            tokio::spawn(async move { backlogs.count(&store, asked, since, asks_limit.then_some(now)).await });
        }
        entry
    }

    /// A message was accepted here, which may go from an instant on.
    pub(crate) fn note(&self, channel: ChannelId, lane: Lane, due_at: Timestamp, now: Timestamp) {
        if let Some(seen) = self.lock().get_mut(&channel).and_then(|entry| entry.seen.as_mut()) {
            seen.since.add(lane, due_at, now);
        }
    }

    /// Counts a channel. What was accepted before it began is in the count; what is accepted meanwhile may be, too.
    async fn count(&self, store: &Store, asked: Asked, before: Since, asks_limit: Option<Instant>) {
        let Ok(_turn) = self.turns.clone().acquire_owned().await else { return };
        let began = Instant::now();
        let counted = async {
            let backlog = store.backlog(asked.channel, asked.enough).await?;
            let limit = match asks_limit {
                Some(_) => store.shared_limit(asked.workspace, asked.channel, backlog.seen_at).await?,
                None => None,
            };
            Ok::<_, store::error::Error>((backlog, limit))
        };
        let counted = counted.await;
        let now = Instant::now();
        let rest = REST_MIN.max((now - began) * REST_FACTOR);
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&asked.channel) else { return };
        entry.counting_since = None;
        entry.count_at = now + rest;
        match counted {
            Ok((backlog, limit)) => {
                let former = entry.seen.take();
                let since = former.as_ref().map(|seen| seen.since.without(before)).unwrap_or_default();
                let limit = match asks_limit {
                    Some(_) => limit.map(Arc::new),
                    None => former.and_then(|seen| seen.limit),
                };
                entry.limit_asked_at = asks_limit.or(entry.limit_asked_at);
                entry.seen = Some(Seen { counted: Arc::new(backlog), limit, since });
                entry.seen_at = began;
                entry.believed_until = now + rest + GRACE;
            }
            Err(error) => tracing::warn!(%error, channel = %asked.channel, "what waits on a channel cannot be counted"),
        }
        entry.counted.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel that is counted, and how far.
#[derive(Clone, Copy)]
struct Asked {
    workspace: WorkspaceId,
    channel: ChannelId,
    enough: u64,
}
