//! Erasing a recipient: what their messages say, and their number wherever it stands.
//!
//! A request is a row until nothing is left to do. Messages of the contact that were accepted before it are passed over in
//! bounded batches; each loses number, content, reference, the provider's ids (which WhatsApp makes from the number) and the
//! provider's texts. One that waits is ended first: `deleted` if nothing of it was sent, else `sending_failed` with what is
//! known. One that is being sent is left and met again by the next pass. The row goes after a pass that began well after the request, when what was being accepted then has been
//! stored, and met none under way. Ids, status and times stay, so the contact's id still finds them. A key stays with its
//! fingerprint, which is a hash.

use std::time::Duration;

use domain::failure::{FailureCode, FailureSource};
use domain::id::{ContactId, WorkspaceId};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;
use crate::message::{WAITING, first_id_at};

/// Longer than an accept may take that began before the request.
const ACCEPTS_UNDER_WAY: Duration = Duration::from_secs(60);

/// The rule of ours that ends a message of which something was sent, or may have been.
const ERASED: &str = "erased";

/// What one batch of an erasure came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Erased {
    /// Messages erased, the cancelled ones included.
    pub erased: i64,
    /// Messages that waited, and were ended.
    pub cancelled: i64,
    /// Messages of this pass so far that are being sent.
    pub under_way: i64,
    /// Whether the pass has come to the end.
    pub is_end: bool,
}

const REQUEST: &str = "-- store.erasure.request
WITH requested AS (
    INSERT INTO erasures (workspace_id, contact_id, requested_at, below, looked_at)
    SELECT w.workspace_id, $2, $3, $4, $3 FROM workspaces w WHERE w.workspace_id = $1
    ON CONFLICT (workspace_id, contact_id) DO UPDATE SET requested_at = excluded.requested_at, below = excluded.below,
        reached = excluded.reached, under_way = 0, looked_at = excluded.looked_at
    RETURNING workspace_id, contact_id
), met AS (
    DELETE FROM contacts c USING requested r
    WHERE c.workspace_id = r.workspace_id AND c.contact_id = r.contact_id AND c.created_at <= $3
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $5, $6, contact_id::text, '' FROM requested
)
SELECT contact_id FROM requested";

// What is held may wait for long, so what has begun is ended, too, unless a claim is or may be under way. A row that is being claimed at the same time is
// either taken from the claim or, looked at again under its lock, left to it. The workspace is checked of each row, so that
// the planner cannot walk along all messages of it. A replay that was made while the request came says what the older message said.
const STEP: &str = "-- store.erasure.step
WITH place AS (
    SELECT below, reached FROM erasures WHERE workspace_id = $1 AND contact_id = $2 FOR UPDATE
), looked AS MATERIALIZED (
    SELECT m.message_id, m.status, m.recipient IS NOT NULL AS has_number FROM place p
    CROSS JOIN LATERAL (
        SELECT b.message_id, b.status, b.recipient FROM messages b
        WHERE (b.workspace_id = $1) IS TRUE AND b.contact_id = $2 AND b.message_id > p.reached
        AND (b.message_id < p.below OR b.replay_of < p.below)
        ORDER BY b.message_id LIMIT $3
    ) m
), cancelled AS (
    DELETE FROM outbox o USING looked l
    WHERE o.workspace_id = $1 AND o.message_id = l.message_id
    AND o.claimed_until IS NULL
    RETURNING o.message_id, o.part, o.maybe_sent
), ended AS (
    SELECT c.message_id, CASE WHEN c.maybe_sent THEN $6::integer WHEN c.part > 0 THEN $8::integer END AS failure_code FROM cancelled c
), erased AS (
    UPDATE messages m SET recipient = NULL, body = 'null', template = NULL, parts = '[]', meta = '{}', reference = '',
        options = '{}', reason = '', platform_references = '{}', updated_at = $4,
        failure_code = coalesce(c.failure_code, m.failure_code),
        failure_source = CASE WHEN c.failure_code IS NULL THEN m.failure_source ELSE $9 END,
        failure_source_code = CASE WHEN c.failure_code IS NOT NULL THEN $10 WHEN m.failure_code IS NOT NULL THEN '' END,
        status = CASE WHEN c.message_id IS NULL THEN m.status WHEN c.failure_code IS NULL THEN 'deleted' ELSE 'sending_failed' END,
        last_status_at = CASE WHEN c.message_id IS NULL THEN m.last_status_at ELSE $4 END
    FROM looked l LEFT JOIN ended c ON c.message_id = l.message_id
    WHERE m.workspace_id = $1 AND m.message_id = l.message_id AND l.has_number
    AND (c.message_id IS NOT NULL OR l.status <> $5)
    RETURNING m.message_id
), silenced AS (
    UPDATE attempts a SET detail = '' FROM erased e WHERE a.workspace_id = $1 AND a.message_id = e.message_id AND a.detail <> ''
), counted AS (
    SELECT count(l.message_id) AS looked, (SELECT count(e.message_id) FROM erased e) AS erased,
        (SELECT count(c.message_id) FROM cancelled c) AS cancelled,
        count(l.message_id) FILTER (WHERE l.status = $5) AS waiting
    FROM looked l
), moved AS (
    UPDATE erasures r SET looked_at = $4,
        pass_began_at = CASE WHEN r.reached = $7 THEN $4 ELSE r.pass_began_at END,
        under_way = CASE WHEN r.reached = $7 THEN 0 ELSE r.under_way END + n.waiting - n.cancelled,
        reached = CASE WHEN n.looked < $3 THEN $7 ELSE (SELECT l.message_id FROM looked l ORDER BY l.message_id DESC LIMIT 1) END
    FROM counted n WHERE r.workspace_id = $1 AND r.contact_id = $2
    RETURNING r.under_way, r.reached
)
SELECT n.erased, n.cancelled, v.under_way, v.reached = $7 FROM counted n CROSS JOIN moved v";

const OPEN: &str = "-- store.erasure.open
SELECT workspace_id, contact_id FROM erasures ORDER BY looked_at, workspace_id, contact_id LIMIT $1";

const CLOSE: &str = "-- store.erasure.close
WITH closed AS (
    DELETE FROM erasures
    WHERE reached = $1 AND under_way = 0 AND pass_began_at > requested_at + make_interval(secs => $2)
    RETURNING workspace_id, contact_id, requested_at
), met AS (
    DELETE FROM contacts c USING closed d
    WHERE c.workspace_id = d.workspace_id AND c.contact_id = d.contact_id AND c.created_at <= d.requested_at
)
SELECT contact_id FROM closed";

impl Store {
    /// Notes that a contact is to be erased, and removes the contact; `false` when there is no such workspace. Repeating it
    /// concerns what was accepted since, too.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn request_erasure(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        now: Timestamp,
        act: &Act<'_>,
    ) -> Result<bool, Error> {
        let below = first_id_at(now.checked_add(SignedDuration::from_millis(1)).map_err(Error::corrupt)?);
        let params: crate::client::Params<'_> = &[&workspace.0, &contact.0, &now, &below.0, &act.actor, &act.name];
        Ok(self.maybe_one(REQUEST, params).await?.is_some())
    }

    /// Erases up to `limit` further messages of a contact whose erasure was requested.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn erase(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Erased, Error> {
        let params: crate::client::Params<'_> = &[
            &workspace.0,
            &contact.0,
            &limit,
            &now,
            &WAITING,
            &FailureCode::OutcomeUnknown.number(),
            &Uuid::nil(),
            &FailureCode::ValidityExpired.number(),
            &FailureSource::Tuma.as_str(),
            &ERASED,
        ];
        // Without a row the erasure has come to its end meanwhile.
        let Some(row) = self.maybe_one(STEP, params).await? else {
            return Ok(Erased { is_end: true, ..Erased::default() });
        };
        Ok(Erased { erased: get(&row, 0)?, cancelled: get(&row, 1)?, under_way: get(&row, 2)?, is_end: get(&row, 3)? })
    }

    /// Erasures that have not come to their end, the one looked at longest ago first.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn open_erasures(&self, limit: i64) -> Result<Vec<(WorkspaceId, ContactId)>, Error> {
        let rows = self.query(OPEN, &[&limit]).await?;
        rows.iter().map(|row| Ok((WorkspaceId(get(row, 0)?), ContactId(get(row, 1)?)))).collect()
    }

    /// Forgets erasures that have come to their end; answers how many.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn close_erasures(&self) -> Result<usize, Error> {
        Ok(self.query(CLOSE, &[&Uuid::nil(), &ACCEPTS_UNDER_WAY.as_secs_f64()]).await?.len())
    }
}
