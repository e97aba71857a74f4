//! What closes a gate and what opens it.

use super::*;

const POLICY: GatePolicy = GatePolicy {
    credentials_probe: Duration::from_secs(60),
    back_off: BackOff { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
    troubles_max: 5,
    retry_after: (Duration::from_secs(1), Duration::from_secs(900)),
};
/// Longest call of a probe.
const CALL: Duration = Duration::from_secs(20);
/// As long as a growing pause can be, but for a rounding.
const LONGEST: f64 = 0.999_999;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

fn closed_seconds(health: &Health, now: Timestamp) -> i64 {
    health.gate.map_or(0, |gate| (gate.until.duration_since(now).as_millis() as i64 + 999) / 1000)
}

/// Health with a gate that a signal closed.
fn closed(signal: Signal) -> Health {
    let mut health = Health::default();
    assert!(health.apply(signal, at(0), &POLICY, LONGEST), "{signal:?}");
    health
}

/// Begins the probe at the first instant at which it may begin, which is answered.
fn begin_probe(health: &mut Health) -> Timestamp {
    let now = health.gate.expect("closed").until;
    health.gate = health.probing(now, CALL, &POLICY, LONGEST);
    assert!(health.gate.is_some_and(|gate| gate.until > now), "{health:?}");
    now
}

/// Probes once; answers when it ended.
fn probe(health: &mut Health, signal: Signal) -> Timestamp {
    let now = begin_probe(health);
    health.conclude(signal, now, &POLICY, LONGEST);
    now
}

#[test]
fn a_refused_key_closes_the_gate_for_a_minute_each_time() {
    let mut health = closed(Signal::CredentialsRefused);
    assert_eq!(closed_seconds(&health, at(0)), 60);
    assert!(!health.apply(Signal::CredentialsRefused, at(1), &POLICY, LONGEST), "a late result changes nothing");
    assert_eq!(probe(&mut health, Signal::CredentialsRefused), at(60));
    assert_eq!(closed_seconds(&health, at(60)), 60);
    assert_eq!(health.gate.map(|gate| (gate.since, gate.closings)), Some((at(0), 2)));
}

#[test]
fn only_a_probe_opens_the_gate() {
    let mut health = closed(Signal::Unreachable);
    for late in [at(0), at(5)] {
        assert!(!health.apply(Signal::Healthy, late, &POLICY, LONGEST));
    }
    assert!(health.gate.is_some());
    probe(&mut health, Signal::Healthy);
    assert_eq!(health.gate, None);
}

#[test]
fn a_probe_may_begin_when_the_time_has_come_and_not_while_one_is_under_way() {
    let mut health = closed(Signal::CredentialsRefused);
    for (second, may) in [(0, false), (59, false), (60, true), (600, true)] {
        assert_eq!(health.probing(at(second), CALL, &POLICY, LONGEST).is_some(), may, "{second}");
    }
    let began = begin_probe(&mut health);
    // Its call may last for so long, and then there is the pause.
    for (second, may) in [(0, false), (79, false), (80, true)] {
        let now = began.saturating_add(SignedDuration::from_secs(second)).expect("in range");
        assert_eq!(health.probing(now, CALL, &POLICY, LONGEST).is_some(), may, "{second}");
    }
    assert_eq!(Health::default().probing(at(0), CALL, &POLICY, LONGEST), None, "an open gate needs none");
}

#[test]
fn whoever_takes_over_while_a_probe_is_under_way_waits_as_if_it_had_failed_at_the_end() {
    for reason in GateReason::ALL {
        let gate = Gate { reason, since: at(0), until: at(10), closings: 3 };
        let mut health = Health::with_gate(Some(gate));
        begin_probe(&mut health);
        let mut other = Health::with_gate(health.gate);
        assert_eq!(other.gate.map(|gate| gate.closings), Some(4), "it counts");
        let before = other.gate;
        for late in [Signal::Healthy, Signal::Troubled, Signal::Unreachable] {
            assert!(!other.apply(late, at(11), &POLICY, LONGEST), "{late:?}");
        }
        assert_eq!(other.gate, before);
    }
}

#[test]
fn calls_under_way_when_a_gate_closed_neither_open_nor_shorten_it() {
    let mut health = closed(Signal::RateLimited(Some(Duration::from_secs(60))));
    let gate = health.gate;
    let short = Signal::Busy(Duration::from_secs(5));
    for late in [Signal::Healthy, Signal::Troubled, Signal::Unreachable, Signal::RateLimited(None), short] {
        assert!(!health.apply(late, at(1), &POLICY, LONGEST), "{late:?}");
        assert_eq!(health.gate, gate, "{late:?}");
    }
}

#[test]
fn single_failures_do_not_close_the_gate_and_several_in_a_row_do() {
    let mut health = Health::default();
    for _ in 0..4 {
        assert!(!health.apply(Signal::Troubled, at(0), &POLICY, LONGEST));
    }
    health.apply(Signal::Healthy, at(0), &POLICY, LONGEST);
    for _ in 0..4 {
        assert!(!health.apply(Signal::Troubled, at(0), &POLICY, LONGEST));
    }
    assert!(health.apply(Signal::Troubled, at(0), &POLICY, LONGEST));
    assert_eq!(health.gate.map(|gate| gate.reason), Some(GateReason::Breaker));
}

#[test]
fn an_outage_is_probed_at_growing_pauses_up_to_the_cap() {
    let mut health = closed(Signal::Unreachable);
    let mut pauses = vec![closed_seconds(&health, at(0))];
    for _ in 0..7 {
        let now = probe(&mut health, Signal::Unreachable);
        pauses.push(closed_seconds(&health, now));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn pauses_grow_on_while_a_gate_opens_and_closes_at_once_and_begin_anew_after_a_calm_time() {
    for (calm, expected) in [(0, [1, 2, 4, 8]), (3, [1, 2, 4, 8]), (4, [1, 1, 1, 1])] {
        let mut health = closed(Signal::Unreachable);
        let mut pauses = vec![closed_seconds(&health, at(0))];
        for _ in 0..3 {
            let opened = probe(&mut health, Signal::Healthy);
            let now = opened.saturating_add(SignedDuration::from_secs(calm)).expect("in range");
            assert!(health.apply(Signal::Unreachable, now, &POLICY, LONGEST));
            assert_eq!(health.gate.map(|gate| gate.since), Some(now), "it was open");
            pauses.push(closed_seconds(&health, now));
        }
        assert_eq!(pauses, expected, "{calm} s of calm");
    }
}

#[test]
fn a_channel_comes_back_step_by_step_and_a_failure_holds_it_up() {
    let mut health = closed(Signal::RateLimited(None));
    let opened = probe(&mut health, Signal::Healthy);
    let later = |seconds| opened.saturating_add(SignedDuration::from_secs(seconds)).expect("in range");
    assert_eq!((health.rate(100, opened), health.rate(100, later(1))), (10, 20));
    assert!(!health.apply(Signal::Troubled, later(1), &POLICY, LONGEST));
    assert_eq!((health.rate(100, later(2)), health.rate(100, later(5))), (40, 100));
    assert_eq!(Health::default().rate(100, opened), 100);
}

#[test]
fn the_provider_is_believed_within_bounds() {
    for (asked, expected) in [(0, 1), (5, 5), (900, 900), (1_000_000_000_000, 900), (u64::MAX, 900)] {
        let asked = Duration::from_secs(asked);
        for (signal, reason) in
            [(Signal::RateLimited(Some(asked)), GateReason::RateLimit), (Signal::Busy(asked), GateReason::Breaker)]
        {
            let health = closed(signal);
            assert_eq!(closed_seconds(&health, at(0)), expected, "{signal:?}");
            assert_eq!(health.gate.map(|gate| gate.reason), Some(reason));
        }
    }
}

#[test]
fn a_probe_tells_what_is_wrong_now() {
    let mut health = closed(Signal::CredentialsRefused);
    let now = probe(&mut health, Signal::RateLimited(Some(Duration::from_secs(7))));
    assert_eq!(health.gate.map(|gate| (gate.reason, gate.since)), Some((GateReason::RateLimit, at(0))));
    assert_eq!(closed_seconds(&health, now), 7);
}

#[test]
fn every_reason_reads_its_own_word() {
    for known in GateReason::ALL {
        assert_eq!(GateReason::from_word(known.as_str()), Some(known));
    }
}
