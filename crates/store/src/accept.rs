//! Storing accepted messages: one statement for all that share a commit.
//!
//! The insert of the key decides who is first, never a look beforehand. It may be repeated after a commit whose answer
//! was lost: ids that are taken fail the statement, and what a look then finds is left out of the next. Inserts that
//! step aside by themselves (`ON CONFLICT`) cost every message a quarter more.

use std::collections::HashMap;

use domain::content::Part;
use domain::failure::FailureCode;
use domain::id::{ChannelId, ContactId, MessageId, WorkspaceId};
use domain::message::{Lane, MessageKey, Tag};
use domain::options::{FrequencyCap, Options};
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::Timestamp;
use uuid::Uuid;

pub(crate) mod careful;

mod columns;

use crate::client::{Store, get};
use crate::error::Error;
use columns::Columns;
pub(crate) use columns::TAG_SLOTS;

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
    /// The recipient's contact, made on first use, and number. Only a rejected message may have none.
    pub recipient: Option<(ContactId, PhoneNumber)>,
    /// Deduplication key.
    pub key: Option<MessageKey>,
    /// Canonical request, hashed.
    pub fingerprint: Fingerprint,
    /// `body` as it was sent, JSON; `null` when there is none.
    pub body: String,
    /// `template` as it was sent, JSON.
    pub template: Option<String>,
    /// What goes to the provider.
    pub parts: Vec<Part>,
    /// The caller's reference; empty when none.
    pub reference: String,
    /// Tags.
    pub tags: Vec<Tag>,
    /// `meta` as it was sent, JSON.
    pub meta: String,
    /// What it is for, as the caller says.
    pub use_case: Option<String>,
    /// Options.
    pub options: Options,
    /// The cap that applies to it.
    pub frequency_cap: Option<FrequencyCap>,
    /// The batch it came with.
    pub batch: Option<Uuid>,
    /// Requested time.
    pub scheduled_for: Option<Timestamp>,
    /// End of validity.
    pub expires_at: Timestamp,
    /// May go from this instant on.
    pub due_at: Timestamp,
    /// What it waits for until then.
    pub due_reason: DueReason,
    /// Lane it waits in.
    pub lane: Lane,
    /// Why it is not sent at all: stored with the status of the failure, and not queued.
    pub rejected: Option<Rejection>,
    /// Accepted at.
    pub created_at: Timestamp,
}

/// Why a message has ended when it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// Failure code.
    pub code: FailureCode,
    /// Text for the caller.
    pub reason: String,
}

impl NewMessage {
    /// Unclaimed messages with the same id replace each other.
    fn collapse_id(&self) -> Option<Uuid> {
        let (contact, _) = self.recipient.as_ref()?;
        Some(self.options.collapse_key.as_ref()?.id_for(*contact))
    }
}

/// What became of a message that was to be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// Stored by this request.
    New,
    /// Stored by this request as rejected: the recipient has had as many messages as the cap allows.
    Capped,
    /// Stored by this request as skipped: a newer message of the same collapse key was there or came with it.
    Collapsed,
    /// The same request came before: this is its message.
    Replayed(MessageId),
    /// Another request came before under the same key.
    Conflict(MessageId),
}

pub(crate) const ACCEPT: &str = "-- store.accept.accept
WITH input AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bytea[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],
        $16::smallint[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::uuid[], $22::uuid[],
        $23::integer[], $24::text[], $25::text[], $26::text[])
    AS t (workspace_id, message_id, channel_id, contact_id, recipient, message_key, fingerprint, body,
        parts, reference, tags, meta, scheduled_for, expires_at, due_at,
        lane, created_at, template, options, use_case, batch_id, collapse_id,
        failure_code, reason, status, due_reason)
), keyed AS (
    INSERT INTO message_keys (workspace_id, message_key, message_id, fingerprint)
    SELECT workspace_id, message_key, message_id, fingerprint FROM input
    WHERE message_key IS NOT NULL ORDER BY workspace_id, message_key COLLATE \"C\", created_at, message_id
    ON CONFLICT (workspace_id, message_key) DO NOTHING
    RETURNING message_id
), fresh AS (
    SELECT * FROM input WHERE message_key IS NULL OR message_id IN (SELECT message_id FROM keyed)
), stored AS (
    INSERT INTO messages (workspace_id, message_id, channel_id, contact_id, recipient, body, template, parts, reference, tags,
        meta, options, use_case, batch_id, scheduled_for, expires_at, status, reason, failure_code, failure_source, failure_source_code,
        created_at, updated_at, last_status_at)
    SELECT workspace_id, message_id, channel_id, contact_id, recipient, body, template, parts, reference,
        CASE WHEN tags = '' THEN '{}' ELSE string_to_array(tags, ',') END,
        meta, options, use_case, batch_id, scheduled_for, expires_at,
        status, reason, failure_code,
        CASE WHEN failure_code IS NULL THEN NULL ELSE $27 END, CASE WHEN failure_code IS NULL THEN NULL ELSE '' END,
        created_at, created_at, created_at
    FROM fresh
    RETURNING workspace_id, message_id, tags, created_at
), met AS (
    INSERT INTO contacts (workspace_id, contact_id, identifier_key, identifier_value, created_at)
    SELECT DISTINCT ON (workspace_id, contact_id) workspace_id, contact_id, 'phonenumber', recipient, created_at
    FROM fresh WHERE contact_id IS NOT NULL ORDER BY workspace_id, contact_id, created_at
    ON CONFLICT (workspace_id, contact_id) DO NOTHING
), queued AS (
    INSERT INTO outbox (workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at, collapse_id)
    SELECT workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at, collapse_id
    FROM fresh WHERE failure_code IS NULL
), tagged AS (
    INSERT INTO message_tags (workspace_id, tag, message_id)
    SELECT workspace_id, unnest(tags), message_id FROM stored
), counted AS (
    INSERT INTO tags (workspace_id, tag, slot, messages, created_at, last_used_at)
    SELECT t.workspace_id, t.tag, pg_backend_pid() % $28, sum(1), min(t.created_at), max(t.created_at)
    FROM (SELECT workspace_id, unnest(tags) AS tag, created_at FROM stored) t
    GROUP BY t.workspace_id, t.tag ORDER BY t.workspace_id, t.tag COLLATE \"C\"
    ON CONFLICT (workspace_id, tag, slot) DO UPDATE SET messages = tags.messages + excluded.messages,
        last_used_at = greatest(tags.last_used_at, excluded.last_used_at)
)
SELECT message_id FROM keyed";

const STORED: &str = "-- store.accept.stored
SELECT m.message_id, m.failure_code
FROM unnest($1::uuid[], $2::uuid[]) AS t (workspace_id, message_id)
JOIN messages m ON m.workspace_id = t.workspace_id AND m.message_id = t.message_id";

pub(crate) const FIRST_OF_KEYS: &str = "-- store.accept.first_of_keys
SELECT k.workspace_id, k.message_key, k.message_id, k.fingerprint, m.failure_code
FROM unnest($1::uuid[], $2::text[]) AS t (workspace_id, message_key)
JOIN message_keys k ON k.workspace_id = t.workspace_id AND k.message_key = t.message_key
LEFT JOIN messages m ON m.workspace_id = k.workspace_id AND m.message_id = k.message_id";

/// What came of inserting.
#[derive(Default)]
struct Done {
    /// Messages whose keys were new.
    won: Vec<MessageId>,
    /// Messages over the frequency cap.
    capped: Vec<MessageId>,
    /// Messages that a newer one has replaced.
    collapsed: Vec<MessageId>,
}

impl Store {
    /// Stores messages in one commit; answers what became of each, in order. May be repeated with the same messages
    /// after [`Error::Unknown`].
    ///
    /// # Errors
    /// When the database cannot be used; then none is known to be stored.
    pub async fn accept(&self, messages: &[NewMessage]) -> Result<Vec<Accepted>, Error> {
        let done = match self.insert(messages).await {
            Err(Error::Exists) => self.insert_rest(messages).await?,
            done => done?,
        };
        let lost: Vec<&NewMessage> = messages.iter().filter(|m| m.key.is_some() && !done.won.contains(&m.id)).collect();
        // The others are stored by now: whoever hears that this look failed must not take it that nothing is.
        let firsts = self.first_of_keys(&lost).await.map_err(after_commit)?;
        messages
            .iter()
            .map(|message| match &message.key {
                Some(key) if !done.won.contains(&message.id) => firsts
                    .iter()
                    .find(|first| first.workspace == message.workspace && first.key == key.as_str())
                    .map(|first| first.for_message(message))
                    .ok_or_else(|| Error::Unknown("a key was taken and is gone".to_owned())),
                Some(_) | None => Ok(as_new(message, &done)),
            })
            .collect()
    }

    async fn insert(&self, messages: &[NewMessage]) -> Result<Done, Error> {
        let needs_care = |message: &NewMessage| message.frequency_cap.is_some() || message.collapse_id().is_some();
        if messages.iter().any(needs_care) {
            return self.insert_with_care(messages).await;
        }
        let columns = Columns::of(messages, &[])?;
        Ok(Done { won: ids(&self.query(ACCEPT, &columns.params()).await?)?, ..Done::default() })
    }

    /// Inserts what a former commit, whose answer was lost, has not stored; what it has keeps its fate.
    async fn insert_rest(&self, messages: &[NewMessage]) -> Result<Done, Error> {
        let workspaces: Vec<Uuid> = messages.iter().map(|m| m.workspace.0).collect();
        let asked: Vec<Uuid> = messages.iter().map(|m| m.id.0).collect();
        let mut stored: HashMap<MessageId, Option<i32>> = HashMap::new();
        for row in self.query(STORED, &[&workspaces, &asked]).await? {
            stored.insert(MessageId(get(&row, 0)?), get(&row, 1)?);
        }
        if stored.is_empty() {
            return Err(Error::Exists);
        }
        let rest: Vec<NewMessage> = messages.iter().filter(|m| !stored.contains_key(&m.id)).cloned().collect();
        let mut done = match self.insert(&rest).await {
            // It is being stored at this moment.
            Err(Error::Exists) => return Err(Error::Unknown("a former commit goes on".to_owned())),
            done => done?,
        };
        for (message, code) in stored {
            match ended_with(code) {
                Some(Accepted::Capped) => done.capped.push(message),
                Some(Accepted::Collapsed) => done.collapsed.push(message),
                Some(Accepted::New | Accepted::Replayed(_) | Accepted::Conflict(_)) | None => {}
            }
        }
        Ok(done)
    }

    /// The messages that came first under keys of a workspace, each with key and fingerprint of its request; keys that
    /// are not taken are left out.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn firsts(&self, workspace: WorkspaceId, keys: &[MessageKey]) -> Result<Vec<First>, Error> {
        let workspaces = vec![workspace.0; keys.len()];
        let keys = keys.iter().map(|key| Some(key.as_str())).collect();
        self.first_of(workspaces, keys).await
    }

    async fn first_of_keys(&self, lost: &[&NewMessage]) -> Result<Vec<First>, Error> {
        let workspaces = lost.iter().map(|m| m.workspace.0).collect();
        let keys = lost.iter().map(|m| m.key.as_ref().map(MessageKey::as_str)).collect();
        self.first_of(workspaces, keys).await
    }

    async fn first_of(&self, workspaces: Vec<Uuid>, keys: Vec<Option<&str>>) -> Result<Vec<First>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.query(FIRST_OF_KEYS, &[&workspaces, &keys]).await?;
        rows.iter()
            .map(|row| {
                Ok(First {
                    workspace: WorkspaceId(get(row, 0)?),
                    key: get(row, 1)?,
                    message: MessageId(get(row, 2)?),
                    fingerprint: get(row, 3)?,
                    failure_code: get(row, 4)?,
                })
            })
            .collect()
    }
}

/// The message that came first under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct First {
    workspace: WorkspaceId,
    /// The key.
    pub key: String,
    /// The message.
    pub message: MessageId,
    /// Its request, hashed.
    pub fingerprint: Vec<u8>,
    failure_code: Option<i32>,
}

impl First {
    fn for_message(&self, message: &NewMessage) -> Accepted {
        if self.message == message.id {
            // A former commit has stored it, and said what became of it.
            ended_with(self.failure_code).unwrap_or(Accepted::New)
        } else if self.fingerprint == message.fingerprint {
            Accepted::Replayed(self.message)
        } else {
            Accepted::Conflict(self.message)
        }
    }
}

/// After the commit whatever goes wrong leaves it open what was stored.
fn after_commit(error: Error) -> Error {
    match error {
        Error::Unavailable(text) => Error::Unknown(text),
        other @ (Error::Unknown(_)
        | Error::Refused { .. }
        | Error::Exists
        | Error::Corrupt(_)
        | Error::Configuration(_)
        | Error::Migration(_)) => other,
    }
}

/// What accepting a message has ended with, by the failure code that it was stored with.
fn ended_with(failure_code: Option<i32>) -> Option<Accepted> {
    let code = FailureCode::from_number(failure_code?)?;
    if code == FailureCode::FrequencyCapped {
        return Some(Accepted::Capped);
    }
    (code == FailureCode::Collapsed).then_some(Accepted::Collapsed)
}

fn as_new(message: &NewMessage, done: &Done) -> Accepted {
    if done.capped.contains(&message.id) {
        Accepted::Capped
    } else if done.collapsed.contains(&message.id) {
        Accepted::Collapsed
    } else {
        Accepted::New
    }
}

fn ids(rows: &[tokio_postgres::Row]) -> Result<Vec<MessageId>, Error> {
    rows.iter().map(|row| get(row, 0).map(MessageId)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_not_to_be_stored_after_the_commit() {
        assert!(matches!(after_commit(Error::Unavailable("gone".to_owned())), Error::Unknown(_)));
        assert!(matches!(after_commit(Error::Exists), Error::Exists));
    }
}
