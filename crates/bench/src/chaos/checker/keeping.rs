//! Rules about what was handed in: is it there, once, as answered.

use std::collections::HashMap;

use super::Findings;
use super::index::Index;
use crate::chaos::facts::{Facts, Message, SENT, WAITING};
use crate::chaos::ledger::Line;

/// The failure that says that a message may have been delivered.
const OUTCOME_UNKNOWN: i32 = 16002;
/// A row may be due for so long before it counts as forgotten: a poll, a claim and a call, microseconds.
const DUE_GRACE: i64 = 2_000_000;

pub(super) fn judge(facts: &Facts, index: &Index<'_>, findings: &mut Findings) {
    findings.attempted = index.offers.len();
    findings.acknowledged = index.answers.len();
    let by_key: HashMap<&str, &Message> =
        facts.messages.iter().filter_map(|message| Some((message.key.as_deref()?, message))).collect();
    for (key, ids) in &index.answers {
        if ids.iter().any(|id| id != &ids[0]) {
            findings.unexpected.push(format!("{key}: answers name {ids:?}"));
        }
        match by_key.get(key) {
            None => findings.lost.push(format!("{key}: acknowledged and not stored")),
            Some(message) if message.id != ids[0] => {
                findings.unexpected.push(format!("{key}: answered {}, stored {}", ids[0], message.id));
            }
            Some(_) => {}
        }
    }
    for message in &facts.messages {
        judge_message(message, index, findings);
    }
    for line in &facts.ledger {
        match line {
            Line::Refused { key, status, text, .. } => findings.refused.push(format!("{key}: {status} {text}")),
            Line::Unclear { .. } => findings.unclear += 1,
            Line::Offered { .. }
            | Line::Accepted { .. }
            | Line::Denied { .. }
            | Line::Cancel { .. }
            | Line::GivenUp { .. } => {}
        }
    }
    for row in &facts.waiting {
        if !index.messages.contains_key(row.message.as_str()) {
            findings.unexpected.push(format!("{}: waits, and there is no message", row.message));
        }
        let free_at = [Some(row.due_at), row.claimed_until, row.gate_until].into_iter().flatten().max();
        if free_at.is_some_and(|at| at + DUE_GRACE < facts.judged_at) {
            findings.stuck.push(row.message.clone());
        } else {
            findings.waiting += 1;
        }
    }
    for (id, before) in &facts.ended_before {
        let now = index.messages.get(id.as_str()).map(|message| message.status.as_str());
        if now != Some(before.as_str()) {
            findings.turned_back.push(format!("{id}: {before}, then {now:?}"));
        }
    }
}

fn judge_message(message: &Message, index: &Index<'_>, findings: &mut Findings) {
    let id = &message.id;
    match message.key.as_deref() {
        Some(key) if index.offers.contains_key(key) => {
            if index.offers.get(key) != Some(&message.parts.len()) {
                findings.unexpected.push(format!("{id}: {} parts", message.parts.len()));
            }
            findings.recovered += usize::from(!index.answers.contains_key(key));
        }
        other => findings.unexpected.push(format!("{id}: nobody handed {other:?} in")),
    }
    let waits = index.waiting.contains_key(id.as_str());
    let has_ended = message.status != WAITING;
    if waits == has_ended {
        findings.lost.push(format!("{id}: {} and {}", message.status, if waits { "waiting" } else { "nowhere" }));
    }
    let delivered = |part: &String| index.calls_of(part).iter().any(|call| call.accepted);
    if message.status == SENT && !message.parts.iter().all(delivered) {
        findings.lost.push(format!("{id}: said to be sent, and not delivered"));
    }
    let surely_failed = has_ended && message.status != SENT && message.failure_code != Some(OUTCOME_UNKNOWN);
    if surely_failed && message.parts.iter().all(delivered) {
        findings.misjudged.push(format!("{id}: {:?}, and delivered", message.failure_code));
    }
}
