//! Repetitions within the channel's budget: when they are planned, and when they are about to go.

use domain::decision::Step;
use domain::provider::Provider;
use domain::schedule::DueReason;
use jiff::Timestamp;

use super::Lane;
use crate::attempt::Ready;

impl<P: Provider> Lane<P> {
    /// Takes the next message out of the queue if it repeats a try and the budget has nothing for it; answers whether it did.
    pub(super) async fn put_off_next(&mut self, now: Timestamp) -> bool {
        let Some(ready) = self.ready.next().filter(|ready| ready.is_repetition() && !ready.is_paid) else {
            return false;
        };
        let Err(place) = self.budget.spend(ready.message.expires_at, now) else {
            ready.is_paid = true;
            return false;
        };
        let Some(ready) = self.ready.remove() else { return false };
        self.shared.metrics.restraint.retries_put_off.inc();
        self.hold_back(ready, place, DueReason::BackOff).await;
        true
    }

    /// Counts a try that ended with a step, and gives a repetition its place.
    pub(super) fn plan_repetition(&mut self, ready: &Ready, step: &Step, now: Timestamp) -> Step {
        let used_no_try = matches!(step, Step::Wait { counted: false, .. });
        if used_no_try && ready.is_paid {
            self.budget.give_back();
        } else if !used_no_try && ready.message.tries <= 1 {
            self.budget.earn(now);
        }
        match step {
            Step::Wait { due_at, reason: DueReason::BackOff, counted: true, maybe_sent } => {
                let place = self.budget.plan(*due_at, ready.message.expires_at, now);
                self.shared.metrics.restraint.retries_put_off.inc_by(u64::from(place > *due_at));
                Step::Wait { due_at: place, reason: DueReason::BackOff, counted: true, maybe_sent: *maybe_sent }
            }
            other @ (Step::Sent | Step::NextPart | Step::Wait { .. } | Step::Failed(_)) => other.clone(),
        }
    }
}
