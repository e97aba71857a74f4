//! Taking rows that are due.
//!
//! A claim is one statement that names the lease it acts under. A claimed row stays in the outbox and falls due again
//! when the claim lapses, so that nothing is lost with the process that took it; a result is settled only under the
//! claim it belongs to. A row that is taken while its former claim was never settled may have been sent.

use std::time::Duration;

use domain::content::Part;
use domain::id::{ChannelId, MessageId, ReplicaId, WorkspaceId};
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;
use crate::lease::Lease;

/// A message that was taken to be sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Claimed {
    /// The message.
    pub id: MessageId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// Number of this claim; a result names it.
    pub claim: i64,
    /// The recipient.
    pub recipient: PhoneNumber,
    /// All parts.
    pub parts: Vec<Part>,
    /// The part whose turn it is, from 0.
    pub part: usize,
    /// Tries of this part that count, the one to come included.
    pub tries: u16,
    /// Whether this part may have been sent already.
    pub maybe_sent: bool,
    /// End of validity.
    pub expires_at: Timestamp,
    /// The instant it fell due at.
    pub due_at: Timestamp,
}

/// When the owner of a channel should look at it again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WakeTime {
    /// The channel.
    pub channel: ChannelId,
    /// The first row falls due at this instant.
    pub due_at: Option<Timestamp>,
    /// The validity of the first row ends at this instant.
    pub expires_at: Option<Timestamp>,
}

// The lanes are looked at one by one, so that a lane's rows due later are never walked over.
const CLAIM: &str = "-- store.outbox.claim
WITH due AS MATERIALIZED (
    SELECT o.message_id, o.due_at FROM unnest('{0,1,2}'::smallint[]) AS l (lane)
    CROSS JOIN LATERAL (
        SELECT message_id, due_at FROM outbox
        WHERE channel_id = $2 AND lane = l.lane AND due_at <= $5
        AND EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND replica_id = $3
            AND epoch = $4 AND expires_at > clock_timestamp())
        ORDER BY due_at, message_id LIMIT $6 FOR UPDATE SKIP LOCKED
    ) o
    ORDER BY l.lane, o.due_at, o.message_id LIMIT $6
), claimed AS (
    UPDATE outbox o SET claim = claim + 1, tries = tries + 1, maybe_sent = maybe_sent OR due_reason = $8, due_at = $7, due_reason = $8
    FROM due WHERE o.workspace_id = $1 AND o.message_id = due.message_id
    RETURNING o.workspace_id, o.message_id, o.claim, o.part, o.tries, o.maybe_sent, o.expires_at, due.due_at, o.lane
)
SELECT c.workspace_id, c.message_id, c.claim, c.part, c.tries, c.maybe_sent, c.expires_at, c.due_at, m.recipient, m.parts
FROM claimed c JOIN messages m ON m.workspace_id = c.workspace_id AND m.message_id = c.message_id
ORDER BY c.lane, c.due_at, c.message_id";

const CLAIM_EXPIRED: &str = "-- store.outbox.claim_expired
WITH due AS MATERIALIZED (
    SELECT message_id, due_at FROM outbox
    WHERE channel_id = $2 AND expires_at <= $5 AND (due_reason <> $8 OR due_at <= $5)
    AND EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND replica_id = $3
        AND epoch = $4 AND expires_at > clock_timestamp())
    ORDER BY expires_at LIMIT $6 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE outbox o SET claim = claim + 1, maybe_sent = maybe_sent OR due_reason = $8, due_at = $7, due_reason = $8
    FROM due WHERE o.workspace_id = $1 AND o.message_id = due.message_id
    RETURNING o.workspace_id, o.message_id, o.claim, o.part, o.tries, o.maybe_sent, o.expires_at, due.due_at
)
SELECT c.workspace_id, c.message_id, c.claim, c.part, c.tries, c.maybe_sent, c.expires_at, c.due_at, m.recipient, m.parts
FROM claimed c JOIN messages m ON m.workspace_id = c.workspace_id AND m.message_id = c.message_id
ORDER BY c.expires_at, c.message_id";

const WAKE_TIMES: &str = "-- store.outbox.wake_times
SELECT c.channel_id, d.due_at, e.expires_at
FROM unnest($1::uuid[]) AS c (channel_id)
LEFT JOIN LATERAL (
    SELECT min(f.due_at) AS due_at FROM unnest('{0,1,2}'::smallint[]) AS l (lane)
    CROSS JOIN LATERAL (
        SELECT due_at FROM outbox WHERE channel_id = c.channel_id AND lane = l.lane AND due_at <= $2 ORDER BY due_at LIMIT 1
    ) f
) d ON true
LEFT JOIN LATERAL (
    SELECT expires_at FROM outbox WHERE channel_id = c.channel_id AND expires_at <= $2 ORDER BY expires_at LIMIT 1
) e ON true
WHERE d.due_at IS NOT NULL OR e.expires_at IS NOT NULL";

impl Store {
    /// Takes up to `limit` rows that are due, under a lease; the claims lapse after a time.
    ///
    /// # Errors
    /// When the database cannot be used; what was taken by a lost answer falls due again when its claim lapses.
    pub async fn claim(
        &self,
        lease: &Lease,
        replica: ReplicaId,
        limit: i64,
        lasting: Duration,
    ) -> Result<Vec<Claimed>, Error> {
        self.take(CLAIM, lease, replica, limit, lasting).await
    }

    /// Takes up to `limit` rows whose validity is over and that are not being sent.
    ///
    /// # Errors
    /// As [`Store::claim`].
    pub async fn claim_expired(
        &self,
        lease: &Lease,
        replica: ReplicaId,
        limit: i64,
        lasting: Duration,
    ) -> Result<Vec<Claimed>, Error> {
        self.take(CLAIM_EXPIRED, lease, replica, limit, lasting).await
    }

    /// For each channel that has a row falling due or ending up to an instant: when.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn wake_times(&self, channels: &[ChannelId], until: Timestamp) -> Result<Vec<WakeTime>, Error> {
        let channels: Vec<Uuid> = channels.iter().map(|id| id.0).collect();
        let rows = self.query(WAKE_TIMES, &[&channels, &until]).await?;
        rows.iter()
            .map(|row| {
                Ok(WakeTime { channel: ChannelId(get(row, 0)?), due_at: get(row, 1)?, expires_at: get(row, 2)? })
            })
            .collect()
    }

    async fn take(
        &self,
        sql: &'static str,
        lease: &Lease,
        replica: ReplicaId,
        limit: i64,
        lasting: Duration,
    ) -> Result<Vec<Claimed>, Error> {
        let now = self.now();
        let lasting = SignedDuration::try_from(lasting).unwrap_or(SignedDuration::MAX);
        let lapses_at = now.saturating_add(lasting).unwrap_or(Timestamp::MAX);
        let claimed = DueReason::Claimed.as_str();
        let rows = self
            .query(
                sql,
                &[&lease.workspace.0, &lease.channel.0, &replica.0, &lease.epoch, &now, &limit, &lapses_at, &claimed],
            )
            .await?;
        rows.iter().map(claimed_row).collect()
    }
}

fn claimed_row(row: &Row) -> Result<Claimed, Error> {
    let part: i16 = get(row, 3)?;
    let tries: i16 = get(row, 4)?;
    Ok(Claimed {
        workspace: WorkspaceId(get(row, 0)?),
        id: MessageId(get(row, 1)?),
        claim: get(row, 2)?,
        part: usize::try_from(part).map_err(Error::corrupt)?,
        tries: u16::try_from(tries).map_err(Error::corrupt)?,
        maybe_sent: get(row, 5)?,
        expires_at: get(row, 6)?,
        due_at: get(row, 7)?,
        recipient: PhoneNumber::from_stored(get(row, 8)?),
        parts: serde_json::from_str(get(row, 9)?).map_err(Error::corrupt)?,
    })
}
