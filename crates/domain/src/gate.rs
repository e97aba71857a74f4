//! The gate of a channel: closed while sending would be refused or would only add to an outage.
//!
//! A gate is a property of the channel, not of its messages: while it is closed nothing is claimed and no message is
//! rewritten. When its time has passed one message goes as a probe; its outcome opens the gate or closes it for longer. The
//! gate closes for the probe, too, for as long as its call may take and the pause after it: whoever sees that gate, in this
//! process or after its end, begins no other.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ramp::Ramp;
use crate::retry::BackOff;

/// Why a gate is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GateReason {
    /// The provider refused the channel's key.
    Credentials,
    /// The provider asked to slow down.
    RateLimit,
    /// The provider cannot be reached, or fails call after call.
    Breaker,
}

impl GateReason {
    /// All.
    pub const ALL: [Self; 3] = [Self::Credentials, Self::RateLimit, Self::Breaker];

    /// The word stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::RateLimit => "rateLimit",
            Self::Breaker => "breaker",
        }
    }

    /// Reads the word stored.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// A closed gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gate {
    /// Why.
    pub reason: GateReason,
    /// Closed since.
    pub since: Timestamp,
    /// No call begins before this instant; then one probe.
    pub until: Timestamp,
    /// Closings in a row, this one included. A probe counts as one until it has succeeded.
    pub closings: u32,
}

/// What the outcome of one call says about its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The provider answered as it should.
    Healthy,
    /// The provider failed; several in a row close the gate.
    Troubled,
    /// The provider failed, and named the time for which it will.
    Busy(Duration),
    /// The provider could not be reached.
    Unreachable,
    /// The key was refused.
    CredentialsRefused,
    /// We are asked to slow down, perhaps for a named time.
    RateLimited(Option<Duration>),
}

/// How gates close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GatePolicy {
    /// Pause between probes of a refused key.
    pub credentials_probe: Duration,
    /// Growing pause of a breaker, and of a rate limit that names no time.
    pub back_off: BackOff,
    /// Failures in a row that close the breaker.
    pub troubles_max: u32,
    /// Shortest and longest time that `Retry-After` is believed.
    pub retry_after: (Duration, Duration),
}

impl GatePolicy {
    /// Why a gate closes after a signal, and for how long; `None` when it does not.
    fn closing(&self, signal: Signal, closings: u32, jitter: f64) -> Option<(GateReason, Duration)> {
        let (shortest, longest) = self.retry_after;
        let growing = || self.back_off.half_jitter(closings, jitter);
        let asked = |asked: Duration| asked.clamp(shortest, longest);
        match signal {
            Signal::Healthy => None,
            Signal::Troubled | Signal::Unreachable => Some((GateReason::Breaker, growing())),
            Signal::Busy(time) => Some((GateReason::Breaker, asked(time))),
            Signal::CredentialsRefused => Some((GateReason::Credentials, self.credentials_probe)),
            Signal::RateLimited(time) => Some((GateReason::RateLimit, time.map_or_else(growing, asked))),
        }
    }

    /// The pause after a probe that failed as what closed the gate did.
    fn pause(&self, reason: GateReason, closings: u32, jitter: f64) -> Duration {
        match reason {
            GateReason::Credentials => self.credentials_probe,
            GateReason::RateLimit | GateReason::Breaker => self.back_off.half_jitter(closings, jitter),
        }
    }
}

/// Health of a channel: its gate, the failures in a row while the gate is open, and its way back after the gate was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// The gate, when it is closed or waits for its probe or the outcome of that.
    pub gate: Option<Gate>,
    troubles: u32,
    ramp: Option<Ramp>,
}

impl Health {
    /// Health of a channel whose gate was read from the database.
    #[must_use]
    pub fn with_gate(gate: Option<Gate>) -> Self {
        Self { gate, ..Self::default() }
    }

    /// Messages a second of a channel that may send so many, on its way back.
    #[must_use]
    pub fn rate(&self, full: u32, now: Timestamp) -> u32 {
        self.ramp.and_then(|ramp| ramp.rate(full, now)).unwrap_or(full)
    }

    /// Takes in what a call tells that is no probe; answers whether the gate changed. One that was under way when the gate
    /// closed proves nothing: it neither opens the gate nor closes it again.
    pub fn apply(&mut self, signal: Signal, now: Timestamp, policy: &GatePolicy, jitter: f64) -> bool {
        match signal {
            Signal::Healthy => self.troubles = 0,
            Signal::Troubled => {
                self.troubles = self.troubles.saturating_add(1);
                if let Some(ramp) = &mut self.ramp {
                    ramp.hold_up(now);
                }
                if self.gate.is_none() && self.troubles < policy.troubles_max {
                    return false;
                }
            }
            Signal::Busy(_) | Signal::Unreachable | Signal::CredentialsRefused | Signal::RateLimited(_) => {}
        }
        let remembered = self.ramp.map_or(0, |ramp| ramp.closings(now));
        let (since, closings) = self.gate.map_or((now, remembered), |gate| (gate.since, gate.closings));
        let closings = closings.saturating_add(1);
        let Some((reason, pause)) = policy.closing(signal, closings, jitter) else { return false };
        let until = after(now, pause);
        if self.gate.is_some_and(|gate| gate.until > now && (gate.reason == reason || until <= gate.until)) {
            return false;
        }
        self.gate = Some(Gate { reason, since, until, closings });
        self.ramp = None;
        true
    }

    /// The gate while a probe is under way whose call ends within a time; `None` while no probe may begin.
    #[must_use]
    pub fn probing(&self, now: Timestamp, call: Duration, policy: &GatePolicy, jitter: f64) -> Option<Gate> {
        let gate = self.gate.filter(|gate| gate.until <= now)?;
        let closings = gate.closings.saturating_add(1);
        let until = after(now, call.saturating_add(policy.pause(gate.reason, closings, jitter)));
        Some(Gate { until, closings, ..gate })
    }

    /// Takes in what the probe tells: it opens the gate, or closes it from now on.
    pub fn conclude(&mut self, signal: Signal, now: Timestamp, policy: &GatePolicy, jitter: f64) {
        let Some(gate) = self.gate else { return };
        match policy.closing(signal, gate.closings, jitter) {
            Some((reason, pause)) => self.gate = Some(Gate { reason, until: after(now, pause), ..gate }),
            // The probe counted as a closing, and was none.
            None => *self = Self { ramp: Some(Ramp::new(now, gate.closings.saturating_sub(1))), ..Self::default() },
        }
    }
}

fn after(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    now.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
