//! Chance that repeats: every draw of a run follows from its seed.
//!
//! Each part of a run has its own stream, named by what it decides, so that one part may draw more without shifting the others.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// Constants of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];
/// Bits of a draw that a fraction is made of: as many as it holds exactly.
const FRACTION_BITS: u32 = 53;

/// One stream of draws.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of a seed that decides `what`.
    pub(crate) fn of(seed: u64, what: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(what).finalize();
        Self(digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    /// The next draw.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(MIX[0]);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(MIX[1]);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero where there is none.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw() % bound).unwrap_or_default()
    }

    /// Whether something of this probability happens.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A time between two others.
    pub(crate) fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        shortest + longest.saturating_sub(shortest).mul_f64(self.fraction())
    }

    fn fraction(&mut self) -> f64 {
        (self.draw() >> (u64::BITS - FRACTION_BITS)) as f64 / (1_u64 << FRACTION_BITS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, what: &str) -> Vec<u64> {
        let mut dice = Dice::of(seed, what);
        (0..100).map(|_| dice.draw()).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        assert_eq!(draws(7, "kills"), draws(7, "kills"));
        assert_ne!(draws(7, "kills"), draws(8, "kills"));
        assert_ne!(draws(7, "kills"), draws(7, "orders"));
    }

    #[test]
    fn draws_are_spread_over_their_range() {
        let mut dice = Dice::of(1, "spread");
        let hits = (0..10_000).filter(|_| dice.happens(0.3)).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
        let mut seen = [0; 5];
        (0..1_000).for_each(|_| seen[dice.below(5)] += 1);
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
        let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(2));
        assert!((0..100).all(|_| (shortest..longest).contains(&dice.between(shortest, longest))));
    }
}
