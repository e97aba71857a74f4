//! Rules about calls: once, with one content, in order, one at a time, recorded.

use std::collections::HashMap;

use super::Findings;
use super::index::Index;
use crate::chaos::facts::{Attempt, Call, Facts, Message};

/// Outcome of an attempt that may have been delivered.
const UNKNOWN: &str = "unknown";
/// Instants are compared with this tolerance, microseconds.
const TOLERANCE: i64 = 50_000;
/// Outcome of one that the upstream has seen nothing of.
const NOT_CONNECTED: &str = "not_connected";

pub(super) fn judge(facts: &Facts, index: &Index<'_>, findings: &mut Findings) {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for message in &facts.messages {
        for part in &message.parts {
            if owners.insert(part, &message.id).is_some() {
                findings.changed.push(format!("{part}: of two parts"));
            }
        }
        judge_message(message, index, findings);
    }
    for call in &facts.calls {
        if call.part.as_deref().is_none_or(|part| !owners.contains_key(part)) {
            findings.unexpected.push(format!("a call for {:?}, which is no part", call.part));
        }
    }
}

fn judge_message(message: &Message, index: &Index<'_>, findings: &mut Findings) {
    let mut before: Option<i64> = Some(i64::MIN);
    for (number, part) in message.parts.iter().enumerate() {
        let (calls, attempts) = (index.calls_of(part), index.attempts_of(&message.id, number));
        if calls.iter().any(|call| call.body_hash != calls[0].body_hash) {
            findings.changed.push(format!("{part}: with two contents"));
        }
        if calls.first().is_some_and(|call| before.is_none_or(|before| call.at < before)) {
            findings.out_of_order.push(format!("{}: part {number}", message.id));
        }
        before = calls.iter().find(|call| call.accepted).map(|call| call.at);
        judge_records(message, part, (calls, attempts), findings);
        if overlap(calls, |call| (call.at, call.ended_at.unwrap_or(call.at)))
            || overlap(attempts, |attempt| (attempt.started_at, attempt.finished_at))
        {
            findings.overlapping.push(part.clone());
        }
        // A result is known before it is written, and a call begins after its claim: what was known later than a newer claim's
        // call began was written under a claim that was superseded.
        if attempts.windows(2).any(|pair| pair[0].finished_at > pair[1].started_at + TOLERANCE) {
            findings.unfenced.push(part.clone());
        }
    }
}

/// What was recorded of a part beside what the upstream saw of it.
fn judge_records(message: &Message, part: &str, seen: (&[&Call], &[&Attempt]), findings: &mut Findings) {
    let (calls, attempts) = seen;
    let count = |outcome: &str| attempts.iter().filter(|attempt| attempt.outcome == outcome).count();
    let unknown = count(UNKNOWN);
    let answered = attempts.len() - unknown - count(NOT_CONNECTED);
    if answered > calls.len() {
        findings.phantom.push(format!("{part}: {answered} answers, {} calls", calls.len()));
    }
    let unrecorded = calls.len().saturating_sub(answered + unknown);
    findings.unrecorded += unrecorded;
    let ambiguous = unknown + unrecorded;
    // A call lasts no longer than its message is valid: what is cut by that is nobody's fault.
    let is_cut_short = |one: &&&Attempt| one.outcome == UNKNOWN && one.finished_at >= message.expires_at - TOLERANCE;
    let cut_short = attempts.iter().filter(is_cut_short).count();
    findings.cut_short += cut_short;
    findings.ambiguous += ambiguous - cut_short;
    let again = calls.iter().filter(|call| call.accepted).count().saturating_sub(1);
    for number in 0..again {
        findings.duplicated.push(part.to_owned());
        if number >= ambiguous {
            findings.unexplained.push(part.to_owned());
        }
    }
}

/// Whether one begins before an earlier one has ended.
fn overlap<T>(all: &[&T], times: impl Fn(&T) -> (i64, i64)) -> bool {
    let mut spans: Vec<(i64, i64)> = all.iter().map(|one| times(one)).collect();
    spans.sort_unstable();
    spans.windows(2).any(|pair| pair[1].0 < pair[0].1)
}
