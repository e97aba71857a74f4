//! Faults of the upstream and of the way to it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BEFORE, Strike};
use crate::chaos::clock;
use crate::chaos::facts::journal;
use crate::chaos::proxy::switch::{Fault, Faults};
use crate::chaos::scenario::{ordinary, rest};
use crate::chaos::verdict::Struck;

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

/// Accepts and does not say so: the upstream's own faults by message, the way's by connection, and a crash.
pub(crate) async fn cut(strike: &mut Strike<'_>, duplicates: &str) -> Result<Struck, String> {
    let script = faulty(strike.dice.draw(), duplicates);
    strike.stage.script(&script).await?;
    rest(BEFORE).await;
    let switch = strike.stage.upstream_proxy.switch.clone();
    for _ in 0..strike.tier.pick(1, 30) {
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
    strike.stage.script(&ordinary(0, duplicates)).await?;
    Ok(Struck { faults: switch.strikes(), told: switch.told(), wrong: Vec::new() })
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
    let handed_in = (ended - began) as f64 / 1e6 * crate::chaos::scenario::RATE;
    let mut wrong = Vec::new();
    if during as f64 > handed_in * CALLS_SHARE {
        wrong.push(format!("{during} calls in an outage in which {handed_in:.0} messages came"));
    }
    let told = json!({ "calls": during, "failed": failed, "handedIn": handed_in.round() });
    Ok(Struck { faults: failed as u64, told, wrong })
}

/// A script whose faults are drawn by message and try.
fn faulty(seed: u64, duplicates: &str) -> Value {
    let mut script = ordinary(seed, duplicates);
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

    #[test]
    fn every_fault_is_one_that_the_upstream_can_play() {
        let check = |script: Value| {
            assert!(sandbox::Script::parse(script.to_string().as_bytes()).is_ok(), "{script}");
        };
        check(faulty(7, "same"));
        FAILURES.iter().for_each(|answer| check(json!({ "rules": [{ "answer": read(answer).expect("JSON") }] })));
        assert_eq!(faulty(7, "same"), faulty(7, "same"));
    }
}
