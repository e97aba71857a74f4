//! Texts of ended messages, removed after the days that their workspace keeps them.
//!
//! Messages are walked once, in order of acceptance, a bounded number at a time; each workspace remembers how far. One
//! that still waits when it is passed is remembered by itself and looked at again until it has ended. Status, times,
//! recipient and reference stay, and so does the key with its fingerprint: a repetition is still known as one.

use domain::id::{MessageId, WorkspaceId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;
use crate::message::WAITING;

/// A workspace that keeps texts longer than it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overdue {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// All of its messages below this one have been looked at.
    pub reached: MessageId,
    /// Messages below this one are to lose their texts.
    pub boundary: MessageId,
}

/// What was done in one batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Removed {
    /// Messages looked at.
    pub looked: i64,
    /// Messages whose texts were removed.
    pub removed: i64,
}

// The boundary is the lowest id that a message accepted so many days ago can have. The furthest behind come first.
const OVERDUE: &str = "-- store.retention.overdue
SELECT w.workspace_id, w.bodies_removed_to, b.boundary FROM workspaces w
CROSS JOIN LATERAL (
    SELECT (lpad(to_hex(floor(extract(epoch FROM $1::timestamptz - make_interval(days => w.body_retention_days)) * 1000)::bigint),
        12, '0') || repeat('0', 20))::uuid AS boundary OFFSET 0
) b
WHERE b.boundary > w.bodies_removed_to AND EXISTS (
    SELECT FROM messages m
    WHERE m.workspace_id = w.workspace_id AND m.message_id > w.bodies_removed_to AND m.message_id < b.boundary)
ORDER BY w.bodies_removed_to, w.workspace_id LIMIT $2";

// No id is exactly the lowest of an instant, so the boundary itself may be passed. Nothing happens when another replica has gone on from the same place.
const REMOVE: &str = "-- store.retention.remove
WITH place AS (
    SELECT workspace_id, bodies_removed_to FROM workspaces WHERE workspace_id = $1 AND bodies_removed_to = $2 FOR NO KEY UPDATE
), looked AS MATERIALIZED (
    SELECT m.message_id, m.status FROM messages m
    WHERE m.workspace_id = $1 AND m.message_id > $2 AND m.message_id < $3 AND EXISTS (SELECT FROM place)
    ORDER BY m.message_id LIMIT $4
), removed AS (
    UPDATE messages m SET body = 'null', template = NULL, parts = '[]', meta = '{}'
    FROM looked l WHERE m.workspace_id = $1 AND m.message_id = l.message_id AND l.status <> $5
    RETURNING m.message_id
), late AS (
    INSERT INTO late_bodies (workspace_id, message_id) SELECT $1, l.message_id FROM looked l WHERE l.status = $5
    ON CONFLICT (workspace_id, message_id) DO NOTHING
), counted AS (
    SELECT count(l.message_id) AS looked FROM looked l
), last AS (
    SELECT l.message_id FROM looked l ORDER BY l.message_id DESC LIMIT 1
), moved AS (
    UPDATE workspaces w SET bodies_removed_to = CASE WHEN c.looked < $4 THEN $3 ELSE (SELECT message_id FROM last) END
    FROM counted c, place p WHERE w.workspace_id = p.workspace_id
)
SELECT c.looked, (SELECT count(r.message_id) FROM removed r) FROM counted c";

const REMOVE_LATE: &str = "-- store.retention.remove_late
WITH looked AS MATERIALIZED (
    SELECT workspace_id, message_id FROM late_bodies WHERE (workspace_id, message_id) > ($1, $2)
    ORDER BY workspace_id, message_id LIMIT $3
), removed AS (
    UPDATE messages m SET body = 'null', template = NULL, parts = '[]', meta = '{}'
    FROM looked l WHERE m.workspace_id = l.workspace_id AND m.message_id = l.message_id AND m.status <> $4
    RETURNING m.workspace_id, m.message_id
), forgotten AS (
    DELETE FROM late_bodies b USING removed r WHERE b.workspace_id = r.workspace_id AND b.message_id = r.message_id
)
SELECT l.workspace_id, l.message_id, (SELECT count(n.message_id) FROM looked n), (SELECT count(r.message_id) FROM removed r)
FROM looked l ORDER BY l.workspace_id DESC, l.message_id DESC LIMIT 1";

impl Store {
    /// Workspaces that have messages older than they keep texts.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn overdue_bodies(&self, now: Timestamp, limit: i64) -> Result<Vec<Overdue>, Error> {
        let rows = self.query(OVERDUE, &[&now, &limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(Overdue {
                    workspace: WorkspaceId(get(row, 0)?),
                    reached: MessageId(get(row, 1)?),
                    boundary: MessageId(get(row, 2)?),
                })
            })
            .collect()
    }

    /// Removes the texts of ended messages among the next `limit` of a workspace.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn remove_bodies(&self, overdue: &Overdue, limit: i64) -> Result<Removed, Error> {
        let params: crate::client::Params<'_> =
            &[&overdue.workspace.0, &overdue.reached.0, &overdue.boundary.0, &limit, &WAITING];
        let row = self.one(REMOVE, params).await?;
        Ok(Removed { looked: get(&row, 0)?, removed: get(&row, 1)? })
    }

    /// Removes the texts of those that have ended among the next `limit` messages that waited when it was their turn;
    /// answers where to go on, `None` at the end.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn remove_late_bodies(
        &self,
        beyond: Option<(WorkspaceId, MessageId)>,
        limit: i64,
    ) -> Result<(Removed, Option<(WorkspaceId, MessageId)>), Error> {
        let (workspace, message) = beyond.map_or((Uuid::nil(), Uuid::nil()), |(workspace, id)| (workspace.0, id.0));
        let Some(row) = self.maybe_one(REMOVE_LATE, &[&workspace, &message, &limit, &WAITING]).await? else {
            return Ok((Removed::default(), None));
        };
        let removed = Removed { looked: get(&row, 2)?, removed: get(&row, 3)? };
        let last = (WorkspaceId(get(&row, 0)?), MessageId(get(&row, 1)?));
        Ok((removed, (removed.looked >= limit).then_some(last)))
    }
}
