//! Proof from outside of what became of a part that may have been sent: it was, or it was not.
//!
//! Like acts of operators it concerns rows that no claim holds, and one statement decides the race with sending: what is being
//! sent again meanwhile is settled by its own result. It is noted in the statement that does it.

use domain::event::Event;
use domain::id::{MessageId, WorkspaceId};
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::schedule::DueReason;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::message::WAITING;
use crate::outbox::lane;

/// Waits that the doubt itself is the reason for; what waits for something else goes on waiting.
const OF_DOUBT: &[&str] = &[DueReason::Unknown.as_str(), DueReason::BackOff.as_str()];

/// A part that may have been sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The message.
    pub message: MessageId,
    /// The part, from 0.
    pub part: usize,
}

/// What a proof came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proven {
    /// All parts are sent.
    Sent,
    /// The next part, or this one again, may go from an instant on.
    GoesOn(Lane, Timestamp),
    /// No such part waits in doubt: it was settled otherwise, or is being sent.
    NotInDoubt,
}

const SENT: &str = "-- store.proof.sent
WITH seen AS MATERIALIZED (
    SELECT o.workspace_id, o.message_id, o.due_at, o.due_reason, o.part + 1 >= json_array_length(m.parts::json) AS is_last
    FROM outbox o JOIN messages m ON m.workspace_id = o.workspace_id AND m.message_id = o.message_id
    WHERE o.workspace_id = $1 AND o.message_id = $2 AND o.part = $3 AND o.maybe_sent AND o.claimed_until IS NULL
    FOR UPDATE OF o
), ended AS (
    DELETE FROM outbox o USING seen s
    WHERE s.is_last AND o.workspace_id = s.workspace_id AND o.message_id = s.message_id
    RETURNING o.workspace_id, o.message_id
), kept AS (
    UPDATE outbox o SET part = o.part + 1, tries = 0, maybe_sent = false, may_repeat = false,
        due_at = CASE WHEN o.due_reason = ANY ($6) THEN $5 ELSE o.due_at END,
        due_reason = CASE WHEN o.due_reason = ANY ($6) THEN $7 ELSE o.due_reason END
    FROM seen s WHERE NOT s.is_last AND o.workspace_id = s.workspace_id AND o.message_id = s.message_id
    RETURNING o.workspace_id, o.message_id, o.lane, o.due_at, o.due_reason
), shown AS (
    UPDATE messages m SET platform_references = m.platform_references || $4::text, updated_at = $5,
        status = CASE WHEN s.is_last THEN $8 ELSE m.status END,
        last_status_at = CASE WHEN s.is_last THEN $5 ELSE m.last_status_at END
    FROM seen s WHERE m.workspace_id = s.workspace_id AND m.message_id = s.message_id AND m.status = $9
), told AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until)
    SELECT s.workspace_id, s.message_id, $5, $10, s.due_reason, s.due_at, k.due_reason, k.due_at
    FROM seen s LEFT JOIN kept k ON k.workspace_id = s.workspace_id AND k.message_id = s.message_id
)
SELECT k.lane, k.due_at FROM seen s LEFT JOIN kept k ON k.workspace_id = s.workspace_id AND k.message_id = s.message_id";

const NOT_SENT: &str = "-- store.proof.not_sent
WITH seen AS MATERIALIZED (
    SELECT o.workspace_id, o.message_id, o.due_at, o.due_reason
    FROM outbox o WHERE o.workspace_id = $1 AND o.message_id = $2 AND o.part = $3 AND o.maybe_sent AND o.claimed_until IS NULL
    FOR UPDATE
), freed AS (
    UPDATE outbox o SET maybe_sent = false, may_repeat = false,
        due_at = CASE WHEN o.due_reason = ANY ($5) THEN $4 ELSE o.due_at END,
        due_reason = CASE WHEN o.due_reason = ANY ($5) THEN $6 ELSE o.due_reason END
    FROM seen s WHERE o.workspace_id = s.workspace_id AND o.message_id = s.message_id
    RETURNING o.workspace_id, o.message_id, o.lane, o.due_at, o.due_reason
), told AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until)
    SELECT s.workspace_id, s.message_id, $4, $7, s.due_reason, s.due_at, f.due_reason, f.due_at
    FROM seen s JOIN freed f ON f.workspace_id = s.workspace_id AND f.message_id = s.message_id
)
SELECT lane, due_at FROM freed";

impl Store {
    /// A part that may have been sent was, under WhatsApp's id: the message goes on with its next part, or is sent.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn prove_sent(&self, doubt: Doubt, wa_id: &str) -> Result<Proven, Error> {
        let part = i16::try_from(doubt.part).map_err(Error::corrupt)?;
        let params: Params<'_> = &[
            &doubt.workspace.0,
            &doubt.message.0,
            &part,
            &wa_id,
            &self.now(),
            &OF_DOUBT,
            &DueReason::Requested.as_str(),
            &Status::Sent.as_str(),
            &WAITING,
            &Event::ProvenSent.as_str(),
        ];
        proven(self.maybe_one(SENT, params).await?.as_ref())
    }

    /// A part that may have been sent was not: it is as free to go as before.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn prove_not_sent(&self, doubt: Doubt) -> Result<Proven, Error> {
        let part = i16::try_from(doubt.part).map_err(Error::corrupt)?;
        let params: Params<'_> = &[
            &doubt.workspace.0,
            &doubt.message.0,
            &part,
            &self.now(),
            &OF_DOUBT,
            &DueReason::Requested.as_str(),
            &Event::ProvenNotSent.as_str(),
        ];
        proven(self.maybe_one(NOT_SENT, params).await?.as_ref())
    }
}

fn proven(row: Option<&Row>) -> Result<Proven, Error> {
    let Some(row) = row else { return Ok(Proven::NotInDoubt) };
    let goes_on = get::<Option<i16>>(row, 0)?.zip(get::<Option<Timestamp>>(row, 1)?);
    Ok(match goes_on {
        Some((number, due_at)) => Proven::GoesOn(lane(number)?, due_at),
        None => Proven::Sent,
    })
}
