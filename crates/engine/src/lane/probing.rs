//! The way out of a closed gate: one probe, and then not the full rate at once.

use domain::provider::Provider;

use super::Lane;

impl<P: Provider> Lane<P> {
    /// Goes on at the rate that the gate leaves to the channel.
    pub(super) fn follow_ramp(&mut self) {
        let rate = self.gatekeeper.rate(self.rate, self.shared.store.now());
        self.pace.adapt(rate);
    }

    /// Whether the next message may be sent as far as the gate is concerned. Behind a gate whose time has passed it becomes the
    /// probe, and the gate is closed for it first: whoever owns the channel, there is one at a time.
    pub(super) async fn passes_gate(&mut self) -> bool {
        if self.gatekeeper.gate().is_none() {
            return true;
        }
        let shared = self.shared.clone();
        let settings = &shared.settings;
        // It begins while its claim is fresh, or not at all.
        let call = settings.claim_fresh + settings.call_timeout;
        let owner = (&self.lease, shared.replica);
        if !self.gatekeeper.begin_probe(&shared.store, owner, call, &settings.gate).await {
            return false;
        }
        // The statement may have taken long.
        let (now, is_allowed) = (shared.store.now(), self.is_allowed());
        match self.ready.next().filter(|ready| is_allowed && ready.is_usable(now, settings.claim_fresh)) {
            Some(ready) => {
                ready.is_probe = true;
                true
            }
            None => {
                self.gatekeeper.withdraw_probe();
                false
            }
        }
    }
}
