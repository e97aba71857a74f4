//! The database's clock, readable without a query.
//!
//! Instants are the database's, durations the process's monotonic clock: the last reading of the one plus the time
//! that has passed on the other. Replicas with wrong clocks therefore agree on what is due. The reading is renewed by
//! `Store::read_clock`; between two readings it drifts as little as a crystal does.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

#[derive(Clone, Copy)]
struct Reading {
    database: Timestamp,
    here: Instant,
}

/// A clock that shows the database's time.
#[derive(Clone)]
pub struct DatabaseClock(Arc<RwLock<Reading>>);

impl std::fmt::Debug for DatabaseClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DatabaseClock").field(&self.now()).finish()
    }
}

impl DatabaseClock {
    /// A clock that showed `database` at the instant `here`.
    #[must_use]
    pub fn new(database: Timestamp, here: Instant) -> Self {
        Self(Arc::new(RwLock::new(Reading { database, here })))
    }

    /// The database's time, to the microsecond, as it is stored.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let reading = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        let passed = SignedDuration::try_from(reading.here.elapsed()).unwrap_or(SignedDuration::MAX);
        let now = reading.database.saturating_add(passed).unwrap_or(Timestamp::MAX);
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Takes in a new reading.
    pub fn set(&self, database: Timestamp, here: Instant) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Reading { database, here };
    }
}
