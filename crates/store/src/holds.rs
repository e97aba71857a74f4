//! What quiet hours and pauses hold, and how it is planned anew when they change.

use domain::event::Event;
use domain::id::MessageId;
use domain::message::Lane;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::lease::Lease;
use crate::quiet_hours::ignores_quiet_hours;

/// What is planned anew when the settings that hold it change.
const PLANNED_ANEW: &[&str] = &[DueReason::QuietHours.as_str(), DueReason::Paused.as_str()];

/// When what holds a channel's messages changed last, and when what it holds was planned last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Planning {
    /// `None` when it never changed.
    pub changed_at: Option<Timestamp>,
    /// `None` when it never was.
    pub planned_at: Option<Timestamp>,
}

/// A message that quiet hours or a pause hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldMessage {
    /// The message.
    pub id: MessageId,
    /// Claims so far; a new plan names it.
    pub claim: i64,
    /// Until when it is held.
    pub due_at: Timestamp,
    /// By what.
    pub reason: DueReason,
    /// End of validity.
    pub expires_at: Timestamp,
    /// Requested time.
    pub scheduled_for: Option<Timestamp>,
    /// The recipient.
    pub recipient: PhoneNumber,
    /// What it is for, as the caller says.
    pub use_case: Option<String>,
    /// Whether it goes in quiet hours, too.
    pub ignores_quiet_hours: bool,
    /// Tags.
    pub tags: Vec<String>,
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
    /// The end of validity it was seen with: another one means that it got another time meanwhile.
    pub expires_at: Timestamp,
    /// From this instant on it may go.
    pub due_at: Timestamp,
    /// For this reason.
    pub reason: DueReason,
}

// Along the lane's index; what waits for something else is looked at and passed over.
const HELD: &str = "-- store.holds.held
WITH looked AS MATERIALIZED (
    SELECT workspace_id, message_id, claim, due_at, expires_at, due_reason, due_reason = ANY ($7) AND claimed_until IS NULL AS is_held FROM outbox
    WHERE channel_id = $2 AND lane = $3 AND (due_at, message_id) > ($4, $5)
    ORDER BY due_at, message_id LIMIT $6
)
SELECT l.message_id, l.claim, l.due_at, l.expires_at, m.scheduled_for, m.recipient, m.use_case,
    m.tags, l.due_reason, m.options
FROM looked l
LEFT JOIN messages m ON l.is_held AND m.workspace_id = l.workspace_id AND m.message_id = l.message_id
WHERE l.workspace_id = $1
ORDER BY l.due_at, l.message_id";

const PLAN: &str = "-- store.holds.plan
WITH held AS MATERIALIZED (
    SELECT o.message_id, o.due_at AS held_until, o.due_reason AS held_by, i.due_at, i.due_reason
    FROM unnest($3::uuid[], $4::bigint[], $5::timestamptz[], $6::text[], $9::timestamptz[])
        AS i (message_id, claim, due_at, due_reason, expires_at)
    JOIN outbox o ON o.workspace_id = $1 AND o.message_id = i.message_id AND o.claim = i.claim
    WHERE o.claimed_until IS NULL AND o.due_reason = ANY ($7) AND o.expires_at = i.expires_at
    AND EXISTS (SELECT 1 FROM channel_leases WHERE workspace_id = $1 AND channel_id = $2 AND epoch = $8)
    FOR UPDATE OF o
), planned AS (
    UPDATE outbox o SET due_at = h.due_at, due_reason = h.due_reason FROM held h
    WHERE o.workspace_id = $1 AND o.message_id = h.message_id
    RETURNING o.message_id, h.held_until, h.held_by, h.due_at, h.due_reason
), noted AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until)
    SELECT $1, message_id, $10, $11, held_by, held_until, due_reason, due_at FROM planned
    ON CONFLICT (workspace_id, message_id, at, event) DO NOTHING
)
SELECT message_id FROM planned";

const PLANNED: &str = "-- store.holds.planned
UPDATE channels SET holds_planned_at = $3 WHERE workspace_id = $1 AND channel_id = $2 AND revision = $4";

impl Store {
    /// What quiet hours and pauses hold among the next `limit` rows of a lane. What an operator holds is not among them.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn held(
        &self,
        lease: &Lease,
        lane: Lane,
        after: (Timestamp, MessageId),
        limit: i64,
    ) -> Result<HeldPage, Error> {
        let (at, id) = after;
        let params: Params<'_> =
            &[&lease.workspace.0, &lease.channel.0, &lane.number(), &at, &id.0, &limit, &PLANNED_ANEW];
        let rows = self.query(HELD, params).await?;
        let reached = rows.last().map(|row| Ok::<_, Error>((get(row, 2)?, MessageId(get(row, 0)?)))).transpose()?;
        let held = rows.iter().filter_map(|row| held_message(row).transpose()).collect::<Result<_, _>>()?;
        Ok(HeldPage { held, reached })
    }

    /// Lets held messages wait until other instants; whose claim or validity has changed, and all when the lease is another's, stay as
    /// they are. Answers how many changed.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn plan_anew(&self, lease: &Lease, plans: &[NewPlan]) -> Result<usize, Error> {
        let messages: Vec<Uuid> = plans.iter().map(|plan| plan.message.0).collect();
        let claims: Vec<i64> = plans.iter().map(|plan| plan.claim).collect();
        let due: Vec<Timestamp> = plans.iter().map(|plan| plan.due_at).collect();
        let reasons: Vec<&str> = plans.iter().map(|plan| plan.reason.as_str()).collect();
        let expires: Vec<Timestamp> = plans.iter().map(|plan| plan.expires_at).collect();
        let params: Params<'_> = &[
            &lease.workspace.0,
            &lease.channel.0,
            &messages,
            &claims,
            &due,
            &reasons,
            &PLANNED_ANEW,
            &lease.epoch,
            &expires,
            &self.now(),
            &Event::Planned.as_str(),
        ];
        Ok(self.query(PLAN, params).await?.len())
    }

    /// Notes that what holds a channel's messages was planned, beginning at an instant.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn note_planned(&self, lease: &Lease, began_at: Timestamp) -> Result<(), Error> {
        let params: Params<'_> = &[&lease.workspace.0, &lease.channel.0, &began_at, &lease.revision];
        self.query(PLANNED, params).await.map(drop)
    }
}

/// A row that is held, if it is: the others come without their message.
fn held_message(row: &Row) -> Result<Option<HeldMessage>, Error> {
    let Some(recipient) = get::<Option<String>>(row, 5)? else { return Ok(None) };
    Ok(Some(HeldMessage {
        id: MessageId(get(row, 0)?),
        claim: get(row, 1)?,
        due_at: get(row, 2)?,
        expires_at: get(row, 3)?,
        scheduled_for: get(row, 4)?,
        recipient: PhoneNumber::from_stored(recipient),
        use_case: get(row, 6)?,
        ignores_quiet_hours: ignores_quiet_hours(get(row, 9)?)?,
        tags: get(row, 7)?,
        reason: DueReason::from_word(get(row, 8)?).ok_or_else(|| Error::corrupt("due reason"))?,
    }))
}
