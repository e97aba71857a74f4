//! Messages that are not sent: their validity is over, or they were tried as often as may be.

use domain::decision::{self, Step};
use domain::provider::Provider;
use domain::schedule::DueReason;
use tokio::time::Instant;

use super::{CLAIM_EXPIRED_MAX, End, Lane};
use crate::attempt::Ready;

impl<P: Provider> Lane<P> {
    pub(super) async fn take_expired(&mut self) {
        if !self.look_for_expired || !self.is_allowed() {
            return;
        }
        self.look_for_expired = false;
        let lasting = self.shared.settings.claim_lasting();
        match self.shared.store.claim_expired(&self.lease, self.shared.replica, CLAIM_EXPIRED_MAX, lasting).await {
            Ok(claimed) => {
                self.look_for_expired = i64::try_from(claimed.len()) == Ok(CLAIM_EXPIRED_MAX);
                let claimed_at = Instant::now();
                for message in claimed {
                    self.count_lapsed(&message);
                    self.expire(Ready::new(message, claimed_at, true)).await;
                }
            }
            Err(error) => tracing::warn!(%error, channel = %self.lease.channel, "expired rows cannot be claimed"),
        }
    }

    pub(super) async fn end(&mut self, ready: Ready, end: End) {
        match end {
            End::GivenBack => self.give_back(ready).await,
            End::Expired => self.expire(ready).await,
            End::WornOut => {
                let failure = decision::worn_out(&ready.progress());
                self.settle(ready, Step::Failed(failure), None).await;
            }
        }
    }

    pub(super) async fn expire(&mut self, mut ready: Ready) {
        // The claim counted a try that was not made.
        if !ready.is_claimed_to_end {
            ready.message.tries = ready.message.tries.saturating_sub(1);
        }
        // What an operator or a pause holds would not have gone through an open gate either.
        let is_held = matches!(ready.message.waited_for, DueReason::Held | DueReason::Paused);
        let gate = self.gatekeeper.gate().filter(|_| !is_held);
        let failure = decision::expired(&ready.progress(), gate.map(|gate| gate.reason));
        self.settle(ready, Step::Failed(failure), None).await;
    }
}
