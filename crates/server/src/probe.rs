//! How a provider answers a repeated id: the judgement, without the calls.
//!
//! Two repetitions that are answered alike decide. What says nothing, such as an answer that was lost, is asked once more, as
//! far as the calls go.

use domain::outcome::{Outcome, Report};
use store::probe::Duplicates;

/// Calls of one probe: each may reach somebody's telephone.
pub const CALLS_MAX: usize = 5;
/// Repetitions answered alike that are believed: a single one may have been chance.
const ALIKE: usize = 2;

/// What follows from the answers so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// The same call once more.
    Call,
    /// It is found.
    Found(Duplicates),
    /// Nothing can be found, and nothing is stored.
    Stop(String),
}

/// How one repetition was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Repetition {
    As(Duplicates),
    /// It says nothing.
    Mute,
}

/// Judges the answers to calls that were all the same, in their order.
#[must_use]
pub fn judge(reports: &[Report]) -> Next {
    if let Some(why) = reports.last().and_then(|report| refusal(&report.outcome)) {
        return Next::Stop(why.to_owned());
    }
    let Some(first) = reports.iter().position(|report| matches!(report.outcome, Outcome::Sent { .. })) else {
        return without_first(reports);
    };
    let repetitions = &reports[first + 1..];
    let named: Vec<Duplicates> = repetitions
        .iter()
        .filter_map(|report| match repetition(&reports[first].outcome, &report.outcome) {
            Repetition::As(duplicates) => Some(duplicates),
            Repetition::Mute => None,
        })
        .collect();
    match named.as_slice() {
        [one, .., other] if one != other => Next::Found(Duplicates::Unclear),
        [one, ..] if named.len() >= ALIKE => Next::Found(*one),
        _ if reports.len() < CALLS_MAX => Next::Call,
        _ => Next::Found(Duplicates::Unclear),
    }
}

/// Nothing was accepted yet: after an answer that was lost the id may be known all the same, and no comparison is right.
fn without_first(reports: &[Report]) -> Next {
    match reports.last().map(|report| &report.outcome) {
        None => Next::Call,
        Some(Outcome::NotConnected) => Next::Stop("the provider cannot be reached".to_owned()),
        Some(_) => Next::Stop("the first call was not answered with a result to compare with".to_owned()),
    }
}

/// What ends a probe at once: to go on would only annoy.
fn refusal(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::CredentialsRefused => Some("the provider refuses the channel's key"),
        Outcome::RateLimited => Some("the provider asks to slow down"),
        Outcome::Refused(_) => Some("the provider refuses the message"),
        Outcome::Sent { .. } | Outcome::Duplicate | Outcome::TryAgain | Outcome::NotConnected | Outcome::Unknown => {
            None
        }
    }
}

fn repetition(first: &Outcome, again: &Outcome) -> Repetition {
    match again {
        Outcome::Sent { .. } if first == again => Repetition::As(Duplicates::Same),
        Outcome::Sent { .. } => Repetition::As(Duplicates::Second),
        Outcome::Duplicate => Repetition::As(Duplicates::Error),
        Outcome::CredentialsRefused
        | Outcome::RateLimited
        | Outcome::Refused(_)
        | Outcome::TryAgain
        | Outcome::NotConnected
        | Outcome::Unknown => Repetition::Mute,
    }
}

#[cfg(test)]
mod tests {
    use domain::failure::FailureCode;

    use super::*;

    fn report(outcome: Outcome) -> Report {
        Report {
            outcome,
            rule: "rule",
            http_status: Some(200),
            detail: String::new(),
            classified: true,
            retry_after: None,
            may_be_taken: false,
        }
    }

    fn sent(id: &str) -> Outcome {
        Outcome::Sent { message_id: None, wa_id: Some(id.to_owned()) }
    }

    #[track_caller]
    fn check(outcomes: &[Outcome], expected: Next) {
        let reports: Vec<Report> = outcomes.iter().cloned().map(report).collect();
        assert_eq!(judge(&reports), expected, "{outcomes:?}");
    }

    #[test]
    fn two_repetitions_that_are_answered_alike_decide() {
        check(&[], Next::Call);
        check(&[sent("a")], Next::Call);
        check(&[sent("a"), sent("a")], Next::Call);
        check(&[sent("a"), sent("a"), sent("a")], Next::Found(Duplicates::Same));
        check(&[sent("a"), sent("b"), sent("c")], Next::Found(Duplicates::Second));
        check(&[sent("a"), Outcome::Duplicate, Outcome::Duplicate], Next::Found(Duplicates::Error));
        check(&[sent("a"), sent("a"), Outcome::Duplicate], Next::Found(Duplicates::Unclear));
    }

    #[test]
    fn an_answer_that_says_nothing_is_asked_once_more_as_far_as_the_calls_go() {
        let mute = Outcome::Unknown;
        check(&[sent("a"), mute.clone()], Next::Call);
        check(&[sent("a"), mute.clone(), sent("a"), Outcome::TryAgain], Next::Call);
        check(&[sent("a"), mute.clone(), sent("a"), mute.clone(), sent("a")], Next::Found(Duplicates::Same));
        check(&[sent("a"), mute.clone(), mute.clone(), mute.clone(), sent("a")], Next::Found(Duplicates::Unclear));
    }

    #[test]
    fn what_cannot_be_found_out_ends_at_once() {
        for outcome in
            [Outcome::CredentialsRefused, Outcome::RateLimited, Outcome::Refused(FailureCode::InvalidMessage)]
        {
            assert!(matches!(judge(&[report(outcome.clone())]), Next::Stop(_)), "{outcome:?}");
            assert!(matches!(judge(&[report(sent("a")), report(outcome.clone())]), Next::Stop(_)), "{outcome:?}");
        }
        for first in [Outcome::Unknown, Outcome::NotConnected, Outcome::TryAgain, Outcome::Duplicate] {
            assert!(matches!(judge(&[report(first.clone())]), Next::Stop(_)), "{first:?}");
        }
    }
}
