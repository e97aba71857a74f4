//! Acts on one message that waits: it is cancelled, held, released, or gets another time.
//!
//! Each is one statement, and its condition on the outbox row decides the race with sending: a claim that came first has
//! changed the row, one that comes later does not find it. A claim that has lapsed counts as sending, too. What was done is
//! noted in the statement that does it, for the message and for the audit. Claims are not counted here: whether a message
//! has ever been claimed is what its status shows.

use domain::again::validity_seconds;
use domain::event::Event;
use domain::failure::{FailureCode, FailureSource};
use domain::id::{ChannelId, MessageId, WorkspaceId};
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::audit::Act;
use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::message::WAITING;
use crate::outbox::lane;
use crate::quiet_hours::ignores_quiet_hours;

/// Looks at a message that changes while it is looked at; then it is being sent.
const LOOKS_MAX: usize = 3;

/// What holds a message that may have been sent.
const UNKNOWN: &str = DueReason::Unknown.as_str();

/// The rule of ours by which a cancelled message keeps that a part of it may have been sent before.
pub(crate) const CANCELLED_UNKNOWN: &str = "cancelled-after-unknown";

/// A message by all that must be right about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The channel it must belong to.
    pub channel: ChannelId,
    /// The message.
    pub message: MessageId,
}

/// What became of an act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Steered {
    /// It is as it was asked to be: by this act, which lets it go from an instant on, or before.
    Done(Option<(Lane, Timestamp)>),
    /// It has begun to be sent, or has ended.
    TooLate,
    /// There is no such message.
    NotFound,
}

/// A message of which nothing has been sent, as it is seen when another time is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsent {
    /// The lane it waits in.
    pub lane: Lane,
    /// The recipient.
    pub recipient: PhoneNumber,
    /// What it is for, as the caller says.
    pub use_case: Option<String>,
    /// Whether it goes in quiet hours, too.
    pub ignores_quiet_hours: bool,
    /// Seconds for which it is valid.
    pub validity_seconds: i64,
    /// Claims so far.
    pub claim: i64,
    /// Until when it waits.
    pub due_at: Timestamp,
    /// What for.
    pub reason: DueReason,
}

/// The other time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewTime {
    /// As it was asked for.
    pub scheduled_for: Timestamp,
    /// End of validity.
    pub expires_at: Timestamp,
    /// May go from this instant on.
    pub due_at: Timestamp,
    /// What it waits for until then.
    pub reason: DueReason,
}

/// Where a message stands when an act did not find what it names.
struct Standing {
    status: Option<Status>,
    waits_for: Option<DueReason>,
    is_claimed: bool,
}

// What was never claimed has sent nothing, also where it is a replay that begins with a later part, or with one of unknown outcome; the
// latter is remembered, as its replay must know it. The channel is checked of the row, here and below, so that the planner cannot walk along all rows of it.
pub(crate) const CANCEL: &str = "-- store.steer.cancel
WITH cancelled AS (
    DELETE FROM outbox WHERE workspace_id = $1 AND message_id = $2 AND (channel_id = $3) IS TRUE
    AND claimed_until IS NULL AND (claim = 0 OR part = 0 AND NOT maybe_sent)
    RETURNING workspace_id, message_id, due_at, due_reason, maybe_sent
), ended AS (
    UPDATE messages m SET status = $4, updated_at = $5, last_status_at = $5,
        failure_code = CASE WHEN c.maybe_sent THEN $10::integer END, failure_source = CASE WHEN c.maybe_sent THEN $11 END,
        failure_source_code = CASE WHEN c.maybe_sent THEN $12 END
    FROM cancelled c WHERE m.workspace_id = c.workspace_id AND m.message_id = c.message_id AND m.status = $6
), told AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, actor)
    SELECT workspace_id, message_id, $5, $7, due_reason, due_at, $8 FROM cancelled
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $8, $9, message_id::text, '' FROM cancelled
)
SELECT message_id FROM cancelled";

// What was sent of it, or may have been, stays so: the rest waits. What is held for proof is held already, and for another
// reason, which it keeps.
const HOLD: &str = "-- store.steer.hold
WITH seen AS MATERIALIZED (
    SELECT workspace_id, message_id, due_at, due_reason FROM outbox
    WHERE workspace_id = $1 AND message_id = $2 AND (channel_id = $3) IS TRUE AND claimed_until IS NULL AND due_reason <> $4 AND due_reason <> $9
    FOR UPDATE
), held AS (
    UPDATE outbox o SET due_at = o.expires_at, due_reason = $4
    FROM seen s WHERE o.workspace_id = s.workspace_id AND o.message_id = s.message_id
    RETURNING o.workspace_id, o.message_id, o.due_at
), told AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until, actor)
    SELECT s.workspace_id, s.message_id, $5, $6, s.due_reason, s.due_at, $4, h.due_at, $7 FROM seen s
    JOIN held h ON h.workspace_id = s.workspace_id AND h.message_id = s.message_id
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $7, $8, message_id::text, '' FROM held
)
SELECT message_id FROM held";

// What is held for proof may be repeated from then on, once. The row is as it is when it is locked, the message as it was when the statement began: their ends of validity differ when the
// message got another time in between.
const RELEASE: &str = "-- store.steer.release
WITH seen AS MATERIALIZED (
    SELECT workspace_id, message_id, due_at, due_reason, expires_at FROM outbox
    WHERE workspace_id = $1 AND message_id = $2 AND (channel_id = $3) IS TRUE AND claimed_until IS NULL AND due_reason IN ($4, $10)
    FOR UPDATE
), released AS (
    UPDATE outbox o SET due_at = greatest($5, m.scheduled_for), due_reason = $9, may_repeat = o.may_repeat OR s.due_reason = $10
    FROM seen s JOIN messages m ON m.workspace_id = s.workspace_id AND m.message_id = s.message_id AND m.expires_at = s.expires_at
    WHERE o.workspace_id = s.workspace_id AND o.message_id = s.message_id
    RETURNING o.workspace_id, o.message_id, o.due_at, o.lane
), told AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until, actor)
    SELECT s.workspace_id, s.message_id, $5, $6, s.due_reason, s.due_at, $9, r.due_at, $7 FROM seen s
    JOIN released r ON r.workspace_id = s.workspace_id AND r.message_id = s.message_id
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $7, $8, message_id::text, '' FROM released
)
SELECT lane, due_at FROM released";

// The row must be as it was when the other time was looked for.
const RESCHEDULE: &str = "-- store.steer.reschedule
WITH planned AS (
    UPDATE outbox SET due_at = $7, due_reason = $8, expires_at = $9
    WHERE workspace_id = $1 AND message_id = $2 AND (channel_id = $3) IS TRUE AND claim = $4 AND due_at = $5 AND due_reason = $6
    AND claimed_until IS NULL AND (claim = 0 OR part = 0 AND NOT maybe_sent)
    RETURNING workspace_id, message_id
), shown AS (
    UPDATE messages m SET scheduled_for = $10, expires_at = $9, updated_at = $11
    FROM planned p WHERE m.workspace_id = p.workspace_id AND m.message_id = p.message_id
), told AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until, actor)
    SELECT workspace_id, message_id, $11, $12, $6, $5, $8, $7, $13 FROM planned
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $13, $14, message_id::text, $15 FROM planned
)
SELECT message_id FROM planned";

const STANDING: &str = "-- store.steer.standing
SELECT m.status, o.due_reason, o.claimed_until IS NOT NULL, m.channel_id FROM unnest($1::uuid[], $2::uuid[]) AS t (workspace_id, message_id)
JOIN messages m ON m.workspace_id = t.workspace_id AND m.message_id = t.message_id
LEFT JOIN outbox o ON o.workspace_id = m.workspace_id AND o.message_id = m.message_id";

const UNSENT: &str = "-- store.steer.unsent
SELECT o.lane, m.recipient, m.use_case, m.options, m.created_at, m.scheduled_for, m.expires_at, o.claim, o.due_at, o.due_reason
FROM unnest($1::uuid[], $2::uuid[]) AS t (workspace_id, message_id)
JOIN outbox o ON o.workspace_id = t.workspace_id AND o.message_id = t.message_id
JOIN messages m ON m.workspace_id = t.workspace_id AND m.message_id = t.message_id
WHERE (o.channel_id = $3) IS TRUE AND o.claimed_until IS NULL AND (o.claim = 0 OR o.part = 0 AND NOT o.maybe_sent)
AND m.recipient IS NOT NULL";

impl Store {
    /// Takes back a message of which nothing has been sent.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn cancel(&self, place: Place, act: &Act<'_>) -> Result<Steered, Error> {
        let (deleted, event) = (Status::Deleted.as_str(), Event::Cancelled.as_str());
        let params: Params<'_> = &[
            &place.workspace.0,
            &place.message.0,
            &place.channel.0,
            &deleted,
            &self.now(),
            &WAITING,
            &event,
            &act.actor,
            &act.name,
            &FailureCode::OutcomeUnknown.number(),
            &FailureSource::Tuma.as_str(),
            &CANCELLED_UNKNOWN,
        ];
        if self.maybe_one(CANCEL, params).await?.is_some() {
            return Ok(Steered::Done(None));
        }
        Ok(match self.standing(place).await? {
            None => Steered::NotFound,
            Some(Standing { status: Some(Status::Deleted), .. }) => Steered::Done(None),
            Some(_) => Steered::TooLate,
        })
    }

    /// Holds a message, or what has not been sent of it, until it is released or its validity ends. One that is held for proof
    /// stays so.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn hold(&self, place: Place, act: &Act<'_>) -> Result<Steered, Error> {
        let (held, event) = (DueReason::Held.as_str(), Event::Held.as_str());
        for _ in 0..LOOKS_MAX {
            let now = self.now();
            let params: Params<'_> = &[
                &place.workspace.0,
                &place.message.0,
                &place.channel.0,
                &held,
                &now,
                &event,
                &act.actor,
                &act.name,
                &UNKNOWN,
            ];
            if self.maybe_one(HOLD, params).await?.is_some() {
                return Ok(Steered::Done(None));
            }
            match self.standing(place).await? {
                None => return Ok(Steered::NotFound),
                Some(Standing { waits_for: Some(DueReason::Held | DueReason::Unknown), .. }) => {
                    return Ok(Steered::Done(None));
                }
                Some(Standing { waits_for: Some(_), is_claimed: false, .. }) => {}
                Some(_) => return Ok(Steered::TooLate),
            }
        }
        Ok(Steered::TooLate)
    }

    /// Lets a held message go, at its own time; nothing happens to one that waits and is not held. One that is held for proof
    /// is repeated under its id, whatever its channel does with what may have been sent.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn release(&self, place: Place, act: &Act<'_>) -> Result<Steered, Error> {
        let (held, event, requested) =
            (DueReason::Held.as_str(), Event::Released.as_str(), DueReason::Requested.as_str());
        for _ in 0..LOOKS_MAX {
            let now = self.now();
            let params: Params<'_> = &[
                &place.workspace.0,
                &place.message.0,
                &place.channel.0,
                &held,
                &now,
                &event,
                &act.actor,
                &act.name,
                &requested,
                &UNKNOWN,
            ];
            if let Some(row) = self.maybe_one(RELEASE, params).await? {
                return Ok(Steered::Done(Some((lane(get(&row, 0)?)?, get(&row, 1)?))));
            }
            match self.standing(place).await? {
                None => return Ok(Steered::NotFound),
                Some(Standing { waits_for: Some(DueReason::Held | DueReason::Unknown), is_claimed: false, .. }) => {}
                Some(Standing { waits_for: Some(_), .. }) => return Ok(Steered::Done(None)),
                Some(Standing { waits_for: None, .. }) => return Ok(Steered::TooLate),
            }
        }
        Ok(Steered::TooLate)
    }

    /// A message of which nothing has been sent; otherwise why there is none.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn unsent(&self, place: Place) -> Result<Result<Unsent, Steered>, Error> {
        let params: Params<'_> = &[&vec![place.workspace.0], &vec![place.message.0], &place.channel.0];
        if let Some(row) = self.maybe_one(UNSENT, params).await? {
            return unsent(&row).map(Ok);
        }
        let is_there = self.standing(place).await?.is_some();
        Ok(Err(if is_there { Steered::TooLate } else { Steered::NotFound }))
    }

    /// Gives a message another time; `false` when it is no longer as it was seen.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn reschedule(
        &self,
        place: Place,
        seen: &Unsent,
        time: &NewTime,
        act: &Act<'_>,
        detail: &str,
    ) -> Result<bool, Error> {
        let event = Event::Rescheduled.as_str();
        let params: Params<'_> = &[
            &place.workspace.0,
            &place.message.0,
            &place.channel.0,
            &seen.claim,
            &seen.due_at,
            &seen.reason.as_str(),
            &time.due_at,
            &time.reason.as_str(),
            &time.expires_at,
            &time.scheduled_for,
            &self.now(),
            &event,
            &act.actor,
            &act.name,
            &detail,
        ];
        Ok(self.maybe_one(RESCHEDULE, params).await?.is_some())
    }

    async fn standing(&self, place: Place) -> Result<Option<Standing>, Error> {
        let found = self.maybe_one(STANDING, &[&vec![place.workspace.0], &vec![place.message.0]]).await?;
        let Some(row) = found else { return Ok(None) };
        if get::<Uuid>(&row, 3)? != place.channel.0 {
            return Ok(None);
        }
        let waits_for = get::<Option<&str>>(&row, 1)?.map(due_reason).transpose()?;
        Ok(Some(Standing { status: Status::from_word(get(&row, 0)?), waits_for, is_claimed: get(&row, 2)? }))
    }
}

fn unsent(row: &Row) -> Result<Unsent, Error> {
    Ok(Unsent {
        lane: lane(get(row, 0)?)?,
        recipient: PhoneNumber::from_stored(get(row, 1)?),
        use_case: get(row, 2)?,
        ignores_quiet_hours: ignores_quiet_hours(get(row, 3)?)?,
        validity_seconds: validity_seconds(get(row, 4)?, get(row, 5)?, get(row, 6)?),
        claim: get(row, 7)?,
        due_at: get(row, 8)?,
        reason: due_reason(get(row, 9)?)?,
    })
}

fn due_reason(word: &str) -> Result<DueReason, Error> {
    DueReason::from_word(word).ok_or_else(|| Error::corrupt(format!("due reason {word}")))
}
