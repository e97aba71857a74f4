//! Rules about what was answered besides that a message was taken: that it was not stored, that it was cancelled.

use std::collections::{HashMap, HashSet};

use super::Findings;
use super::index::Index;
use crate::chaos::client::PAUSE_FIRST;
use crate::chaos::facts::{DELETED, Facts, Message};
use crate::chaos::ledger::Line;

/// Answer to who has cancelled one.
const DONE: u16 = 200;

pub(super) fn judge(facts: &Facts, index: &Index<'_>, findings: &mut Findings) {
    let by_key: HashMap<&str, &Message> =
        facts.messages.iter().filter_map(|message| Some((message.key.as_deref()?, message))).collect();
    // Once an answer has left it open, a later one speaks for its own request only.
    let mut open: HashSet<&str> = HashSet::new();
    for line in &facts.ledger {
        match line {
            Line::Unclear { key, .. } => {
                open.insert(key);
            }
            Line::Denied { key, .. } if open.contains(key.as_str()) => {}
            Line::Denied { key, at, .. } => {
                // Handed in again after the answer, it is a message of after the answer. The commit tells: instants that tuma stores are its own.
                let asked_again = at.saturating_add(i64::try_from(PAUSE_FIRST.as_micros()).unwrap_or(i64::MAX));
                let stored_at = by_key.get(key.as_str()).and_then(|message| message.stored_at);
                if stored_at.is_some_and(|stored_at| stored_at < asked_again) {
                    findings.denied.push(format!("{key}: said not to be stored, and stored"));
                }
            }
            Line::Cancel { key, status: DONE, .. } => {
                let message = by_key.get(key.as_str());
                let is_delivered = |part: &String| index.calls_of(part).iter().any(|call| call.accepted);
                if message.is_some_and(|message| message.parts.iter().any(is_delivered)) {
                    findings.cancelled.push(format!("{key}: cancelled, and sent"));
                } else if message.is_none_or(|message| message.status != DELETED) {
                    let status = message.map(|message| &message.status);
                    findings.cancelled.push(format!("{key}: cancelled, and then {status:?}"));
                }
            }
            Line::Cancel { .. }
            | Line::Offered { .. }
            | Line::Accepted { .. }
            | Line::Refused { .. }
            | Line::GivenUp { .. } => {}
        }
    }
}
