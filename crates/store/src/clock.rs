//! The database's clock, readable without a query.
//!
//! Instants are the database's, durations the process's monotonic clock: the last reading of the one plus the time
//! that has passed on the other. Replicas with wrong clocks therefore agree on what is due. A reading counts as taken when
//! its answer came, so the clock is never ahead of the database's, and nothing is sent early; it is behind by the way of
//! the answer at most. A slow reading therefore does not replace a better one, unless that one has become old: two crystals
//! drift apart.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A reading is kept for so long, in which two crystals that differ by 50 parts in a million drift 15 ms apart.
const KEPT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy)]
struct Reading {
    database: Timestamp,
    here: Instant,
}

impl Reading {
    /// What it shows at an instant.
    fn at(&self, now: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(now.saturating_duration_since(self.here)).unwrap_or(SignedDuration::MAX);
        self.database.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
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
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner).at(Instant::now());
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Takes in a reading that was asked for at one instant and answered at another, if it is better than the last one, or
    /// the last one is old or cannot be right any more because the database's clock was set back.
    pub fn take(&self, database: Timestamp, asked_at: Instant, answered_at: Instant) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (is_old, shown) = (answered_at.saturating_duration_since(kept.here) > KEPT, kept.at(answered_at));
        let way = SignedDuration::try_from(answered_at - asked_at).unwrap_or(SignedDuration::MAX);
        let is_ahead = shown.duration_since(database) > way;
        if is_old || is_ahead || database > shown {
            *kept = Reading { database, here: answered_at };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    /// What a clock shows so long after it was made, which showed 1000 s then and took in a reading.
    #[track_caller]
    fn check(asked_seconds: u64, answered_seconds: u64, database_seconds: i64, expected_seconds: i64) {
        let here = Instant::now();
        let clock = DatabaseClock::new(second(1_000), here);
        let after = |seconds| here + Duration::from_secs(seconds);
        clock.take(second(database_seconds), after(asked_seconds), after(answered_seconds));
        let shown = clock.0.read().expect("no panic").at(after(answered_seconds));
        assert_eq!(shown, second(expected_seconds));
    }

    #[test]
    fn the_reading_counts_that_is_furthest_ahead_for_none_is_ahead_of_the_database() {
        // Asked after 10 s and answered after 14 s, it may have been read at any time between.
        check(10, 14, 1_014, 1_014);
        check(10, 14, 1_012, 1_014);
        check(10, 14, 1_010, 1_014);
        check(10, 14, 1_020, 1_020);
    }

    #[test]
    fn a_clock_that_was_set_is_followed_both_ways() {
        check(10, 10, 1_009, 1_009);
        check(10, 14, 1_009, 1_009);
        check(10, 14, 2_000_000, 2_000_000);
        check(10, 14, -5, -5);
    }

    #[test]
    fn an_old_reading_is_replaced_also_by_a_slow_one() {
        check(299, 300, 1_299, 1_300);
        check(300, 301, 1_300, 1_300);
    }
}
