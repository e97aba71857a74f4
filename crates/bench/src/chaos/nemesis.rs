//! What is done to the system, by whom it is done to. Every choice is drawn from the seed of the run.

pub(crate) mod clocks;

pub(crate) mod crashes;

pub(crate) mod crowds;

pub(crate) mod database;

pub(crate) mod limits;

pub(crate) mod poison;

pub(crate) mod quiet;

pub(crate) mod replicas;

pub(crate) mod tenants;

pub(crate) mod upstream;

use std::time::Duration;

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
}

impl Strike<'_> {
    /// Waits between two faults.
    async fn between(&mut self) {
        rest(self.dice.between(BETWEEN.0, BETWEEN.1)).await;
    }
}
