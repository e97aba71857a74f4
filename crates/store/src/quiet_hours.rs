//! Quiet hours: where they are set, what they hold, and how it is planned anew when they change.

use domain::event::Event;
use domain::id::{ChannelId, MessageId, WorkspaceId};
use domain::message::Lane;
use domain::options::Options;
use domain::phone::PhoneNumber;
use domain::quiet_hours::QuietHours;
use domain::schedule::DueReason;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;
use crate::lease::Lease;

/// When a channel's quiet hours changed last, and when what they hold was planned last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Planning {
    /// `None` when they never changed.
    pub changed_at: Option<Timestamp>,
    /// `None` when it never was.
    pub planned_at: Option<Timestamp>,
}

/// A message that quiet hours hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldMessage {
    /// The message.
    pub id: MessageId,
    /// Claims so far; a new plan names it.
    pub claim: i64,
    /// Until when it is held.
    pub due_at: Timestamp,
    /// End of validity.
    pub expires_at: Timestamp,
    /// Requested time.
    pub scheduled_for: Option<Timestamp>,
    /// The recipient.
    pub recipient: PhoneNumber,
    /// What it is for, as the caller says.
    pub use_case: Option<String>,
}

/// Before all rows of a lane.
pub const LANE_START: (Timestamp, MessageId) = (Timestamp::UNIX_EPOCH, MessageId(Uuid::nil()));

/// A look at rows of a lane in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldPage {
    /// Those that are held.
    pub held: Vec<HeldMessage>,
    /// The last row looked at; `None` at the end of the lane.
    pub reached: Option<(Timestamp, MessageId)>,
}

/// Until when a message waits from now on, and for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewPlan {
    /// The message.
    pub message: MessageId,
    /// The claims it was seen with.
    pub claim: i64,
    /// From this instant on it may go.
    pub due_at: Timestamp,
    /// For this reason.
    pub reason: DueReason,
}

/// What quiet hours let go at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LetGo {
    /// Messages of the lane that fell due at it and have not ended.
    pub messages: u64,
    /// When the last one goes of those that have their time already.
    pub last: Option<Timestamp>,
}

const PUT_OF_WORKSPACE: &str = "-- store.quiet_hours.put_of_workspace
WITH changed AS (
    UPDATE workspaces SET quiet_hours = $2, updated_at = clock_timestamp() WHERE workspace_id = $1 RETURNING workspace_id
), told AS (
    UPDATE channels SET revision = revision + 1, holds_changed_at = clock_timestamp()
    WHERE workspace_id = $1 AND quiet_hours IS NULL
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $3, $4, workspace_id::text, $2 FROM changed
)
SELECT workspace_id FROM changed";

const PUT_OF_CHANNEL: &str = "-- store.quiet_hours.put_of_channel
WITH changed AS (
    UPDATE channels SET quiet_hours = $3, revision = revision + 1, holds_changed_at = clock_timestamp(),
        updated_at = clock_timestamp()
    WHERE workspace_id = $1 AND channel_id = $2
    RETURNING workspace_id, channel_id
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $4, $5, channel_id::text, coalesce($3, '') FROM changed
)
SELECT channel_id FROM changed";

// Along the lane's index; what waits for something else is looked at and passed over.
const HELD: &str = "-- store.quiet_hours.held
WITH looked AS MATERIALIZED (
    SELECT workspace_id, message_id, claim, due_at, expires_at, due_reason = $7 AND claimed_until IS NULL AS is_held FROM outbox
    WHERE channel_id = $2 AND lane = $3 AND (due_at, message_id) > ($4, $5)
    ORDER BY due_at, message_id LIMIT $6
)
SELECT l.message_id, l.claim, l.due_at, l.expires_at, m.scheduled_for, m.recipient, m.use_case
FROM looked l
LEFT JOIN messages m ON l.is_held AND m.workspace_id = l.workspace_id AND m.message_id = l.message_id
WHERE l.workspace_id = $1
ORDER BY l.due_at, l.message_id";

const PLAN: &str = "-- store.quiet_hours.plan
WITH held AS MATERIALIZED (
    SELECT o.message_id, o.due_at AS held_until, i.due_at, i.due_reason
    FROM unnest($3::uuid[], $4::bigint[], $5::timestamptz[], $6::text[]) AS i (message_id, claim, due_at, due_reason)
    JOIN outbox o ON o.workspace_id = $1 AND o.message_id = i.message_id AND o.claim = i.claim
    WHERE o.claimed_until IS NULL AND o.due_reason = $7
    AND EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND epoch = $8)
    FOR UPDATE OF o
), planned AS (
    UPDATE outbox o SET due_at = h.due_at, due_reason = h.due_reason FROM held h
    WHERE o.workspace_id = $1 AND o.message_id = h.message_id
    RETURNING o.message_id, h.held_until, h.due_at, h.due_reason
), noted AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until)
    SELECT $1, message_id, $9, $10, $7, held_until, due_reason, due_at FROM planned
    ON CONFLICT (workspace_id, message_id, at, event) DO NOTHING
)
SELECT message_id FROM planned";

const PLANNED: &str = "-- store.quiet_hours.planned
UPDATE channels SET holds_planned_at = $3 WHERE workspace_id = $1 AND channel_id = $2 AND revision = $4";

const LET_GO: &str = "-- store.quiet_hours.let_go
SELECT (SELECT count(message_id) FROM outbox WHERE channel_id = $1 AND lane = $2 AND due_at = $3),
    (SELECT due_at FROM outbox WHERE channel_id = $1 AND lane = $2 AND due_at > $3 AND due_at <= $4 AND due_reason = $5
        ORDER BY due_at DESC LIMIT 1)";

impl Store {
    /// Sets the quiet hours of a workspace; `false` when there is no such workspace.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn put_workspace_quiet_hours(
        &self,
        workspace: WorkspaceId,
        quiet_hours: &QuietHours,
        act: &Act<'_>,
    ) -> Result<bool, Error> {
        let text = serde_json::to_string(quiet_hours).map_err(Error::corrupt)?;
        let changed = self.maybe_one(PUT_OF_WORKSPACE, &[&workspace.0, &text, &act.actor, &act.name]).await?;
        Ok(changed.is_some())
    }

    /// Sets the quiet hours of a channel, or leaves it to those of its workspace; `false` when there is no such channel.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn put_channel_quiet_hours(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        quiet_hours: Option<&QuietHours>,
        act: &Act<'_>,
    ) -> Result<bool, Error> {
        let text = quiet_hours.map(serde_json::to_string).transpose().map_err(Error::corrupt)?;
        let params: crate::client::Params<'_> = &[&workspace.0, &channel.0, &text, &act.actor, &act.name];
        Ok(self.maybe_one(PUT_OF_CHANNEL, params).await?.is_some())
    }

    /// What quiet hours hold among the next `limit` rows of a lane.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn held_by_quiet_hours(
        &self,
        lease: &Lease,
        lane: Lane,
        after: (Timestamp, MessageId),
        limit: i64,
    ) -> Result<HeldPage, Error> {
        let (at, id) = after;
        let reason = DueReason::QuietHours.as_str();
        let params: crate::client::Params<'_> =
            &[&lease.workspace.0, &lease.channel.0, &lane.number(), &at, &id.0, &limit, &reason];
        let rows = self.query(HELD, params).await?;
        let reached = rows.last().map(|row| Ok::<_, Error>((get(row, 2)?, MessageId(get(row, 0)?)))).transpose()?;
        let held = rows.iter().filter_map(|row| held(row).transpose()).collect::<Result<_, _>>()?;
        Ok(HeldPage { held, reached })
    }

    /// Lets held messages wait until other instants; whose claim has changed, and all when the lease is another's, stay as
    /// they are. Answers how many changed.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn plan_anew(&self, lease: &Lease, plans: &[NewPlan]) -> Result<usize, Error> {
        let messages: Vec<Uuid> = plans.iter().map(|plan| plan.message.0).collect();
        let claims: Vec<i64> = plans.iter().map(|plan| plan.claim).collect();
        let due: Vec<Timestamp> = plans.iter().map(|plan| plan.due_at).collect();
        let reasons: Vec<&str> = plans.iter().map(|plan| plan.reason.as_str()).collect();
        let held = DueReason::QuietHours.as_str();
        let (now, event) = (self.now(), Event::Planned.as_str());
        let params: crate::client::Params<'_> = &[
            &lease.workspace.0,
            &lease.channel.0,
            &messages,
            &claims,
            &due,
            &reasons,
            &held,
            &lease.epoch,
            &now,
            &event,
        ];
        Ok(self.query(PLAN, params).await?.len())
    }

    /// Notes that what a channel's quiet hours hold was planned, beginning at an instant.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn note_planned(&self, lease: &Lease, began_at: Timestamp) -> Result<(), Error> {
        let params: crate::client::Params<'_> = &[&lease.workspace.0, &lease.channel.0, &began_at, &lease.revision];
        self.query(PLANNED, params).await.map(drop)
    }

    /// What quiet hours let go in a lane at an instant, and is spread until another.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn let_go(
        &self,
        channel: ChannelId,
        lane: Lane,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<LetGo, Error> {
        let reason = DueReason::Released.as_str();
        let row = self.one(LET_GO, &[&channel.0, &lane.number(), &at, &until, &reason]).await?;
        Ok(LetGo { messages: u64::try_from(get::<i64>(&row, 0)?).map_err(Error::corrupt)?, last: get(&row, 1)? })
    }
}

/// A row that is held, if it is: the others come without their message.
fn held(row: &Row) -> Result<Option<HeldMessage>, Error> {
    let Some(recipient) = get::<Option<String>>(row, 5)? else { return Ok(None) };
    Ok(Some(HeldMessage {
        id: MessageId(get(row, 0)?),
        claim: get(row, 1)?,
        due_at: get(row, 2)?,
        expires_at: get(row, 3)?,
        scheduled_for: get(row, 4)?,
        recipient: PhoneNumber::from_stored(recipient),
        use_case: get(row, 6)?,
    }))
}

/// The quiet hours in a column of a row.
pub(crate) fn quiet_hours(row: &Row, column: usize) -> Result<Option<QuietHours>, Error> {
    let text: Option<&str> = get(row, column)?;
    text.map(serde_json::from_str).transpose().map_err(Error::corrupt)
}

/// Whether a message with these options, as they are stored, goes in quiet hours, too.
pub(crate) fn ignores_quiet_hours(options: &str) -> Result<bool, Error> {
    // Most have none.
    if options == "{}" {
        return Ok(false);
    }
    let options: Options = serde_json::from_str(options).map_err(Error::corrupt)?;
    Ok(options.ignore_quiet_hours)
}
