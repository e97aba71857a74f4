//! Closed gates of channels, kept so that they are seen by all and survive a restart.

use domain::gate::{Gate, GateReason};
use domain::id::{ChannelId, ReplicaId, WorkspaceId};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::lease::Lease;

// since is when the gate was open last, reason_since when it closed for its present reason. One that closed again before its
// opening was recorded counts as closed until then.
const CLOSE: &str = "-- store.gate.close
WITH before AS (
    SELECT reason, since, coalesce(reason_since, since) AS reason_since FROM channel_gates
    WHERE workspace_id = $1 AND channel_id = $2
), closed AS (
    INSERT INTO channel_gates AS g (workspace_id, channel_id, reason, since, until, closings, reason_since)
    SELECT $1, $2, $3, $4, $5, $6, $4
    WHERE EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND epoch = $7)
    AND EXISTS (SELECT 1 FROM channels WHERE workspace_id = $1 AND channel_id = $2 AND revision = $8)
    ON CONFLICT (workspace_id, channel_id) DO UPDATE
    SET reason = excluded.reason, since = excluded.since, until = excluded.until, closings = excluded.closings,
        reason_since = CASE WHEN g.since <> excluded.since THEN excluded.since WHEN g.reason <> excluded.reason THEN $9
            ELSE coalesce(g.reason_since, g.since) END
    RETURNING workspace_id, channel_id, reason, since
)
INSERT INTO gate_history (workspace_id, channel_id, since, reason, opened_at)
SELECT c.workspace_id, c.channel_id, b.reason_since, b.reason, CASE WHEN b.since = c.since THEN $9 ELSE c.since END
FROM closed c CROSS JOIN before b
WHERE b.reason <> c.reason OR b.since <> c.since
ON CONFLICT (workspace_id, channel_id, since, reason) DO NOTHING";

const OPEN: &str = "-- store.gate.open
WITH opened AS (
    DELETE FROM channel_gates WHERE workspace_id = $1 AND channel_id = $2
    AND EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND epoch = $3)
    AND EXISTS (SELECT 1 FROM channels WHERE workspace_id = $1 AND channel_id = $2 AND revision = $4)
    RETURNING workspace_id, channel_id, coalesce(reason_since, since) AS since, reason
)
INSERT INTO gate_history (workspace_id, channel_id, since, reason, opened_at)
SELECT workspace_id, channel_id, since, reason, $5 FROM opened
ON CONFLICT (workspace_id, channel_id, since, reason) DO NOTHING";

// One probe at a time and a pause after each, whoever owns the channel: the gate must be due, and is closed again for the probe.
const PROBE: &str = "-- store.gate.probe
UPDATE channel_gates g SET until = $3, closings = $4
WHERE g.workspace_id = $1 AND g.channel_id = $2 AND g.reason = $5 AND g.until <= $6
AND EXISTS (SELECT 1 FROM channel_leases l JOIN replicas r ON r.replica_id = l.replica_id
    WHERE l.workspace_id = $1 AND l.channel_id = $2 AND l.replica_id = $7 AND l.epoch = $8
    AND r.lease_expires_at > clock_timestamp())
AND EXISTS (SELECT 1 FROM channels c WHERE c.workspace_id = $1 AND c.channel_id = $2 AND c.revision = $9)
RETURNING g.channel_id";

const READ: &str = "-- store.gate.read
SELECT reason, since, until, closings FROM channel_gates WHERE workspace_id = $1 AND channel_id = $2";

// No index serves it: it runs a few times a day, over a row a closing.
const FORGET: &str = "-- store.gate.forget
DELETE FROM gate_history h USING (
    SELECT workspace_id, channel_id, since, reason FROM gate_history WHERE opened_at < $1
    ORDER BY workspace_id, channel_id, since, reason LIMIT $2
) o
WHERE h.workspace_id = o.workspace_id AND h.channel_id = o.channel_id AND h.since = o.since AND h.reason = o.reason
RETURNING h.channel_id";

impl Store {
    /// Records the gate of a channel as its owner sees it: closed, or open when `None`. A superseded owner changes nothing. What
    /// was closed before is kept in the history.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn set_gate(&self, lease: &Lease, gate: Option<Gate>) -> Result<(), Error> {
        let (workspace, channel, now) = (lease.workspace.0, lease.channel.0, self.now());
        match gate {
            Some(gate) => {
                let closings = i32::try_from(gate.closings).unwrap_or(i32::MAX);
                let reason = gate.reason.as_str();
                self.query(
                    CLOSE,
                    &[
                        &workspace,
                        &channel,
                        &reason,
                        &gate.since,
                        &gate.until,
                        &closings,
                        &lease.epoch,
                        &lease.revision,
                        &now,
                    ],
                )
                .await
            }
            None => self.query(OPEN, &[&workspace, &channel, &lease.epoch, &lease.revision, &now]).await,
        }
        .map(drop)
    }

    /// Closes a gate that is due for the time of its probe. Only then may the probe's call begin: who takes over meanwhile finds the
    /// gate closed. Answers whether it was; it is not where the owner was superseded, or the gate on record is another.
    ///
    /// # Errors
    /// When the database cannot be used; after an [`Error::Unknown`] the gate may be closed without a probe.
    pub async fn close_for_probe(
        &self,
        lease: &Lease,
        replica: ReplicaId,
        gate: &Gate,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let closings = i32::try_from(gate.closings).unwrap_or(i32::MAX);
        let reason = gate.reason.as_str();
        let params: Params<'_> = &[
            &lease.workspace.0,
            &lease.channel.0,
            &gate.until,
            &closings,
            &reason,
            &now,
            &replica.0,
            &lease.epoch,
            &lease.revision,
        ];
        Ok(self.maybe_one(PROBE, params).await?.is_some())
    }

    /// The gate of a channel, when it is closed.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn channel_gate(&self, workspace: WorkspaceId, channel: ChannelId) -> Result<Option<Gate>, Error> {
        let row = self.maybe_one(READ, &[&workspace.0, &channel.0]).await?;
        row.as_ref().map(|row| gate(row, 0)).transpose()
    }

    /// Forgets up to `limit` gates that opened before an instant; answers how many.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn forget_gates(&self, before: Timestamp, limit: i64) -> Result<usize, Error> {
        Ok(self.query(FORGET, &[&before, &limit]).await?.len())
    }
}

/// The gate in four columns of a row, from this one on.
pub(crate) fn gate(row: &Row, first: usize) -> Result<Gate, Error> {
    let reason: &str = get(row, first)?;
    let closings: i32 = get(row, first + 3)?;
    Ok(Gate {
        reason: GateReason::from_word(reason).ok_or_else(|| Error::corrupt(format!("gate {reason}")))?,
        since: get(row, first + 1)?,
        until: get(row, first + 2)?,
        closings: u32::try_from(closings).map_err(Error::corrupt)?,
    })
}
