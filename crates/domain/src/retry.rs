//! Pauses between tries: exponential, capped, with full jitter, so that what failed together does not return together.

use std::time::Duration;

/// The shape of a back-off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackOff {
    /// Longest pause after the first failure.
    pub first: Duration,
    /// Longest pause ever.
    pub longest: Duration,
}

impl BackOff {
    /// Upper bound of the pause after the `failures`-th failure in a row (1 is the first): doubles up to the cap.
    #[must_use]
    pub fn bound(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// The pause, anywhere between nothing and the bound. `jitter` is in `0.0..1.0`.
    #[must_use]
    pub fn full_jitter(self, failures: u32, jitter: f64) -> Duration {
        self.bound(failures).mul_f64(jitter.clamp(0.0, 1.0))
    }

    /// The pause, in the upper half of the bound: for probes, which must not come in a burst.
    #[must_use]
    pub fn half_jitter(self, failures: u32, jitter: f64) -> Duration {
        self.bound(failures).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACK_OFF: BackOff = BackOff { first: Duration::from_secs(1), longest: Duration::from_secs(900) };

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let bounds: Vec<u64> = (1..=12).map(|n| BACK_OFF.bound(n).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    }

    proptest! {
        #[test]
        fn a_pause_never_exceeds_its_bound(failures in any::<u32>(), jitter in 0.0..1.0f64) {
            prop_assert!(BACK_OFF.full_jitter(failures, jitter) <= BACK_OFF.bound(failures));
            let half = BACK_OFF.half_jitter(failures, jitter);
            prop_assert!(half <= BACK_OFF.bound(failures) && half >= BACK_OFF.bound(failures) / 2);
        }
    }
}
