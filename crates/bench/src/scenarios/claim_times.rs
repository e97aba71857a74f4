//! How long a claim takes: a few rows fall due on a channel, a claim takes them, they are settled; again and again.
//!
//! A claim begins to look where a hint told it to, as the engine's do.

use std::time::{Duration, Instant};

use domain::decision::Step;
use domain::id::{ChannelId, ReplicaId};
use domain::message::Lane;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::lease::{Hold, Lease};
use store::outbox::{Room, Wanted};
use store::settle::Settlement;
use uuid::Uuid;

use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::figures::{milliseconds, quantile_milliseconds, round};

/// Rows that fall due at a time: about as many as a busy gateway finds.
const ROWS: usize = 16;
const ROUNDS: usize = 1_000;
/// Before the first that counts: plans and caches.
const WARM_UP: usize = 100;
/// Outlasts the measurement.
const LASTING: Duration = Duration::from_secs(3600);
/// Numbers of these messages begin here.
const FROM: usize = 800_000_000;

/// Takes claims of one channel's rows as a replica of its own.
pub(super) struct ClaimTimes<'a> {
    bed: &'a Bed,
    replica: ReplicaId,
    lease: Lease,
}

impl<'a> ClaimTimes<'a> {
    /// Takes a channel, which nobody may own.
    pub(super) async fn of(bed: &'a Bed, channel: ChannelId) -> Result<Self, String> {
        let replica = ReplicaId(Uuid::new_v4());
        bed.free_channels().await?;
        let hold = Hold { replica, lasting: LASTING, is_busy: true, unusable: &[], suspects: &[] };
        let held = bed.store.hold_leases(hold).await.map_err(|error| error.to_string())?;
        let lease = held.leases.into_iter().find(|lease| lease.channel == channel);
        Ok(Self { bed, replica, lease: lease.ok_or("the channel is another's")? })
    }

    /// The times of many claims.
    pub(super) async fn take(&self) -> Result<Vec<Duration>, String> {
        let mut times = Vec::with_capacity(ROUNDS);
        for round in 0..WARM_UP + ROUNDS {
            let (from, channels) = (FROM + round * ROWS, &[self.lease.channel]);
            let due = Backlog { channels, lane: Lane::Normal, from, count: ROWS, due_in_seconds: 0.0 };
            let due_from = self.bed.store.now();
            due.put(self.bed, self.bed.tenant.workspace).await?;
            let took = self.claim(due_from).await?;
            if round >= WARM_UP {
                times.push(took);
            }
        }
        Ok(times)
    }

    async fn claim(&self, due_from: Timestamp) -> Result<Duration, String> {
        let room = Room { lanes: [ROWS; Lane::ALL.len()], total: ROWS };
        let on_unknown = domain::outcome::OnUnknown::Repeat;
        let wanted = Wanted { lease: self.lease, due_from: [due_from; Lane::ALL.len()], room, on_unknown };
        let started = Instant::now();
        let claimed = self.bed.store.claim(self.replica, &[wanted], LASTING).await;
        let took = started.elapsed();
        let claimed = claimed.map_err(|error| error.to_string())?;
        if claimed.len() != ROWS {
            return Err(format!("{} rows were claimed, not {ROWS}", claimed.len()));
        }
        let sent: Vec<Settlement> = claimed.iter().map(|claimed| Settlement::of(claimed, Step::Sent, None)).collect();
        self.bed.store.settle(self.replica, &sent).await.map_err(|error| error.to_string())?;
        Ok(took)
    }
}

/// Times beside those of the queue that holds nothing else, and the ratio that has a bar.
pub(super) fn beside(empty: &[Duration], times: Vec<Duration>) -> Value {
    let ratio = round(quantile_milliseconds(&times, 0.99) / quantile_milliseconds(empty, 0.99));
    json!({ "rowsAClaim": ROWS, "ms": milliseconds(times), "p99ToEmpty": ratio, "bar": BAR, "reached": ratio <= BAR })
}

/// The highest ratio of the 99th percentiles.
const BAR: f64 = 1.5;
