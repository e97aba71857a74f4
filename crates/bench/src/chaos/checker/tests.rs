//! Every rule finds what is made up for it, and nothing in a run that went well.

use super::*;
use crate::chaos::facts::{Attempt, Call, Message, SENT, WAITING, Waiting};
use crate::chaos::ledger::Line;

/// Any instant, microseconds.
const NOW: i64 = 1_800_000_000_000_000;
const SECOND: i64 = 1_000_000;
const RATE: usize = 2;

fn call(part: &str, at: i64) -> Call {
    let (part, from) = (Some(part.to_owned()), "254700000000".to_owned());
    let (body_hash, outcome) = (format!("of {part:?}"), "sent".to_owned());
    Call { at, ended_at: Some(at + 100), part, from, body_hash, accepted: true, answer_status: Some(200), outcome }
}

fn attempt(message: &str, part: usize, claim: i64, at: i64, outcome: &str) -> Attempt {
    let (message, outcome) = (message.to_owned(), outcome.to_owned());
    Attempt { message, claim, part, started_at: at, finished_at: at + 200, outcome }
}

/// Two messages, the second of two parts, handed in, sent and recorded as it should be.
fn good() -> Facts {
    let mut facts = Facts { judged_at: NOW + 100 * SECOND, ..Facts::default() };
    for (key, id, parts) in [("k-1", "m-1", vec!["p-1"]), ("k-2", "m-2", vec!["p-2", "p-3"])] {
        let (key, count) = (key.to_owned(), parts.len());
        facts.ledger.push(Line::Offered { key: key.clone(), at: NOW, body_hash: "h".to_owned(), parts: count });
        facts.ledger.push(Line::Accepted { key: key.clone(), at: NOW, message_id: id.to_owned() });
        for (number, part) in parts.iter().enumerate() {
            let at = NOW + SECOND * (1 + i64::try_from(number).expect("few"));
            facts.calls.push(call(part, at));
            facts.attempts.push(attempt(id, number, i64::try_from(number).expect("few") + 1, at, "sent"));
        }
        facts.messages.push(Message {
            id: id.to_owned(),
            key: Some(key),
            status: SENT.to_owned(),
            failure_code: None,
            parts: parts.into_iter().map(str::to_owned).collect(),
            scheduled_for: None,
            expires_at: NOW + 1000 * SECOND,
            created_at: NOW,
            updated_at: NOW + 3 * SECOND,
            stored_at: Some(NOW),
        });
    }
    facts
}

/// Findings after a change, and the one rule's.
fn check(change: impl FnOnce(&mut Facts), found: impl FnOnce(&Findings) -> usize, expected: usize) {
    let mut facts = good();
    change(&mut facts);
    let findings = judge(&facts, RATE);
    assert_eq!(found(&findings), expected, "{findings:?}");
}

#[test]
fn a_run_that_went_well_has_no_findings() {
    let findings = judge(&good(), RATE);
    let clean = Findings {
        attempted: 2,
        acknowledged: 2,
        calls: 3,
        delivered: 3,
        waits: vec![1000, 1000],
        ..Findings::default()
    };
    assert_eq!(findings, clean);
}

#[test]
fn what_was_acknowledged_and_is_nowhere_is_lost() {
    check(|facts| drop(facts.messages.remove(0)), |found| found.lost.len(), 1);
    check(|facts| facts.messages[0].status = WAITING.to_owned(), |found| found.lost.len(), 1);
    check(|facts| facts.calls[0].accepted = false, |found| found.lost.len(), 1);
    let both = Waiting { message: "m-1".to_owned(), due_at: NOW + 200 * SECOND, ..Waiting::default() };
    check(|facts| facts.waiting.push(both), |found| found.lost.len(), 1);
}

#[test]
fn what_was_stored_without_an_answer_is_recovered() {
    check(|facts| drop(facts.ledger.remove(1)), |found| found.recovered, 1);
}

#[test]
fn what_nobody_handed_in_is_unexpected() {
    check(|facts| facts.messages[0].key = None, |found| found.unexpected.len(), 1);
    check(|facts| facts.calls.push(call("p-9", NOW)), |found| found.unexpected.len(), 1);
    let other = Line::Accepted { key: "k-1".to_owned(), at: NOW, message_id: "m-9".to_owned() };
    check(|facts| facts.ledger.push(other), |found| found.unexpected.len(), 1);
    let refused = Line::Refused { key: "k-1".to_owned(), at: NOW, status: 422, text: String::new() };
    check(|facts| facts.ledger.push(refused), |found| found.refused.len(), 1);
}

#[test]
fn a_part_that_was_delivered_twice_is_a_duplicate_and_explained_only_by_an_unknown_outcome() {
    let again = || call("p-1", NOW + 50 * SECOND);
    check(|facts| facts.calls.push(again()), |found| found.duplicated.len(), 1);
    // A call that nobody recorded: its outcome was unknown to all.
    check(|facts| facts.calls.push(again()), |found| found.unexplained.len(), 0);
    let recorded = |outcome: &'static str| {
        move |facts: &mut Facts| {
            facts.calls.push(again());
            facts.attempts[0].outcome = outcome.to_owned();
            facts.attempts.push(attempt("m-1", 0, 3, NOW + 50 * SECOND, "sent"));
        }
    };
    check(recorded("unknown"), |found| found.unexplained.len(), 0);
    check(recorded("unknown"), |found| found.ambiguous, 1);
    check(recorded("try_again"), |found| found.unexplained.len(), 1);
}

#[test]
fn a_part_with_another_content_or_of_two_messages_is_changed() {
    let other = Call { body_hash: "other".to_owned(), ..call("p-1", NOW + 50 * SECOND) };
    check(|facts| facts.calls.push(other), |found| found.changed.len(), 1);
    check(|facts| facts.messages[1].parts[0] = "p-1".to_owned(), |found| found.changed.len(), 1);
}

#[test]
fn a_part_before_the_one_before_it_is_out_of_order() {
    check(|facts| facts.calls[2].at = NOW + SECOND / 2, |found| found.out_of_order.len(), 1);
    check(|facts| facts.calls[1].accepted = false, |found| found.out_of_order.len(), 1);
}

#[test]
fn two_tries_at_a_time_overlap_by_the_journal_or_by_the_records() {
    check(|facts| facts.calls.push(call("p-1", NOW + SECOND + 99)), |found| found.overlapping.len(), 1);
    check(|facts| facts.calls.push(call("p-1", NOW + SECOND + 100)), |found| found.overlapping.len(), 0);
    let second = attempt("m-1", 0, 3, NOW + SECOND + 1, "unknown");
    check(|facts| facts.attempts.push(second), |found| found.overlapping.len(), 1);
}

#[test]
fn a_result_under_an_older_claim_after_a_newer_one_is_unfenced() {
    check(|facts| facts.attempts.push(attempt("m-1", 0, 9, NOW, "unknown")), |found| found.unfenced.len(), 1);
}

#[test]
fn a_result_that_was_known_after_a_newer_claims_call_began_is_unfenced() {
    let later = |starts_after: i64| {
        move |facts: &mut Facts| {
            let finished_at = facts.attempts[0].finished_at;
            facts.attempts.push(attempt("m-1", 0, 9, finished_at - starts_after, "sent"));
        }
    };
    check(later(50_000), |found| found.unfenced.len(), 0);
    check(later(50_001), |found| found.unfenced.len(), 1);
}

#[test]
fn what_is_said_not_to_be_stored_and_was_stored_before_is_denied() {
    let denied = |at| {
        let line = Line::Denied { key: "k-1".to_owned(), at, text: "Not stored".to_owned(), took: 1 };
        move |facts: &mut Facts| facts.ledger.push(line)
    };
    check(denied(NOW + 1), |found| found.denied.len(), 1);
    // Nobody has handed it in again so soon.
    check(denied(NOW - SECOND / 20), |found| found.denied.len(), 1);
    check(denied(NOW - SECOND), |found| found.denied.len(), 0);
    let open = Line::Unclear { key: "k-1".to_owned(), at: NOW, why: "cut".to_owned(), took: 1 };
    let after_open = |facts: &mut Facts| {
        facts.ledger.push(open);
        denied(NOW + 1)(facts);
    };
    check(after_open, |found| found.denied.len(), 0);
}

#[test]
fn what_is_answered_as_cancelled_is_neither_sent_nor_anything_else() {
    let cancel = |status| Line::Cancel { key: "k-1".to_owned(), at: NOW, status };
    check(|facts| facts.ledger.push(cancel(409)), |found| found.cancelled.len(), 0);
    check(|facts| facts.ledger.push(cancel(200)), |found| found.cancelled.len(), 1);
    let unsent = |status: &'static str| {
        move |facts: &mut Facts| {
            facts.ledger.push(cancel(200));
            facts.messages[0].status = status.to_owned();
            facts.calls[0].accepted = false;
        }
    };
    check(unsent("deleted"), |found| found.cancelled.len(), 0);
    check(unsent("sending_failed"), |found| found.cancelled.len(), 1);
}

#[test]
fn what_ended_stays_as_it_is() {
    let before = |status: &str| {
        let before = ("m-1".to_owned(), status.to_owned());
        move |facts: &mut Facts| drop(facts.ended_before.insert(before.0, before.1))
    };
    check(before("sending_failed"), |found| found.turned_back.len(), 1);
    check(before(SENT), |found| found.turned_back.len(), 0);
}

#[test]
fn a_call_before_its_time_is_early_and_one_after_its_validity_late() {
    let tolerated = 50_000;
    check(|facts| facts.messages[0].scheduled_for = Some(NOW + SECOND + tolerated), |found| found.early.len(), 0);
    check(|facts| facts.messages[0].scheduled_for = Some(NOW + SECOND + tolerated + 1), |found| found.early.len(), 1);
    check(|facts| facts.messages[0].expires_at = NOW + SECOND - tolerated, |found| found.late.len(), 0);
    check(|facts| facts.messages[0].expires_at = NOW + SECOND - tolerated - 1, |found| found.late.len(), 1);
}

#[test]
fn a_message_that_is_not_tried_for_too_long_is_overdue() {
    check(|facts| facts.calls[0].at = NOW + 65 * SECOND, |found| found.overdue.len(), 0);
    check(|facts| facts.calls[0].at = NOW + 65 * SECOND + 1, |found| found.overdue.len(), 1);
    let later = |facts: &mut Facts| {
        facts.calls[0].at = NOW + 75 * SECOND;
        facts.faults_ended_at = NOW + 10 * SECOND;
    };
    check(later, |found| found.overdue.len(), 0);
}

#[test]
fn more_than_the_rate_in_a_second_overshoots() {
    let third_begins = |at: i64| move |facts: &mut Facts| facts.attempts[2].started_at = at;
    check(third_begins(NOW + SECOND + 949_999), |found| found.overshooting.len(), 1);
    check(third_begins(NOW + SECOND + 950_000), |found| found.overshooting.len(), 0);
    let unrecorded = |facts: &mut Facts| {
        facts.attempts.pop();
        facts.calls[2].at = NOW + SECOND + 949_999;
    };
    check(unrecorded, |found| found.overshooting.len(), 1);
}

#[test]
fn arrivals_that_a_standing_machine_crowds_are_shown_and_too_many_of_them_overshoot() {
    check(|facts| facts.calls[2].at = NOW + SECOND + 949_999, |found| found.crowded, 1);
    check(|facts| facts.calls[2].at = NOW + SECOND + 949_999, |found| found.overshooting.len(), 0);
    let many = |count: i64| {
        move |facts: &mut Facts| {
            facts.calls.extend((0..count).map(|number| call("p-1", NOW + (1 + number) * SECOND / 2)));
            facts.attempts.clear();
            let recorded = (0..count).map(|number| attempt("m-1", 0, number, NOW + number * 10 * SECOND, "sent"));
            facts.attempts.extend(recorded);
        }
    };
    // Two a second: ten in five seconds, and two tenths of a second more that are less than one.
    check(many(7), |found| found.overshooting.iter().filter(|text| text.contains("arrived")).count(), 0);
    check(many(8), |found| found.overshooting.iter().filter(|text| text.contains("arrived")).count(), 1);
}

#[test]
fn a_call_that_ends_with_its_messages_validity_is_cut_short_and_not_ambiguous() {
    let cut = |facts: &mut Facts| {
        facts.attempts[0].outcome = "unknown".to_owned();
        facts.messages[0].expires_at = facts.attempts[0].finished_at;
    };
    check(cut, |found| found.ambiguous, 0);
    check(cut, |found| found.cut_short, 1);
    check(|facts| facts.attempts[0].outcome = "unknown".to_owned(), |found| found.ambiguous, 1);
}

#[test]
fn an_arrival_may_be_as_late_as_the_judge_itself() {
    let late = |lag| {
        move |facts: &mut Facts| {
            facts.lag = lag;
            facts.messages[0].expires_at = NOW + SECOND - 60_000;
        }
    };
    check(late(9_999), |found| found.late.len(), 1);
    check(late(10_000), |found| found.late.len(), 0);
}

#[test]
fn a_due_row_that_nobody_takes_is_stuck_and_one_with_a_reason_waits() {
    let row = |due_at, claimed_until, gate_until| {
        let row = Waiting { message: "m-1".to_owned(), due_at, claimed_until, gate_until };
        move |facts: &mut Facts| {
            facts.messages[0].status = WAITING.to_owned();
            facts.waiting.push(row);
        }
    };
    let (past, ahead) = (NOW + 97 * SECOND, NOW + 101 * SECOND);
    check(row(past, None, None), |found| found.stuck.len(), 1);
    check(row(past, Some(past), Some(past)), |found| found.stuck.len(), 1);
    for reason in [row(ahead, None, None), row(past, Some(ahead), None), row(past, None, Some(ahead))] {
        check(reason, |found| found.stuck.len(), 0);
    }
    check(row(past, None, Some(ahead)), |found| found.waiting, 1);
}

#[test]
fn a_failure_that_is_said_to_be_sure_and_was_delivered_is_misjudged() {
    let failed = |code| {
        move |facts: &mut Facts| {
            facts.messages[0].status = "sending_failed".to_owned();
            facts.messages[0].failure_code = Some(code);
        }
    };
    check(failed(12001), |found| found.misjudged.len(), 1);
    check(failed(16002), |found| found.misjudged.len(), 0);
}

#[test]
fn records_and_calls_explain_each_other() {
    check(|facts| drop(facts.attempts.remove(0)), |found| found.unrecorded, 1);
    let invented = attempt("m-1", 0, 3, NOW + 50 * SECOND, "try_again");
    check(|facts| facts.attempts.push(invented), |found| found.phantom.len(), 1);
    let unseen = attempt("m-1", 0, 3, NOW + 50 * SECOND, "not_connected");
    check(|facts| facts.attempts.push(unseen), |found| found.phantom.len(), 0);
}
