//! What the owner of a channel needs to send for it, for many channels at a time.

use std::collections::HashMap;
use std::sync::Arc;

use domain::gate::Gate;
use domain::id::{ChannelId, WorkspaceId};
use domain::pause::Pause;
use domain::quiet_hours::QuietHours;
use secrecy::SecretString;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::channel::{Channel, channel, key_place};
use crate::client::{Store, get};
use crate::error::Error;
use crate::gate::gate;
use crate::holds::Planning;
use crate::quiet_hours::quiet_hours;

/// A channel with all that is needed to send for it.
#[derive(Clone, Debug)]
pub struct OwnedChannel {
    /// The channel.
    pub channel: Channel,
    /// The provider's key, opened.
    pub key: SecretString,
    /// Its gate, when it is closed.
    pub gate: Option<Gate>,
    /// Share of its workspace where several contend for an account's limit.
    pub weight: u32,
    /// Its own quiet hours, else its workspace's.
    pub quiet_hours: Option<QuietHours>,
    /// Open pauses of its workspace: also those of other channels.
    pub pauses: Arc<[Pause]>,
    /// Whether what former holds held was planned anew.
    pub planning: Planning,
}

const LOAD: &str = "-- store.owned.load
SELECT c.workspace_id, c.channel_id, c.connector_id, c.name, c.number, c.message_type, c.messages_per_second, c.status, c.revision,
    c.created_at, c.updated_at, c.longitude_spelling, c.account_messages_per_second, c.recipient_interval_seconds,
    c.recipient_burst, c.quiet_hours, c.backlog_max, c.on_unknown, c.provider_key, c.account_id, w.weight, w.quiet_hours, c.holds_changed_at,
    c.holds_planned_at, g.reason, g.since, g.until, g.closings
FROM unnest($1::uuid[], $2::uuid[]) AS i (workspace_id, channel_id)
JOIN channels c ON c.workspace_id = i.workspace_id AND c.channel_id = i.channel_id
JOIN workspaces w ON w.workspace_id = c.workspace_id
LEFT JOIN channel_gates g ON g.workspace_id = c.workspace_id AND g.channel_id = c.channel_id";

const NAME_ACCOUNTS: &str = "-- store.owned.name_accounts
UPDATE channels c SET account_id = i.account_id
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS i (workspace_id, channel_id, account_id)
WHERE c.workspace_id = i.workspace_id AND c.channel_id = i.channel_id AND c.account_id IS DISTINCT FROM i.account_id";

impl Store {
    /// Channels, each with what keeps it from being used, if anything does.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn owned_channels(
        &self,
        channels: &[(WorkspaceId, ChannelId)],
    ) -> Result<Vec<(ChannelId, Result<OwnedChannel, Error>)>, Error> {
        let (workspaces, channels): (Vec<Uuid>, Vec<Uuid>) =
            channels.iter().map(|(workspace, channel)| (workspace.0, channel.0)).unzip();
        let rows = self.query(LOAD, &[&workspaces, &channels]).await?;
        // Asked for afterwards: a pause that is newer than the revision is none too many.
        let pauses = self.pauses_of(&workspaces).await?;
        let mut owned = Vec::with_capacity(rows.len());
        let mut misnamed = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let channel = ChannelId(get(row, 1)?);
            let loaded = self.owned_channel(row, &pauses);
            if let Ok(loaded) = &loaded {
                let account = self.vault.account_id(&loaded.key);
                if get::<Option<Uuid>>(row, 19)? != Some(account) {
                    misnamed.0.push(loaded.channel.workspace.0);
                    misnamed.1.push(channel.0);
                    misnamed.2.push(account);
                }
            }
            owned.push((channel, loaded));
        }
        // Made before accounts had names, or under a former master key.
        if !misnamed.0.is_empty() {
            self.query(NAME_ACCOUNTS, &[&misnamed.0, &misnamed.1, &misnamed.2]).await?;
        }
        Ok(owned)
    }

    /// Open pauses by workspace.
    async fn pauses_of(&self, workspaces: &[Uuid]) -> Result<HashMap<WorkspaceId, Arc<[Pause]>>, Error> {
        let mut by_workspace: HashMap<WorkspaceId, Vec<Pause>> = HashMap::new();
        for (workspace, pause) in self.open_pauses_of(workspaces).await? {
            by_workspace.entry(workspace).or_default().push(pause);
        }
        Ok(by_workspace.into_iter().map(|(workspace, pauses)| (workspace, pauses.into())).collect())
    }

    fn owned_channel(&self, row: &Row, pauses: &HashMap<WorkspaceId, Arc<[Pause]>>) -> Result<OwnedChannel, Error> {
        let channel = channel(row)?;
        let key = self.vault.open(get(row, 18)?, key_place(channel.workspace, channel.id))?;
        let is_closed = get::<Option<&str>>(row, 24)?.is_some();
        let gate = is_closed.then(|| gate(row, 24)).transpose()?;
        let weight = u32::try_from(get::<i32>(row, 20)?).map_err(Error::corrupt)?;
        let quiet_hours = match &channel.quiet_hours {
            Some(own) => Some(own.clone()),
            None => quiet_hours(row, 21)?,
        };
        let planning = Planning { changed_at: get(row, 22)?, planned_at: get(row, 23)? };
        let pauses = pauses.get(&channel.workspace).cloned().unwrap_or_default();
        Ok(OwnedChannel { channel, key, gate, weight, quiet_hours, pauses, planning })
    }
}
