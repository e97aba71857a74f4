//! The pace of a channel: no window of a second holds more than the rate, and hardly a turn is lost.
//!
//! Turns are evenly spaced, but one that came late, as timers and tasks do, may be made up for within a few
//! milliseconds. What is made up for could crowd a window, so each turn also looks at the one a whole rate before it: a
//! second and a margin must lie between them. The margin is for calls that take differently long to arrive.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

/// The window of a rate, with the margin.
const WINDOW: Duration = Duration::from_millis(1010);
/// How much lateness is made up for, as turns: those of so many milliseconds, and one.
const MADE_UP_MILLISECONDS: u32 = 25;
const MILLISECONDS_A_SECOND: u32 = 1000;

/// Turns of one channel.
#[derive(Debug)]
pub(crate) struct Pace {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
    not_before: Instant,
    window: Window,
}

impl Pace {
    /// Turns at a rate, the first after a rest: a former owner may have used up the last second.
    pub(crate) fn new(messages_per_second: u32, rest: Duration) -> Self {
        let rate = NonZeroU32::new(messages_per_second).unwrap_or(NonZeroU32::MIN);
        let made_up = rate.get().saturating_mul(MADE_UP_MILLISECONDS) / MILLISECONDS_A_SECOND;
        let burst = NonZeroU32::MIN.saturating_add(made_up);
        let limiter = RateLimiter::direct(Quota::per_second(rate).allow_burst(burst));
        let window = Window { rate: rate.get() as usize, taken: VecDeque::new() };
        Self { limiter, clock: DefaultClock::default(), not_before: Instant::now() + rest, window }
    }

    /// Takes a turn; else the time until the next.
    pub(crate) fn take(&mut self) -> Result<(), Duration> {
        let now = Instant::now();
        let free_at = self.window.free_at().map_or(self.not_before, |at| at.max(self.not_before));
        if free_at > now {
            return Err(free_at - now);
        }
        self.limiter.check().map_err(|until| until.wait_time_from(self.clock.now()))?;
        self.window.push(now);
        Ok(())
    }
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
        self.taken.front().filter(|_| self.taken.len() >= self.rate).map(|first| *first + WINDOW)
    }

    fn push(&mut self, at: Instant) {
        if self.taken.len() >= self.rate {
            self.taken.pop_front();
        }
        self.taken.push_back(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_holds_more_than_the_rate_and_none_of_it_is_left_unused() {
        let start = Instant::now();
        for (rate, step_milliseconds, steps) in [(1, 7, 2_000), (20, 3, 4_000), (80, 1, 8_000), (1000, 1, 8_000)] {
            let mut window = Window { rate, taken: VecDeque::new() };
            let mut turns = Vec::new();
            for step in 0..steps {
                let now = start + Duration::from_millis(step * step_milliseconds);
                while window.free_at().is_none_or(|at| at <= now) {
                    window.push(now);
                    turns.push(now);
                }
            }
            assert!(turns.windows(rate + 1).all(|turns| turns[rate] - turns[0] >= WINDOW), "{rate}");
            let windows = usize::try_from(steps * step_milliseconds / 1010).expect("small");
            assert!(turns.len() >= windows * rate * 97 / 100, "{rate}: {} turns", turns.len());
        }
    }
}
