//! Letting go what waited for one instant: one after the other over some time, in order, not all at once.
//!
//! How many there are is counted when the first one goes; each has a place of its own in the time. A place is only ever
//! brought forward, for a message that would not be valid any more.

use jiff::{SignedDuration, Timestamp};

/// So long before the end of its validity a message goes at the latest.
const BEFORE_END: SignedDuration = SignedDuration::from_secs(30);

/// The places that are left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    next: Timestamp,
    step: SignedDuration,
    until: Timestamp,
}

impl Spread {
    /// Places for so many messages from one instant until before another.
    #[must_use]
    pub fn new(from: Timestamp, until: Timestamp, messages: u64) -> Self {
        let time = until.duration_since(from).max(SignedDuration::ZERO);
        let count = i128::from(messages.max(1));
        let nanoseconds = i64::try_from(time.as_nanos() / count).unwrap_or(i64::MAX);
        Self { next: from, step: SignedDuration::from_nanos(nanoseconds), until }
    }

    /// The place of the next message. What comes beyond the number that was counted has the last place.
    pub fn take(&mut self, now: Timestamp, expires_at: Timestamp) -> Timestamp {
        let place = self.next.min(self.until);
        self.next = place.saturating_add(self.step).unwrap_or(Timestamp::MAX);
        let latest = expires_at.saturating_sub(BEFORE_END).unwrap_or(Timestamp::MIN);
        place.min(latest.max(now))
    }
}

/// The place of one message of several that are let go at an instant and spread until another, when so many are before it.
/// What [`Spread::take`] gives it when its turn comes.
#[must_use]
pub fn place(
    from: Timestamp,
    until: Timestamp,
    messages: u64,
    before: u64,
    now: Timestamp,
    expires_at: Timestamp,
) -> Timestamp {
    let mut spread = Spread::new(from, until, messages);
    let skipped = i128::from(before).saturating_mul(spread.step.as_nanos());
    let ahead = SignedDuration::from_nanos(i64::try_from(skipped).unwrap_or(i64::MAX));
    spread.next = from.saturating_add(ahead).unwrap_or(Timestamp::MAX);
    spread.take(now, expires_at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("an instant")
    }

    fn places(spread: &mut Spread, count: usize) -> Vec<i64> {
        (0..count).map(|_| spread.take(at(0), at(1_000_000)).as_second()).collect()
    }

    #[test]
    fn messages_are_spread_evenly_and_in_order() {
        assert_eq!(places(&mut Spread::new(at(1000), at(1600), 3), 3), [1000, 1200, 1400]);
        assert_eq!(places(&mut Spread::new(at(1000), at(1600), 1), 1), [1000]);
    }

    #[test]
    fn more_than_were_counted_have_the_last_place() {
        assert_eq!(places(&mut Spread::new(at(1000), at(1600), 2), 4), [1000, 1300, 1600, 1600]);
        assert_eq!(places(&mut Spread::new(at(1000), at(1000), 0), 2), [1000, 1000]);
        assert_eq!(places(&mut Spread::new(at(1000), at(900), 5), 2), [900, 900]);
    }

    #[test]
    fn a_message_that_would_end_before_its_place_goes_earlier() {
        let mut spread = Spread::new(at(1000), at(1600), 2);
        assert_eq!(spread.take(at(1000), at(5000)), at(1000));
        assert_eq!(spread.take(at(1000), at(1200)), at(1170));
        let mut late = Spread::new(at(1300), at(1600), 1);
        assert_eq!(late.take(at(1100), at(1110)), at(1100), "never before now");
    }

    proptest! {
        #[test]
        fn a_place_that_is_told_beforehand_is_the_one_that_is_taken(
            from in 0_i64..1_000_000, long in 0_i64..100_000, count in 1_u64..200, beyond in 0_u64..5, left in 0_i64..200_000,
        ) {
            let (start, end, expires_at) = (at(from), at(from + long), at(from + left));
            let mut spread = Spread::new(start, end, count);
            for before in 0..count + beyond {
                let taken = spread.take(start, expires_at);
                prop_assert_eq!(place(start, end, count, before, start, expires_at), taken);
            }
        }

        #[test]
        fn all_that_were_counted_go_within_the_time(from in 0_i64..1_000_000, long in 0_i64..100_000, count in 1_u64..2_000) {
            let mut spread = Spread::new(at(from), at(from + long), count);
            let mut last = at(from);
            for _ in 0..count {
                let place = spread.take(at(0), Timestamp::MAX);
                prop_assert!(place >= last && place <= at(from + long));
                last = place;
            }
        }
    }
}
