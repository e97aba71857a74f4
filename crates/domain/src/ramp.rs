//! The way back of a channel whose gate has opened: not to its full rate at once, which would be the next storm.
//!
//! It goes on at a tenth of its rate and doubles with every second that passes without trouble. Until it is back, the
//! closings of its gate are remembered: one that opens and closes at once goes on growing its pauses.

use jiff::{SignedDuration, Timestamp};

/// It begins with this part of the rate.
const FIRST_PART: u32 = 10;
/// Doublings until it is back at the full rate: 10, 20, 40, 80, 100 percent.
const STEPS: u32 = 4;
/// Each step lasts for so long.
const STEP: SignedDuration = SignedDuration::from_secs(1);
/// Single failures hold it up for no longer than this: a provider that fails now and then would otherwise never be sent to at the
/// full rate again.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);

/// A channel on its way back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ramp {
    opened_at: Timestamp,
    step: u32,
    step_began_at: Timestamp,
    closings: u32,
}

impl Ramp {
    /// The way back from a gate that opens after so many closings in a row.
    #[must_use]
    pub fn new(now: Timestamp, closings: u32) -> Self {
        Self { opened_at: now, step: 0, step_began_at: now, closings }
    }

    /// A call failed, and the gate stays open: the present step begins once more.
    pub fn hold_up(&mut self, now: Timestamp) {
        self.step = self.step_at(now);
        self.step_began_at = now;
    }

    /// Messages a second of a channel that may send so many; `None` when it is back at all of them.
    #[must_use]
    pub fn rate(&self, full: u32, now: Timestamp) -> Option<u32> {
        if self.is_over(now) {
            return None;
        }
        let rate = full.div_ceil(FIRST_PART).max(1).saturating_mul(1 << self.step_at(now));
        (rate < full).then_some(rate)
    }

    /// Closings of the gate that are remembered; none when the channel is back.
    #[must_use]
    pub fn closings(&self, now: Timestamp) -> u32 {
        if self.is_over(now) { 0 } else { self.closings }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.step_at(now) >= STEPS || now.duration_since(self.opened_at) >= LONGEST
    }

    fn step_at(&self, now: Timestamp) -> u32 {
        let passed = now.duration_since(self.step_began_at).as_secs() / STEP.as_secs();
        self.step.saturating_add(u32::try_from(passed).unwrap_or_default()).min(STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("in range")
    }

    /// Rates as the seconds pass, until it is back.
    fn rates(ramp: &Ramp, full: u32) -> Vec<u32> {
        (0..100).map_while(|second| ramp.rate(full, at(second * 1000))).collect()
    }

    #[test]
    fn it_begins_with_a_tenth_and_doubles_every_second() {
        for (full, expected) in [
            (80, &[8, 16, 32, 64][..]),
            (100, &[10, 20, 40, 80]),
            (1000, &[100, 200, 400, 800]),
            (15, &[2, 4, 8]),
            (5, &[1, 2, 4]),
            (2, &[1]),
            (1, &[]),
        ] {
            assert_eq!(rates(&Ramp::new(at(0), 1), full), expected, "{full}");
        }
        assert_eq!(Ramp::new(at(0), 1).rate(u32::MAX, at(3999)), Some(3_435_973_840));
    }

    #[test]
    fn a_second_with_a_failure_does_not_count() {
        let mut ramp = Ramp::new(at(0), 1);
        ramp.hold_up(at(1900));
        assert_eq!(ramp.rate(100, at(1900)), Some(20));
        assert_eq!(ramp.rate(100, at(2899)), Some(20));
        assert_eq!(ramp.rate(100, at(2900)), Some(40));
        for tenth in 29..600 {
            ramp.hold_up(at(tenth * 100));
        }
        assert_eq!(ramp.rate(100, at(59_999)), Some(40));
        assert_eq!(ramp.rate(100, at(60_000)), None, "it is not held up for ever");
    }

    #[test]
    fn closings_are_remembered_until_it_is_back() {
        let ramp = Ramp::new(at(0), 7);
        assert_eq!((ramp.closings(at(3999)), ramp.closings(at(4000))), (7, 0));
        assert_eq!(ramp.rate(1, at(0)), None, "also of a channel that has no way back to go");
    }

    #[test]
    fn a_clock_that_went_back_takes_nothing_away() {
        let ramp = Ramp::new(at(0), 7);
        assert_eq!((ramp.rate(100, at(-10_000)), ramp.closings(at(-10_000))), (Some(10), 7));
    }
}
