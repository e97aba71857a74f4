//! What is done to the system, by whom it is done to. Every choice is drawn from the seed of the run.

pub(crate) mod clocks;

pub(crate) mod crashes;

pub(crate) mod crowds;

pub(crate) mod database;

pub(crate) mod isolation;

pub(crate) mod limits;

pub(crate) mod outage;

pub(crate) mod points;

pub(crate) mod poison;

pub(crate) mod quiet;

pub(crate) mod replicas;

pub(crate) mod room;

pub(crate) mod tenants;

pub(crate) mod upstream;

use std::time::Duration;

use super::client::Stop;
use super::dice::Dice;
use super::scenario::{Tier, rest};
use super::stage::Stage;

/// Load before the first fault, so that there is something to lose.
const BEFORE: Duration = Duration::from_secs(2);
/// Between two faults.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

/// A nemesis at work.
pub(crate) struct Strike<'a> {
    pub(crate) stage: &'a mut Stage,
    pub(crate) dice: Dice,
    pub(crate) tier: Tier,
    /// So many faults in place of the tier's number.
    pub(crate) faults: Option<u64>,
    /// Messages a second that are handed in meanwhile.
    pub(crate) rate: f64,
    /// Ends the load.
    pub(crate) load: Stop,
}

impl Strike<'_> {
    /// How many faults of a kind there are.
    fn times(&self, short: u64, long: u64) -> u64 {
        self.faults.unwrap_or_else(|| self.tier.pick(short, long))
    }

    /// Waits between two faults.
    async fn between(&mut self) {
        rest(self.dice.between(BETWEEN.0, BETWEEN.1)).await;
    }
}
