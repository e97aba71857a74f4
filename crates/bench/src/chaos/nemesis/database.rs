//! Faults of PostgreSQL and of the way to it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{BEFORE, Strike};
use crate::chaos::facts::database::Rows;
use crate::chaos::proxy::switch::{Fault, Faults};
use crate::chaos::proxy::talk::Act;
use crate::chaos::scenario::rest;
use crate::chaos::verdict::Struck;

/// Load between two faults: all replicas are back at work.
const HEALTHY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));
/// A killed server stays away for so long.
const DOWN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// A hole lasts for so long: beyond tuma's wait for an answer of 5 s.
const HOLE: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(9));
/// Each piece comes so much later (failure model, F16: 200 ms for the way there and back).
const SLOW: Fault = Fault::Latency(Duration::from_millis(100));
/// Share of connections that a hole takes.
const HOLE_SHARE: f64 = 0.4;
/// Share of answers that are lost: enough that most statements are met, few enough that work goes on.
const LOSS: f64 = 0.05;

/// A fast shutdown and a start.
pub(crate) async fn restart(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let restarts = strike.tier.pick(2, 50);
    let mut longest = 0.0_f64;
    rest(BEFORE).await;
    for _ in 0..restarts {
        let began = Instant::now();
        strike.stage.cluster.restart().await.map_err(|error| error.to_string())?;
        longest = longest.max(began.elapsed().as_secs_f64());
        rest(strike.dice.between(HEALTHY.0, HEALTHY.1)).await;
    }
    let wrong = ended(strike);
    Ok(Struck { faults: restarts, told: json!({ "restarts": restarts, "longestSeconds": longest }), wrong })
}

/// `kill -9` of the server; it repeats its log at the start.
pub(crate) async fn kill(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let kills = strike.tier.pick(2, 50);
    let mut longest = 0.0_f64;
    rest(BEFORE).await;
    for _ in 0..kills {
        let began = Instant::now();
        strike.stage.cluster.kill().await.map_err(|error| error.to_string())?;
        rest(strike.dice.between(DOWN.0, DOWN.1)).await;
        strike.stage.cluster.start_again().await.map_err(|error| error.to_string())?;
        longest = longest.max(began.elapsed().as_secs_f64());
        rest(strike.dice.between(HEALTHY.0, HEALTHY.1)).await;
    }
    let wrong = ended(strike);
    Ok(Struck { faults: kills, told: json!({ "kills": kills, "longestSeconds": longest }), wrong })
}

/// `kill -9` of one backend of tuma's: the server ends all sessions and recovers.
pub(crate) async fn kill_backend(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let kills = strike.tier.pick(3, 50);
    rest(BEFORE).await;
    for _ in 0..kills {
        let rows = Rows::connect(&strike.stage.database_url()).await?;
        let backends = rows.backends().await?;
        let place = strike.dice.below(backends.len());
        let process = backends.get(place).ok_or("tuma has no connection")?;
        strike.stage.cluster.kill_backend(*process).map_err(|error| error.to_string())?;
        rest(strike.dice.between(HEALTHY.0, HEALTHY.1)).await;
    }
    let wrong = ended(strike);
    Ok(Struck { faults: kills, told: json!({ "backendsKilled": kills }), wrong })
}

/// Commits go through, their answers do not, and the connections end.
pub(crate) async fn lose_commits(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let time = strike.tier.pick(Duration::from_secs(12), Duration::from_secs(600));
    rest(BEFORE).await;
    let switch = strike.stage.database_proxy.switch.clone();
    let seed = strike.dice.draw();
    switch.turn(Faults { losing: BTreeSet::from(Act::ALL), loss: LOSS, seed, ..Faults::default() });
    rest(time).await;
    switch.clear();
    let wrong = ended(strike);
    Ok(Struck { faults: switch.lost_answers(), told: switch.told(), wrong })
}

/// Some connections say nothing any more and do not end; then what was said arrives after all.
pub(crate) async fn silence(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let holes = strike.tier.pick(3, 30);
    rest(BEFORE).await;
    let switch = strike.stage.database_proxy.switch.clone();
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
    Ok(Struck { faults: switch.strikes(), told: switch.told(), wrong })
}

/// Every piece comes later, both ways, for longer than it takes tuma to read the database's clock again.
pub(crate) async fn slow_down(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let time = strike.tier.pick(Duration::from_secs(20), Duration::from_secs(300));
    rest(BEFORE).await;
    let switch = strike.stage.database_proxy.switch.clone();
    switch.turn(Faults { to_server: Some(SLOW), to_client: Some(SLOW), share: 1.0, ..Faults::default() });
    rest(time).await;
    switch.clear();
    let wrong = ended(strike);
    Ok(Struck { faults: switch.strikes(), told: switch.told(), wrong })
}

/// No fault of the database ends a process of tuma.
fn ended(strike: &mut Strike<'_>) -> Vec<String> {
    let replicas = strike.stage.replicas.iter_mut().enumerate();
    let ended = replicas.filter_map(|(number, replica)| replica.has_ended().then_some(number));
    ended.map(|number| format!("replica {number} ended")).collect()
}
