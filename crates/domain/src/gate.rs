//! The gate of a channel: closed while sending would be refused or would only add to an outage.
//!
//! A gate is a property of the channel, not of its messages: while it is closed nothing is claimed and no message is
//! rewritten. When its time has passed one message goes as a probe; its outcome opens the gate or closes it for longer.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

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
    /// Nothing is sent before this instant; then one probe.
    pub until: Timestamp,
    /// Closings in a row, this one included.
    pub closings: u32,
}

/// What the outcome of one call says about its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The provider answered as it should.
    Healthy,
    /// The provider failed; several in a row close the gate.
    Troubled,
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

/// Health of a channel: its gate, and the failures in a row while the gate is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// The gate, when it is closed or waits for the outcome of its probe.
    pub gate: Option<Gate>,
    troubles: u32,
}

impl Health {
    /// Health of a channel whose gate was read from the database.
    #[must_use]
    pub fn with_gate(gate: Option<Gate>) -> Self {
        Self { gate, troubles: 0 }
    }

    /// Takes in one signal; answers whether the gate changed.
    pub fn apply(&mut self, signal: Signal, now: Timestamp, policy: &GatePolicy, jitter: f64) -> bool {
        let before = self.gate;
        match signal {
            Signal::Healthy => {
                self.troubles = 0;
                // A call that was under way when the gate closed proves nothing: only a probe opens it.
                if self.gate.is_some_and(|gate| gate.until <= now) {
                    self.gate = None;
                }
            }
            Signal::Troubled => {
                self.troubles = self.troubles.saturating_add(1);
                if self.gate.is_some() || self.troubles >= policy.troubles_max {
                    self.close(GateReason::Breaker, now, |closings| policy.back_off.half_jitter(closings, jitter));
                }
            }
            Signal::Unreachable => {
                self.close(GateReason::Breaker, now, |closings| policy.back_off.half_jitter(closings, jitter));
            }
            Signal::CredentialsRefused => {
                self.close(GateReason::Credentials, now, |_| policy.credentials_probe);
            }
            Signal::RateLimited(asked) => {
                let (shortest, longest) = policy.retry_after;
                self.close(GateReason::RateLimit, now, |closings| match asked {
                    Some(asked) => asked.clamp(shortest, longest),
                    None => policy.back_off.half_jitter(closings, jitter),
                });
            }
        }
        before != self.gate
    }

    /// Calls that were in flight when a gate closed report late: they do not close it again.
    fn close(&mut self, reason: GateReason, now: Timestamp, pause: impl FnOnce(u32) -> Duration) {
        let (since, closings) = self.gate.map_or((now, 1), |gate| (gate.since, gate.closings.saturating_add(1)));
        let pause = SignedDuration::try_from(pause(closings)).unwrap_or(SignedDuration::MAX);
        let until = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
        if self.gate.is_some_and(|gate| gate.until > now && (gate.reason == reason || until <= gate.until)) {
            return;
        }
        self.gate = Some(Gate { reason, since, until, closings });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: GatePolicy = GatePolicy {
        credentials_probe: Duration::from_secs(60),
        back_off: BackOff { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
        troubles_max: 5,
        retry_after: (Duration::from_secs(1), Duration::from_secs(900)),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("in range")
    }

    fn closed_seconds(health: &Health, now: Timestamp) -> i64 {
        health.gate.map_or(0, |gate| gate.until.duration_since(now).as_secs())
    }

    #[test]
    fn a_refused_key_closes_the_gate_for_a_minute_each_time() {
        let mut health = Health::default();
        assert!(health.apply(Signal::CredentialsRefused, at(0), &POLICY, 0.5));
        assert_eq!(closed_seconds(&health, at(0)), 60);
        assert!(!health.apply(Signal::CredentialsRefused, at(1), &POLICY, 0.5), "a late result changes nothing");
        assert!(health.apply(Signal::CredentialsRefused, at(60), &POLICY, 0.5));
        assert_eq!(closed_seconds(&health, at(60)), 60);
        assert_eq!(health.gate.map(|gate| (gate.since, gate.closings)), Some((at(0), 2)));
    }

    #[test]
    fn a_probe_that_succeeds_opens_the_gate() {
        let mut health = Health::default();
        health.apply(Signal::Unreachable, at(0), &POLICY, 0.5);
        assert!(health.apply(Signal::Healthy, at(5), &POLICY, 0.5));
        assert_eq!(health.gate, None);
    }

    #[test]
    fn calls_under_way_when_a_gate_closed_neither_open_nor_shorten_it() {
        let mut health = Health::default();
        health.apply(Signal::RateLimited(Some(Duration::from_secs(60))), at(0), &POLICY, 0.5);
        let closed = health.gate;
        for late in [Signal::Healthy, Signal::Troubled, Signal::Unreachable, Signal::RateLimited(None)] {
            assert!(!health.apply(late, at(1), &POLICY, 0.5), "{late:?}");
            assert_eq!(health.gate, closed, "{late:?}");
        }
    }

    #[test]
    fn single_failures_do_not_close_the_gate_and_several_in_a_row_do() {
        let mut health = Health::default();
        for _ in 0..4 {
            assert!(!health.apply(Signal::Troubled, at(0), &POLICY, 0.5));
        }
        health.apply(Signal::Healthy, at(0), &POLICY, 0.5);
        for _ in 0..4 {
            assert!(!health.apply(Signal::Troubled, at(0), &POLICY, 0.5));
        }
        assert!(health.apply(Signal::Troubled, at(0), &POLICY, 0.5));
        assert_eq!(health.gate.map(|gate| gate.reason), Some(GateReason::Breaker));
    }

    #[test]
    fn an_outage_is_probed_at_growing_pauses_up_to_the_cap() {
        let mut health = Health::default();
        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            health.apply(Signal::Unreachable, now, &POLICY, 0.999_999);
            let until = health.gate.expect("closed").until;
            pauses.push((until.duration_since(now).as_millis() + 999) / 1000);
            now = until;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn the_provider_is_believed_within_bounds() {
        for (asked, expected) in [(0, 1), (5, 5), (900, 900), (1_000_000, 900)] {
            let mut health = Health::default();
            health.apply(Signal::RateLimited(Some(Duration::from_secs(asked))), at(0), &POLICY, 0.5);
            assert_eq!(closed_seconds(&health, at(0)), expected, "{asked}");
        }
    }

    #[test]
    fn every_reason_reads_its_own_word() {
        for known in GateReason::ALL {
            assert_eq!(GateReason::from_word(known.as_str()), Some(known));
        }
    }
}
