//! Taking rows that are due.
//!
//! A claim is one statement that names the lease it acts under. A claimed row stays in the outbox and falls due again
//! when the claim lapses, so that nothing is lost with the process that took it; a result is settled only under the
//! claim it belongs to. A row that is taken while its former claim was never settled may have been sent.

use std::time::Duration;

use domain::content::Part;
use domain::id::{ChannelId, MessageId, ReplicaId, WorkspaceId};
use domain::message::Lane;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::lease::Lease;

const CLAIMED: &str = DueReason::Claimed.as_str();

/// A message that was taken to be sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Claimed {
    /// The message.
    pub id: MessageId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The lane it waits in.
    pub lane: Lane,
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
    /// What happens then.
    pub event: WakeEvent,
    /// When.
    pub at: Timestamp,
}

/// What is worth looking for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WakeEvent {
    /// The first row of a lane falls due.
    Due(Lane),
    /// The validity of the first row ends.
    Expired,
}

/// How many rows may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Room {
    /// Of each lane, by its index.
    pub lanes: [usize; Lane::ALL.len()],
    /// Of all lanes together; where it is less than their sum, the more urgent ones have it.
    pub total: usize,
}

// The lanes are looked at one by one, so that a lane's rows due later are never walked over.
const CLAIM: &str = "-- store.outbox.claim
WITH due AS MATERIALIZED (
    SELECT o.message_id, o.due_at FROM unnest('{0,1,2}'::smallint[], $6::bigint[]) AS l (lane, room)
    CROSS JOIN LATERAL (
        SELECT message_id, due_at FROM outbox
        WHERE channel_id = $2 AND lane = l.lane AND due_at <= $5
        AND EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND replica_id = $3
            AND epoch = $4 AND expires_at > clock_timestamp())
        ORDER BY due_at, message_id LIMIT l.room FOR UPDATE SKIP LOCKED
    ) o
    WHERE l.room > 0
    ORDER BY l.lane, o.due_at, o.message_id LIMIT $9
), claimed AS (
    UPDATE outbox o SET claim = claim + 1, tries = tries + 1, maybe_sent = maybe_sent OR due_reason = $8, due_at = $7, due_reason = $8
    FROM due WHERE o.workspace_id = $1 AND o.message_id = due.message_id
    RETURNING o.workspace_id, o.message_id, o.claim, o.part, o.tries, o.maybe_sent, o.expires_at, due.due_at, o.lane
)
SELECT c.workspace_id, c.message_id, c.claim, c.part, c.tries, c.maybe_sent, c.expires_at, c.due_at, m.recipient, m.parts, c.lane
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
    RETURNING o.workspace_id, o.message_id, o.claim, o.part, o.tries, o.maybe_sent, o.expires_at, due.due_at, o.lane
)
SELECT c.workspace_id, c.message_id, c.claim, c.part, c.tries, c.maybe_sent, c.expires_at, c.due_at, m.recipient, m.parts, c.lane
FROM claimed c JOIN messages m ON m.workspace_id = c.workspace_id AND m.message_id = c.message_id
ORDER BY c.expires_at, c.message_id";

// A row without a lane tells of an end of validity.
const WAKE_TIMES: &str = "-- store.outbox.wake_times
SELECT c.channel_id, l.lane, f.due_at
FROM unnest($1::uuid[]) AS c (channel_id)
CROSS JOIN unnest('{0,1,2}'::smallint[]) AS l (lane)
CROSS JOIN LATERAL (
    SELECT due_at FROM outbox WHERE channel_id = c.channel_id AND lane = l.lane AND due_at <= $2 ORDER BY due_at LIMIT 1
) f
UNION ALL
SELECT c.channel_id, NULL, e.expires_at
FROM unnest($1::uuid[]) AS c (channel_id)
CROSS JOIN LATERAL (
    SELECT expires_at FROM outbox WHERE channel_id = c.channel_id AND expires_at <= $2 ORDER BY expires_at LIMIT 1
) e";

impl Store {
    /// Takes rows that are due, as far as there is room, under a lease; the claims lapse after a time.
    ///
    /// # Errors
    /// When the database cannot be used; what was taken by a lost answer falls due again when its claim lapses.
    pub async fn claim(
        &self,
        lease: &Lease,
        replica: ReplicaId,
        room: Room,
        lasting: Duration,
    ) -> Result<Vec<Claimed>, Error> {
        let (now, lapses_at) = self.claim_times(lasting);
        let lanes: Vec<i64> = room.lanes.iter().map(|room| i64::try_from(*room).unwrap_or(i64::MAX)).collect();
        let total = i64::try_from(room.total).unwrap_or(i64::MAX);
        let params: Params<'_> = &[
            &lease.workspace.0,
            &lease.channel.0,
            &replica.0,
            &lease.epoch,
            &now,
            &lanes,
            &lapses_at,
            &CLAIMED,
            &total,
        ];
        self.query(CLAIM, params).await?.iter().map(claimed_row).collect()
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
        let (now, lapses_at) = self.claim_times(lasting);
        let params: Params<'_> =
            &[&lease.workspace.0, &lease.channel.0, &replica.0, &lease.epoch, &now, &limit, &lapses_at, &CLAIMED];
        self.query(CLAIM_EXPIRED, params).await?.iter().map(claimed_row).collect()
    }

    /// For each lane of each channel that has a row falling due up to an instant, and for each channel that has one
    /// ending: when.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn wake_times(&self, channels: &[ChannelId], until: Timestamp) -> Result<Vec<WakeTime>, Error> {
        let channels: Vec<Uuid> = channels.iter().map(|id| id.0).collect();
        let rows = self.query(WAKE_TIMES, &[&channels, &until]).await?;
        rows.iter()
            .map(|row| {
                let event = match get::<Option<i16>>(row, 1)? {
                    Some(number) => WakeEvent::Due(lane(number)?),
                    None => WakeEvent::Expired,
                };
                Ok(WakeTime { channel: ChannelId(get(row, 0)?), event, at: get(row, 2)? })
            })
            .collect()
    }

    fn claim_times(&self, lasting: Duration) -> (Timestamp, Timestamp) {
        let now = self.now();
        let lasting = SignedDuration::try_from(lasting).unwrap_or(SignedDuration::MAX);
        (now, now.saturating_add(lasting).unwrap_or(Timestamp::MAX))
    }
}

fn lane(number: i16) -> Result<Lane, Error> {
    Lane::from_number(number).ok_or_else(|| Error::corrupt(format!("lane {number}")))
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
        lane: lane(get(row, 10)?)?,
    })
}
