//! Faults of PostgreSQL and of the way to it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{BEFORE, Strike};
use crate::chaos::clock;
use crate::chaos::facts::database::Rows;
use crate::chaos::proxy::switch::{Fault, Faults};
use crate::chaos::proxy::talk::Act;
use crate::chaos::scenario::rest;
use crate::chaos::verdict::{Later, Struck};

/// Load between two faults: all replicas are back at work.
const HEALTHY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));
/// A killed server stays away for so long.
const DOWN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// Something is acknowledged within this time after the server is back, microseconds (failure model, F10).
const ACCEPTING_WITHIN: i64 = 5_000_000;
/// A hole lasts for so long: beyond tuma's wait for an answer of 5 s.
const HOLE: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(9));
/// Each piece comes so much later (failure model, F16: 200 ms for the way there and back).
const SLOW: Fault = Fault::Latency(Duration::from_millis(100));
/// Share of connections that a hole takes.
const HOLE_SHARE: f64 = 0.4;
/// Answers are lost for so long at the most, or until enough are.
const LOSING: (Duration, Duration) = (Duration::from_secs(12), Duration::from_secs(600));
const LOOK: Duration = Duration::from_millis(500);
/// Share of answers that are lost: enough that most statements are met, few enough that work goes on.
const LOSS: f64 = 0.05;

/// A fast shutdown and a start.
pub(crate) async fn restart(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let restarts = strike.times(2, 50);
    let (mut longest, mut back) = (0.0_f64, Vec::new());
    rest(BEFORE).await;
    for _ in 0..restarts {
        let began = Instant::now();
        strike.stage.cluster.restart().await.map_err(|error| error.to_string())?;
        back.push(clock::now());
        longest = longest.max(began.elapsed().as_secs_f64());
        rest(strike.dice.between(HEALTHY.0, HEALTHY.1)).await;
    }
    let wrong = ended(strike);
    let struck = Struck::with(restarts, json!({ "restarts": restarts, "longestSeconds": longest }), wrong);
    Ok(Struck { later: accepting_after(back), ..struck })
}

/// `kill -9` of the server; it repeats its log at the start.
pub(crate) async fn kill(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let kills = strike.times(2, 50);
    let (mut longest, mut back) = (0.0_f64, Vec::new());
    rest(BEFORE).await;
    for _ in 0..kills {
        let began = Instant::now();
        strike.stage.cluster.kill().await.map_err(|error| error.to_string())?;
        rest(strike.dice.between(DOWN.0, DOWN.1)).await;
        strike.stage.cluster.start_again().await.map_err(|error| error.to_string())?;
        back.push(clock::now());
        longest = longest.max(began.elapsed().as_secs_f64());
        rest(strike.dice.between(HEALTHY.0, HEALTHY.1)).await;
    }
    let wrong = ended(strike);
    let struck = Struck::with(kills, json!({ "kills": kills, "longestSeconds": longest }), wrong);
    Ok(Struck { later: accepting_after(back), ..struck })
}

/// `kill -9` of one backend of tuma's: the server ends all sessions and recovers.
pub(crate) async fn kill_backend(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let kills = strike.times(3, 50);
    let mut struck_at = Vec::new();
    rest(BEFORE).await;
    for _ in 0..kills {
        let rows = Rows::connect(&strike.stage.database_url()).await?;
        let backends = rows.backends().await?;
        let place = strike.dice.below(backends.len());
        let process = backends.get(place).ok_or("tuma has no connection")?;
        strike.stage.cluster.kill_backend(*process).map_err(|error| error.to_string())?;
        // The server's own recovery counts here: when it is over cannot be told from before it began.
        struck_at.push(clock::now());
        rest(strike.dice.between(HEALTHY.0, HEALTHY.1)).await;
    }
    let wrong = ended(strike);
    let struck = Struck::with(kills, json!({ "backendsKilled": kills }), wrong);
    Ok(Struck { later: accepting_after(struck_at), ..struck })
}

/// Commits go through, their answers do not, and the connections end.
pub(crate) async fn lose_commits(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let (time, wanted) = (strike.tier.pick(LOSING.0, LOSING.1), strike.times(100, 1_000));
    rest(BEFORE).await;
    let switch = strike.stage.database_switch.clone();
    let seed = strike.dice.draw();
    switch.turn(Faults { losing: BTreeSet::from(Act::ALL), loss: LOSS, seed, ..Faults::default() });
    let until = Instant::now() + time;
    while Instant::now() < until && switch.lost_answers() < wanted {
        rest(LOOK).await;
    }
    switch.clear();
    let wrong = ended(strike);
    Ok(Struck::with(switch.lost_answers(), switch.told(), wrong))
}

/// Some connections say nothing any more and do not end; then what was said arrives after all.
pub(crate) async fn silence(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let holes = strike.times(3, 30);
    rest(BEFORE).await;
    let switch = strike.stage.database_switch.clone();
    for number in 0..holes {
        let seed = strike.dice.draw();
        let faults = Faults { share: HOLE_SHARE, seed, ..Faults::default() };
        // In turn what is answered (it was done), what is asked (nothing was), and both ways slowly.
        switch.turn(match number % 3 {
            0 => Faults { to_client: Some(Fault::Hole), ..faults },
            1 => Faults { to_server: Some(Fault::Hole), ..faults },
            _ => Faults { to_server: Some(SLOW), to_client: Some(SLOW), ..faults },
        });
        rest(strike.dice.between(HOLE.0, HOLE.1)).await;
        switch.clear();
        rest(strike.dice.between(HEALTHY.0, HEALTHY.1)).await;
    }
    let wrong = ended(strike);
    Ok(Struck::with(switch.strikes(), switch.told(), wrong))
}

/// Every piece comes later, both ways, for longer than it takes tuma to read the database's clock again.
pub(crate) async fn slow_down(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let time = strike.tier.pick(Duration::from_secs(20), Duration::from_secs(300));
    rest(BEFORE).await;
    let switch = strike.stage.database_switch.clone();
    switch.turn(Faults { to_server: Some(SLOW), to_client: Some(SLOW), share: 1.0, ..Faults::default() });
    rest(time).await;
    switch.clear();
    let wrong = ended(strike);
    Ok(Struck::with(switch.strikes(), switch.told(), wrong))
}

/// After each of these instants something is acknowledged soon.
fn accepting_after(instants: Vec<i64>) -> Later {
    Later::ask(move |facts| {
        let accepted = super::room::accepted(facts);
        let first = |from: i64| accepted.get(accepted.partition_point(|at| *at < from)).map(|at| at - from);
        let took: Option<Vec<i64>> = instants.iter().map(|from| first(*from)).collect();
        let slowest = took.map(|took| took.into_iter().max().unwrap_or_default());
        let why = match slowest {
            None => Some("nothing was acknowledged after the last of them".to_owned()),
            Some(slowest) if slowest > ACCEPTING_WITHIN + facts.lag => {
                Some(format!("accepting again after {:.1} s", slowest as f64 / 1e6))
            }
            Some(_) => None,
        };
        let seconds = slowest.map(|slowest| slowest as f64 / 1e6);
        (json!({ "slowestAcceptingSeconds": seconds }), why.into_iter().collect())
    })
}

/// No fault of the database ends a process of tuma.
pub(super) fn ended(strike: &mut Strike<'_>) -> Vec<String> {
    let replicas = strike.stage.replicas.iter_mut().enumerate();
    let ended = replicas.filter_map(|(number, replica)| replica.has_ended().then_some(number));
    ended.map(|number| format!("replica {number} ended")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::facts::Facts;
    use crate::chaos::ledger::Line;

    #[test]
    fn a_server_after_which_nothing_is_acknowledged_for_long_is_found() {
        let check = |accepted: &[i64], expected: &[&str]| {
            let line = |second: &i64| Line::Accepted {
                key: "k".to_owned(),
                at: second * 1_000_000,
                message_id: "m".to_owned(),
            };
            let facts = Facts { ledger: accepted.iter().map(line).collect(), ..Facts::default() };
            let struck = Struck { later: accepting_after(vec![10_000_000, 20_000_000]), ..Struck::default() };
            assert_eq!(struck.ask(&facts).wrong, expected, "{accepted:?}");
        };
        check(&[9, 11, 24], &[]);
        check(&[9, 18, 24], &["accepting again after 8.0 s"]);
        check(&[9, 11], &["nothing was acknowledged after the last of them"]);
    }
}
