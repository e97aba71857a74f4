//! Pauses: made, ended, and which are open.
//!
//! A pause whose time has come is over by itself; its row is not written for that. The channels that a pause concerns get a
//! new revision in the statement that makes or ends it, so that their owners learn of it. What a tag's pauses hold is planned
//! anew then; those of a workspace or a channel hold no row, so there is nothing to plan.

use domain::id::{ChannelId, PauseId, WorkspaceId};
use domain::limits::PAUSES_MAX;
use domain::message::Tag;
use domain::pause::{Pause, PauseScope};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::audit::Act;
use crate::client::{Params, Store, get};
use crate::error::Error;

/// A pause, open or over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PauseRecord {
    /// The pause.
    pub pause: Pause,
    /// Since when it is over, if it is: it was ended, or its time has come.
    pub ended_at: Option<Timestamp>,
    /// Who ended it, if somebody did.
    pub ended_by: Option<String>,
}

/// What became of a new pause.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Creation {
    /// It holds; these channels were told.
    Made(Vec<ChannelId>),
    /// Its channel is none of its workspace.
    NoChannel,
    /// As many are open as may be.
    TooMany,
}

/// What became of a pause that was to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// As it stands now.
    pub record: PauseRecord,
    /// Channels that were told; none when it was over already.
    pub channels: Vec<ChannelId>,
}

// Those that are made at the same moment do not count each other: there may be a few more than the bound, which is one for
// looks, not for space.
const CREATE: &str = "-- store.pause.create
WITH given AS MATERIALIZED (
    SELECT $4::uuid IS NULL OR EXISTS (SELECT 1 FROM channels WHERE workspace_id = $1 AND channel_id = $4) AS is_known,
        (SELECT count(pause_id) FROM pauses WHERE workspace_id = $1 AND ended_at IS NULL
            AND coalesce(until, 'infinity') > statement_timestamp()) < $10 AS has_room
), made AS (
    INSERT INTO pauses (workspace_id, pause_id, scope, channel_id, tag, reason, actor, until, created_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM given WHERE is_known AND has_room
    RETURNING workspace_id, pause_id, scope, channel_id
), told AS (
    UPDATE channels c SET revision = revision + 1,
        holds_changed_at = CASE WHEN m.scope = 'tag' THEN clock_timestamp() ELSE c.holds_changed_at END
    FROM made m
    WHERE c.workspace_id = m.workspace_id AND (m.channel_id IS NULL OR c.channel_id = m.channel_id)
    RETURNING c.channel_id
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $7, $11, pause_id::text, $12 FROM made
)
SELECT is_known, has_room, ARRAY(SELECT channel_id FROM told) FROM given";

const END: &str = "-- store.pause.end
WITH ended AS (
    UPDATE pauses SET ended_at = clock_timestamp(), ended_by = $3
    WHERE workspace_id = $1 AND pause_id = $2 AND ended_at IS NULL AND coalesce(until, 'infinity') > clock_timestamp()
    RETURNING workspace_id, pause_id, scope, channel_id, tag, reason, actor, until, created_at, ended_at, ended_by
), told AS (
    UPDATE channels c SET revision = revision + 1,
        holds_changed_at = CASE WHEN e.scope = 'tag' THEN clock_timestamp() ELSE c.holds_changed_at END
    FROM ended e
    WHERE c.workspace_id = e.workspace_id AND (e.channel_id IS NULL OR c.channel_id = e.channel_id)
    RETURNING c.channel_id
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $3, $4, pause_id::text, reason FROM ended
)
SELECT pause_id, scope, channel_id, tag, reason, actor, until, created_at, ended_at, ended_by,
    ARRAY(SELECT channel_id FROM told) FROM ended";

const GET: &str = "-- store.pause.get
SELECT pause_id, scope, channel_id, tag, reason, actor, until, created_at,
    coalesce(ended_at, CASE WHEN until <= statement_timestamp() THEN until END), ended_by
FROM pauses WHERE workspace_id = $1 AND pause_id = $2";

const OPEN: &str = "-- store.pause.open
SELECT pause_id, scope, channel_id, tag, reason, actor, until, created_at, workspace_id
FROM pauses
WHERE workspace_id = ANY ($1) AND ended_at IS NULL AND coalesce(until, 'infinity') > statement_timestamp()
ORDER BY pause_id DESC";

const FORGET: &str = "-- store.pause.forget
DELETE FROM pauses p USING (
    SELECT workspace_id, pause_id FROM pauses WHERE coalesce(ended_at, until) < $1
    ORDER BY workspace_id, pause_id LIMIT $2
) o
WHERE p.workspace_id = o.workspace_id AND p.pause_id = o.pause_id
RETURNING p.pause_id";

impl Store {
    /// Makes a pause of a workspace.
    ///
    /// # Errors
    /// [`Error::Exists`] when the id is taken; [`Error::Refused`] when there is no such workspace.
    pub async fn create_pause(&self, workspace: WorkspaceId, pause: &Pause, act: &Act<'_>) -> Result<Creation, Error> {
        let channel = pause.scope.channel().map(|channel| channel.0);
        let bound = i64::try_from(PAUSES_MAX).map_err(Error::corrupt)?;
        let params: Params<'_> = &[
            &workspace.0,
            &pause.id.0,
            &pause.scope.as_str(),
            &channel,
            &pause.scope.tag(),
            &pause.reason,
            &act.actor,
            &pause.until,
            &pause.created_at,
            &bound,
            &act.name,
            &pause.to_string(),
        ];
        let row = self.one(CREATE, params).await?;
        let (is_known, has_room): (bool, bool) = (get(&row, 0)?, get(&row, 1)?);
        Ok(match (is_known, has_room) {
            (false, _) => Creation::NoChannel,
            (true, false) => Creation::TooMany,
            (true, true) => Creation::Made(channels(&row, 2)?),
        })
    }

    /// Ends a pause; what is over stays as it is. `None` when there is no such pause.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn end_pause(&self, workspace: WorkspaceId, id: PauseId, act: &Act<'_>) -> Result<Option<Ending>, Error> {
        match self.maybe_one(END, &[&workspace.0, &id.0, &act.actor, &act.name]).await? {
            Some(row) => Ok(Some(Ending { record: record(&row)?, channels: channels(&row, 10)? })),
            None => Ok(self.pause(workspace, id).await?.map(|record| Ending { record, channels: Vec::new() })),
        }
    }

    /// A pause, open or over.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn pause(&self, workspace: WorkspaceId, id: PauseId) -> Result<Option<PauseRecord>, Error> {
        self.maybe_one(GET, &[&workspace.0, &id.0]).await?.as_ref().map(record).transpose()
    }

    /// The open pauses of a workspace, the newest first.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn open_pauses(&self, workspace: WorkspaceId) -> Result<Vec<Pause>, Error> {
        let open = self.open_pauses_of(&[workspace.0]).await?;
        Ok(open.into_iter().map(|(_, pause)| pause).collect())
    }

    /// The open pauses of workspaces, each with its workspace.
    pub(crate) async fn open_pauses_of(&self, workspaces: &[Uuid]) -> Result<Vec<(WorkspaceId, Pause)>, Error> {
        let rows = self.query(OPEN, &[&workspaces]).await?;
        rows.iter().map(|row| Ok((WorkspaceId(get(row, 8)?), pause(row, 0)?))).collect()
    }

    /// Removes up to `limit` pauses that were over before an instant; answers how many.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn forget_pauses(&self, before: Timestamp, limit: i64) -> Result<usize, Error> {
        Ok(self.query(FORGET, &[&before, &limit]).await?.len())
    }
}

/// The pause in eight columns of a row, from this one on.
pub(crate) fn pause(row: &Row, first: usize) -> Result<Pause, Error> {
    let word: &str = get(row, first + 1)?;
    let channel: Option<Uuid> = get(row, first + 2)?;
    let tag: Option<&str> = get(row, first + 3)?;
    let scope = match (word, channel, tag) {
        ("workspace", None, None) => PauseScope::Workspace,
        ("channel", Some(channel), None) => PauseScope::Channel(ChannelId(channel)),
        ("tag", None, Some(tag)) => PauseScope::Tag(Tag::new(tag).map_err(Error::corrupt)?),
        (word, ..) => return Err(Error::corrupt(format!("scope {word} of a pause"))),
    };
    Ok(Pause {
        id: PauseId(get(row, first)?),
        scope,
        reason: get(row, first + 4)?,
        actor: get(row, first + 5)?,
        until: get(row, first + 6)?,
        created_at: get(row, first + 7)?,
    })
}

fn record(row: &Row) -> Result<PauseRecord, Error> {
    Ok(PauseRecord { pause: pause(row, 0)?, ended_at: get(row, 8)?, ended_by: get(row, 9)? })
}

fn channels(row: &Row, column: usize) -> Result<Vec<ChannelId>, Error> {
    Ok(get::<Vec<Uuid>>(row, column)?.into_iter().map(ChannelId).collect())
}
