//! What follows from an outcome: one total function from (outcome, state of the message, now) to the next step.
//!
//! Used by the engine after each call. The step says what becomes of the message, the signal what it tells of its
//! channel. A try is given back when the provider surely did not look at the message.

use jiff::{SignedDuration, Timestamp};

use crate::failure::{Failure, FailureCode, FailureSource};
use crate::gate::{GateReason, Signal};
use crate::outcome::{OnUnknown, Outcome, Report};
use crate::retry::BackOff;
use crate::schedule::{self, DueReason, Fit};

/// State of a message while one of its calls is decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Parts of the message.
    pub parts: usize,
    /// The part that was tried, from 0.
    pub part: usize,
    /// Tries of this part that count, this one included.
    pub tries: u16,
    /// Whether an earlier try of this part may have been sent.
    pub maybe_sent: bool,
    /// End of validity.
    pub expires_at: Timestamp,
}

/// How tries are repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Tries of a part that count.
    pub tries_max: u16,
    /// Pauses between them.
    pub back_off: BackOff,
}

/// What becomes of the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// All parts are with the provider.
    Sent,
    /// This part is with the provider; the next one may go at once.
    NextPart,
    /// Waits and is tried again.
    Wait {
        /// From this instant on.
        due_at: Timestamp,
        /// For this reason.
        reason: DueReason,
        /// Whether the try counted.
        counted: bool,
        /// Whether the part may have been sent, by this try or an earlier one.
        maybe_sent: bool,
    },
    /// Ended without delivery.
    Failed(Failure),
}

/// The step of the message and the signal about its channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruling {
    /// What becomes of the message.
    pub step: Step,
    /// What it says about the channel.
    pub signal: Signal,
}

/// Decides what follows from the outcome of one call. `jitter` is in `0.0..1.0`.
#[must_use]
pub fn after_call(
    report: &Report,
    progress: &Progress,
    policy: &RetryPolicy,
    on_unknown: OnUnknown,
    now: Timestamp,
    jitter: f64,
) -> Ruling {
    if on_unknown == OnUnknown::Hold && is_unknown(report, progress) {
        let signal = if report.outcome == Outcome::Duplicate { Signal::Healthy } else { Signal::Troubled };
        return Ruling { step: hold_for_proof(progress), signal };
    }
    let failed = |code| Step::Failed(provider_failure(code, report));
    match report.outcome {
        Outcome::Sent { .. } if progress.part + 1 < progress.parts => {
            Ruling { step: Step::NextPart, signal: Signal::Healthy }
        }
        Outcome::Sent { .. } => Ruling { step: Step::Sent, signal: Signal::Healthy },
        Outcome::CredentialsRefused => Ruling { step: give_back(progress, now), signal: Signal::CredentialsRefused },
        Outcome::RateLimited => {
            Ruling { step: give_back(progress, now), signal: Signal::RateLimited(report.retry_after) }
        }
        Outcome::NotConnected => Ruling { step: give_back(progress, now), signal: Signal::Unreachable },
        Outcome::Refused(code) => Ruling { step: failed(code), signal: Signal::Healthy },
        Outcome::Duplicate => {
            let repeats = repeats(progress);
            let code = if repeats { FailureCode::OutcomeUnknown } else { FailureCode::InvalidMessage };
            Ruling { step: failed(code), signal: Signal::Healthy }
        }
        Outcome::TryAgain => Ruling {
            step: try_again(report, progress, policy, now, jitter, progress.maybe_sent),
            signal: report.retry_after.map_or(Signal::Troubled, Signal::Busy),
        },
        Outcome::Unknown => {
            Ruling { step: try_again(report, progress, policy, now, jitter, true), signal: Signal::Troubled }
        }
    }
}

/// Whether a part may have been sent by the call, or is called a duplicate of one that was perhaps sent before.
#[must_use]
pub fn is_unknown(report: &Report, progress: &Progress) -> bool {
    match report.outcome {
        Outcome::Unknown => true,
        Outcome::TryAgain => report.may_be_taken,
        Outcome::Duplicate => repeats(progress),
        Outcome::Sent { .. }
        | Outcome::CredentialsRefused
        | Outcome::RateLimited
        | Outcome::Refused(_)
        | Outcome::NotConnected => false,
    }
}

/// What becomes of a message whose part may have been sent and is not to be repeated: it waits for proof until its validity
/// ends. If it was called for, the try counts.
#[must_use]
pub fn hold_for_proof(progress: &Progress) -> Step {
    Step::Wait { due_at: progress.expires_at, reason: DueReason::Unknown, counted: true, maybe_sent: true }
}

/// How a message ends whose validity is over before its next call.
#[must_use]
pub fn expired(progress: &Progress, gate: Option<GateReason>) -> Failure {
    let (code, rule) = match gate {
        _ if progress.maybe_sent => (FailureCode::OutcomeUnknown, "expired-after-unknown"),
        Some(GateReason::Credentials) => (FailureCode::CredentialsRefused, "expired-behind-credentials"),
        Some(GateReason::RateLimit | GateReason::Breaker) => (FailureCode::DependencyError, "expired-behind-gate"),
        None if progress.tries > 0 => (FailureCode::DependencyError, "expired-between-tries"),
        None => (FailureCode::ValidityExpired, "expired"),
    };
    Failure { code, source: FailureSource::Tuma, source_code: rule.to_owned(), reason: String::new() }
}

/// How a message ends whose validity is over before quiet hours are.
#[must_use]
pub fn expired_in_quiet_hours(progress: &Progress) -> Failure {
    let code = if progress.maybe_sent { FailureCode::OutcomeUnknown } else { FailureCode::ValidityExpired };
    let source_code = "expired-in-quiet-hours".to_owned();
    Failure { code, source: FailureSource::Tuma, source_code, reason: String::new() }
}

/// How a message ends whose tries are used up by claims that nobody settled: it kept breaking its sender.
#[must_use]
pub fn worn_out(progress: &Progress) -> Failure {
    let code = if progress.maybe_sent { FailureCode::OutcomeUnknown } else { FailureCode::DependencyError };
    Failure { code, source: FailureSource::Tuma, source_code: "tries-used-up".to_owned(), reason: String::new() }
}

fn try_again(
    report: &Report,
    progress: &Progress,
    policy: &RetryPolicy,
    now: Timestamp,
    jitter: f64,
    maybe_sent: bool,
) -> Step {
    let code = if maybe_sent { FailureCode::OutcomeUnknown } else { FailureCode::DependencyError };
    if progress.tries >= policy.tries_max {
        return Step::Failed(provider_failure(code, report));
    }
    let pause = policy.back_off.full_jitter(u32::from(progress.tries), jitter);
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    let proposed = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
    match schedule::fit(proposed, DueReason::BackOff, progress.expires_at, None) {
        Fit::At(due_at, reason) => Step::Wait { due_at, reason, counted: true, maybe_sent },
        Fit::Never => Step::Failed(provider_failure(code, report)),
    }
}

/// Whether a call may repeat what went through: the first try of a part cannot, a later one most likely does.
fn repeats(progress: &Progress) -> bool {
    progress.maybe_sent || progress.tries > 1
}

/// The channel's gate decides when it goes again; if its validity is over by then, it ends there.
fn give_back(progress: &Progress, now: Timestamp) -> Step {
    Step::Wait { due_at: now, reason: DueReason::Gate, counted: false, maybe_sent: progress.maybe_sent }
}

fn provider_failure(code: FailureCode, report: &Report) -> Failure {
    Failure {
        code,
        source: FailureSource::Lipachat,
        source_code: report.rule.to_owned(),
        reason: report.detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const POLICY: RetryPolicy = RetryPolicy {
        tries_max: 10,
        back_off: BackOff { first: Duration::from_secs(1), longest: Duration::from_secs(900) },
    };

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().expect("a timestamp")
    }

    fn progress() -> Progress {
        let expires_at = now().checked_add(SignedDuration::from_hours(36)).expect("in range");
        Progress { parts: 1, part: 0, tries: 1, maybe_sent: false, expires_at }
    }

    fn report(outcome: Outcome, may_be_taken: bool) -> Report {
        let detail = "text".to_owned();
        Report {
            outcome,
            rule: "rule",
            http_status: Some(200),
            detail,
            classified: true,
            retry_after: None,
            may_be_taken,
        }
    }

    fn rule(outcome: Outcome, progress: &Progress) -> Ruling {
        after_call(&report(outcome, false), progress, &POLICY, OnUnknown::Repeat, now(), 0.5)
    }

    fn sent() -> Outcome {
        Outcome::Sent { message_id: None, wa_id: Some("wamid.1".to_owned()) }
    }

    fn failed_code(ruling: &Ruling) -> Option<i32> {
        match &ruling.step {
            Step::Failed(failure) => Some(failure.code.number()),
            Step::Sent | Step::NextPart | Step::Wait { .. } => None,
        }
    }

    #[test]
    fn a_message_is_sent_when_its_last_part_is() {
        assert_eq!(rule(sent(), &progress()).step, Step::Sent);
        assert_eq!(rule(sent(), &Progress { parts: 3, part: 1, ..progress() }).step, Step::NextPart);
        assert_eq!(rule(sent(), &Progress { parts: 3, part: 2, ..progress() }).step, Step::Sent);
    }

    #[test]
    fn what_the_provider_did_not_look_at_uses_no_try() {
        for outcome in [Outcome::CredentialsRefused, Outcome::RateLimited, Outcome::NotConnected] {
            let ruling = rule(outcome, &Progress { tries: 10, ..progress() });
            assert_eq!(
                ruling.step,
                Step::Wait { due_at: now(), reason: DueReason::Gate, counted: false, maybe_sent: false },
                "{ruling:?}"
            );
        }
    }

    #[test]
    fn a_provider_that_names_a_time_is_believed_also_where_it_fails() {
        let asked = Some(Duration::from_secs(7));
        for (outcome, signal) in [
            (Outcome::RateLimited, Signal::RateLimited(asked)),
            (Outcome::TryAgain, Signal::Busy(Duration::from_secs(7))),
        ] {
            let report = Report { retry_after: asked, ..report(outcome.clone(), false) };
            let ruling = after_call(&report, &progress(), &POLICY, OnUnknown::Repeat, now(), 0.5);
            // What becomes of the message is what it would be without.
            assert_eq!(ruling, Ruling { signal, ..rule(outcome, &progress()) });
        }
    }

    #[test]
    fn a_failing_provider_is_tried_again_until_the_tries_are_used_up() {
        let first = rule(Outcome::TryAgain, &progress());
        let due_at = now().checked_add(SignedDuration::from_millis(500)).expect("in range");
        assert_eq!(first.step, Step::Wait { due_at, reason: DueReason::BackOff, counted: true, maybe_sent: false });
        assert_eq!(failed_code(&rule(Outcome::TryAgain, &Progress { tries: 10, ..progress() })), Some(12001));
        assert_eq!(failed_code(&rule(Outcome::Unknown, &Progress { tries: 10, ..progress() })), Some(16002));
    }

    #[test]
    fn an_unknown_outcome_is_not_forgotten_by_a_later_failure() {
        let waited = rule(Outcome::Unknown, &progress());
        assert!(matches!(waited.step, Step::Wait { maybe_sent: true, .. }));
        assert_eq!(
            failed_code(&rule(Outcome::TryAgain, &Progress { tries: 10, maybe_sent: true, ..progress() })),
            Some(16002)
        );
        assert_eq!(failed_code(&rule(Outcome::Duplicate, &Progress { maybe_sent: true, ..progress() })), Some(16002));
        assert_eq!(failed_code(&rule(Outcome::Duplicate, &progress())), Some(12006));
    }

    #[test]
    fn a_channel_that_holds_the_unknown_repeats_only_what_was_surely_not_sent() {
        let held =
            Step::Wait { due_at: progress().expires_at, reason: DueReason::Unknown, counted: true, maybe_sent: true };
        let again = Progress { tries: 2, ..progress() };
        for (outcome, may_be_taken, progress, is_held) in [
            (Outcome::Unknown, true, progress(), true),
            (Outcome::Unknown, true, Progress { tries: 10, ..progress() }, true),
            (Outcome::TryAgain, true, progress(), true),
            (Outcome::TryAgain, true, Progress { tries: 10, ..progress() }, true),
            (Outcome::TryAgain, false, progress(), false),
            (Outcome::Duplicate, false, progress(), false),
            (Outcome::Duplicate, false, again, true),
            (Outcome::Duplicate, false, Progress { maybe_sent: true, ..progress() }, true),
            (Outcome::NotConnected, false, progress(), false),
            (Outcome::CredentialsRefused, false, progress(), false),
            (Outcome::RateLimited, false, progress(), false),
            (Outcome::Refused(FailureCode::InvalidMessage), false, progress(), false),
            (sent(), false, Progress { maybe_sent: true, ..progress() }, false),
        ] {
            let report = report(outcome, may_be_taken);
            let holding = after_call(&report, &progress, &POLICY, OnUnknown::Hold, now(), 0.5);
            let repeating = after_call(&report, &progress, &POLICY, OnUnknown::Repeat, now(), 0.5);
            assert_eq!(holding.signal, repeating.signal, "{report:?}");
            assert_eq!(holding.step == held, is_held, "{report:?} {progress:?} {holding:?}");
            if !is_held {
                assert_eq!(holding, repeating, "{report:?}");
            }
        }
    }

    #[test]
    fn an_answer_that_proves_nothing_is_tried_again_where_the_unknown_is_repeated() {
        let report = report(Outcome::TryAgain, true);
        let ruling = after_call(&report, &progress(), &POLICY, OnUnknown::Repeat, now(), 0.5);
        assert!(matches!(ruling.step, Step::Wait { reason: DueReason::BackOff, maybe_sent: false, .. }), "{ruling:?}");
    }

    #[test]
    fn no_retry_is_planned_past_the_end_of_validity() {
        let short = Progress {
            tries: 9,
            expires_at: now().checked_add(SignedDuration::from_secs(60)).expect("in range"),
            ..progress()
        };
        assert_eq!(failed_code(&rule(Outcome::TryAgain, &short)), Some(12001));
    }

    #[test]
    fn the_code_of_an_expired_message_says_what_it_waited_for() {
        for (progress, gate, code) in [
            (Progress { tries: 0, ..progress() }, None, 16001),
            (Progress { tries: 2, ..progress() }, None, 12001),
            (Progress { tries: 0, ..progress() }, Some(GateReason::Credentials), 16003),
            (Progress { tries: 0, ..progress() }, Some(GateReason::Breaker), 12001),
            (Progress { maybe_sent: true, ..progress() }, Some(GateReason::Credentials), 16002),
        ] {
            assert_eq!(expired(&progress, gate).code.number(), code, "{progress:?} {gate:?}");
        }
    }
}
