//! Tags of a workspace, with how many messages were accepted under each.

use domain::id::WorkspaceId;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::client::{Store, get};
use crate::error::Error;

/// Sorts after every tag, which is made of letters, digits, spaces, `-` and `_`.
const AFTER_ALL: &str = "~";

/// A tag that messages were accepted with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagUse {
    /// The tag.
    pub tag: String,
    /// Messages accepted with it.
    pub messages: i64,
    /// First used at.
    pub created_at: Timestamp,
    /// Last used at.
    pub last_used_at: Timestamp,
}

const LIST: &str = "-- store.tag.list
SELECT tag, sum(messages)::bigint, min(created_at), max(last_used_at)
FROM tags WHERE workspace_id = $1 AND tag > $2 GROUP BY tag ORDER BY tag LIMIT $3";

const LIST_BACKWARDS: &str = "-- store.tag.list_backwards
SELECT tag, sum(messages)::bigint, min(created_at), max(last_used_at)
FROM tags WHERE workspace_id = $1 AND tag < $2 GROUP BY tag ORDER BY tag DESC LIMIT $3";

impl Store {
    /// Tags of a workspace after one (or from the first), in order.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn tags(&self, workspace: WorkspaceId, after: Option<&str>, limit: i64) -> Result<Vec<TagUse>, Error> {
        let after = after.unwrap_or_default();
        self.query(LIST, &[&workspace.0, &after, &limit]).await?.iter().map(tag_use).collect()
    }

    /// Tags of a workspace before one (or from the last), in reverse order.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn tags_backwards(
        &self,
        workspace: WorkspaceId,
        before: Option<&str>,
        limit: i64,
    ) -> Result<Vec<TagUse>, Error> {
        let before = before.unwrap_or(AFTER_ALL);
        self.query(LIST_BACKWARDS, &[&workspace.0, &before, &limit]).await?.iter().map(tag_use).collect()
    }
}

fn tag_use(row: &Row) -> Result<TagUse, Error> {
    Ok(TagUse { tag: get(row, 0)?, messages: get(row, 1)?, created_at: get(row, 2)?, last_used_at: get(row, 3)? })
}
