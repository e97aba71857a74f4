//! Times and bounds of the engine.

use std::time::Duration;

use domain::budget::BudgetPolicy;
use domain::decision::RetryPolicy;
use domain::gate::GatePolicy;
use domain::limits::{CALLS_MAX, TRIES_MAX};
use domain::planted::{self, Bug};
use domain::retry::BackOff;

/// Times and bounds; the defaults are what `tuma serve` runs with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How tries are repeated.
    pub retry: RetryPolicy,
    /// How many of a channel's tries may be repetitions.
    pub retry_budget: BudgetPolicy,
    /// How gates close.
    pub gate: GatePolicy,
    /// Between two renewals of the lease, and looks for free channels, while any replica has work.
    pub tick: Duration,
    /// The same, and between two looks for rows that fall due, while none has.
    pub idle_tick: Duration,
    /// Work is over when there was none for so long.
    pub idle_after: Duration,
    /// A lease that is not renewed lapses after this time.
    pub lease: Duration,
    /// Between two looks for rows that fall due.
    pub poll: Duration,
    /// Longest time of one call.
    pub call_timeout: Duration,
    /// A claim is used only while it is younger than this; then the row is given back.
    pub claim_fresh: Duration,
    /// Calls of one channel at a time, at the most; a slow channel has fewer.
    pub channel_calls_max: usize,
    /// Calls of all channels at a time.
    pub calls_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            retry: RetryPolicy { tries_max: TRIES_MAX, back_off: BackOff { first: seconds(1), longest: seconds(900) } },
            retry_budget: BudgetPolicy { percent: 10, floor: 50, every: seconds(1) },
            gate: GatePolicy {
                credentials_probe: seconds(60),
                back_off: BackOff { first: seconds(1), longest: seconds(30) },
                troubles_max: 5,
                retry_after: (seconds(1), seconds(900)),
            },
            tick: Duration::from_millis(400),
            idle_tick: seconds(4),
            idle_after: seconds(10),
            lease: seconds(12),
            poll: Duration::from_millis(250),
            call_timeout: seconds(15),
            claim_fresh: seconds(5),
            channel_calls_max: 256,
            calls_max: CALLS_MAX,
        }
    }
}

/// Calls that even the slowest channel may have under way.
const CHANNEL_CALLS_MIN: usize = 16;

impl Settings {
    /// Calls that a channel may have under way: as many as it sends in a second, so that it keeps its rate while the
    /// provider takes a second for each, and no channel has them all.
    #[must_use]
    pub fn calls_of(&self, messages_per_second: u32) -> usize {
        self.channel_calls_max.min(CHANNEL_CALLS_MIN.max(messages_per_second as usize))
    }

    /// How long a claim lasts: waiting for its turn, the call, and the settlement with a margin for both ends' clocks.
    /// Longer than any call can take, so that two calls of one part never overlap.
    #[must_use]
    pub fn claim_lasting(&self) -> Duration {
        if planted::is(Bug::ClaimShorterThanCall) {
            return self.claim_fresh;
        }
        self.claim_fresh + self.call_timeout + Duration::from_secs(10)
    }
}
