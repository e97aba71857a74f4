//! Rules about when: never before its time or after its validity, never faster than the channel may.

use std::collections::HashMap;

use super::Findings;
use super::index::Index;
use crate::chaos::facts::Facts;

/// Tolerance of instants, microseconds (failure model, I6): a call is on its way for a while.
const TOLERANCE: i64 = 50_000;
/// After the faults are over, or when it is due, a message is tried within this time, microseconds (failure model, I11).
const TRIED_WITHIN: i64 = 65_000_000;
/// A second, less the same tolerance at its end.
const WINDOW: i64 = 1_000_000 - TOLERANCE;

pub(super) fn judge(facts: &Facts, index: &Index<'_>, channel_rate: usize, findings: &mut Findings) {
    for message in &facts.messages {
        let free_at = message.scheduled_for.map_or(message.created_at, |at| at.max(message.created_at));
        let calls = message.parts.iter().flat_map(|part| index.calls_of(part));
        let mut first = None;
        for call in calls {
            first = Some(first.map_or(call.at, |first: i64| first.min(call.at)));
            // Only a requested time is a promise: an id and its `created_at` come from a clock that was read before.
            if let Some(requested) = message.scheduled_for.filter(|at| call.at < at - TOLERANCE) {
                findings.early.push(format!("{}: {} µs", message.id, requested - call.at));
            }
            if call.at > message.expires_at + TOLERANCE {
                findings.late.push(format!("{}: {} µs", message.id, call.at - message.expires_at));
            }
        }
        if first.is_some_and(|at| at > free_at.max(facts.faults_ended_at) + TRIED_WITHIN) {
            findings.overdue.push(message.id.clone());
        }
        findings.waits.extend(first.map(|at| (at - free_at).max(0) / 1000));
    }
    findings.waits.sort_unstable();
    let mut by_number: HashMap<&str, Vec<i64>> = HashMap::new();
    for call in &facts.calls {
        by_number.entry(&call.from).or_default().push(call.at);
    }
    for (number, mut at) in by_number {
        at.sort_unstable();
        let most = most_in_a_window(&at);
        if most > channel_rate {
            findings.overshooting.push(format!("{number}: {most}"));
        }
    }
}

/// Each begins a window.
fn most_in_a_window(at: &[i64]) -> usize {
    let (mut most, mut end) = (0, 0);
    for (begin, first) in at.iter().enumerate() {
        while at.get(end).is_some_and(|next| next - first < WINDOW) {
            end += 1;
        }
        most = most.max(end - begin);
    }
    most
}
