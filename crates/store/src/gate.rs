//! Closed gates of channels, kept so that they are seen by all and survive a restart.

use domain::gate::{Gate, GateReason};
use tokio_postgres::Row;

use crate::client::{Store, get};
use crate::error::Error;
use crate::lease::Lease;

const CLOSE: &str = "-- store.gate.close
INSERT INTO channel_gates (workspace_id, channel_id, reason, since, until, closings)
SELECT $1, $2, $3, $4, $5, $6
WHERE EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND epoch = $7)
AND EXISTS (SELECT 1 FROM channels WHERE workspace_id = $1 AND channel_id = $2 AND revision = $8)
ON CONFLICT (workspace_id, channel_id) DO UPDATE
SET reason = excluded.reason, since = excluded.since, until = excluded.until, closings = excluded.closings";

const OPEN: &str = "-- store.gate.open
DELETE FROM channel_gates WHERE workspace_id = $1 AND channel_id = $2
AND EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND epoch = $3)
AND EXISTS (SELECT 1 FROM channels WHERE workspace_id = $1 AND channel_id = $2 AND revision = $4)";

impl Store {
    /// Records the gate of a channel as its owner sees it: closed, or open when `None`. A superseded owner changes nothing.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn set_gate(&self, lease: &Lease, gate: Option<Gate>) -> Result<(), Error> {
        let (workspace, channel) = (lease.workspace.0, lease.channel.0);
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
                    ],
                )
                .await
            }
            None => self.query(OPEN, &[&workspace, &channel, &lease.epoch, &lease.revision]).await,
        }
        .map(drop)
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
