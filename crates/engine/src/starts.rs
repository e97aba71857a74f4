//! How the calls of a channel begin that holds what may have been sent: each start is noted first, and what was looked at
//! before is looked at again afterwards.
//!
//! Notes take differently long. So that calls do not crowd after a slow one, they leave here as evenly as the channel's rate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::limits::RATE_WINDOW;
use store::begin::Beginning;
use tokio::time::Instant;

use crate::attempt::Ready;
use crate::beginner::Beginner;
use crate::licence::Licence;
use crate::settler::Settler;
use crate::shared::Shared;

/// From a call's turn to its start, at the most. Quiet hours, pauses and the gate were looked at when it had its turn; later
/// the message goes back and has another turn.
const START_MAX: Duration = Duration::from_secs(1);

/// Starts of the calls of one channel. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Starts {
    beginner: Beginner,
    settler: Settler,
    licence: Licence,
    claim_fresh: Duration,
    spacing: Arc<Spacing>,
}

impl Starts {
    pub(crate) fn new<P>(shared: &Shared<P>, messages_per_second: u32) -> Self {
        Self {
            beginner: shared.beginner.clone(),
            settler: shared.settler.clone(),
            licence: shared.licence.clone(),
            claim_fresh: shared.settings.claim_fresh,
            spacing: Arc::new(Spacing::new(messages_per_second)),
        }
    }

    /// Notes that the call of a message begins, and waits until it may; `false` when it must not begin.
    pub(crate) async fn begin(&self, ready: &Ready) -> bool {
        let turn_at = Instant::now();
        if !self.beginner.begin(Beginning::of(&ready.message)).await {
            return false;
        }
        let starts_at = self.spacing.take(Instant::now());
        if starts_at.duration_since(turn_at) > START_MAX {
            return false;
        }
        tokio::time::sleep_until(starts_at).await;
        let is_fresh = ready.claimed_at.elapsed() <= self.claim_fresh && turn_at.elapsed() <= START_MAX;
        is_fresh && self.licence.holds() && self.settler.is_recording()
    }
}

/// Evenly spaced instants.
#[derive(Debug)]
struct Spacing {
    apart: Duration,
    next: Mutex<Instant>,
}

impl Spacing {
    fn new(messages_per_second: u32) -> Self {
        Self { apart: RATE_WINDOW / messages_per_second.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Takes the next instant that is free.
    fn take(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = now.max(*next);
        *next = taken + self.apart;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_that_come_together_are_spaced_and_late_ones_are_not_made_up_for() {
        let spacing = Spacing::new(80);
        let start = Instant::now() + Duration::from_secs(1);
        // In hundredths of what they are apart.
        let at = |hundredths: u32| start + spacing.apart * hundredths / 100;
        for (asked, taken) in [(0, 0), (0, 100), (150, 200), (800, 800), (800, 900)] {
            assert_eq!(spacing.take(at(asked)), at(taken));
        }
    }
}
