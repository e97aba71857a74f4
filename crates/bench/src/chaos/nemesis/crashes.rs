//! Replicas that end, or stand still, while many of their calls are under way.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BEFORE, Strike};
use crate::chaos::process::Signal;
use crate::chaos::scenario::{ordinary, rest};
use crate::chaos::verdict::Struck;

/// Answers take so long, so that every replica has calls under way.
const SLOW_MILLIS: u64 = 1_200;
/// Until as many are.
const FILLING: Duration = Duration::from_secs(2);
/// A replica stands still until others have tried again what it had, and are still at it: claims lapse after 30 s.
const STILL: Duration = Duration::from_secs(35);
/// From then on answers take so long: less than a call may.
const SLOW_FROM: Duration = Duration::from_secs(27);
const VERY_SLOW_MILLIS: u64 = 12_000;
/// For its late results to be written.
const LATE: Duration = Duration::from_secs(2);

/// All replicas at once, by `kill -9`: what was under way may have been accepted, and most of it is not valid for long.
pub(crate) async fn kill_all(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let kills = strike.times(1, 20);
    for _ in 0..kills {
        rest(BEFORE).await;
        strike.stage.script(&slow(SLOW_MILLIS)).await?;
        rest(FILLING).await;
        end_all(strike).await?;
        strike.stage.script(&ordinary(0, "same")).await?;
    }
    Ok(Struck::with(kills, json!({ "killsOfAll": kills }), Vec::new()))
}

/// Kills all replicas and starts them again.
pub(super) async fn end_all(strike: &mut Strike<'_>) -> Result<(), String> {
    for replica in &mut strike.stage.replicas {
        replica.kill()?;
    }
    for number in 0..strike.stage.replicas.len() {
        strike.stage.replicas[number].start_again()?;
        strike.stage.replica_ready(number).await?;
    }
    Ok(())
}

/// One stands still with calls under way until others try the same again, and goes on while they do: its results come under
/// claims that were superseded.
pub(crate) async fn outlive_claims(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let pauses = strike.times(1, 10);
    for _ in 0..pauses {
        rest(BEFORE).await;
        strike.stage.script(&slow(SLOW_MILLIS)).await?;
        rest(FILLING).await;
        let number = strike.dice.below(strike.stage.replicas.len());
        strike.stage.replicas[number].signal(Signal::Stop)?;
        strike.stage.script(&ordinary(0, "same")).await?;
        rest(SLOW_FROM).await;
        strike.stage.script(&slow(VERY_SLOW_MILLIS)).await?;
        rest(STILL - SLOW_FROM).await;
        strike.stage.replicas[number].signal(Signal::Continue)?;
        rest(LATE).await;
        strike.stage.script(&ordinary(0, "same")).await?;
    }
    Ok(Struck::with(pauses, json!({ "pauses": pauses }), Vec::new()))
}

fn slow(millis: u64) -> Value {
    json!({ "latencyMillis": millis })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_one_that_the_upstream_takes() {
        for millis in [SLOW_MILLIS, VERY_SLOW_MILLIS] {
            assert!(sandbox::Script::parse(slow(millis).to_string().as_bytes()).is_ok());
        }
    }
}
