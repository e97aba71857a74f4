//! The gate of an owned channel: what answers tell of the channel, kept in the database and shown in metrics.

use domain::gate::{Gate, GatePolicy, Health, Signal};
use domain::id::ReplicaId;
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
    /// The gate as it was before it was closed for the probe that is under way.
    before_probe: Option<Gate>,
}

impl Gatekeeper {
    /// Takes over a gate as it was recorded.
    pub(crate) fn new(gate: Option<Gate>, metrics: Metrics) -> Self {
        let health = Health::with_gate(gate);
        let keeper = Self { health, metrics, is_stale: false, record_at: Instant::now(), before_probe: None };
        keeper.count(1);
        keeper
    }

    /// The gate, when it is closed.
    pub(crate) fn gate(&self) -> Option<Gate> {
        self.health.gate
    }

    /// Messages a second that a channel may send which may send so many: less for a while after its gate opened.
    pub(crate) fn rate(&self, full: u32, now: Timestamp) -> u32 {
        self.health.rate(full, now)
    }

    /// Takes in what an answer tells, by the rule that was applied to it.
    pub(crate) fn apply(&mut self, signal: Signal, now: Timestamp, policy: &GatePolicy, lease: &Lease, rule: &str) {
        let before = self.health.gate;
        if self.health.apply(signal, now, policy, rand::random()) {
            self.note_change(before, lease, rule);
        }
    }

    /// Closes the gate, on record, for the time of a probe whose call ends within a time from now. Answers whether it was closed:
    /// only then may the call begin.
    pub(crate) async fn begin_probe(
        &mut self,
        store: &Store,
        (lease, replica): (&Lease, ReplicaId),
        call: Duration,
        policy: &GatePolicy,
    ) -> bool {
        let now = store.now();
        let Some(gate) = self.health.probing(now, call, policy, rand::random()).filter(|_| !self.is_stale) else {
            return false;
        };
        match store.close_for_probe(lease, replica, &gate, now).await {
            Ok(true) => {
                self.before_probe = self.health.gate.replace(gate);
                return true;
            }
            // Another gate is on record than is known here, as after an answer that was lost.
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, channel = %lease.channel, "the gate cannot be closed for its probe"),
        }
        self.is_stale = true;
        false
    }

    /// The probe did not begin after all: another one may.
    pub(crate) fn withdraw_probe(&mut self) {
        if let Some(gate) = self.before_probe.take() {
            self.health.gate = Some(gate);
            self.is_stale = true;
        }
    }

    /// Takes in what the probe's answer tells; answers whether the gate opened.
    pub(crate) fn conclude(
        &mut self,
        signal: Signal,
        now: Timestamp,
        policy: &GatePolicy,
        lease: &Lease,
        rule: &str,
    ) -> bool {
        let before = self.health.gate;
        self.before_probe = None;
        self.health.conclude(signal, now, policy, rand::random());
        self.note_change(before, lease, rule);
        self.health.gate.is_none()
    }

    fn note_change(&mut self, before: Option<Gate>, lease: &Lease, rule: &str) {
        self.is_stale = true;
        if let Some(gate) = before {
            self.metrics.gates_closed.with_label_values(&[gate.reason.as_str()]).dec();
        }
        self.count(1);
        let channel = lease.channel;
        match self.health.gate {
            Some(gate) => {
                tracing::warn!(%channel, reason = gate.reason.as_str(), until = %gate.until, rule, "the channel's gate is closed");
            }
            None => tracing::info!(%channel, "the channel's gate is open"),
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
