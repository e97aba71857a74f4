//! Faults of replicas: killed, stopped, asked to end.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{BEFORE, Strike};
use crate::chaos::process::Signal;
use crate::chaos::scenario::rest;
use crate::chaos::verdict::Struck;

/// A killed replica is away for so long.
const AWAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// A replica is stopped for so long: its lease of 12 s is over by then, and it does not know.
const STOPPED: (Duration, Duration) = (Duration::from_secs(13), Duration::from_secs(16));
/// A replica that is asked to end must be gone by then, seconds (failure model, F04).
const END_SECONDS_MAX: f64 = 25.0;

/// `kill -9`, any replica, any time.
pub(crate) async fn kill(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let kills = strike.tier.pick(5, 200);
    rest(BEFORE).await;
    for _ in 0..kills {
        let number = strike.dice.below(strike.stage.replicas.len());
        strike.stage.replicas[number].kill()?;
        rest(strike.dice.between(AWAY.0, AWAY.1)).await;
        strike.stage.replicas[number].start_again()?;
        strike.stage.replica_ready(number).await?;
        strike.between().await;
    }
    Ok(Struck { faults: kills, told: json!({ "kills": kills }), wrong: Vec::new() })
}

/// Stopped beyond its lease, and let go on.
pub(crate) async fn pause(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let pauses = strike.tier.pick(1, 20);
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
    Ok(Struck { faults: pauses, told: json!({ "pauses": pauses }), wrong })
}

/// One after the other, as in a rolling restart.
pub(crate) async fn terminate(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let rounds = strike.tier.pick(1, 17);
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
    Ok(Struck { faults, told: json!({ "terminations": faults, "longestEndSeconds": longest }), wrong })
}
