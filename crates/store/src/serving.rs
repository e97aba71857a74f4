//! Processes that answer requests, counted: each takes its share of what a workspace may ask.
//!
//! A process renews its row every few seconds and learns how many there are from the same statement. In between, and
//! while the database is away, the last count is believed. What claims and leases need is in `replica`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::id::ReplicaId;

use crate::client::Store;
use crate::error::Error;

/// Between two renewals of a row: a replica that comes or goes changes everybody's share within this time (limits are
/// effective within 5 s) and costs a statement in it.
pub const RENEWAL: Duration = Duration::from_secs(4);
/// A process that was not seen for so long is gone; three renewals may be late or lost.
const ABSENCE: Duration = Duration::from_secs(15);
/// Others that are counted; with more, a share is at its least anyway.
const OTHERS_MAX: i64 = 1000;

/// The last count; one, itself, until the first.
#[derive(Clone, Debug)]
pub(crate) struct Count(Arc<AtomicU32>);

impl Default for Count {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }
}

// Rows that another process is writing are left to it: two that clear up at once must not wait for each other.
const SHOW: &str = "-- store.serving.show
WITH seen AS (
    INSERT INTO serving_replicas (replica_id, seen_at) VALUES ($1, clock_timestamp())
    ON CONFLICT (replica_id) DO UPDATE SET seen_at = excluded.seen_at
), gone AS (
    DELETE FROM serving_replicas WHERE replica_id IN (
        SELECT replica_id FROM serving_replicas
        WHERE replica_id <> $1 AND seen_at < clock_timestamp() - make_interval(secs => $2)
        ORDER BY replica_id FOR UPDATE SKIP LOCKED)
)
SELECT replica_id FROM serving_replicas
WHERE replica_id <> $1 AND seen_at >= clock_timestamp() - make_interval(secs => $2)
ORDER BY replica_id LIMIT $3";

const LEAVE: &str = "-- store.serving.leave
DELETE FROM serving_replicas WHERE replica_id = $1";

impl Store {
    /// Notes that this process answers requests, and counts those that do.
    ///
    /// # Errors
    /// When the database cannot be used: the last count stands.
    pub async fn show_serving(&self, replica: ReplicaId) -> Result<(), Error> {
        let others = self.query(SHOW, &[&replica.0, &ABSENCE.as_secs_f64(), &OTHERS_MAX]).await?;
        let all = u32::try_from(others.len() + 1).map_err(Error::corrupt)?;
        self.serving.0.store(all, Ordering::Relaxed);
        Ok(())
    }

    /// Notes that this process answers no more requests.
    ///
    /// # Errors
    /// When the database cannot be used: others count it until it was not seen for a while.
    pub async fn leave_serving(&self, replica: ReplicaId) -> Result<(), Error> {
        self.query(LEAVE, &[&replica.0]).await.map(drop)
    }

    /// Processes that answered requests at the last count, this one included.
    #[must_use]
    pub fn serving_replicas(&self) -> u32 {
        self.serving.0.load(Ordering::Relaxed)
    }
}
