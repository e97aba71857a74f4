//! Storing accepted messages: one statement for all that share a commit.
//!
//! The insert of the key decides who is first, never a look beforehand. The statement may be repeated after a commit
//! whose answer was lost: rows that are there already are left alone, and the key tells whose they are.

use domain::content::Part;
use domain::id::{ChannelId, ContactId, MessageId, WorkspaceId};
use domain::message::{Lane, MessageKey, Tag};
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::Timestamp;
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;

/// SHA-256 of the canonical request: the same key with another one is a conflict.
pub type Fingerprint = [u8; 32];

/// A message that is about to be stored.
#[derive(Clone, PartialEq, Debug)]
pub struct NewMessage {
    /// Its id, time-ordered.
    pub id: MessageId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The channel it goes out by.
    pub channel: ChannelId,
    /// The recipient's contact; made on first use.
    pub contact: ContactId,
    /// The recipient.
    pub recipient: PhoneNumber,
    /// Deduplication key.
    pub key: Option<MessageKey>,
    /// Canonical request, hashed.
    pub fingerprint: Fingerprint,
    /// `body` as it was sent, JSON.
    pub body: String,
    /// What goes to the provider.
    pub parts: Vec<Part>,
    /// The caller's reference; empty when none.
    pub reference: String,
    /// Tags.
    pub tags: Vec<Tag>,
    /// `meta` as it was sent, JSON.
    pub meta: String,
    /// Requested time.
    pub scheduled_for: Option<Timestamp>,
    /// End of validity.
    pub expires_at: Timestamp,
    /// May go from this instant on.
    pub due_at: Timestamp,
    /// Lane it waits in.
    pub lane: Lane,
    /// Accepted at.
    pub created_at: Timestamp,
}

/// What became of a message that was to be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// Stored by this request.
    New,
    /// The same request came before: this is its message.
    Replayed(MessageId),
    /// Another request came before under the same key.
    Conflict(MessageId),
}

const ACCEPT: &str = "-- store.accept.accept
WITH input AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bytea[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],
        $16::smallint[], $17::timestamptz[])
    AS t (workspace_id, message_id, channel_id, contact_id, recipient, message_key, fingerprint, body,
        parts, reference, tags, meta, scheduled_for, expires_at, due_at, lane, created_at)
), keyed AS (
    INSERT INTO message_keys (workspace_id, message_key, message_id, fingerprint)
    SELECT workspace_id, message_key, message_id, fingerprint FROM input
    WHERE message_key IS NOT NULL ORDER BY workspace_id, message_key COLLATE \"C\", created_at
    ON CONFLICT (workspace_id, message_key) DO NOTHING
    RETURNING message_id
), fresh AS (
    SELECT * FROM input WHERE message_key IS NULL OR message_id IN (SELECT message_id FROM keyed)
), stored AS (
    INSERT INTO messages (workspace_id, message_id, channel_id, contact_id, recipient, body, parts, reference, tags, meta,
        scheduled_for, expires_at, status, created_at, updated_at, last_status_at)
    SELECT workspace_id, message_id, channel_id, contact_id, recipient, body, parts, reference,
        CASE WHEN tags = '' THEN '{}' ELSE string_to_array(tags, ',') END, meta,
        scheduled_for, expires_at, 'waiting', created_at, created_at, created_at
    FROM fresh
    ON CONFLICT (workspace_id, message_id) DO NOTHING
    RETURNING message_id
), met AS (
    INSERT INTO contacts (workspace_id, contact_id, identifier_key, identifier_value, created_at)
    SELECT DISTINCT ON (workspace_id, contact_id) workspace_id, contact_id, 'phonenumber', recipient, created_at
    FROM fresh ORDER BY workspace_id, contact_id, created_at
    ON CONFLICT (workspace_id, contact_id) DO NOTHING
), queued AS (
    INSERT INTO outbox (workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at)
    SELECT workspace_id, message_id, channel_id, lane, due_at, $18, expires_at
    FROM fresh WHERE message_id IN (SELECT message_id FROM stored)
)
SELECT message_id FROM keyed";

const FIRST_OF_KEYS: &str = "-- store.accept.first_of_keys
SELECT k.workspace_id, k.message_key, k.message_id, k.fingerprint
FROM unnest($1::uuid[], $2::text[]) AS t (workspace_id, message_key)
JOIN message_keys k ON k.workspace_id = t.workspace_id AND k.message_key = t.message_key";

impl Store {
    /// Stores messages in one commit; answers what became of each, in order. May be repeated with the same messages
    /// after [`Error::Unknown`].
    ///
    /// # Errors
    /// When the database cannot be used; then none is known to be stored.
    pub async fn accept(&self, messages: &[NewMessage]) -> Result<Vec<Accepted>, Error> {
        let rows = self.insert(messages).await?;
        let mut won = Vec::with_capacity(rows.len());
        for row in &rows {
            won.push(MessageId(get(row, 0)?));
        }
        let lost: Vec<&NewMessage> = messages.iter().filter(|m| m.key.is_some() && !won.contains(&m.id)).collect();
        let firsts = self.first_of_keys(&lost).await?;
        messages
            .iter()
            .map(|message| match &message.key {
                Some(key) if !won.contains(&message.id) => firsts
                    .iter()
                    .find(|first| first.workspace == message.workspace && first.key == key.as_str())
                    .map(|first| first.for_message(message))
                    .ok_or_else(|| Error::Unknown("a key was taken and is gone".to_owned())),
                Some(_) | None => Ok(Accepted::New),
            })
            .collect()
    }

    async fn insert(&self, messages: &[NewMessage]) -> Result<Vec<tokio_postgres::Row>, Error> {
        let all = || messages.iter();
        let workspaces: Vec<Uuid> = all().map(|m| m.workspace.0).collect();
        let ids: Vec<Uuid> = all().map(|m| m.id.0).collect();
        let channels: Vec<Uuid> = all().map(|m| m.channel.0).collect();
        let contacts: Vec<Uuid> = all().map(|m| m.contact.0).collect();
        let recipients: Vec<&str> = all().map(|m| m.recipient.e164()).collect();
        let keys: Vec<Option<&str>> = all().map(|m| m.key.as_ref().map(MessageKey::as_str)).collect();
        let fingerprints: Vec<&[u8]> = all().map(|m| m.fingerprint.as_slice()).collect();
        let bodies: Vec<&str> = all().map(|m| m.body.as_str()).collect();
        let parts: Vec<String> =
            all().map(|m| serde_json::to_string(&m.parts)).collect::<Result<_, _>>().map_err(Error::corrupt)?;
        let references: Vec<&str> = all().map(|m| m.reference.as_str()).collect();
        let tags: Vec<String> = all().map(|m| m.tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(",")).collect();
        let metas: Vec<&str> = all().map(|m| m.meta.as_str()).collect();
        let scheduled: Vec<Option<Timestamp>> = all().map(|m| m.scheduled_for).collect();
        let expires: Vec<Timestamp> = all().map(|m| m.expires_at).collect();
        let due: Vec<Timestamp> = all().map(|m| m.due_at).collect();
        let lanes: Vec<i16> = all().map(|m| m.lane.number()).collect();
        let created: Vec<Timestamp> = all().map(|m| m.created_at).collect();
        self.query(
            ACCEPT,
            &[
                &workspaces,
                &ids,
                &channels,
                &contacts,
                &recipients,
                &keys,
                &fingerprints,
                &bodies,
                &parts,
                &references,
                &tags,
                &metas,
                &scheduled,
                &expires,
                &due,
                &lanes,
                &created,
                &DueReason::Requested.as_str(),
            ],
        )
        .await
    }

    async fn first_of_keys(&self, lost: &[&NewMessage]) -> Result<Vec<First>, Error> {
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let workspaces: Vec<Uuid> = lost.iter().map(|m| m.workspace.0).collect();
        let keys: Vec<Option<&str>> = lost.iter().map(|m| m.key.as_ref().map(MessageKey::as_str)).collect();
        let rows = self.query(FIRST_OF_KEYS, &[&workspaces, &keys]).await?;
        rows.iter()
            .map(|row| {
                Ok(First {
                    workspace: WorkspaceId(get(row, 0)?),
                    key: get(row, 1)?,
                    message: MessageId(get(row, 2)?),
                    fingerprint: get(row, 3)?,
                })
            })
            .collect()
    }
}

/// The message that came first under a key.
struct First {
    workspace: WorkspaceId,
    key: String,
    message: MessageId,
    fingerprint: Vec<u8>,
}

impl First {
    fn for_message(&self, message: &NewMessage) -> Accepted {
        if self.message == message.id {
            Accepted::New
        } else if self.fingerprint == message.fingerprint {
            Accepted::Replayed(self.message)
        } else {
            Accepted::Conflict(self.message)
        }
    }
}
