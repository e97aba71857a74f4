//! What keeps messages from being sent: that they may have been sent before, a pause of their tags, quiet hours, their
//! recipient.

use domain::decision::{self, Progress, Step};
use domain::failure::FailureCode;
use domain::outcome::OnUnknown;
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
    /// Takes in what was claimed. Those that may have been sent are held for proof where the channel says so, and those that pauses of their tags hold wait on, and no try is counted. What is not valid any
    /// more ends: held until then, it would only fall due again.
    pub(super) async fn take_in(&mut self, claimed: Vec<Claimed>, claimed_at: Instant) {
        let now = self.shared.store.now();
        for message in claimed {
            self.count_lapsed(&message);
            let is_unknown = message.maybe_sent && !message.may_repeat;
            let ready = Ready::new(message, claimed_at, false);
            if ready.validity_left(now).is_zero() {
                self.expire(ready).await;
            } else if is_unknown && self.on_unknown == OnUnknown::Hold {
                let until = ready.message.expires_at;
                self.hold_back(ready, until, DueReason::Unknown).await;
            } else if let Some(until) = ready.message.paused_until {
                self.hold_back(ready, until, DueReason::Paused).await;
            } else {
                self.ready.push(ready);
            }
        }
    }

    /// A call that did not begin: the message waits on, and those behind it need not wait for it.
    pub(super) async fn take_back(&mut self, ready: Ready) {
        if ready.is_probe {
            self.gatekeeper.withdraw_probe();
        }
        let next = self.recipients.end(&ready, None, self.shared.store.now());
        self.ready.push_front(next);
        self.give_back(ready).await;
    }

    /// Counts a message whose claim lapsed with the call under way, as far as anybody knows.
    pub(super) fn count_lapsed(&self, message: &Claimed) {
        if message.waited_for == DueReason::Claimed && message.maybe_sent {
            self.shared.metrics.unknown.total.inc();
        }
    }

    /// Counts a message whose outcome became unknown by a call.
    pub(super) fn count_unknown(&self, before: &Progress, step: &Step) {
        let is_unknown = match step {
            Step::Wait { maybe_sent, .. } => *maybe_sent,
            Step::Failed(failure) => failure.code == FailureCode::OutcomeUnknown,
            Step::Sent | Step::NextPart => false,
        };
        if is_unknown && !before.maybe_sent {
            self.shared.metrics.unknown.total.inc();
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
