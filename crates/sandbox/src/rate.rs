//! Rate limits of one number, and of one number to one recipient.
//!
//! Each limit is a spacing and a burst, kept as the time at which the next send would be due (the
//! generic cell rate algorithm). Time comes in from outside.

use std::collections::HashMap;

use crate::switches::Rate;

/// Numbers or pairs remembered at once; beyond it those that are idle are forgotten.
const KEYS_MAX: usize = 100_000;
/// Microseconds in a second.
const SECOND_MICROS: u64 = 1_000_000;

/// What was sent lately.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    senders: Meter,
    pairs: Meter,
}

/// Which limit a send runs into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// That of the number.
    Sender,
    /// That of the pair.
    Pair,
}

impl Rates {
    /// Counts a send, or says which limit it runs into; `now` is in microseconds.
    pub(crate) fn take(&mut self, rate: &Rate, from: &str, to: &str, now: u64) -> Result<(), Limit> {
        if let Some(count) = rate.per_second.map(u64::from) {
            let spacing = SECOND_MICROS / count.max(1);
            if !self.senders.take(from, spacing, count, now) {
                return Err(Limit::Sender);
            }
        }
        if let Some(seconds) = rate.pair_seconds.map(u64::from) {
            let pair = format!("{from} {to}");
            if !self.pairs.take(&pair, seconds * SECOND_MICROS, rate.pair_burst.into(), now) {
                return Err(Limit::Pair);
            }
        }
        Ok(())
    }
}

/// For each key, the time at which its next send would be due if none came early.
#[derive(Debug, Default)]
struct Meter {
    due: HashMap<String, u64>,
}

impl Meter {
    fn take(&mut self, key: &str, spacing: u64, burst: u64, now: u64) -> bool {
        let due = self.due.get(key).copied().unwrap_or(now).max(now);
        if due - now > spacing * (burst - 1) {
            return false;
        }
        self.make_room(now);
        self.due.insert(key.to_owned(), due + spacing);
        true
    }

    fn make_room(&mut self, now: u64) {
        if self.due.len() >= KEYS_MAX {
            self.due.retain(|_, due| *due > now);
        }
        if self.due.len() >= KEYS_MAX {
            self.due.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_burst_up_to_its_rate_and_then_waits() {
        let rate = Rate { per_second: Some(2), ..Rate::default() };
        let mut rates = Rates::default();
        let mut take = |now| rates.take(&rate, "254110090747", "254700000000", now);
        assert_eq!([take(0), take(0), take(0)], [Ok(()), Ok(()), Err(Limit::Sender)]);
        assert_eq!([take(499_999), take(500_000)], [Err(Limit::Sender), Ok(())]);
    }

    #[test]
    fn a_pair_waits_while_other_pairs_go_on() {
        let rate = Rate { pair_seconds: Some(6), ..Rate::default() };
        let mut rates = Rates::default();
        let mut take = |to, now| rates.take(&rate, "254110090747", to, now);
        assert_eq!([take("1", 0), take("2", 0), take("1", 0)], [Ok(()), Ok(()), Err(Limit::Pair)]);
        assert_eq!([take("1", 5_999_999), take("1", 6_000_000)], [Err(Limit::Pair), Ok(())]);
    }

    #[test]
    fn a_crowd_of_numbers_does_not_grow_the_memory() {
        let mut meter = Meter::default();
        for key in 0..KEYS_MAX + 10 {
            assert!(meter.take(&key.to_string(), SECOND_MICROS, 1, 0));
        }
        assert!(meter.due.len() <= KEYS_MAX);
    }
}
