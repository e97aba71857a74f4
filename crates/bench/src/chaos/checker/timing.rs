//! Rules about when: never before its time or after its validity, never faster than the channel may.

use std::collections::HashMap;

use super::Findings;
use super::index::Index;
use crate::chaos::facts::{Attempt, Call, Facts};

/// Tolerance of instants, microseconds (failure model, I6): a call is on its way for a while.
const TOLERANCE: i64 = 50_000;
/// After the faults are over, or when it is due, a message is tried within this time, microseconds (failure model, I11).
const TRIED_WITHIN: i64 = 65_000_000;
/// A second, less the same tolerance at its end.
const WINDOW: i64 = 1_000_000 - TOLERANCE;
/// A time over which a machine that stood still hardly counts, and how much of a second's rate may arrive in it.
const LONG_WINDOW: i64 = 5_000_000;
const LONG_SHARE: f64 = 5.2;

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
            if call.at > message.expires_at + TOLERANCE + facts.lag {
                findings.late.push(format!("{}: {} µs", message.id, call.at - message.expires_at));
            }
        }
        if first.is_some_and(|at| at > free_at.max(facts.faults_ended_at) + TRIED_WITHIN) {
            findings.overdue.push(message.id.clone());
        }
        findings.waits.extend(first.map(|at| (at - free_at).max(0) / 1000));
    }
    findings.waits.sort_unstable();
    judge_rates(facts, index, channel_rate, findings);
}

/// A machine that stands still for a moment lets calls arrive together that were made one after the other. So a second counts
/// by the instants at which calls began, as they are recorded, and a longer time by their arrivals alone.
fn judge_rates(facts: &Facts, index: &Index<'_>, channel_rate: usize, findings: &mut Findings) {
    let mut begun: HashMap<&str, Vec<i64>> = HashMap::new();
    let mut arrived: HashMap<&str, Vec<i64>> = HashMap::new();
    for message in &facts.messages {
        for (number, part) in message.parts.iter().enumerate() {
            let (calls, attempts) = (index.calls_of(part), index.attempts_of(&message.id, number));
            let Some(from) = calls.first().map(|call| call.from.as_str()) else { continue };
            arrived.entry(from).or_default().extend(calls.iter().map(|call| call.at));
            let begun = begun.entry(from).or_default();
            begun.extend(attempts.iter().map(|attempt| attempt.started_at));
            begun.extend(unrecorded(calls, attempts));
        }
    }
    let arrivals_max = (channel_rate as f64 * LONG_SHARE) as usize;
    for (number, at) in &mut arrived {
        let most = most_within(at, LONG_WINDOW);
        if most > arrivals_max {
            findings.overshooting.push(format!("{number}: {most} arrived in {} s", LONG_WINDOW / 1_000_000));
        }
        findings.crowded += usize::from(most_within(at, WINDOW) > channel_rate);
    }
    for (number, at) in &mut begun {
        let most = most_within(at, WINDOW);
        if most > channel_rate {
            findings.overshooting.push(format!("{number}: {most} began in a second"));
        }
    }
}

/// When those calls arrived that no record is nearest to: they began no later.
pub(crate) fn unrecorded(calls: &[&Call], attempts: &[&Attempt]) -> Vec<i64> {
    let mut at: Vec<i64> = calls.iter().map(|call| call.at).collect();
    for attempt in attempts {
        let nearest = at.iter().enumerate().min_by_key(|(_, at)| (*at - attempt.started_at).abs());
        if let Some((place, _)) = nearest {
            at.swap_remove(place);
        }
    }
    at
}

/// The most instants in a window; each begins one.
fn most_within(at: &mut [i64], window: i64) -> usize {
    at.sort_unstable();
    let (mut most, mut end) = (0, 0);
    for (begin, first) in at.iter().enumerate() {
        while at.get(end).is_some_and(|next| next - first < window) {
            end += 1;
        }
        most = most.max(end - begin);
    }
    most
}
