//! Regular work that no message waits for: partitions, retention, removal of texts, erasures, acts that were left.
//!
//! Every replica looks once a minute whether something is due, and takes it with the same statement, so each chore is done
//! by one of them. All chores have one shape: a bounded piece of work that says how many rows it touched, where it goes on,
//! and whether there is more. What fails is tried again later; nothing that sends waits for it.

use std::time::Duration;

use jiff::Timestamp;
use store::Store;
use store::chore::Taken;
use store::error::Error;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::lane::Order;
use crate::metrics::Metrics;

mod actions;

mod bodies;

mod erasures;

mod partitions;

mod retention;

/// Between two looks of a replica: with two of them a query in half a minute.
const LOOK: Duration = Duration::from_secs(60);
/// A chore that takes longer is given up; its replica is then taken to have died.
const TAKEN: Duration = Duration::from_secs(900);
/// A run ends before it is taken to have died.
const RUN: Duration = Duration::from_secs(840);
/// After a failure.
const RETRY: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A kind of regular work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chore {
    /// Partitions of this month and the next ones are made.
    Partitions,
    /// Months that are older than messages are kept are dropped.
    Retention,
    /// Ended messages lose their texts.
    Bodies,
    /// Erasures of recipients that were not done with their request are finished.
    Erasures,
    /// Acts on many messages whose process was stopped are finished.
    Actions,
}

impl Chore {
    /// All.
    pub const ALL: [Self; 5] = [Self::Partitions, Self::Retention, Self::Bodies, Self::Erasures, Self::Actions];

    /// The word it is stored and counted under.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Retention => "retention",
            Self::Bodies => "bodies",
            Self::Erasures => "erasures",
            Self::Actions => "actions",
        }
    }

    /// From its end until it falls due again.
    const fn pause(self) -> Duration {
        match self {
            Self::Partitions | Self::Bodies => HOUR,
            Self::Retention => Duration::from_secs(6 * 3600),
            Self::Erasures => Duration::from_secs(300),
            // As often as replicas look.
            Self::Actions => LOOK,
        }
    }
}

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Done {
    /// Rows touched, or partitions.
    rows: u64,
    /// Where the next run goes on; empty at the start. One that another version wrote and that cannot be read counts as the
    /// start, too.
    position: String,
    /// Whether there is more to do at once.
    has_more: bool,
}

/// The regular work of one replica.
#[derive(Clone, Debug)]
pub struct Chores {
    store: Store,
    metrics: Metrics,
}

impl Chores {
    /// The work on a database.
    #[must_use]
    pub fn new(store: Store, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    /// Does what falls due until the engine stops.
    pub(crate) async fn run(self, mut orders: watch::Receiver<Order>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while *orders.borrow() == Order::Run {
            tokio::select! {
                biased;
                changed = orders.changed() => if changed.is_err() { break },
                () = async {
                    look.tick().await;
                    while self.run_once().await.is_some() {}
                } => {}
            }
        }
    }

    /// Takes one chore that is due and does a bounded piece of it; answers which, `None` when nothing is due or the
    /// database is away.
    pub async fn run_once(&self) -> Option<Chore> {
        self.run_once_at(self.store.now()).await
    }

    /// The same as if it were this instant.
    pub async fn run_once_at(&self, now: Timestamp) -> Option<Chore> {
        let known = Chore::ALL.map(Chore::as_str);
        let taken = match self.store.take_chore(&known, now, TAKEN).await {
            Ok(taken) => taken?,
            Err(error) => {
                tracing::debug!(%error, "chores cannot be looked up");
                return None;
            }
        };
        let chore = Chore::ALL.into_iter().find(|chore| chore.as_str() == taken.chore)?;
        let done = match tokio::time::timeout(RUN, self.work(chore, &taken.position, now)).await {
            Ok(done) => done,
            Err(_) => Err(Error::Unavailable("the chore took too long".to_owned())),
        };
        let noted = match done {
            Ok(done) => self.succeed(chore, &taken, &done, now).await,
            Err(error) => {
                tracing::warn!(%error, chore = chore.as_str(), "a chore failed; it is tried again");
                self.metrics.chores.failures.with_label_values(&[chore.as_str()]).inc();
                self.store.postpone_chore(&taken, now, RETRY).await
            }
        };
        if let Err(error) = noted {
            tracing::debug!(%error, chore = chore.as_str(), "the end of a chore cannot be noted");
        }
        Some(chore)
    }

    async fn work(&self, chore: Chore, position: &str, now: Timestamp) -> Result<Done, Error> {
        match chore {
            Chore::Partitions => partitions::run_once(&self.store, now).await,
            Chore::Retention => retention::run_once(&self.store, now, position).await,
            Chore::Bodies => bodies::run_once(&self.store, now, position).await,
            Chore::Erasures => erasures::run_once(&self.store, now).await,
            Chore::Actions => actions::run_once(&self.store, now).await,
        }
    }

    async fn succeed(&self, chore: Chore, taken: &Taken, done: &Done, now: Timestamp) -> Result<(), Error> {
        self.metrics.chores.rows.with_label_values(&[chore.as_str()]).inc_by(done.rows);
        self.metrics.chores.succeeded_at.with_label_values(&[chore.as_str()]).set(now.as_second());
        if done.rows > 0 {
            tracing::info!(chore = chore.as_str(), rows = done.rows, "a chore is done");
        }
        let pause = if done.has_more { Duration::ZERO } else { chore.pause() };
        if !self.store.finish_chore(taken, &done.position, now, pause).await? {
            tracing::debug!(chore = chore.as_str(), "another replica has taken the chore meanwhile");
        }
        Ok(())
    }
}

fn rows(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
