//! The database's clock, readable without a query.
//!
//! Instants are the database's, durations the process's monotonic clock: the last reading of the one plus the time
//! that has passed on the other. Replicas with wrong clocks therefore agree on what is due. A reading counts as taken when
//! its answer came, and two crystals drift apart, so the clock goes by a little too slowly: it is never ahead of the database's, and
//! nothing is sent early. It is behind by the way of the best answer and what it lost since, at most: a reading counts when it is ahead of
//! the clock, so a slow one does not replace a better one.
//!
//! A reading that differs by more than a bound from what is expected is not taken over: the database's clock was set, or
//! this process stood still. The clock goes on as it was, so that nothing falls due by it, and says that it does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::planted;

/// Two crystals differ by less than one part in so many, 50 parts in a million.
const DRIFT: i32 = 20_000;

#[derive(Clone, Copy)]
struct Reading {
    database: Timestamp,
    here: Instant,
}

impl Reading {
    /// The earliest instant that it may be by it.
    fn at(&self, now: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(now.saturating_duration_since(self.here)).unwrap_or(SignedDuration::MAX);
        self.database.saturating_add(passed - passed / DRIFT).unwrap_or(Timestamp::MAX)
    }
}

/// A clock that is set by more is not followed: everything that waits would fall due at once.
const STEP_MAX: Duration = Duration::from_secs(10);
/// A clock that is back within this is followed again.
const STEP_OVER: Duration = Duration::from_secs(2);

/// What is known of the database's clock.
struct State {
    kept: Reading,
    /// Whether the next reading is believed, whatever it shows.
    is_believing: bool,
    /// Steps beyond this are not followed.
    step_max: Duration,
}

impl State {
    /// How far a reading is from what is expected, beyond what the way of the answer explains: positive is ahead.
    fn deviation(&self, database: Timestamp, asked_at: Instant, answered_at: Instant) -> SignedDuration {
        let ahead = database.duration_since(self.kept.at(answered_at));
        let behind = database.duration_since(self.kept.at(asked_at));
        if ahead.is_positive() {
            ahead
        } else if behind.is_negative() {
            behind
        } else {
            SignedDuration::ZERO
        }
    }
}

/// A clock that shows the database's time.
#[derive(Clone)]
pub struct DatabaseClock(Arc<Shared>);

struct Shared {
    state: RwLock<State>,
    /// Whether the last reading was not followed; asked before every call.
    is_stepped: AtomicBool,
}

impl std::fmt::Debug for DatabaseClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DatabaseClock").field(&self.now()).finish()
    }
}

impl DatabaseClock {
    /// A clock that showed `database` at the instant `here`.
    #[must_use]
    pub fn new(database: Timestamp, here: Instant) -> Self {
        let state = State { kept: Reading { database, here }, is_believing: false, step_max: STEP_MAX };
        Self(Arc::new(Shared { state: RwLock::new(state), is_stepped: AtomicBool::new(false) }))
    }

    /// A clock that has not been set yet.
    pub(crate) fn unset() -> Self {
        let clock = Self::new(Timestamp::UNIX_EPOCH, Instant::now());
        clock.believe_next();
        clock
    }

    /// Follows steps up to another bound, as where a test moves the database's clock.
    pub fn follow_up_to(&self, step: Duration) {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner).step_max = step;
    }

    /// Whether the database's clock is not where it was expected, and is not followed.
    #[must_use]
    pub fn is_stepped(&self) -> bool {
        self.0.is_stepped.load(Ordering::Relaxed)
    }

    /// The next reading is believed, whatever it shows: an operator said so.
    pub(crate) fn believe_next(&self) {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner).is_believing = true;
    }

    /// The database's time, to the microsecond, as it is stored.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        if let Some(own) = planted::own_clock() {
            return own;
        }
        let now = self.0.state.read().unwrap_or_else(PoisonError::into_inner).kept.at(Instant::now());
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Takes in a reading that was asked for at one instant and answered at another, if it is ahead of the clock, or the clock cannot be
    /// right any more because the database's was set back. One that is too far away is not taken in.
    pub fn take(&self, database: Timestamp, asked_at: Instant, answered_at: Instant) {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let deviation = state.deviation(database, asked_at, answered_at);
        let bound = if self.is_stepped() { state.step_max.min(STEP_OVER) } else { state.step_max };
        let is_stepped = !state.is_believing && deviation.unsigned_abs() > bound;
        if self.0.is_stepped.swap(is_stepped, Ordering::Relaxed) != is_stepped {
            if is_stepped {
                tracing::error!(
                    seconds = deviation.as_secs_f64(),
                    "the database's clock was set, or this process stood still; it sends nothing"
                );
            } else {
                tracing::info!("the database's clock is followed again");
            }
        }
        if is_stepped {
            return;
        }
        let State { kept, is_believing, .. } = &mut *state;
        if std::mem::take(is_believing) {
            *kept = Reading { database, here: answered_at };
            return;
        }
        let shown = kept.at(answered_at);
        let way = SignedDuration::try_from(answered_at - asked_at).unwrap_or(SignedDuration::MAX);
        let is_ahead = shown.duration_since(database) > way;
        if is_ahead || database > shown {
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

    /// What a clock shows so long after it was made, which showed 1000 s then and took in a reading. It follows any step.
    #[track_caller]
    fn check(asked_seconds: u64, answered_seconds: u64, database_seconds: i64, expected_seconds: i64) {
        let here = Instant::now();
        let clock = DatabaseClock::new(second(1_000), here);
        clock.follow_up_to(Duration::MAX);
        let after = |seconds| here + Duration::from_secs(seconds);
        clock.take(second(database_seconds), after(asked_seconds), after(answered_seconds));
        assert_shows(clock.shown_at(after(answered_seconds)), expected_seconds);
    }

    /// It is behind by what a drift of some minutes may have cost, and never ahead.
    #[track_caller]
    fn assert_shows(shown: Timestamp, expected_seconds: i64) {
        let behind = second(expected_seconds).duration_since(shown).as_millis();
        assert!((0..=60).contains(&behind), "{shown} is behind by {behind} ms");
    }

    impl DatabaseClock {
        fn shown_at(&self, now: Instant) -> Timestamp {
            self.0.state.read().expect("no panic").kept.at(now)
        }
    }

    /// Whether a clock that shows 1000 s at first is stepped after each of these readings: asked and answered after so many
    /// seconds, and what was read.
    #[track_caller]
    fn check_steps(readings: &[(u64, u64, i64, bool)]) -> (DatabaseClock, Instant) {
        let here = Instant::now();
        let clock = DatabaseClock::new(second(1_000), here);
        let after = |seconds| here + Duration::from_secs(seconds);
        for (asked, answered, database, expected) in readings {
            clock.take(second(*database), after(*asked), after(*answered));
            assert_eq!(clock.is_stepped(), *expected, "after {answered} s, at {database}");
        }
        (clock, here)
    }

    #[test]
    fn a_step_of_more_than_ten_seconds_is_not_followed_either_way_until_the_clock_is_back() {
        let ahead = check_steps(&[(15, 15, 1_024, false), (30, 30, 4_640, true), (45, 45, 4_655, true)]).0;
        assert!(ahead.is_stepped());
        check_steps(&[(15, 15, 1_005, false), (30, 30, -2_600, true), (45, 45, 1_032, true), (60, 60, 1_051, false)]);
        let (clock, here) = check_steps(&[(15, 15, 4_615, true), (30, 30, 1_033, true), (45, 45, 1_046, false)]);
        assert_shows(clock.shown_at(here + Duration::from_secs(45)), 1_046);
    }

    #[test]
    fn the_way_of_an_answer_is_no_step() {
        check_steps(&[(15, 45, 1_015, false), (60, 90, 1_090, false), (100, 160, 1_130, false)]);
    }

    #[test]
    fn what_is_held_shows_the_time_that_was_expected_until_it_is_told_to_believe() {
        let (clock, here) = check_steps(&[(15, 15, 4_615, true), (1_000, 1_000, 5_600, true)]);
        let after = |seconds| here + Duration::from_secs(seconds);
        assert_shows(clock.shown_at(after(1_000)), 2_000);
        clock.believe_next();
        clock.take(second(5_615), after(1_015), after(1_015));
        assert!(!clock.is_stepped());
        assert_shows(clock.shown_at(after(1_015)), 5_615);
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
    fn an_old_reading_loses_to_a_slow_one_by_what_it_may_have_drifted() {
        check(300, 301, 1_300, 1_301);
        check(100_000, 100_004, 101_000, 101_000);
        check(100_000, 100_006, 101_000, 101_001);
    }

    #[test]
    fn a_clock_does_not_go_back_for_slow_readings() {
        let here = Instant::now();
        let clock = DatabaseClock::new(second(1_000), here);
        let mut before = second(1_000);
        for asked in (0..2_000_u32).step_by(15) {
            let answered = here + Duration::from_secs((asked + 4).into());
            clock.take(second((1_000 + asked).into()), here + Duration::from_secs(asked.into()), answered);
            let shown = clock.shown_at(answered);
            assert!(shown > before, "{shown} after {before}");
            before = shown;
        }
        assert!(second(1_000 + 1_995 + 4).duration_since(before).as_millis() <= 100, "{before}");
    }
}
