//! What was found out about a channel's provider: how it answers an id that it has seen.

use std::collections::HashMap;

use domain::id::{ChannelId, WorkspaceId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;

/// How a provider answers a repeated id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duplicates {
    /// With the first result.
    Same,
    /// By refusing it as a duplicate.
    Error,
    /// By sending it a second time.
    Second,
    /// In no way that can be relied upon.
    Unclear,
}

impl Duplicates {
    /// The word of the API and of the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Error => "error",
            Self::Second => "second",
            Self::Unclear => "unclear",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Same, Self::Error, Self::Second, Self::Unclear].into_iter().find(|known| known.as_str() == word)
    }
}

/// What a probe found, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probed {
    /// What.
    pub duplicates: Duplicates,
    /// When.
    pub at: Timestamp,
}

const SAVE: &str = "-- store.probe.save
WITH probed AS (
    UPDATE channels SET duplicates = $3, duplicates_probed_at = clock_timestamp()
    WHERE workspace_id = $1 AND channel_id = $2
    RETURNING workspace_id, channel_id, duplicates_probed_at
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $4, $5, channel_id::text, $3 FROM probed
)
SELECT duplicates_probed_at FROM probed";

const FIND: &str = "-- store.probe.find
SELECT channel_id, duplicates, duplicates_probed_at FROM channels
WHERE workspace_id = $1 AND channel_id = ANY ($2) AND duplicates IS NOT NULL AND duplicates_probed_at IS NOT NULL";

const WORKSPACES: &str = "-- store.probe.workspaces
SELECT workspace_id FROM channels WHERE channel_id = $1 ORDER BY workspace_id LIMIT 2";

impl Store {
    /// Stores what a probe of a channel found; `None` when there is no such channel.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn save_probe(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        duplicates: Duplicates,
        act: &Act<'_>,
    ) -> Result<Option<Probed>, Error> {
        let row =
            self.maybe_one(SAVE, &[&workspace.0, &channel.0, &duplicates.as_str(), &act.actor, &act.name]).await?;
        row.map(|row| Ok(Probed { duplicates, at: get(&row, 0)? })).transpose()
    }

    /// What probes found of channels; of those that were never probed nothing.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn probed(
        &self,
        workspace: WorkspaceId,
        channels: &[ChannelId],
    ) -> Result<HashMap<ChannelId, Probed>, Error> {
        let channels: Vec<Uuid> = channels.iter().map(|channel| channel.0).collect();
        let rows = self.query(FIND, &[&workspace.0, &channels]).await?;
        let probed = rows.iter().map(|row| {
            let word: &str = get(row, 1)?;
            let duplicates =
                Duplicates::from_word(word).ok_or_else(|| Error::corrupt(format!("result {word} of a probe")))?;
            Ok((ChannelId(get(row, 0)?), Probed { duplicates, at: get(row, 2)? }))
        });
        probed.collect()
    }

    /// The workspaces that have a channel of this id: one, unless an operator made two of them.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn workspaces_of(&self, channel: ChannelId) -> Result<Vec<WorkspaceId>, Error> {
        let rows = self.query(WORKSPACES, &[&channel.0]).await?;
        rows.iter().map(|row| Ok(WorkspaceId(get(row, 0)?))).collect()
    }
}
