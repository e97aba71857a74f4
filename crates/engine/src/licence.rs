//! Until when this replica may begin calls.
//!
//! The database's clock decides when a lease lapses; a process that was paused, or cut off from the database, cannot ask.
//! So each renewal also counts by the process's own clock, from before its statement was sent: past it no call begins,
//! and whoever takes the channels over is alone.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// The licence of a replica. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Licence(Arc<Mutex<Instant>>);

impl Licence {
    /// Nothing may begin yet.
    pub(crate) fn none() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Whether a call may begin.
    pub(crate) fn holds(&self) -> bool {
        Instant::now() < *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls may begin up to an instant.
    pub(crate) fn set(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}
