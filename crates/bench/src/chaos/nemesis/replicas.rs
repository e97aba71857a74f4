//! Faults of replicas: killed, stopped, asked to end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{BEFORE, Strike};
use crate::chaos::facts::Facts;
use crate::chaos::ledger::Line;
use crate::chaos::process::Signal;
use crate::chaos::scenario::rest;
use crate::chaos::verdict::{Later, Struck, counted, summed};

/// A killed replica is away for so long.
const AWAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// A replica is stopped for so long: its lease of 12 s is over by then, and it does not know.
const STOPPED: (Duration, Duration) = (Duration::from_secs(13), Duration::from_secs(16));
/// A replica that is asked to end must be gone by then, seconds (failure model, F04).
const END_SECONDS_MAX: f64 = 25.0;

/// `kill -9`, any replica, any time.
pub(crate) async fn kill(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let kills = strike.times(5, 200);
    rest(BEFORE).await;
    for _ in 0..kills {
        let number = strike.dice.below(strike.stage.replicas.len());
        strike.stage.replicas[number].kill()?;
        rest(strike.dice.between(AWAY.0, AWAY.1)).await;
        strike.stage.replicas[number].start_again()?;
        strike.stage.replica_ready(number).await?;
        strike.between().await;
    }
    Ok(Struck::with(kills, json!({ "kills": kills }), Vec::new()))
}

/// Stopped beyond its lease, and let go on.
pub(crate) async fn pause(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let pauses = strike.times(1, 20);
    rest(BEFORE).await;
    for _ in 0..pauses {
        let number = strike.dice.below(strike.stage.replicas.len());
        strike.stage.replicas[number].signal(Signal::Stop)?;
        rest(strike.dice.between(STOPPED.0, STOPPED.1)).await;
        strike.stage.replicas[number].signal(Signal::Continue)?;
        strike.between().await;
    }
    let ended = strike.stage.replicas.iter_mut().any(|replica| replica.has_ended());
    let wrong = if ended { vec!["a replica ended after it had been stopped".to_owned()] } else { Vec::new() };
    Ok(Struck::with(pauses, json!({ "pauses": pauses }), wrong))
}

/// One after the other.
pub(crate) async fn terminate(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let rounds = strike.times(1, 17);
    terminate_all(strike, rounds).await
}

/// A rolling restart behind a balancer: no client may notice.
pub(crate) async fn roll(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let rounds = strike.times(1, 20);
    let mut struck = terminate_all(strike, rounds).await?;
    let given_up = strike.stage.given_up();
    if given_up > 0 {
        struck.wrong.push(format!("the balancer gave {given_up} calls up"));
    }
    struck.later = Later::ask(failed_calls);
    Ok(struck)
}

/// Whether an answer says that the gateway could not do what it was asked to.
fn is_failure(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// Calls of clients that did not get the answer they came for.
fn failed_calls(facts: &Facts) -> (Value, Vec<String>) {
    let (mut failed, mut good) = (Vec::new(), 0);
    for line in &facts.ledger {
        match line {
            Line::Unclear { why, .. } => failed.push(why.clone()),
            Line::Denied { text, .. } => failed.push(text.clone()),
            Line::Refused { status, .. } => failed.push(format!("status {status}")),
            Line::Cancel { status, .. } if is_failure(*status) => failed.push(format!("status {status}")),
            // It may be too late for that, and the answer says so.
            Line::Accepted { .. } | Line::Cancel { .. } => good += 1,
            Line::Offered { .. } | Line::GivenUp { .. } => {}
        }
    }
    let told = json!({ "failedCalls": counted(&failed, good + failed.len()) });
    (told, summed("failed calls", &failed).into_iter().collect())
}

async fn terminate_all(strike: &mut Strike<'_>, rounds: u64) -> Result<Struck, String> {
    let (mut faults, mut longest, mut wrong) = (0, 0.0_f64, Vec::new());
    rest(BEFORE).await;
    for _ in 0..rounds {
        for number in 0..strike.stage.replicas.len() {
            let asked = Instant::now();
            let replica = &mut strike.stage.replicas[number];
            replica.signal(Signal::Terminate)?;
            if !replica.ended().await? {
                wrong.push(format!("replica {number} did not end well"));
            }
            let took = asked.elapsed().as_secs_f64();
            longest = longest.max(took);
            if took > END_SECONDS_MAX {
                wrong.push(format!("replica {number} took {took:.1} s to end"));
            }
            replica.start_again()?;
            strike.stage.replica_ready(number).await?;
            faults += 1;
            strike.between().await;
        }
    }
    Ok(Struck::with(faults, json!({ "terminations": faults, "longestEndSeconds": longest }), wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_a_client_has_to_repeat_has_failed() {
        let check = |line: Line, expected: &[&str]| {
            let accepted = Line::Accepted { key: "k".to_owned(), at: 1, message_id: "m".to_owned() };
            let facts = Facts { ledger: vec![accepted, line], ..Facts::default() };
            assert_eq!(failed_calls(&facts).1, expected);
        };
        let key = || "k".to_owned();
        check(Line::GivenUp { key: key(), at: 1 }, &[]);
        let cut = Line::Unclear { key: key(), at: 1, why: "cut".to_owned(), took: 1 };
        check(cut, &["failed calls: 1 (such as cut)"]);
        let refused = Line::Refused { key: key(), at: 1, status: 401, text: String::new() };
        check(refused, &["failed calls: 1 (such as status 401)"]);
        let denied = Line::Denied { key: key(), at: 1, text: "status 503".to_owned(), took: 1 };
        check(denied, &["failed calls: 1 (such as status 503)"]);
        let cancel = |status| Line::Cancel { key: key(), at: 1, status };
        check(cancel(409), &[]);
        check(cancel(503), &["failed calls: 1 (such as status 503)"]);
    }
}
