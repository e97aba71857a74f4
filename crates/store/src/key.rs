//! Removing deduplication keys of messages that are about to go.
//!
//! Keys are not partitioned and have no index by message: one more would be written with every accept and read once a
//! month. So they are walked once for each month that goes, along their own index, a bounded number of rows at a time.

use domain::id::{MessageId, WorkspaceId};
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;

/// Where a walk over the keys goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyPosition {
    /// Workspace of the last key looked at.
    pub workspace: WorkspaceId,
    /// The last key looked at.
    pub key: String,
}

const REMOVE: &str = "-- store.key.remove
WITH looked AS MATERIALIZED (
    SELECT workspace_id, message_key, message_id FROM message_keys
    WHERE (workspace_id, message_key) > ($1, $2)
    ORDER BY workspace_id, message_key LIMIT $5
), removed AS (
    DELETE FROM message_keys k USING looked l
    WHERE k.workspace_id = l.workspace_id AND k.message_key = l.message_key
    AND l.message_id >= $3 AND l.message_id < $4 AND k.message_id = l.message_id
    RETURNING k.message_id
)
SELECT l.workspace_id, l.message_key, (SELECT count(r.message_id) FROM removed r), (SELECT count(n.message_id) FROM looked n)
FROM looked l ORDER BY l.workspace_id DESC, l.message_key DESC LIMIT 1";

impl Store {
    /// Looks at up to `limit` keys beyond a position and removes those of messages within a range of ids; answers how many
    /// it removed and where to go on, `None` at the end.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn remove_keys(
        &self,
        beyond: Option<&KeyPosition>,
        (low, high): (MessageId, MessageId),
        limit: i64,
    ) -> Result<(i64, Option<KeyPosition>), Error> {
        let workspace = beyond.map_or(Uuid::nil(), |position| position.workspace.0);
        let key = beyond.map_or("", |position| &position.key);
        let Some(row) = self.maybe_one(REMOVE, &[&workspace, &key, &low.0, &high.0, &limit]).await? else {
            return Ok((0, None));
        };
        let position = KeyPosition { workspace: WorkspaceId(get(&row, 0)?), key: get(&row, 1)? };
        let looked: i64 = get(&row, 3)?;
        Ok((get(&row, 2)?, (looked >= limit).then_some(position)))
    }
}
