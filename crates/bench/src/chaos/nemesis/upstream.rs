//! Faults of the upstream and of the way to it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::{BEFORE, Strike};
use crate::chaos::clock;
use crate::chaos::facts::{Call, Facts, journal};
use crate::chaos::proxy::switch::{Fault, Faults};
use crate::chaos::scenario::{ordinary, rest};
use crate::chaos::verdict::{Later, Struck, summed};

/// Each fault of the way lasts for so long.
const PHASE: Duration = Duration::from_secs(2);
/// Share of connections that it strikes.
const SHARE: f64 = 0.15;
/// Where answers are cut: within the head, within the body.
const CUTS: [usize; 2] = [20, 150];
/// An answer comes byte by byte; it is still there in time.
const DRIP: Duration = Duration::from_millis(5);
/// Probability of each fault of the upstream itself, by message and try.
const FAULTS: [(f64, &str); 8] = [
    (0.01, r#"{"kind":"hang"}"#),
    (0.02, r#"{"kind":"close"}"#),
    (0.02, r#"{"kind":"reset"}"#),
    (0.01, r#"{"kind":"halfClose"}"#),
    (0.01, r#"{"kind":"cutJson"}"#),
    (0.01, r#"{"kind":"garbage"}"#),
    (0.02, r#"{"kind":"html"}"#),
    (0.02, r#"{"kind":"normal","delayMillis":1500}"#),
];
/// Every call fails so, one way after the other.
const FAILURES: [&str; 4] = [
    r#"{"kind":"framework","status":500}"#,
    r#"{"kind":"html","status":502}"#,
    r#"{"kind":"empty","status":503}"#,
    r#"{"kind":"envelopeError"}"#,
];
/// Calls of an outage beside the messages handed in meanwhile, at the most (failure model, F34).
const CALLS_SHARE: f64 = 1.1;

/// For so long an upstream remembers that does so for a while: less than a call's time-out, more than the first pauses.
pub(crate) const WINDOW_SECONDS: u32 = 5;
/// The failure of a message that was perhaps sent.
const OUTCOME_UNKNOWN: i32 = 16002;
/// How attempts are recorded whose outcome nobody knows.
const UNKNOWN: &str = "unknown";

/// What the upstream knows of ids that it has accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Memory {
    /// Everything: a repetition is the same message.
    All,
    /// What came within so many seconds.
    Seconds(u32),
    /// A repetition is another message.
    Nothing,
}

impl Memory {
    /// How an upstream behaves that has no other fault.
    pub(crate) fn script(self, seed: u64) -> Value {
        match self {
            Self::All => ordinary(seed, "same"),
            Self::Nothing => ordinary(seed, "second"),
            Self::Seconds(seconds) => {
                let mut script = ordinary(seed, "same");
                script["duplicatesWindowSeconds"] = json!(seconds);
                script
            }
        }
    }
}

/// The faults of [`cut`], by an upstream that remembers ids for a while: delivered twice is what came again after it.
pub(crate) async fn cut_with_window(strike: &mut Strike<'_>, seconds: u32) -> Result<Struck, String> {
    let struck = cut(strike, Memory::Seconds(seconds)).await?;
    Ok(Struck { later: Later::ask(move |facts| repeated(seconds, facts)), ..struck })
}

/// The faults of [`cut`], by an upstream that doubles and channels that hold what may have been sent.
pub(crate) async fn cut_and_hold(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let struck = cut(strike, Memory::Nothing).await?;
    Ok(Struck { later: Later::ask(held), ..struck })
}

/// Repetitions within the window, which were no second message, and after it.
fn repeated(seconds: u32, facts: &Facts) -> (Value, Vec<String>) {
    let mut by_part: HashMap<&str, Vec<&Call>> = HashMap::new();
    for call in &facts.calls {
        by_part.entry(call.part.as_deref().unwrap_or_default()).or_default().push(call);
    }
    let window = i64::from(seconds) * 1_000_000;
    let (mut within, mut after, mut doubled) = (0, 0, Vec::new());
    for (part, calls) in by_part {
        let mut accepted: Option<i64> = None;
        for call in calls {
            match accepted {
                Some(before) if call.accepted && call.at - before < window => {
                    doubled.push(part.to_owned());
                }
                Some(_) => (within, after) = (within + usize::from(!call.accepted), after + usize::from(call.accepted)),
                None => {}
            }
            accepted = if call.accepted { Some(call.at) } else { accepted };
        }
    }
    let mut wrong: Vec<String> = summed("two messages within the window", &doubled).into_iter().collect();
    if within == 0 {
        wrong.push("nothing was repeated within the window".to_owned());
    }
    (json!({ "repeatedWithinWindow": within, "deliveredAgainAfterIt": after }), wrong)
}

/// Whatever may have been sent ends as that, and is not called again.
fn held(facts: &Facts) -> (Value, Vec<String>) {
    let unknown: HashSet<&str> =
        facts.attempts.iter().filter(|one| one.outcome == UNKNOWN).map(|one| one.message.as_str()).collect();
    let known = facts.messages.iter().filter(|message| message.failure_code != Some(OUTCOME_UNKNOWN));
    let otherwise: Vec<String> = known
        .filter(|message| unknown.contains(message.id.as_str()))
        .map(|message| format!("{} {} {:?}", message.id, message.status, message.failure_code))
        .collect();
    let mut wrong: Vec<String> = summed("maybe sent, and ended otherwise", &otherwise).into_iter().collect();
    if unknown.is_empty() {
        wrong.push("no outcome was unknown".to_owned());
    }
    (json!({ "messagesHeld": unknown.len() }), wrong)
}

/// Accepts and does not say so: the upstream's own faults by message, the way's by connection, and a crash.
pub(crate) async fn cut(strike: &mut Strike<'_>, memory: Memory) -> Result<Struck, String> {
    let script = faulty(strike.dice.draw(), memory);
    strike.stage.script(&script).await?;
    rest(BEFORE).await;
    let switch = strike.stage.upstream_switch.clone();
    for _ in 0..strike.times(1, 30) {
        let [head, body] = CUTS.map(Fault::CutAfter);
        for fault in [Fault::Swallow, Fault::HalfClose, head, body, Fault::Drip(DRIP)] {
            let seed = strike.dice.draw();
            switch.turn(Faults { to_client: Some(fault), share: SHARE, seed, ..Faults::default() });
            rest(PHASE).await;
            switch.clear();
        }
        strike.stage.upstream.kill()?;
        strike.between().await;
        strike.stage.upstream.start_again()?;
        rest(PHASE).await;
        strike.stage.script(&script).await?;
        rest(PHASE).await;
    }
    strike.stage.script(&memory.script(0)).await?;
    Ok(Struck::with(switch.strikes(), switch.told(), Vec::new()))
}

/// Every call fails, in one way after the other.
pub(crate) async fn fail(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let phase = strike.tier.pick(Duration::from_secs(2), Duration::from_secs(75));
    rest(BEFORE).await;
    let began = clock::now();
    for answer in FAILURES {
        strike.stage.script(&json!({ "latencyMillis": 20, "rules": [{ "answer": read(answer)? }] })).await?;
        rest(phase).await;
    }
    strike.stage.script(&ordinary(0, "same")).await?;
    let ended = clock::now();
    let calls = journal::read(&strike.stage.file("journal.jsonl"))?;
    let during = calls.iter().filter(|call| (began..ended).contains(&call.at)).count();
    let failed = calls.iter().filter(|call| call.at >= began && !call.accepted).count();
    let handed_in = (ended - began) as f64 / 1e6 * strike.rate;
    let share = during as f64 / handed_in;
    let mut wrong = Vec::new();
    if share > CALLS_SHARE {
        wrong.push(format!("{during} calls in an outage in which {handed_in:.0} messages came"));
    }
    let told = json!({ "calls": during, "failed": failed, "handedIn": handed_in.round(), "attemptsPerAccept": share });
    Ok(Struck::with(failed as u64, told, wrong))
}

/// A script whose faults are drawn by message and try.
fn faulty(seed: u64, memory: Memory) -> Value {
    let mut script = memory.script(seed);
    let own = FAULTS.iter().enumerate().map(|(place, (probability, answer))| {
        let seed = seed.wrapping_add(100 + place as u64);
        json!({ "probability": probability, "seed": seed, "answer": read(answer).unwrap_or_default() })
    });
    let all: Vec<Value> = own.chain(script["rules"].as_array().cloned().unwrap_or_default()).collect();
    script["rules"] = json!(all);
    script
}

fn read(answer: &str) -> Result<Value, String> {
    serde_json::from_str(answer).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::facts::{Attempt, Message};

    #[test]
    fn every_fault_is_one_that_the_upstream_can_play() {
        let check = |script: Value| {
            assert!(sandbox::Script::parse(script.to_string().as_bytes()).is_ok(), "{script}");
        };
        [Memory::All, Memory::Seconds(5), Memory::Nothing].into_iter().for_each(|memory| check(faulty(7, memory)));
        FAILURES.iter().for_each(|answer| check(json!({ "rules": [{ "answer": read(answer).expect("JSON") }] })));
        assert_eq!(faulty(7, Memory::All), faulty(7, Memory::All));
    }

    #[test]
    fn a_second_message_within_the_window_is_found() {
        let check = |calls: &[(i64, bool)], expected: &[&str]| {
            let call = |(second, accepted): &(i64, bool)| Call {
                at: second * 1_000_000,
                part: Some("p".to_owned()),
                accepted: *accepted,
                ..Call::default()
            };
            let facts = Facts { calls: calls.iter().map(call).collect(), ..Facts::default() };
            assert_eq!(repeated(5, &facts).1, expected, "{calls:?}");
        };
        check(&[(0, true), (1, false), (6, true)], &[]);
        check(&[(0, true), (1, false), (4, true)], &["two messages within the window: 1 (such as p)"]);
        check(&[(0, false), (6, true)], &["nothing was repeated within the window"]);
    }

    #[test]
    fn what_may_have_been_sent_and_does_not_say_so_is_found() {
        let check = |failure_code, outcome: &str, expected: usize| {
            let attempt = Attempt { message: "m".to_owned(), outcome: outcome.to_owned(), ..Attempt::default() };
            let message = Message { id: "m".to_owned(), failure_code, ..Message::default() };
            let facts = Facts { messages: vec![message], attempts: vec![attempt], ..Facts::default() };
            assert_eq!(held(&facts).1.len(), expected, "{failure_code:?} {outcome}");
        };
        check(Some(OUTCOME_UNKNOWN), UNKNOWN, 0);
        check(None, UNKNOWN, 1);
        check(Some(16001), UNKNOWN, 1);
        check(None, "sent", 1);
    }
}
