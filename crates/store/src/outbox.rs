//! Taking rows that are due.
//!
//! A claim is one statement for many channels, which names the lease of each that it acts under. A claimed row stays in the outbox and falls due again
//! when the claim lapses, so that nothing is lost with the process that took it; a result is settled only under the
//! claim it belongs to. A row that is taken while its former claim was never settled may have been sent, unless it is
//! known that its call had not begun (`begin`).

use std::time::Duration;

use domain::content::Part;
use domain::id::{ChannelId, MessageId, ReplicaId, WorkspaceId};
use domain::message::Lane;
use domain::outcome::OnUnknown;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::lease::Lease;
use crate::quiet_hours::ignores_quiet_hours;

const CLAIMED: &str = DueReason::Claimed.as_str();

/// A message that was taken to be sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Claimed {
    /// The message.
    pub id: MessageId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The channel it goes out by.
    pub channel: ChannelId,
    /// The lane it waits in.
    pub lane: Lane,
    /// What it waited for.
    pub waited_for: DueReason,
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
    /// Whether it may be repeated all the same, because somebody let it go knowingly.
    pub may_repeat: bool,
    /// End of validity.
    pub expires_at: Timestamp,
    /// The instant it fell due at.
    pub due_at: Timestamp,
    /// What it is for, as the caller says.
    pub use_case: Option<String>,
    /// Whether it goes in quiet hours, too.
    pub ignores_quiet_hours: bool,
    /// Until when pauses of its tags hold it, or until its validity ends, if they do.
    pub paused_until: Option<Timestamp>,
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
    /// A row of a lane falls due, or its claim lapses.
    Due {
        /// The lane.
        lane: Lane,
        /// The row's due instant.
        due_at: Timestamp,
    },
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

/// What may be taken of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The lease it is taken under.
    pub lease: Lease,
    /// Where to begin in each lane, by its index: rows due before were taken or looked at. What was taken and ended leaves
    /// traces that a look from the beginning walks over, all the more while an old transaction keeps them.
    pub due_from: [Timestamp; Lane::ALL.len()],
    /// How many.
    pub room: Room,
    /// What the channel does with what may have been sent. Where it holds it, the start of a call is noted by
    /// [`Store::begin`]; a claim that lapses before is surely not sent.
    pub on_unknown: OnUnknown,
}

impl Wanted {
    /// The lanes that something may be taken from.
    fn lanes(&self) -> impl Iterator<Item = (&Self, Lane)> {
        Lane::ALL.into_iter().filter(|lane| self.room.lanes[lane.index()] > 0).map(move |lane| (self, lane))
    }
}

// What is paused is asked for here, so that a pause holds from its commit on, not from when the owner hears of it.
// The lanes are looked at one by one, so that a lane's rows due later are never walked over. Rows are updated where they
// were found and locked.
pub(crate) const CLAIM: &str = "-- store.outbox.claim
WITH input AS MATERIALIZED (
    SELECT i.workspace_id, i.channel_id, i.lane, i.due_from, i.room, i.total, i.begins
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[], $5::timestamptz[], $6::bigint[], $7::bigint[], $12::boolean[])
        AS i (workspace_id, channel_id, epoch, lane, due_from, room, total, begins)
    JOIN channel_leases l ON l.workspace_id = i.workspace_id AND l.channel_id = i.channel_id
        AND l.replica_id = $8 AND l.epoch = i.epoch
    JOIN replicas r ON r.replica_id = l.replica_id AND r.lease_expires_at > clock_timestamp()
    WHERE NOT EXISTS (SELECT 1 FROM installation WHERE held_reason IS NOT NULL) AND NOT EXISTS (
        SELECT 1 FROM pauses p WHERE p.workspace_id = i.workspace_id AND p.ended_at IS NULL AND coalesce(p.until, 'infinity') > $9
        AND (p.scope = 'workspace' OR p.channel_id = i.channel_id)
    )
), due AS MATERIALIZED (
    SELECT o.place_in_table, o.workspace_id, o.due_at, o.due_reason, i.total, i.begins,
        row_number() OVER (PARTITION BY i.channel_id ORDER BY i.lane, o.due_at, o.message_id) AS place
    FROM input i CROSS JOIN LATERAL (
        SELECT ctid AS place_in_table, workspace_id, message_id, due_at, due_reason FROM outbox
        WHERE channel_id = i.channel_id AND lane = i.lane AND due_at >= i.due_from AND due_at <= $9
        AND (claimed_until IS NULL OR claimed_until <= $9)
        ORDER BY due_at, message_id LIMIT i.room FOR UPDATE SKIP LOCKED
    ) o
), claimed AS (
    UPDATE outbox o SET claim = claim + 1, tries = least(tries + 1, 32767), maybe_sent = maybe_sent OR o.due_reason = $11 AND o.begun,
        may_repeat = may_repeat AND NOT (o.due_reason = $11 AND o.begun), begun = due.begins, claimed_until = $10, due_reason = $11
    FROM due WHERE o.ctid = due.place_in_table AND o.workspace_id = due.workspace_id AND due.place <= due.total
    RETURNING o.workspace_id, o.message_id, o.channel_id, o.claim, o.part, o.tries, o.maybe_sent, o.expires_at, due.due_at, o.lane,
        due.due_reason, o.may_repeat
)
SELECT c.workspace_id, c.message_id, c.claim, c.part, c.tries, c.maybe_sent, c.expires_at, c.due_at, m.recipient, m.parts, c.lane,
    c.channel_id, c.due_reason, m.use_case, m.options, c.may_repeat, (
        SELECT max(least(p.until, c.expires_at)) FROM pauses p WHERE p.workspace_id = c.workspace_id AND p.ended_at IS NULL
        AND coalesce(p.until, 'infinity') > $9 AND p.tag = ANY (m.tags)
    )
FROM claimed c JOIN messages m ON m.workspace_id = c.workspace_id AND m.message_id = c.message_id
ORDER BY c.channel_id, c.lane, c.due_at, c.message_id";

// No call is made under it.
pub(crate) const CLAIM_EXPIRED: &str = "-- store.outbox.claim_expired
WITH due AS MATERIALIZED (
    SELECT message_id, due_at, due_reason FROM outbox
    WHERE channel_id = $2 AND expires_at <= $5 AND (claimed_until IS NULL OR claimed_until <= $5)
    AND NOT EXISTS (SELECT 1 FROM installation WHERE held_reason IS NOT NULL)
    AND EXISTS (SELECT 1 FROM channel_leases l JOIN replicas r ON r.replica_id = l.replica_id
        WHERE l.workspace_id = $1 AND l.channel_id = $2 AND l.replica_id = $3 AND l.epoch = $4
        AND r.lease_expires_at > clock_timestamp())
    ORDER BY expires_at LIMIT $6 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE outbox o SET claim = claim + 1, maybe_sent = maybe_sent OR o.due_reason = $8 AND o.begun, begun = false, claimed_until = $7,
        due_reason = $8
    FROM due WHERE o.workspace_id = $1 AND o.message_id = due.message_id
    RETURNING o.workspace_id, o.message_id, o.channel_id, o.claim, o.part, o.tries, o.maybe_sent, o.expires_at, due.due_at, o.lane,
        due.due_reason, o.may_repeat
)
SELECT c.workspace_id, c.message_id, c.claim, c.part, c.tries, c.maybe_sent, c.expires_at, c.due_at, m.recipient, m.parts, c.lane,
    c.channel_id, c.due_reason, m.use_case, m.options, c.may_repeat, NULL::timestamptz
FROM claimed c JOIN messages m ON m.workspace_id = c.workspace_id AND m.message_id = c.message_id
ORDER BY c.expires_at, c.message_id";

// A row without a lane tells of an end of validity. What is being sent is no business of anybody's until its claim lapses.
const WAKE_TIMES: &str = "-- store.outbox.wake_times
SELECT i.channel_id, i.lane, f.due_at, greatest(f.due_at, f.claimed_until)
FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[]) AS i (channel_id, lane, due_from)
CROSS JOIN LATERAL (
    SELECT due_at, claimed_until FROM outbox
    WHERE channel_id = i.channel_id AND lane = i.lane AND due_at >= i.due_from AND due_at <= $5
    AND (claimed_until IS NULL OR claimed_until <= $5)
    ORDER BY due_at LIMIT 1
) f
UNION ALL
SELECT c.channel_id, NULL, e.expires_at, greatest(e.expires_at, e.claimed_until)
FROM unnest($4::uuid[]) AS c (channel_id)
CROSS JOIN LATERAL (
    SELECT expires_at, claimed_until FROM outbox
    WHERE channel_id = c.channel_id AND expires_at <= $5 AND (claimed_until IS NULL OR claimed_until <= $5)
    ORDER BY expires_at LIMIT 1
) e";

impl Store {
    /// Takes rows that are due, as far as there is room, each under a lease of this replica; the claims lapse after a time.
    /// Answers them by channel, and within it by lane and due instant.
    ///
    /// # Errors
    /// When the database cannot be used; what was taken by a lost answer falls due again when its claim lapses.
    pub async fn claim(&self, replica: ReplicaId, wanted: &[Wanted], lasting: Duration) -> Result<Vec<Claimed>, Error> {
        let (now, lapses_at) = self.claim_times(lasting);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let rows = || wanted.iter().flat_map(Wanted::lanes);
        let workspaces: Vec<Uuid> = rows().map(|(wanted, _)| wanted.lease.workspace.0).collect();
        let channels: Vec<Uuid> = rows().map(|(wanted, _)| wanted.lease.channel.0).collect();
        let epochs: Vec<i64> = rows().map(|(wanted, _)| wanted.lease.epoch).collect();
        let lanes: Vec<i16> = rows().map(|(_, lane)| lane.number()).collect();
        let due_from: Vec<Timestamp> = rows().map(|(wanted, lane)| wanted.due_from[lane.index()]).collect();
        let rooms: Vec<i64> = rows().map(|(wanted, lane)| count(wanted.room.lanes[lane.index()])).collect();
        let totals: Vec<i64> = rows().map(|(wanted, _)| count(wanted.room.total)).collect();
        let begins: Vec<bool> = rows().map(|(wanted, _)| wanted.on_unknown == OnUnknown::Repeat).collect();
        let params: Params<'_> = &[
            &workspaces,
            &channels,
            &epochs,
            &lanes,
            &due_from,
            &rooms,
            &totals,
            &replica.0,
            &now,
            &lapses_at,
            &CLAIMED,
            &begins,
        ];
        Ok(self.readable(&self.query(CLAIM, params).await?))
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
        Ok(self.readable(&self.query(CLAIM_EXPIRED, params).await?))
    }

    /// For each lane that has a row falling due up to an instant, looking from another instant on, and for each of the
    /// channels that has one ending: when.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn wake_times(
        &self,
        lanes: &[(ChannelId, Lane, Timestamp)],
        channels: &[ChannelId],
        until: Timestamp,
    ) -> Result<Vec<WakeTime>, Error> {
        let of_lanes: Vec<Uuid> = lanes.iter().map(|(channel, _, _)| channel.0).collect();
        let numbers: Vec<i16> = lanes.iter().map(|(_, lane, _)| lane.number()).collect();
        let due_from: Vec<Timestamp> = lanes.iter().map(|(_, _, from)| *from).collect();
        let channels: Vec<Uuid> = channels.iter().map(|id| id.0).collect();
        let rows = self.query(WAKE_TIMES, &[&of_lanes, &numbers, &due_from, &channels, &until]).await?;
        rows.iter()
            .map(|row| {
                let event = match get::<Option<i16>>(row, 1)? {
                    Some(number) => WakeEvent::Due { lane: lane(number)?, due_at: get(row, 2)? },
                    None => WakeEvent::Expired,
                };
                Ok(WakeTime { channel: ChannelId(get(row, 0)?), event, at: get(row, 3)? })
            })
            .collect()
    }

    /// Rows that can be read. One that cannot, as from a newer version, must not take the others along: it is left to who
    /// can read it.
    fn readable(&self, rows: &[Row]) -> Vec<Claimed> {
        let claimed = rows.iter().filter_map(|row| match claimed_row(row) {
            Ok(claimed) => Some(claimed),
            Err(error) => {
                self.metrics.unreadable_rows.inc();
                let message = get::<Uuid>(row, 1).ok();
                tracing::error!(%error, ?message, "a claimed row cannot be read; its claim will lapse");
                None
            }
        });
        claimed.collect()
    }

    fn claim_times(&self, lasting: Duration) -> (Timestamp, Timestamp) {
        let now = self.now();
        let lasting = SignedDuration::try_from(lasting).unwrap_or(SignedDuration::MAX);
        (now, now.saturating_add(lasting).unwrap_or(Timestamp::MAX))
    }
}

pub(crate) fn lane(number: i16) -> Result<Lane, Error> {
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
        channel: ChannelId(get(row, 11)?),
        waited_for: DueReason::from_word(get(row, 12)?).ok_or_else(|| Error::corrupt("due reason"))?,
        use_case: get(row, 13)?,
        ignores_quiet_hours: ignores_quiet_hours(get(row, 14)?)?,
        may_repeat: get(row, 15)?,
        paused_until: get(row, 16)?,
    })
}
