//! How often one number may write to one recipient.
//!
//! WhatsApp takes about one message in six seconds from a number to a recipient, with a burst that is paid back by
//! waiting (Meta, "Messaging limits: pair rate limits"). A message that comes too early is given the next free turn and
//! waits for it elsewhere, so that it never holds up messages to others; turns are given in the order of asking.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::phone::PhoneNumber;

/// Seconds between two messages to one recipient (Meta, "Messaging limits: pair rate limits").
pub const RECIPIENT_INTERVAL_SECONDS_DEFAULT: u32 = 6;
/// Messages that may go to one recipient at once (Meta, same page).
pub const RECIPIENT_BURST_DEFAULT: u32 = 45;
/// Highest settable interval, seconds: a day.
pub const RECIPIENT_INTERVAL_SECONDS_MAX: u32 = 86_400;
/// Highest settable burst.
pub const RECIPIENT_BURST_MAX: u32 = 1000;
/// Recipients known before those without effect are forgotten for the first time.
const KNOWN_MIN: usize = 1024;

/// How often a channel may write to one recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecipientRate {
    /// Seconds that each message is paid back with; 0 for no spacing at all.
    pub interval_seconds: u32,
    /// Messages that may go at once.
    pub burst: u32,
}

impl Default for RecipientRate {
    fn default() -> Self {
        Self { interval_seconds: RECIPIENT_INTERVAL_SECONDS_DEFAULT, burst: RECIPIENT_BURST_DEFAULT }
    }
}

/// When a message to a recipient may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Now.
    Now,
    /// At this instant, which is kept for it.
    At(Timestamp),
    /// Not before its validity ends.
    Never,
}

/// The turns given by one channel.
#[derive(Clone, Debug)]
pub struct Spacing {
    rate: RecipientRate,
    /// Until when what a recipient was sent, and is promised, is paid back.
    paid_back_at: HashMap<PhoneNumber, Timestamp>,
    forget_at: usize,
}

impl Spacing {
    /// No turn was given yet.
    #[must_use]
    pub fn new(rate: RecipientRate) -> Self {
        Self { rate, paid_back_at: HashMap::new(), forget_at: KNOWN_MIN }
    }

    /// Gives a message to a recipient its turn.
    pub fn take(&mut self, recipient: &PhoneNumber, now: Timestamp, expires_at: Timestamp) -> Turn {
        let interval = SignedDuration::from_secs(self.rate.interval_seconds.into());
        if interval.is_zero() {
            return Turn::Now;
        }
        let turn_at = self.next(recipient, now);
        if turn_at >= expires_at {
            return Turn::Never;
        }
        self.forget(now);
        let paid_back_at = self.paid_back_at.get(recipient).map_or(now, |at| *at.max(&now));
        let owed_until = paid_back_at.saturating_add(interval).unwrap_or(Timestamp::MAX);
        self.paid_back_at.insert(recipient.clone(), owed_until);
        if turn_at <= now { Turn::Now } else { Turn::At(turn_at) }
    }

    /// When the next turn of a recipient is; in the past when it may be now.
    #[must_use]
    pub fn next(&self, recipient: &PhoneNumber, now: Timestamp) -> Timestamp {
        let interval = SignedDuration::from_secs(self.rate.interval_seconds.into());
        let ahead = interval.saturating_mul(i32::try_from(self.rate.burst.saturating_sub(1)).unwrap_or(i32::MAX));
        let paid_back_at = self.paid_back_at.get(recipient).map_or(now, |at| *at.max(&now));
        paid_back_at.saturating_sub(ahead).unwrap_or(Timestamp::MIN)
    }

    /// Whether a turn that was kept for an instant is over: the next one has come, too.
    #[must_use]
    pub fn is_over(&self, turn_at: Timestamp, now: Timestamp) -> bool {
        let interval = SignedDuration::from_secs(self.rate.interval_seconds.into());
        now.duration_since(turn_at) >= interval
    }

    /// Forgets recipients that owe nothing, whenever twice as many are known as the last time.
    fn forget(&mut self, now: Timestamp) {
        if self.paid_back_at.len() >= self.forget_at {
            self.paid_back_at.retain(|_, at| *at > now);
            self.forget_at = KNOWN_MIN.max(self.paid_back_at.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: RecipientRate = RecipientRate { interval_seconds: 6, burst: 3 };

    fn start() -> Timestamp {
        "2026-11-26T08:00:00Z".parse().expect("a timestamp")
    }

    fn after(seconds: i64) -> Timestamp {
        start() + SignedDuration::from_secs(seconds)
    }

    fn number(last: usize) -> PhoneNumber {
        PhoneNumber::parse(&format!("+2547{last:08}")).expect("a number")
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_one_by_one_in_order() {
        let mut spacing = Spacing::new(RATE);
        let turns: Vec<Turn> = (0..6).map(|_| spacing.take(&number(1), start(), after(3600))).collect();
        let at = |seconds| Turn::At(after(seconds));
        assert_eq!(turns, [Turn::Now, Turn::Now, Turn::Now, at(6), at(12), at(18)]);
        assert_eq!(spacing.take(&number(2), start(), after(3600)), Turn::Now, "another recipient is not concerned");
        // Who comes later goes behind those who were promised a turn.
        assert_eq!(spacing.take(&number(1), after(10), after(3600)), at(24));
    }

    #[test]
    fn a_turn_that_comes_too_late_is_not_kept() {
        let mut spacing = Spacing::new(RATE);
        for _ in 0..3 {
            assert_eq!(spacing.take(&number(1), start(), after(5)), Turn::Now);
        }
        assert_eq!(spacing.take(&number(1), start(), after(6)), Turn::Never);
        assert_eq!(spacing.take(&number(1), start(), after(7)), Turn::At(after(6)));
    }

    #[test]
    fn no_recipient_gets_more_than_the_rate_allows_in_any_window() {
        for (interval_seconds, burst) in [(1, 1), (6, 1), (6, 45), (30, 7)] {
            let mut spacing = Spacing::new(RecipientRate { interval_seconds, burst });
            let mut sent: Vec<Timestamp> = Vec::new();
            for step in 0..500 {
                let now = after(step * 7 % 300 + step);
                sent.push(match spacing.take(&number(1), now, Timestamp::MAX) {
                    Turn::Now => now,
                    Turn::At(at) => at,
                    Turn::Never => unreachable!("nothing ends"),
                });
            }
            sent.sort_unstable();
            let allowed = |first: Timestamp, last: Timestamp| {
                i64::from(burst) + last.duration_since(first).as_secs() / i64::from(interval_seconds)
            };
            for (from, first) in sent.iter().enumerate() {
                for (to, last) in sent.iter().enumerate().skip(from) {
                    let count = i64::try_from(to - from + 1).expect("small");
                    assert!(count <= allowed(*first, *last), "{interval_seconds} {burst}: {count}");
                }
            }
        }
    }

    #[test]
    fn recipients_that_owe_nothing_are_forgotten() {
        let mut spacing = Spacing::new(RATE);
        for step in 0..100_000 {
            let now = after(i64::try_from(step / 10).expect("small"));
            assert_eq!(spacing.take(&number(step), now, Timestamp::MAX), Turn::Now);
        }
        assert!(spacing.paid_back_at.len() <= KNOWN_MIN, "{}", spacing.paid_back_at.len());
    }

    #[test]
    fn without_an_interval_every_turn_is_now() {
        let mut spacing = Spacing::new(RecipientRate { interval_seconds: 0, burst: 1 });
        assert!((0..1000).all(|_| spacing.take(&number(1), start(), after(1)) == Turn::Now));
        assert!(spacing.paid_back_at.is_empty());
    }
}
