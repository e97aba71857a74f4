//! The upstream is away: first nobody listens, then nothing that is said gets there.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::{BEFORE, Strike};
use crate::chaos::checker::index::Index;
use crate::chaos::checker::unrecorded;
use crate::chaos::clock;
use crate::chaos::facts::{DELETED, Facts, Message, SENT, WAITING};
use crate::chaos::ledger::Line;
use crate::chaos::proxy::switch::{Fault, Faults};
use crate::chaos::scenario::rest;
use crate::chaos::stage::CHANNEL_RATE;
use crate::chaos::verdict::{Later, Struck, summed};

/// A minute after the outage, in which everybody could come at once, microseconds.
const AFTER: i64 = 60_000_000;
/// Seconds of it, and one second's burst.
const AFTER_SECONDS: usize = 61;
/// What ends because of an outage ends so soon after its validity, microseconds (failure model, F35).
const ENDED_WITHIN: i64 = 5_000_000;
/// What a message ends with that could not be sent: the provider did not answer, validity was over, nobody knows.
const DEPENDENCY: i32 = 12001;
const EXPIRED: i32 = 16001;
const UNKNOWN: i32 = 16002;
/// How attempts are recorded whose outcome nobody knows.
const UNKNOWN_OUTCOME: &str = "unknown";

/// When it was away, microseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Outage {
    began: i64,
    ended: i64,
}

/// Connections are refused for one half of the time, and lead nowhere for the other.
pub(crate) async fn cut_off(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let half = strike.tier.pick(Duration::from_secs(10), Duration::from_secs(900));
    rest(BEFORE).await;
    let switch = strike.stage.upstream_switch.clone();
    let began = clock::now();
    switch.turn(Faults { refuses: true, ..Faults::default() });
    rest(half).await;
    switch.turn(Faults { to_server: Some(Fault::Swallow), share: 1.0, ..Faults::default() });
    rest(half).await;
    switch.clear();
    let outage = Outage { began, ended: clock::now() };
    let wrong = super::database::ended(strike);
    let told = json!({ "awaySeconds": 2 * half.as_secs(), "swallowed": switch.strikes() });
    Ok(Struck { faults: 1, told, wrong, later: Later::ask(move |facts| seen(outage, facts)) })
}

fn seen(outage: Outage, facts: &Facts) -> (Value, Vec<String>) {
    let mut wrong = Vec::new();
    let mut afterwards: HashMap<&str, usize> = HashMap::new();
    for call in facts.calls.iter().filter(|call| (outage.ended..outage.ended + AFTER).contains(&call.at)) {
        *afterwards.entry(&call.from).or_default() += 1;
    }
    let most = afterwards.values().max().copied().unwrap_or_default();
    if most > CHANNEL_RATE * AFTER_SECONDS {
        wrong.push(format!("{most} calls of a channel in the first minute after the outage"));
    }
    let index = Index::of(facts);
    let (mut codes, mut latest, mut odd): (BTreeMap<String, usize>, i64, Vec<String>) =
        (BTreeMap::new(), 0, Vec::new());
    let failed = |message: &&Message| ![SENT, WAITING, DELETED].contains(&message.status.as_str());
    for message in facts.messages.iter().filter(failed) {
        let code = message.failure_code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        *codes.entry(code).or_default() += 1;
        latest = latest.max(message.updated_at - message.expires_at);
        odd.extend(misplaced(message, &index, facts.lag).map(|why| format!("{}: {why}", message.id)));
    }
    wrong.extend(summed("ended otherwise than an outage explains", &odd));
    let during = outage.began..outage.ended;
    let began = facts.attempts.iter().filter(|attempt| during.contains(&attempt.started_at)).count();
    let accepted = facts.ledger.iter().filter(|line| matches!(line, Line::Accepted { at, .. } if during.contains(at)));
    let told = json!({
        "attemptsPerAccept": began as f64 / accepted.count().max(1) as f64, "failedBy": codes,
        "latestEndSeconds": latest as f64 / 1e6, "mostCallsInMinuteAfter": most
    });
    if codes.is_empty() {
        wrong.push("no message ended because of the outage".to_owned());
    }
    (told, wrong)
}

/// What is wrong with the end of a message that failed; `lag` is how late anything may be, microseconds.
fn misplaced(message: &Message, index: &Index<'_>, lag: i64) -> Option<String> {
    if message.updated_at > message.expires_at + ENDED_WITHIN + lag {
        return Some(format!(
            "ended {:.1} s after its validity",
            (message.updated_at - message.expires_at) as f64 / 1e6
        ));
    }
    let maybe_sent = message.parts.iter().enumerate().any(|(number, part)| {
        let attempts = index.attempts_of(&message.id, number);
        attempts.iter().any(|attempt| attempt.outcome == UNKNOWN_OUTCOME)
            || !unrecorded(index.calls_of(part), attempts).is_empty()
    });
    match message.failure_code {
        Some(UNKNOWN) if maybe_sent => None,
        Some(DEPENDENCY | EXPIRED) if !maybe_sent => None,
        code => Some(format!("ended with {code:?}, {}", if maybe_sent { "maybe sent" } else { "surely not sent" })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::facts::Attempt;

    const SECOND: i64 = 1_000_000;

    fn check(code: i32, outcome: &str, ended_after: i64, is_right: bool) {
        let message = Message {
            id: "m".to_owned(),
            status: "sending_failed".to_owned(),
            failure_code: Some(code),
            parts: vec!["p".to_owned()],
            expires_at: 10 * SECOND,
            updated_at: 10 * SECOND + ended_after,
            ..Message::default()
        };
        let attempt = Attempt { message: "m".to_owned(), outcome: outcome.to_owned(), ..Attempt::default() };
        let facts = Facts { messages: vec![message], attempts: vec![attempt], ..Facts::default() };
        let (_, wrong) = seen(Outage { began: 0, ended: 20 * SECOND }, &facts);
        assert_eq!(wrong.is_empty(), is_right, "{code} {outcome}: {wrong:?}");
    }

    #[test]
    fn what_fails_in_an_outage_says_why_and_in_time() {
        check(DEPENDENCY, "not_connected", SECOND, true);
        check(EXPIRED, "not_connected", SECOND, true);
        check(UNKNOWN, UNKNOWN_OUTCOME, SECOND, true);
        check(UNKNOWN, "not_connected", SECOND, false);
        check(DEPENDENCY, UNKNOWN_OUTCOME, SECOND, false);
        check(EXPIRED, "not_connected", 6 * SECOND, false);
        check(16003, "not_connected", SECOND, false);
    }

    #[test]
    fn what_was_cancelled_did_not_end_because_of_the_outage() {
        let message = Message { status: DELETED.to_owned(), updated_at: 60 * SECOND, ..Message::default() };
        let facts = Facts { messages: vec![message], ..Facts::default() };
        assert_eq!(seen(Outage { began: 0, ended: SECOND }, &facts).1, ["no message ended because of the outage"]);
    }

    #[test]
    fn an_outage_that_nobody_noticed_and_a_stampede_are_found() {
        let outage = Outage { began: 0, ended: SECOND };
        assert_eq!(seen(outage, &Facts::default()).1, ["no message ended because of the outage"]);
        let call = crate::chaos::facts::Call { at: 2 * SECOND, ..Default::default() };
        let facts = Facts { calls: vec![call; CHANNEL_RATE * AFTER_SECONDS + 1], ..Facts::default() };
        assert!(seen(outage, &facts).1[0].contains("in the first minute"));
    }
}
