//! Channels: a WhatsApp number with the provider key that sends from it.
//!
//! The key is sealed before it reaches a statement and opened only for the owner that sends with it.

use domain::content::LongitudeSpelling;
use domain::id::{ChannelId, WorkspaceId};
use domain::message::MessageType;
use domain::outcome::OnUnknown;
use domain::phone::PhoneNumber;
use domain::quiet_hours::QuietHours;
use domain::spacing::RecipientRate;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;
use crate::quiet_hours::quiet_hours;
use crate::vault::Place;

/// Where provider keys are sealed for.
const KEY_COLUMN: &str = "channels.provider_key";

/// Whether a channel takes messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelStatus {
    /// Takes and sends.
    Active,
    /// Refuses new messages and sends none.
    Inactive,
}

impl ChannelStatus {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }

    /// Reads the word of the API.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Inactive].into_iter().find(|known| known.as_str() == word)
    }
}

/// What is settable of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelSettings {
    /// Name, for people.
    pub name: String,
    /// The WhatsApp number.
    pub number: PhoneNumber,
    /// What it is used for.
    pub message_type: MessageType,
    /// Rate it sends at.
    pub messages_per_second: u32,
    /// Whether it takes messages.
    pub status: ChannelStatus,
    /// How Lipachat spells longitude.
    pub longitude_spelling: LongitudeSpelling,
    /// Rate of all channels with the same provider key together; the least that one of them names counts.
    pub account_messages_per_second: Option<u32>,
    /// How often it may write to one recipient.
    pub recipient_rate: RecipientRate,
    /// Messages that may wait; more are not accepted.
    pub backlog_max: u32,
    /// What it does with what may have been sent.
    pub on_unknown: OnUnknown,
}

/// A channel, without its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The connector's id, shown as the sender of its messages.
    pub connector: Uuid,
    /// Settings.
    pub settings: ChannelSettings,
    /// Its own quiet hours, in place of its workspace's.
    pub quiet_hours: Option<QuietHours>,
    /// Rises with every change.
    pub revision: i64,
    /// Made at.
    pub created_at: Timestamp,
    /// Last changed at.
    pub updated_at: Timestamp,
}

const CREATE: &str = "-- store.channel.create
WITH made AS (
    INSERT INTO channels (workspace_id, channel_id, connector_id, name, number, message_type, messages_per_second, status, provider_key, longitude_spelling,
        account_id, account_messages_per_second, recipient_interval_seconds, recipient_burst, backlog_max, on_unknown)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $12, $13, $14, $15, $16, $17, $18)
    RETURNING workspace_id, channel_id, connector_id, name, number, message_type, messages_per_second, status, revision, created_at, updated_at,
    longitude_spelling, account_messages_per_second, recipient_interval_seconds, recipient_burst, quiet_hours, backlog_max, on_unknown
), leased AS (
    INSERT INTO channel_leases (workspace_id, channel_id) SELECT workspace_id, channel_id FROM made
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $10, $11, channel_id::text, name FROM made
)
SELECT workspace_id, channel_id, connector_id, name, number, message_type, messages_per_second, status, revision, created_at, updated_at,
    longitude_spelling, account_messages_per_second, recipient_interval_seconds, recipient_burst, quiet_hours, backlog_max, on_unknown FROM made";

// Which quiet hours hold a message that does not say what it is for follows from the channel's type. Another key may be the right
// one: whoever owns the channel probes it at once.
const UPDATE: &str = "-- store.channel.update
WITH changed AS (
    UPDATE channels SET name = $3, number = $4, message_type = $5, messages_per_second = $6, status = $7, longitude_spelling = $12,
        provider_key = coalesce($8, provider_key), account_id = coalesce($13, account_id), account_messages_per_second = $14,
        recipient_interval_seconds = $15, recipient_burst = $16, backlog_max = $17, on_unknown = $18, revision = revision + 1, updated_at = clock_timestamp(),
        holds_changed_at = CASE WHEN message_type = $5 THEN holds_changed_at ELSE clock_timestamp() END
    WHERE workspace_id = $1 AND channel_id = $2 AND revision = $9
    RETURNING workspace_id, channel_id, connector_id, name, number, message_type, messages_per_second, status, revision, created_at, updated_at,
    longitude_spelling, account_messages_per_second, recipient_interval_seconds, recipient_burst, quiet_hours, backlog_max, on_unknown
), mended AS (
    UPDATE channel_gates g SET until = least(g.until, clock_timestamp()) FROM changed c
    WHERE $8::bytea IS NOT NULL AND g.workspace_id = c.workspace_id AND g.channel_id = c.channel_id AND g.reason = 'credentials'
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $10, $11, channel_id::text, name FROM changed
)
SELECT workspace_id, channel_id, connector_id, name, number, message_type, messages_per_second, status, revision, created_at, updated_at,
    longitude_spelling, account_messages_per_second, recipient_interval_seconds, recipient_burst, quiet_hours, backlog_max, on_unknown FROM changed";

const GET: &str = "-- store.channel.get
SELECT workspace_id, channel_id, connector_id, name, number, message_type, messages_per_second, status, revision, created_at, updated_at,
    longitude_spelling, account_messages_per_second, recipient_interval_seconds, recipient_burst, quiet_hours, backlog_max, on_unknown
FROM channels WHERE workspace_id = $1 AND channel_id = $2";

const LIST: &str = "-- store.channel.list
SELECT workspace_id, channel_id, connector_id, name, number, message_type, messages_per_second, status, revision, created_at, updated_at,
    longitude_spelling, account_messages_per_second, recipient_interval_seconds, recipient_burst, quiet_hours, backlog_max, on_unknown
FROM channels WHERE workspace_id = $1 AND channel_id > $2 AND ($4::text IS NULL OR status = $4) ORDER BY channel_id LIMIT $3";

const LIST_BACKWARDS: &str = "-- store.channel.list_backwards
SELECT workspace_id, channel_id, connector_id, name, number, message_type, messages_per_second, status, revision, created_at, updated_at,
    longitude_spelling, account_messages_per_second, recipient_interval_seconds, recipient_burst, quiet_hours, backlog_max, on_unknown
FROM channels WHERE workspace_id = $1 AND channel_id < $2 AND ($4::text IS NULL OR status = $4) ORDER BY channel_id DESC LIMIT $3";

const KEYS: &str = "-- store.channel.provider_keys
SELECT workspace_id, channel_id, provider_key FROM channels WHERE channel_id > $1 ORDER BY channel_id LIMIT $2";

impl Store {
    /// Makes a channel.
    ///
    /// # Errors
    /// [`Error::Exists`] when the id is taken; [`Error::Refused`] when there is no such workspace.
    pub async fn create_channel(
        &self,
        workspace: WorkspaceId,
        id: ChannelId,
        connector: Uuid,
        settings: &ChannelSettings,
        key: &SecretString,
        act: &Act<'_>,
    ) -> Result<Channel, Error> {
        let sealed = self.vault.seal(key, key_place(workspace, id))?;
        let rates = Rates::of(settings)?;
        let row = self
            .one(
                CREATE,
                &[
                    &workspace.0,
                    &id.0,
                    &connector,
                    &settings.name,
                    &settings.number.e164(),
                    &settings.message_type.as_str(),
                    &rates.channel,
                    &settings.status.as_str(),
                    &sealed,
                    &act.actor,
                    &act.name,
                    &settings.longitude_spelling.as_str(),
                    &self.vault.account_id(key),
                    &rates.account,
                    &rates.recipient_interval,
                    &rates.recipient_burst,
                    &rates.backlog,
                    &settings.on_unknown.as_str(),
                ],
            )
            .await?;
        channel(&row)
    }

    /// Changes a channel that is still at the given revision; `None` when it is not.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn update_channel(
        &self,
        before: &Channel,
        settings: &ChannelSettings,
        key: Option<&SecretString>,
        act: &Act<'_>,
    ) -> Result<Option<Channel>, Error> {
        let sealed = key.map(|key| self.vault.seal(key, key_place(before.workspace, before.id))).transpose()?;
        let account = key.map(|key| self.vault.account_id(key));
        let rates = Rates::of(settings)?;
        let row = self
            .maybe_one(
                UPDATE,
                &[
                    &before.workspace.0,
                    &before.id.0,
                    &settings.name,
                    &settings.number.e164(),
                    &settings.message_type.as_str(),
                    &rates.channel,
                    &settings.status.as_str(),
                    &sealed,
                    &before.revision,
                    &act.actor,
                    &act.name,
                    &settings.longitude_spelling.as_str(),
                    &account,
                    &rates.account,
                    &rates.recipient_interval,
                    &rates.recipient_burst,
                    &rates.backlog,
                    &settings.on_unknown.as_str(),
                ],
            )
            .await?;
        row.as_ref().map(channel).transpose()
    }

    /// One channel of a workspace.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn channel(&self, workspace: WorkspaceId, id: ChannelId) -> Result<Option<Channel>, Error> {
        self.maybe_one(GET, &[&workspace.0, &id.0]).await?.as_ref().map(channel).transpose()
    }

    /// Channels of a workspace after an id, in order of id; with a status, if one is asked for.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn channels(
        &self,
        workspace: WorkspaceId,
        status: Option<ChannelStatus>,
        after: ChannelId,
        limit: i64,
    ) -> Result<Vec<Channel>, Error> {
        let status = status.map(ChannelStatus::as_str);
        self.query(LIST, &[&workspace.0, &after.0, &limit, &status]).await?.iter().map(channel).collect()
    }

    /// Channels of a workspace before an id, in reverse order of id; with a status, if one is asked for.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn channels_backwards(
        &self,
        workspace: WorkspaceId,
        status: Option<ChannelStatus>,
        before: ChannelId,
        limit: i64,
    ) -> Result<Vec<Channel>, Error> {
        let status = status.map(ChannelStatus::as_str);
        self.query(LIST_BACKWARDS, &[&workspace.0, &before.0, &limit, &status]).await?.iter().map(channel).collect()
    }

    /// Looks whether the provider keys of up to `limit` channels after an id open; answers the ids looked at and
    /// the first problem of each that does not.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn check_provider_keys(
        &self,
        after: ChannelId,
        limit: i64,
    ) -> Result<Vec<(ChannelId, Result<(), Error>)>, Error> {
        let rows = self.query(KEYS, &[&after.0, &limit]).await?;
        rows.iter()
            .map(|row| {
                let (workspace, id) = (WorkspaceId(get(row, 0)?), ChannelId(get(row, 1)?));
                Ok((id, self.vault.open(get(row, 2)?, key_place(workspace, id)).map(|_| ())))
            })
            .collect()
    }
}

pub(crate) fn key_place(workspace: WorkspaceId, channel: ChannelId) -> Place {
    Place { workspace, column: KEY_COLUMN, row: channel.0 }
}

/// Rates and limits as they are stored.
struct Rates {
    channel: i32,
    account: Option<i32>,
    recipient_interval: i32,
    recipient_burst: i32,
    backlog: i32,
}

impl Rates {
    fn of(settings: &ChannelSettings) -> Result<Self, Error> {
        let number = |rate: u32| i32::try_from(rate).map_err(|_| Error::corrupt("a rate"));
        Ok(Self {
            channel: number(settings.messages_per_second)?,
            account: settings.account_messages_per_second.map(number).transpose()?,
            recipient_interval: number(settings.recipient_rate.interval_seconds)?,
            recipient_burst: number(settings.recipient_rate.burst)?,
            backlog: number(settings.backlog_max)?,
        })
    }
}

pub(crate) fn channel(row: &Row) -> Result<Channel, Error> {
    let message_type: String = get(row, 5)?;
    let rate = |rate: i32| u32::try_from(rate).map_err(|_| Error::corrupt("a rate"));
    let status: String = get(row, 7)?;
    Ok(Channel {
        workspace: WorkspaceId(get(row, 0)?),
        id: ChannelId(get(row, 1)?),
        connector: get(row, 2)?,
        settings: ChannelSettings {
            name: get(row, 3)?,
            number: PhoneNumber::from_stored(get(row, 4)?),
            message_type: MessageType::from_word(&message_type).ok_or_else(|| Error::corrupt("message type"))?,
            messages_per_second: rate(get(row, 6)?)?,
            status: ChannelStatus::from_word(&status).ok_or_else(|| Error::corrupt("channel status"))?,
            longitude_spelling: LongitudeSpelling::from_word(get(row, 11)?)
                .ok_or_else(|| Error::corrupt("longitude spelling"))?,
            account_messages_per_second: get::<Option<i32>>(row, 12)?.map(rate).transpose()?,
            recipient_rate: RecipientRate { interval_seconds: rate(get(row, 13)?)?, burst: rate(get(row, 14)?)? },
            backlog_max: rate(get(row, 16)?)?,
            on_unknown: OnUnknown::from_word(get(row, 17)?)
                .ok_or_else(|| Error::corrupt("what is done with the unknown"))?,
        },
        quiet_hours: quiet_hours(row, 15)?,
        revision: get(row, 8)?,
        created_at: get(row, 9)?,
        updated_at: get(row, 10)?,
    })
}
