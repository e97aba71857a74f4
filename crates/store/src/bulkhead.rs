//! Connections by what they are for, so that much of one kind of work keeps none of the others from being done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};

use crate::connect::Database;
use crate::error::Error;

/// What must go on while requests have all connections: else a process that has much to do looks dead, its channels go to
/// another one, and nobody can see why.
const VITAL: [&str; 4] = ["store.lease.hold", "store.client.read_clock", "store.client.migrated", "store.serving.show"];
/// Connections for it.
const VITAL_CONNECTIONS: usize = 2;
/// What stores and sends messages. Each of these statements is for many of them.
const FLOW: [&str; 8] = [
    "store.accept.",
    "store.outbox.",
    "store.begin.",
    "store.settle.",
    "store.lease.",
    "store.owned.",
    "store.gate.",
    "store.pause.open",
];
/// What would have to wait for longer than this is told at once: a queue in which all wait until they have no use for the answer
/// serves nobody.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// The share of the newest statement in the mean time is one by this.
const MEAN_OVER: u64 = 16;

/// All connections but those that listen.
#[derive(Debug)]
pub(crate) struct Bulkheads {
    vital: Bulkhead,
    flow: Bulkhead,
    /// What requests look up and change, and chores.
    rest: Bulkhead,
}

/// Connections for one kind of work.
#[derive(Debug)]
struct Bulkhead {
    pool: Pool,
    /// How long a statement takes on one of them, microseconds.
    mean: AtomicU64,
}

impl Bulkheads {
    /// Half of `size` connections for storing and sending, half for the rest; makes none yet.
    pub(crate) fn new(database: &Database, size: usize) -> Result<Self, Error> {
        let half = size.div_ceil(2);
        let of = |size| Ok(Bulkhead { pool: database.pool(size)?, mean: AtomicU64::new(0) });
        Ok(Self { vital: of(VITAL_CONNECTIONS)?, flow: of(half)?, rest: of(half)? })
    }

    /// A connection for the statement of this name; why there is none.
    pub(crate) async fn borrow(&self, name: &str) -> Result<Object, String> {
        let Bulkhead { pool, mean } = self.of(name);
        let status = pool.status();
        let mean = Duration::from_micros(mean.load(Ordering::Relaxed));
        if let Some(waiting) = too_many(status.waiting, status.max_size, mean) {
            return Err(format!("{waiting} wait for a connection already"));
        }
        pool.get().await.map_err(|error| crate::error::chain(&error))
    }

    /// Notes how long the statement of this name had its connection.
    pub(crate) fn note(&self, name: &str, took: Duration) {
        let mean = &self.of(name).mean;
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // One that is lost between two threads is one of many.
        let before = mean.load(Ordering::Relaxed);
        mean.store(before - before / MEAN_OVER + took / MEAN_OVER, Ordering::Relaxed);
    }

    fn of(&self, name: &str) -> &Bulkhead {
        if VITAL.contains(&name) {
            &self.vital
        } else if FLOW.iter().any(|start| name.starts_with(start)) {
            &self.flow
        } else {
            &self.rest
        }
    }
}

/// How many wait, when the last of them would wait for too long.
fn too_many(waiting: usize, connections: usize, mean: Duration) -> Option<usize> {
    let turns = u32::try_from(waiting / connections.max(1)).unwrap_or(u32::MAX);
    (mean.saturating_mul(turns) > LONGEST_WAIT).then_some(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_may_wait_follows_from_how_long_a_statement_takes() {
        let millis = Duration::from_millis;
        for (waiting, mean, expected) in [
            (0, millis(60_000), None),
            (7, millis(60_000), None),
            (8, millis(501), Some(8)),
            (32, millis(125), None),
            (32, millis(126), Some(32)),
            (8_000, Duration::from_micros(300), None),
            (usize::MAX, millis(1), Some(usize::MAX)),
            (usize::MAX, Duration::ZERO, None),
        ] {
            assert_eq!(too_many(waiting, 8, mean), expected, "{waiting} with {mean:?}");
        }
    }
}
