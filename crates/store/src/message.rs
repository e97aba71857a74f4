//! Reading messages.
//!
//! A message that waits is stored as `waiting`; what is shown for it follows from its outbox row and its channel's
//! gate and pauses, so that waiting costs no write.

use std::panic::AssertUnwindSafe;
use std::sync::{LazyLock, Mutex};

use domain::failure::FailureCode;
use domain::gate::GateReason;
use domain::id::{ChannelId, ContactId, MessageId, WorkspaceId};
use domain::lifecycle::Status;
use domain::options::Options;
use domain::pause::Pause;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::{ContextV7, Uuid};

use crate::client::{Store, get};
use crate::error::Error;
use crate::pause::pause;

/// The word stored while a message is in the outbox.
pub(crate) const WAITING: &str = "waiting";
/// Bits of a message id that hold milliseconds since 1970 (RFC 9562, UUID version 7).
const ID_TIME_BITS: u32 = 48;

/// A message as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The channel it goes out by.
    pub channel: ChannelId,
    /// The channel's connector and number.
    pub connector: (Uuid, PhoneNumber),
    /// The other side's contact and number; none where a rejected message names none, or after an erasure.
    pub recipient: Option<(ContactId, PhoneNumber)>,
    /// Whether it was sent or received.
    pub direction: Direction,
    /// `body` as it was sent, JSON; `null` when there is none or it is no longer kept.
    pub body: String,
    /// `template` as it was sent, JSON, while it is kept.
    pub template: Option<String>,
    /// Options.
    pub options: Options,
    /// The batch it came with.
    pub batch: Option<Uuid>,
    /// `meta` as it was sent, JSON.
    pub meta: String,
    /// The caller's reference.
    pub reference: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Status as it is shown.
    pub status: Status,
    /// What it waits for, while it waits.
    pub waiting: Option<Waiting>,
    /// The provider's own text of a failure; empty when none.
    pub reason: String,
    /// Failure code, source and the source's code.
    pub failure: Option<(FailureCode, String, String)>,
    /// WhatsApp's ids of the parts accepted so far.
    pub platform_references: Vec<String>,
    /// Requested time.
    pub scheduled_for: Option<Timestamp>,
    /// End of validity.
    pub expires_at: Timestamp,
    /// The message that sends it again.
    pub replayed_as: Option<MessageId>,
    /// The message that it sends again.
    pub replay_of: Option<MessageId>,
    /// Accepted at.
    pub created_at: Timestamp,
    /// Last changed at.
    pub updated_at: Timestamp,
    /// Status last changed at.
    pub last_status_at: Timestamp,
}

impl Message {
    /// Whether a part of it may have been sent, and nothing has proven whether it was.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        let ended_so = self.failure.as_ref().is_some_and(|(code, _, _)| *code == FailureCode::OutcomeUnknown);
        ended_so || self.waiting.as_ref().is_some_and(|waiting| waiting.maybe_sent)
    }
}

/// Which way a message went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To a person.
    Outgoing,
    /// From a person.
    Incoming,
}

impl Direction {
    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
        }
    }

    /// Reads the word of the API.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Outgoing, Self::Incoming].into_iter().find(|known| known.as_str() == word)
    }
}

/// What a message waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// May go from this instant on.
    pub due_at: Timestamp,
    /// For this reason.
    pub reason: DueReason,
    /// Tries that counted.
    pub tries: u16,
    /// Whether it may have been sent already.
    pub maybe_sent: bool,
    /// The channel's gate, when it is closed, and until when.
    pub gate: Option<(GateReason, Timestamp)>,
    /// Of the pauses that cover it the one that holds for longest.
    pub pause: Option<Pause>,
}

const GET: &str = "-- store.message.get
SELECT m.message_id, m.channel_id, c.connector_id, c.number, m.contact_id, m.recipient, m.body, m.meta, m.reference, m.tags,
    m.status, m.reason, m.failure_code, m.failure_source, m.failure_source_code, m.platform_references, m.scheduled_for,
    m.expires_at, m.created_at, m.updated_at, m.last_status_at,
    o.due_at, o.due_reason, o.tries, o.maybe_sent, o.claim, g.reason, g.until,
    m.direction, m.template, m.options, m.batch_id, m.replayed_as, m.replay_of,
    p.pause_id, p.scope, p.channel_id, p.tag, p.reason, p.actor, p.until, p.created_at
FROM messages m
JOIN channels c ON c.workspace_id = m.workspace_id AND c.channel_id = m.channel_id
LEFT JOIN outbox o ON o.workspace_id = m.workspace_id AND o.message_id = m.message_id
LEFT JOIN channel_gates g ON g.workspace_id = m.workspace_id AND g.channel_id = m.channel_id
LEFT JOIN LATERAL (
    SELECT pause_id, scope, channel_id, tag, reason, actor, until, created_at FROM pauses
    WHERE o.message_id IS NOT NULL AND workspace_id = m.workspace_id AND ended_at IS NULL AND coalesce(until, 'infinity') > $3
    AND (scope = 'workspace' OR channel_id = m.channel_id OR tag = ANY (m.tags))
    ORDER BY coalesce(until, 'infinity') DESC, pause_id DESC LIMIT 1
) p ON true
WHERE m.workspace_id = $1 AND m.message_id = ANY ($2)";

/// Ids of one instant ascend in the order they are made.
static ID_CONTEXT: LazyLock<Mutex<AssertUnwindSafe<ContextV7>>> =
    LazyLock::new(|| Mutex::new(AssertUnwindSafe(ContextV7::new().with_additional_precision())));

/// An id for a message that is accepted at an instant of the database's clock: a UUID of version 7, so that ids of all
/// replicas sort by time of acceptance.
#[must_use]
pub fn new_id_at(at: Timestamp) -> MessageId {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(at.subsec_nanosecond()).unwrap_or_default();
    MessageId(Uuid::new_v7(uuid::Timestamp::from_unix(&*ID_CONTEXT, seconds, nanoseconds)))
}

/// The lowest id that a message accepted at an instant can have.
#[must_use]
pub fn first_id_at(at: Timestamp) -> MessageId {
    let milliseconds = u128::try_from(at.as_millisecond()).unwrap_or_default();
    MessageId(Uuid::from_u128(milliseconds << (u128::BITS - ID_TIME_BITS)))
}

impl Store {
    /// One message of a workspace.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn message(&self, workspace: WorkspaceId, id: MessageId) -> Result<Option<Message>, Error> {
        Ok(self.messages(workspace, &[id]).await?.pop())
    }

    /// Messages of a workspace by id, in the order asked for; unknown ones are left out.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn messages(&self, workspace: WorkspaceId, ids: &[MessageId]) -> Result<Vec<Message>, Error> {
        self.messages_at(workspace, ids, self.now()).await
    }

    /// The same, with the statuses that are shown at an instant.
    pub(crate) async fn messages_at(
        &self,
        workspace: WorkspaceId,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<Message>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = self.query(GET, &[&workspace.0, &asked, &now]).await?;
        let mut found: Vec<Message> = rows.iter().map(|row| message(row, now)).collect::<Result<_, _>>()?;
        found.sort_by_cached_key(|message| ids.iter().position(|id| *id == message.id));
        Ok(found)
    }
}

fn message(row: &Row, now: Timestamp) -> Result<Message, Error> {
    let scheduled_for: Option<Timestamp> = get(row, 16)?;
    let (status, waiting) = status(row, scheduled_for, now)?;
    Ok(Message {
        id: MessageId(get(row, 0)?),
        channel: ChannelId(get(row, 1)?),
        connector: (get(row, 2)?, PhoneNumber::from_stored(get(row, 3)?)),
        recipient: recipient(row)?,
        direction: direction(row)?,
        body: get(row, 6)?,
        template: get(row, 29)?,
        options: serde_json::from_str(get(row, 30)?).map_err(Error::corrupt)?,
        batch: get(row, 31)?,
        meta: get(row, 7)?,
        reference: get(row, 8)?,
        tags: get(row, 9)?,
        status,
        waiting,
        reason: get(row, 11)?,
        failure: failure(row)?,
        platform_references: get(row, 15)?,
        scheduled_for,
        expires_at: get(row, 17)?,
        replayed_as: get::<Option<Uuid>>(row, 32)?.map(MessageId),
        replay_of: get::<Option<Uuid>>(row, 33)?.map(MessageId),
        created_at: get(row, 18)?,
        updated_at: get(row, 19)?,
        last_status_at: get(row, 20)?,
    })
}

fn recipient(row: &Row) -> Result<Option<(ContactId, PhoneNumber)>, Error> {
    let (contact, number): (Option<Uuid>, Option<String>) = (get(row, 4)?, get(row, 5)?);
    Ok(contact.map(ContactId).zip(number.map(PhoneNumber::from_stored)))
}

fn direction(row: &Row) -> Result<Direction, Error> {
    let word: &str = get(row, 28)?;
    Direction::from_word(word).ok_or_else(|| Error::corrupt(format!("direction {word}")))
}

/// The status that is shown, and what a waiting message waits for.
fn status(row: &Row, scheduled_for: Option<Timestamp>, now: Timestamp) -> Result<(Status, Option<Waiting>), Error> {
    let stored: &str = get(row, 10)?;
    if stored != WAITING {
        let status = Status::from_word(stored).ok_or_else(|| Error::corrupt(format!("status {stored}")))?;
        return Ok((status, None));
    }
    let claims: Option<i64> = get(row, 25)?;
    let shown = match (claims, scheduled_for) {
        (Some(0), Some(at)) if at > now => Status::Scheduled,
        (Some(0), _) => Status::Accepted,
        (Some(_) | None, _) => Status::Processing,
    };
    Ok((shown, waiting(row)?))
}

fn waiting(row: &Row) -> Result<Option<Waiting>, Error> {
    let Some(due_at) = get::<Option<Timestamp>>(row, 21)? else {
        return Ok(None);
    };
    let reason: &str = get(row, 22)?;
    let tries: i16 = get(row, 23)?;
    let gate = match (get::<Option<&str>>(row, 26)?, get::<Option<Timestamp>>(row, 27)?) {
        (Some(word), Some(until)) => {
            Some((GateReason::from_word(word).ok_or_else(|| Error::corrupt(format!("gate {word}")))?, until))
        }
        (Some(_) | None, _) => None,
    };
    Ok(Some(Waiting {
        due_at,
        reason: DueReason::from_word(reason).ok_or_else(|| Error::corrupt(format!("due reason {reason}")))?,
        tries: u16::try_from(tries).map_err(Error::corrupt)?,
        maybe_sent: get(row, 24)?,
        gate,
        pause: pause_of(row)?,
    }))
}

fn pause_of(row: &Row) -> Result<Option<Pause>, Error> {
    let is_paused = get::<Option<Uuid>>(row, 34)?.is_some();
    is_paused.then(|| pause(row, 34)).transpose()
}

fn failure(row: &Row) -> Result<Option<(FailureCode, String, String)>, Error> {
    let Some(number) = get::<Option<i32>>(row, 12)? else {
        return Ok(None);
    };
    let code = FailureCode::from_number(number).ok_or_else(|| Error::corrupt(format!("failure code {number}")))?;
    let source: Option<String> = get(row, 13)?;
    let source_code: Option<String> = get(row, 14)?;
    Ok(Some((code, source.unwrap_or_default(), source_code.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_instant_ascend() {
        let now: Timestamp = "2026-11-20T12:00:00.123456Z".parse().expect("an instant");
        let ids: Vec<Uuid> = (0..1000).map(|_| new_id_at(now).0).collect();
        assert!(ids.is_sorted_by(|before, after| before < after));
        assert_eq!(ids[0].get_timestamp().map(|at| at.to_unix().0), u64::try_from(now.as_second()).ok());
    }
}
