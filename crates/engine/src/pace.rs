//! The pace of a channel: no window of a second holds more than the rate, and hardly a turn is lost.
//!
//! Turns are evenly spaced, but one that came late, as timers and tasks do, may be made up for within a few
//! milliseconds. What is made up for could crowd a window, so each turn also looks at the one a whole rate before it: a
//! second and a margin must lie between them. The margin, a fiftieth of the rate, is for calls that take differently long to
//! arrive.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::limits::RATE_WINDOW;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

/// How much lateness is made up for, as turns: those of so many milliseconds, and one.
const MADE_UP_MILLISECONDS: u32 = 25;
const MILLISECONDS_A_SECOND: u32 = 1000;

/// Turns at a rate.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: u32,
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
    not_before: Instant,
    window: Window,
    /// A turn was taken and is not used yet.
    is_held: bool,
}

impl Pace {
    /// Turns at a rate, the first after a rest: a former owner may have used up the last second.
    pub(crate) fn new(messages_per_second: u32, rest: Duration) -> Self {
        let rate = NonZeroU32::new(messages_per_second).unwrap_or(NonZeroU32::MIN);
        Self {
            rate: rate.get(),
            limiter: limiter(rate),
            clock: DefaultClock::default(),
            not_before: Instant::now() + rest,
            window: Window { rate: rate.get() as usize, taken: VecDeque::new() },
            is_held: false,
        }
    }

    /// Holds a turn; else the time until the next. It counts from the instant at which it is used.
    pub(crate) fn hold(&mut self) -> Result<(), Duration> {
        if self.is_held {
            return Ok(());
        }
        let now = Instant::now();
        let free_at = self.window.free_at().map_or(self.not_before, |at| at.max(self.not_before));
        if free_at > now {
            return Err(free_at - now);
        }
        self.limiter.check().map_err(|until| until.wait_time_from(self.clock.now()))?;
        self.is_held = true;
        Ok(())
    }

    /// Uses the turn that is held.
    pub(crate) fn take(&mut self) {
        self.is_held = false;
        self.window.push(Instant::now());
    }

    /// The present rate, messages a second.
    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Goes on at a rate, if it is another one.
    pub(crate) fn adapt(&mut self, messages_per_second: u32) {
        let rate = NonZeroU32::new(messages_per_second).unwrap_or(NonZeroU32::MIN);
        if rate.get() != self.rate {
            self.rate = rate.get();
            self.limiter = limiter(rate);
            self.window.set_rate(rate.get() as usize);
        }
    }
}

fn limiter(rate: NonZeroU32) -> DefaultDirectRateLimiter {
    let made_up = rate.get().saturating_mul(MADE_UP_MILLISECONDS) / MILLISECONDS_A_SECOND;
    let burst = NonZeroU32::MIN.saturating_add(made_up);
    RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
}

/// The turns of the last window.
#[derive(Debug)]
struct Window {
    rate: usize,
    /// At most as many as the rate, the oldest first.
    taken: VecDeque<Instant>,
}

impl Window {
    /// When there is room for a turn, if that is not always.
    fn free_at(&self) -> Option<Instant> {
        self.taken.front().filter(|_| self.taken.len() >= self.rate).map(|first| *first + RATE_WINDOW)
    }

    fn push(&mut self, at: Instant) {
        if self.taken.len() >= self.rate {
            self.taken.pop_front();
        }
        self.taken.push_back(at);
    }

    /// Of more turns than fit, the last ones count; where more fit, the former ones need not be known.
    fn set_rate(&mut self, rate: usize) {
        self.rate = rate;
        let surplus = self.taken.len().saturating_sub(rate);
        self.taken.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns that a window gives to one who always wants the next, looking at these milliseconds.
    fn turns(window: &mut Window, start: Instant, looks: impl Iterator<Item = u64>) -> Vec<Instant> {
        let mut turns = Vec::new();
        for look in looks {
            let now = start + Duration::from_millis(look);
            while window.free_at().is_none_or(|at| at <= now) {
                window.push(now);
                turns.push(now);
            }
        }
        turns
    }

    /// What the window promises, said another way: no more than the rate within a window after any turn.
    fn most_in_a_window(turns: &[Instant]) -> usize {
        let within = |first: &Instant| turns.iter().filter(|at| **at >= *first && **at - *first < RATE_WINDOW).count();
        turns.iter().map(within).max().unwrap_or_default()
    }

    #[test]
    fn no_window_holds_more_than_the_rate_and_none_of_it_is_left_unused() {
        for (rate, step, steps) in [(1, 7, 2_000), (20, 3, 4_000), (80, 1, 8_000), (1000, 1, 4_000)] {
            let mut window = Window { rate, taken: VecDeque::new() };
            let turns = turns(&mut window, Instant::now(), (0..steps).map(|number| number * step));
            assert_eq!(most_in_a_window(&turns), rate);
            let windows = usize::try_from(steps * step / 1020).expect("small");
            assert!(turns.len() >= windows * rate * 97 / 100, "{rate}: {} turns", turns.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn whenever_one_looks_no_window_holds_more_than_the_rate(
            rate in 1_usize..50,
            later in 1_usize..50,
            gaps in proptest::collection::vec(0_u64..400, 1..200),
        ) {
            let mut at = 0;
            let looks: Vec<u64> = gaps.iter().map(|gap| { at += gap; at }).collect();
            let (start, half) = (Instant::now(), looks.len() / 2);
            let mut window = Window { rate, taken: VecDeque::new() };
            let mut all = turns(&mut window, start, looks[..half].iter().copied());
            proptest::prop_assert!(most_in_a_window(&all) <= rate);
            // A lower rate holds from the next window on; until then none of the former one is exceeded.
            window.set_rate(later);
            let after = turns(&mut window, start, looks[half..].iter().copied());
            proptest::prop_assert!(most_in_a_window(&after) <= later);
            all.extend(after);
            proptest::prop_assert!(most_in_a_window(&all) <= rate + later);
        }
    }
}
