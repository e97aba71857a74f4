//! The watch over time itself: lanes that have something due and do not move, with nothing that explains it.
//!
//! A backlog is no failure: its first message is another one at every look. A lane whose first message has been due for a
//! minute and is still the first a minute later has been forgotten by whoever should send it. Every replica looks, at all
//! channels, since one that nobody owns has nobody else to tell of it. Channels whose account has a limit are left out: behind
//! others of the account a lane may stand still rightly.
//!
//! With each look goes a count of what waits and may have been sent, which somebody may have to look into.

use std::collections::HashMap;
use std::time::Duration;

use domain::id::{ChannelId, MessageId};
use domain::message::Lane;
use jiff::{SignedDuration, Timestamp};
use store::Store;
use store::error::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::lane::Order;
use crate::metrics::Metrics;

/// A message is overdue when it has been due for so long, and stood first for so long.
const OVERDUE: SignedDuration = SignedDuration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(30);
/// A look that takes long, as beside an old transaction, is followed by so many times its duration.
const REST: u32 = 10;
/// Lanes looked at; more are all overdue.
const LANES_MAX: i64 = 10_000;
/// Messages of unknown outcome that are counted: some milliseconds along their index.
const UNKNOWN_MAX: i64 = 100_000;

/// Which lanes stand still, as far as one replica has seen.
#[derive(Debug)]
pub struct Overdue {
    store: Store,
    metrics: Metrics,
    /// First messages that were due, and since when they have stood first.
    heads: HashMap<(ChannelId, Lane), (MessageId, Timestamp)>,
}

impl Overdue {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub fn new(store: Store, metrics: Metrics) -> Self {
        Self { store, metrics, heads: HashMap::new() }
    }

    /// Looks again and again until the engine stops.
    pub(crate) async fn run(mut self, mut orders: watch::Receiver<Order>) {
        while *orders.borrow() == Order::Run {
            let began = Instant::now();
            if let Err(error) = self.look(self.store.now()).await {
                tracing::debug!(%error, "what is overdue cannot be looked up");
            }
            let rest = LOOK.max(began.elapsed() * REST);
            tokio::select! {
                changed = orders.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Looks once, as of an instant.
    ///
    /// # Errors
    /// When the database cannot be used; what was shown stays.
    pub async fn look(&mut self, now: Timestamp) -> Result<(), Error> {
        let due_by = now.saturating_sub(OVERDUE).unwrap_or(Timestamp::MIN);
        self.metrics.unknown.waiting.set(self.store.unknown_outcomes(UNKNOWN_MAX).await?);
        let found = self.store.overdue_heads(due_by, LANES_MAX).await?;
        let mut standing = Vec::new();
        let mut heads = HashMap::with_capacity(found.len());
        for head in found {
            let place = (head.channel, head.lane);
            let known = self.heads.get(&place).filter(|(message, _)| *message == head.message);
            let since = known.map_or(now, |(_, since)| *since);
            heads.insert(place, (head.message, since));
            if now.duration_since(since) >= OVERDUE {
                standing.push(head);
            }
        }
        self.heads = heads;
        let first = standing.iter().min_by_key(|head| head.due_at);
        let seconds = first.map_or(0, |head| now.duration_since(head.due_at).as_secs());
        if let Some(head) = first {
            let lanes = standing.len();
            tracing::error!(lanes, seconds, channel = %head.channel, message = %head.message, "what is due is not sent, and nothing explains it");
        }
        self.metrics.lanes_overdue.set(i64::try_from(standing.len()).unwrap_or(i64::MAX));
        self.metrics.overdue_seconds.set(seconds);
        Ok(())
    }
}
