//! Quiet hours: where they are set, and what they let go.

use domain::id::{ChannelId, WorkspaceId};
use domain::message::Lane;
use domain::options::Options;
use domain::quiet_hours::QuietHours;
use domain::schedule::DueReason;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;

/// What quiet hours let go at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LetGo {
    /// Messages of the lane that fell due at it and have not ended, as far as they were counted.
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

const LET_GO: &str = "-- store.quiet_hours.let_go
SELECT (SELECT count(l.message_id) FROM (
        SELECT message_id FROM outbox WHERE channel_id = $1 AND lane = $2 AND due_at = $3 ORDER BY message_id LIMIT $6
    ) l),
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

    /// What quiet hours let go in a lane at an instant, and is spread until another; no more than `limit` are counted.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn let_go(
        &self,
        channel: ChannelId,
        lane: Lane,
        at: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<LetGo, Error> {
        let reason = DueReason::Released.as_str();
        let row = self.one(LET_GO, &[&channel.0, &lane.number(), &at, &until, &reason, &limit]).await?;
        Ok(LetGo { messages: u64::try_from(get::<i64>(&row, 0)?).map_err(Error::corrupt)?, last: get(&row, 1)? })
    }
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
