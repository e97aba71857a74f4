//! The gate of an owned channel: what answers tell of the channel, kept in the database and shown in metrics.

use domain::gate::{Gate, GatePolicy, Health, Signal};
use jiff::Timestamp;
use store::Store;
use store::lease::Lease;
use tokio::time::{Duration, Instant};

use crate::metrics::Metrics;

/// Keeps the gate of one channel.
pub(crate) struct Gatekeeper {
    health: Health,
    metrics: Metrics,
    is_stale: bool,
    record_at: Instant,
}

impl Gatekeeper {
    /// Takes over a gate as it was recorded.
    pub(crate) fn new(gate: Option<Gate>, metrics: Metrics) -> Self {
        let keeper = Self { health: Health::with_gate(gate), metrics, is_stale: false, record_at: Instant::now() };
        keeper.count(1);
        keeper
    }

    /// The gate, when it is closed.
    pub(crate) fn gate(&self) -> Option<Gate> {
        self.health.gate
    }

    /// Takes in what an answer tells, by the rule that was applied to it; answers whether the gate opened.
    pub(crate) fn apply(
        &mut self,
        signal: Signal,
        now: Timestamp,
        policy: &GatePolicy,
        lease: &Lease,
        rule: &str,
    ) -> bool {
        let before = self.health.gate;
        if !self.health.apply(signal, now, policy, rand::random()) {
            return false;
        }
        self.is_stale = true;
        if let Some(gate) = before {
            self.metrics.gates_closed.with_label_values(&[gate.reason.as_str()]).dec();
        }
        self.count(1);
        let channel = lease.channel;
        match self.health.gate {
            Some(gate) => {
                tracing::warn!(%channel, reason = gate.reason.as_str(), until = %gate.until, rule, "the channel's gate is closed");
                false
            }
            None => {
                tracing::info!(%channel, "the channel's gate is open");
                true
            }
        }
    }

    /// Writes the gate down when it has changed; tries again after a pause when it cannot.
    pub(crate) async fn record(&mut self, store: &Store, lease: &Lease, pause: Duration) {
        if !self.is_stale || self.record_at > Instant::now() {
            return;
        }
        match store.set_gate(lease, self.health.gate).await {
            Ok(()) => self.is_stale = false,
            Err(error) => {
                tracing::warn!(%error, channel = %lease.channel, "the gate cannot be recorded");
                self.record_at = Instant::now() + pause;
            }
        }
    }

    fn count(&self, change: i64) {
        if let Some(gate) = self.health.gate {
            self.metrics.gates_closed.with_label_values(&[gate.reason.as_str()]).add(change);
        }
    }
}

impl Drop for Gatekeeper {
    fn drop(&mut self) {
        self.count(-1);
    }
}
