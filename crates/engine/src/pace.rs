//! The pace of a channel: evenly spaced turns, so that no window of a second holds more than the rate.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

/// Turns of one channel.
#[derive(Debug)]
pub(crate) struct Pace {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
    not_before: Instant,
}

impl Pace {
    /// Turns at a rate, the first after a rest: a former owner may have used up the last second.
    pub(crate) fn new(messages_per_second: u32, rest: Duration) -> Self {
        let rate = NonZeroU32::new(messages_per_second).unwrap_or(NonZeroU32::MIN);
        // One at a time: a burst at the start would add to what follows within the same second.
        let quota = Quota::per_second(rate).allow_burst(NonZeroU32::MIN);
        Self { limiter: RateLimiter::direct(quota), clock: DefaultClock::default(), not_before: Instant::now() + rest }
    }

    /// Takes a turn; else the time until the next.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let rest = self.not_before.saturating_duration_since(Instant::now());
        if !rest.is_zero() {
            return Err(rest);
        }
        self.limiter.check().map_err(|until| until.wait_time_from(self.clock.now()))
    }
}
