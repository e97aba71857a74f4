//! One workspace has a backlog, another a few messages, and their channels share the limit of one account.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::{BEFORE, Strike};
use crate::chaos::clock;
use crate::chaos::facts::database::Rows;
use crate::chaos::facts::{Call, Facts, Message, journal};
use crate::chaos::order::QUIET_CHANNEL;
use crate::chaos::scenario::rest;
use crate::chaos::verdict::Struck;

/// Of all channels together.
const LIMIT: usize = 100;
/// Channels change hands for it, and have found their pace by then.
const SETTLING: Duration = Duration::from_secs(5);
const WATCHED: (Duration, Duration) = (Duration::from_secs(12), Duration::from_secs(120));
/// Messages of the quiet workspace wait no longer, 99 of 100, microseconds. Without their share they wait three times as long at the
/// end; how short it can be is what `bench fairness` measures (failure model, F71: a second).
const WAIT_MAX: i64 = 4_000_000;
/// A time over which a machine that stood still hardly counts, and how many calls may arrive in it.
const WINDOW: i64 = 5_000_000;
const WINDOW_MAX: usize = LIMIT * 52 / 10;

/// Both hand in; the account's limit must hold over all replicas, and the quiet workspace must have its share of it.
pub(crate) async fn contend(strike: &mut Strike<'_>) -> Result<Struck, String> {
    strike.stage.limit_account(LIMIT).await?;
    rest(BEFORE + SETTLING).await;
    let began = clock::now();
    rest(strike.tier.pick(WATCHED.0, WATCHED.1)).await;
    let mut facts = Facts::default();
    Rows::connect(&strike.stage.database_url()).await?.read_into(&mut facts).await?;
    let calls = journal::read(&strike.stage.file("journal.jsonl"))?;
    let later: Vec<&Call> = calls.iter().filter(|call| call.at >= began).collect();
    let quiet = strike.stage.doors.get(QUIET_CHANNEL).ok_or("no quiet channel")?;
    let waits = waits(&facts, &calls, quiet.workspace(), began);
    let p99 = waits.get(waits.len().saturating_sub(1) * 99 / 100).copied();
    let most = most_within(&later);
    let told = json!({ "backlog": facts.waiting.len(), "quietMessages": waits.len(), "quietWaitMicrosP99": p99, "mostIn5Seconds": most });
    Ok(Struck::with(facts.waiting.len() as u64, told, wrong(p99, most)))
}

/// What is wrong with such a wait, and so many calls in a window.
fn wrong(wait: Option<i64>, most: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    if most > WINDOW_MAX {
        wrong.push(format!("overshoot: the account made {most} calls in {} s", WINDOW / 1_000_000));
    }
    match wait {
        Some(wait) if wait <= WAIT_MAX => {}
        Some(wait) => wrong.push(format!("starved: the quiet workspace waited {} ms", wait / 1_000)),
        None => wrong.push("starved: the quiet workspace handed nothing in".to_owned()),
    }
    wrong
}

/// How long messages of a workspace have waited that were taken since an instant: to their call, or till now.
fn waits(facts: &Facts, calls: &[Call], workspace: &str, since: i64) -> Vec<i64> {
    let mut called: HashMap<&str, i64> = HashMap::new();
    for call in calls {
        if let Some(part) = call.part.as_deref() {
            called.entry(part).or_insert(call.at);
        }
    }
    let is_own = |message: &&Message| message.key.as_deref().is_some_and(|key| key.starts_with(workspace));
    let own = facts.messages.iter().filter(is_own).filter(|message| message.created_at >= since);
    let called_at = |message: &Message| message.parts.first().and_then(|part| called.get(part.as_str()).copied());
    let mut waits: Vec<i64> =
        own.map(|message| called_at(message).unwrap_or(facts.judged_at) - message.created_at).collect();
    waits.sort_unstable();
    waits
}

/// The most calls that arrived within a window.
fn most_within(calls: &[&Call]) -> usize {
    let mut at: Vec<i64> = calls.iter().map(|call| call.at).collect();
    at.sort_unstable();
    let until = |begin: i64| at.partition_point(|at| *at < begin + WINDOW);
    at.iter().enumerate().map(|(place, begin)| until(*begin) - place).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_waits_from_acceptance_to_the_first_call_or_till_now() {
        let message = |key: &str, part: &str, created_at| Message {
            key: Some(key.to_owned()),
            parts: vec![part.to_owned()],
            created_at,
            ..Message::default()
        };
        let call = |part: &str, at| Call { part: Some(part.to_owned()), at, ..Call::default() };
        let messages = vec![
            message("w-1/a", "p-1", 10),
            message("w-1/b", "p-2", 20),
            message("w-1/c", "p-3", 5),
            message("w-2/a", "p-4", 10),
        ];
        let facts = Facts { messages, judged_at: 100, ..Facts::default() };
        assert_eq!(waits(&facts, &[call("p-1", 11), call("p-1", 50), call("p-3", 6)], "w-1", 10), [1, 80]);
    }

    #[test]
    fn an_account_that_sends_more_than_its_limit_and_a_workspace_that_waits_are_wrong() {
        assert_eq!(wrong(Some(WAIT_MAX), WINDOW_MAX), [""; 0]);
        assert!(wrong(Some(WAIT_MAX + 1), 0)[0].starts_with("starved"));
        assert!(wrong(None, 0)[0].starts_with("starved"));
        assert!(wrong(Some(0), WINDOW_MAX + 1)[0].starts_with("overshoot"));
    }

    #[test]
    fn the_fullest_window_counts() {
        let calls = [0, 1, WINDOW - 1, WINDOW, WINDOW + 1].map(|at| Call { at, ..Call::default() });
        assert_eq!(most_within(&calls.iter().collect::<Vec<_>>()), 3);
    }
}
