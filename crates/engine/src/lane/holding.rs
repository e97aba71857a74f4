//! What keeps messages from being sent: a pause of their tags, quiet hours, their recipient.

use domain::decision::{self, Step};
use domain::provider::Provider;
use domain::schedule::DueReason;
use jiff::Timestamp;
use store::outbox::Claimed;
use tokio::time::Instant;

use super::Lane;
use crate::attempt::Ready;
use crate::quiet::Hold;
use crate::recipients::Clearance;

impl<P: Provider> Lane<P> {
    /// Takes in what was claimed. Those that pauses of their tags hold wait on, and no try is counted. What is not valid any
    /// more ends: held until then, it would only fall due again.
    pub(super) async fn take_in(&mut self, claimed: Vec<Claimed>, claimed_at: Instant) {
        let now = self.shared.store.now();
        for message in claimed {
            let ready = Ready::new(message, claimed_at, false);
            if ready.validity_left(now).is_zero() {
                self.expire(ready).await;
            } else if let Some(until) = ready.message.paused_until {
                self.hold_back(ready, until, DueReason::Paused).await;
            } else {
                self.ready.push(ready);
            }
        }
    }

    pub(super) async fn hold_back(&mut self, ready: Ready, due_at: Timestamp, reason: DueReason) {
        self.shared.metrics.held_back.with_label_values(&[reason.as_str()]).inc();
        self.wait(ready, due_at, reason).await;
    }

    /// Plans some of what former holds held.
    pub(super) async fn plan_held(&mut self) {
        let now = self.shared.store.now();
        if let Some((lane, due_at)) = self.holds.plan(&self.shared.store, &self.lease, now).await {
            self.looks.tell(lane, due_at, self.instant_of(due_at));
        }
    }

    /// Takes the next message out of the queue if quiet hours keep it; answers whether they do.
    pub(super) async fn hold_next(&mut self, now: Timestamp) -> bool {
        let Some(ready) = self.ready.next() else { return false };
        let Some(hold) = self.holds.quiet.hold(&self.shared.store, &mut ready.message, now).await else { return false };
        let Some(ready) = self.ready.remove() else { return false };
        match hold {
            Hold::Until(due_at, reason) => self.hold_back(ready, due_at, reason).await,
            Hold::Never => {
                let failure = decision::expired_in_quiet_hours(&ready.progress());
                self.settle(ready, Step::Failed(failure), None).await;
            }
        }
        true
    }

    /// Takes the next message out of the queue if its recipient's turn has not come; answers whether it did.
    pub(super) async fn hold_back_next(&mut self, now: Timestamp) -> bool {
        let Some(clearance) = self.ready.next().map(|ready| self.recipients.clear(ready, now)) else { return false };
        if clearance == Clearance::Go {
            return false;
        }
        let Some(ready) = self.ready.remove() else { return false };
        match clearance {
            Clearance::Go => {}
            Clearance::SetAside => self.recipients.set_aside(ready),
            Clearance::Never => self.expire(ready).await,
            Clearance::Wait(due_at, reason) => self.hold_back(ready, due_at, reason).await,
        }
        true
    }
}
