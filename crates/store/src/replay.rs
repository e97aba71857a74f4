//! Sending again what ended without delivery: by a new message each, with the same content and no deduplication key.
//!
//! Which parts go is `domain::replay`'s to say, when, `domain::again`'s. One statement marks the old messages and stores the
//! new ones; a message that is marked already, or has changed since it was looked at, is left out. So it may be repeated.
//! Under a collapse key a replay counts as old as the message it repeats: it does not go while a newer one waits.
//! References of the parts that the provider accepted before, and which do not go again, are the new message's, too.

use std::collections::HashMap;
use std::convert::Infallible;

use domain::again::{Again, Kept, validity_seconds};
use domain::content::Part;
use domain::event::Event;
use domain::failure::FailureCode;
use domain::id::{ContactId, MessageId, PartId};
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::options::Options;
use domain::phone::PhoneNumber;
use domain::quiet_hours::QuietHours;
use domain::replay::{Past, Refusal, Replay};
use domain::schedule::{DueReason, Fit};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::accept::TAG_SLOTS;
use crate::accept::careful::Collapsing;
use crate::audit::Act;
use crate::channel::Channel;
use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::message::{WAITING, new_id_at};

/// What became of a message that was to be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replayed {
    /// A new message sends it again, from an instant on.
    New(MessageId, Lane, Timestamp),
    /// This message had sent it again before.
    Before(MessageId),
    /// It may not be sent again.
    Refused(Refusal),
    /// It could not go within its validity.
    TooLate(Again),
    /// It changed while it was looked at, its recipient is being erased, or a newer message waits under its collapse key.
    Changed,
    /// There is no such message.
    NotFound,
}

/// A message that may be sent again.
struct Candidate {
    old: MessageId,
    past: Past,
    replayed_as: Option<MessageId>,
    replay_of: Option<MessageId>,
    recipient: Option<(ContactId, PhoneNumber)>,
    use_case: Option<String>,
    options: Options,
    validity_seconds: i64,
    /// Its parts under new ids, where they get such.
    parts: Option<String>,
}

/// A message that will send another one again.
pub(crate) struct Successor {
    old: MessageId,
    /// The message that the old one had sent again.
    replay_of: Option<MessageId>,
    status: &'static str,
    new: MessageId,
    parts: Option<String>,
    expires_at: Timestamp,
    due_at: Timestamp,
    reason: DueReason,
    lane: Lane,
    part: i16,
    maybe_sent: bool,
    collapse_id: Option<Uuid>,
    contact: ContactId,
}

impl Successor {
    /// The message that it sends again.
    pub(crate) fn old(&self) -> MessageId {
        self.old
    }

    /// The lane it waits in, and until when.
    pub(crate) fn due(&self) -> (Lane, Timestamp) {
        (self.lane, self.due_at)
    }

    fn collapsing(&self) -> Option<Collapsing> {
        let (contact, old, is_replay) = (self.contact.0, self.old.0, self.replay_of.is_some());
        self.collapse_id.map(|key| Collapsing { contact, key, old, is_replay })
    }
}

/// What is asked for many messages at once: the channel, and the quiet hours that hold for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) channel: &'a Channel,
    pub(crate) hours: Option<&'a QuietHours>,
}

// Asked for by a workspace that the planner sees, messages were looked for among all of it.
const LOOK: &str = "-- store.replay.look
WITH asked AS MATERIALIZED (
    SELECT $1::uuid AS workspace_id, t.message_id FROM unnest($2::uuid[]) AS t (message_id)
)
SELECT m.message_id, m.status, m.failure_code, json_array_length(m.parts::json), cardinality(m.platform_references), m.replayed_as,
    m.contact_id, m.recipient, m.use_case, m.options, m.created_at, m.scheduled_for, m.expires_at,
    CASE m.status WHEN $3 THEN m.parts END, m.channel_id, m.replay_of
FROM asked a JOIN messages m ON m.workspace_id = a.workspace_id AND m.message_id = a.message_id
WHERE m.direction = 'outgoing'
ORDER BY m.message_id";

// Who is being erased gets no new message: the erasure would not find it. With an action it happens only from the place that the action has reached, and moves it on.
const INSERT: &str = "-- store.replay.insert
WITH place AS (
    SELECT action_id FROM actions WHERE workspace_id = $1 AND action_id = $18 AND reached = $19
    AND confirmed_at IS NOT NULL AND finished_at IS NULL
    FOR UPDATE
), input AS MATERIALIZED (
    SELECT $1::uuid AS workspace_id, t.old_id, t.old_status, t.new_id, t.parts, t.expires_at, t.due_at, t.due_reason, t.lane, t.part, t.maybe_sent, t.collapse_id
    FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::smallint[],
        $11::smallint[], $12::boolean[], $13::uuid[], $24::uuid[])
    AS t (old_id, old_status, new_id, parts, expires_at, due_at, due_reason, lane, part, maybe_sent, collapse_id, contact_id)
    WHERE ($18::uuid IS NULL OR EXISTS (SELECT FROM place))
    AND NOT EXISTS (SELECT FROM erasures e WHERE e.workspace_id = $1 AND e.contact_id = t.contact_id)
    AND t.old_id <> ALL ($25::uuid[])
), taken AS (
    UPDATE messages m SET replayed_as = i.new_id, updated_at = $14
    FROM input i
    WHERE m.workspace_id = i.workspace_id AND m.message_id = i.old_id AND (m.channel_id = $2) IS TRUE AND m.status = i.old_status
    AND m.replayed_as IS NULL AND m.parts <> '[]' AND m.recipient IS NOT NULL
    RETURNING m.workspace_id, m.message_id AS old_id, m.channel_id, m.contact_id, m.recipient, m.body, m.template,
        coalesce(i.parts, m.parts) AS parts, m.reference, m.tags, m.meta, m.options, m.use_case,
        CASE WHEN i.part > 0 THEN m.platform_references ELSE '{}' END AS platform_references,
        i.new_id, i.expires_at, i.due_at, i.due_reason, i.lane, i.part, i.maybe_sent, i.collapse_id
), stored AS (
    INSERT INTO messages (workspace_id, message_id, channel_id, contact_id, recipient, body, template, parts, reference, tags,
        meta, options, use_case, expires_at, status, platform_references, replay_of, created_at, updated_at, last_status_at)
    SELECT workspace_id, new_id, channel_id, contact_id, recipient, body, template, parts, reference, tags, meta, options, use_case,
        expires_at, $15, platform_references, old_id, $14, $14, $14
    FROM taken
    RETURNING workspace_id, message_id, tags
), queued AS (
    INSERT INTO outbox (workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at, part, maybe_sent, may_repeat, collapse_id)
    SELECT workspace_id, new_id, channel_id, lane, due_at, due_reason, expires_at, part, maybe_sent, maybe_sent, collapse_id FROM taken
), tagged AS (
    INSERT INTO message_tags (workspace_id, tag, message_id) SELECT workspace_id, unnest(tags), message_id FROM stored
), counted AS (
    INSERT INTO tags (workspace_id, tag, slot, messages, created_at, last_used_at)
    SELECT s.workspace_id, s.tag, pg_backend_pid() % $16, count(s.message_id), $14, $14
    FROM (SELECT workspace_id, unnest(tags) AS tag, message_id FROM stored) s
    GROUP BY s.workspace_id, s.tag ORDER BY s.workspace_id, s.tag COLLATE \"C\"
    ON CONFLICT (workspace_id, tag, slot) DO UPDATE SET messages = tags.messages + excluded.messages,
        last_used_at = greatest(tags.last_used_at, excluded.last_used_at)
), told AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, actor)
    SELECT workspace_id, old_id, $14, $20, $17 FROM taken
), moved AS (
    UPDATE actions a SET acted = a.acted + n.acted, passed = a.passed + $22 - n.acted, worked_at = $14,
        reached = coalesce($23, a.below), finished_at = CASE WHEN $23::uuid IS NULL THEN $14::timestamptz END
    FROM place p, (SELECT count(old_id) AS acted FROM taken) n
    WHERE a.workspace_id = $1 AND a.action_id = p.action_id
    RETURNING a.action_id, a.acted, a.passed, a.finished_at
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $17, $21, old_id::text, new_id::text FROM taken WHERE $18::uuid IS NULL
    UNION ALL
    SELECT $1, $17, $21, v.action_id::text, json_build_object('acted', v.acted, 'passed', v.passed)::text FROM moved v
    WHERE v.finished_at IS NOT NULL
)
SELECT ARRAY(SELECT old_id FROM taken), (SELECT action_id FROM moved)";

impl Store {
    /// Sends a message again.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn replay(
        &self,
        channel: &Channel,
        hours: Option<&QuietHours>,
        message: MessageId,
        act: &Act<'_>,
    ) -> Result<Replayed, Error> {
        let Ok(replayed) =
            self.replay_admitted(channel, hours, message, act, |_, _, _| Ok::<_, Infallible>(())).await?;
        Ok(replayed)
    }

    /// Sends a message again if the new one is admitted, which is asked for by its lane, the instant from which on it may go, and
    /// the end of its validity; the inner error is why it is not.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn replay_admitted<E>(
        &self,
        channel: &Channel,
        hours: Option<&QuietHours>,
        message: MessageId,
        act: &Act<'_>,
        admit: impl FnOnce(Lane, Timestamp, Timestamp) -> Result<(), E>,
    ) -> Result<Result<Replayed, E>, Error> {
        let now = self.now();
        let ground = Ground { channel, hours };
        let Some(candidate) = self.candidate(ground, message).await? else { return Ok(Ok(Replayed::NotFound)) };
        let successor = match candidate.successor(ground, now) {
            Ok(successor) => successor,
            Err(reason) => return Ok(Ok(reason)),
        };
        if let Err(why) = admit(successor.lane, successor.due_at, successor.expires_at) {
            return Ok(Err(why));
        }
        let (new, lane, due_at) = (successor.new, successor.lane, successor.due_at);
        let (done, _) = self.insert_successors(ground, &[successor], now, act, None).await?;
        if done == [message] {
            return Ok(Ok(Replayed::New(new, lane, due_at)));
        }
        // Somebody else was first, or a former try whose answer was lost.
        let again = self.candidate(ground, message).await?;
        Ok(Ok(again.and_then(|again| again.replayed_as).map_or(Replayed::Changed, Replayed::Before)))
    }

    /// The messages that would send these again, of those that may be.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub(crate) async fn successors(
        &self,
        ground: Ground<'_>,
        messages: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<Successor>, Error> {
        let rows = self.past_messages(ground, messages).await?;
        // One that cannot be read, as from a newer version, must not keep the others.
        let readable = rows.iter().filter_map(|row| match candidate(row) {
            Ok(candidate) => candidate.successor(ground, now).ok(),
            Err(error) => {
                tracing::error!(%error, "a message cannot be read and is not sent again");
                None
            }
        });
        Ok(newest(readable.collect()))
    }

    async fn candidate(&self, ground: Ground<'_>, message: MessageId) -> Result<Option<Candidate>, Error> {
        self.past_messages(ground, &[message]).await?.first().map(candidate).transpose()
    }

    async fn past_messages(&self, ground: Ground<'_>, messages: &[MessageId]) -> Result<Vec<Row>, Error> {
        let ids: Vec<Uuid> = messages.iter().map(|message| message.0).collect();
        let params: Params<'_> = &[&ground.channel.workspace.0, &ids, &Status::DeliveryFailed.as_str()];
        let mut rows = self.query(LOOK, params).await?;
        // Asked for by the statement, it would be a way for the planner to walk along all messages of the channel.
        rows.retain(|row| get(row, 14).is_ok_and(|channel: Uuid| channel == ground.channel.id.0));
        Ok(rows)
    }

    /// Stores messages that send others again; answers which were sent again, and whether the action that they are of went
    /// on from the place that it was at.
    pub(crate) async fn insert_successors(
        &self,
        ground: Ground<'_>,
        successors: &[Successor],
        now: Timestamp,
        act: &Act<'_>,
        moving: Option<Moving>,
    ) -> Result<(Vec<MessageId>, bool), Error> {
        let all = || successors.iter();
        let old: Vec<Uuid> = all().map(|one| one.old.0).collect();
        let statuses: Vec<&str> = all().map(|one| one.status).collect();
        let new: Vec<Uuid> = all().map(|one| one.new.0).collect();
        let parts: Vec<Option<&str>> = all().map(|one| one.parts.as_deref()).collect();
        let expires: Vec<Timestamp> = all().map(|one| one.expires_at).collect();
        let due: Vec<Timestamp> = all().map(|one| one.due_at).collect();
        let reasons: Vec<&str> = all().map(|one| one.reason.as_str()).collect();
        let lanes: Vec<i16> = all().map(|one| one.lane.number()).collect();
        let first: Vec<i16> = all().map(|one| one.part).collect();
        let maybe_sent: Vec<bool> = all().map(|one| one.maybe_sent).collect();
        let collapse_ids: Vec<Option<Uuid>> = all().map(|one| one.collapse_id).collect();
        let contacts: Vec<Uuid> = all().map(|one| one.contact.0).collect();
        let (action, reached) = moving.map(|moving| (moving.action, moving.reached.0)).unzip();
        let next = moving.and_then(|moving| moving.next).map(|next| next.0);
        let fitting = moving.map_or(0, |moving| moving.fitting);
        let event = Event::Replayed.as_str();
        let params: Params<'_> = &[
            &ground.channel.workspace.0,
            &ground.channel.id.0,
            &old,
            &statuses,
            &new,
            &parts,
            &expires,
            &due,
            &reasons,
            &lanes,
            &first,
            &maybe_sent,
            &collapse_ids,
            &now,
            &WAITING,
            &TAG_SLOTS,
            &act.actor,
            &action,
            &reached,
            &event,
            &act.name,
            &fitting,
            &next,
            &contacts,
        ];
        let collapsing: Vec<Collapsing> = all().filter_map(Successor::collapsing).collect();
        let row = if collapsing.is_empty() {
            self.one(INSERT, &[params, &[&Vec::<Uuid>::new()]].concat()).await?
        } else {
            self.insert_collapsing(INSERT, params, ground.channel.workspace, &collapsing).await?
        };
        let done: Vec<Uuid> = get(&row, 0)?;
        Ok((done.into_iter().map(MessageId).collect(), get::<Option<Uuid>>(&row, 1)?.is_some()))
    }
}

/// How an action goes on when messages of it are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moving {
    pub(crate) action: Uuid,
    /// Where it must be.
    pub(crate) reached: MessageId,
    /// Where it is then; `None` at its end.
    pub(crate) next: Option<MessageId>,
    /// Messages that it concerns.
    pub(crate) fitting: i64,
}

impl Candidate {
    /// The message that sends it again, if it may be.
    fn successor(self, ground: Ground<'_>, now: Timestamp) -> Result<Successor, Replayed> {
        if let Some(before) = self.replayed_as {
            return Err(Replayed::Before(before));
        }
        let replay = self.past.replay().map_err(Replayed::Refused)?;
        let Some((contact, recipient)) = &self.recipient else { return Err(Replayed::Refused(Refusal::ContentGone)) };
        let message_type = ground.channel.settings.message_type;
        let kept = Kept {
            recipient,
            use_case: self.use_case.as_deref(),
            ignores_quiet_hours: self.options.ignore_quiet_hours,
            message_type,
            validity_seconds: self.validity_seconds,
        };
        let timing = kept.timing(now, ground.hours);
        let Fit::At(due_at, reason) = timing.fit else { return Err(Replayed::TooLate(timing)) };
        let (part, maybe_sent, parts) = match replay {
            Replay::Rest { part, maybe_sent } => (part, maybe_sent, None),
            Replay::Anew => (0, false, self.parts),
        };
        Ok(Successor {
            old: self.old,
            replay_of: self.replay_of,
            status: self.past.status.as_str(),
            new: new_id_at(now),
            parts,
            expires_at: timing.expires_at,
            due_at,
            reason,
            lane: Lane::of(self.use_case.as_deref(), message_type),
            part: i16::try_from(part).unwrap_or(i16::MAX),
            maybe_sent,
            collapse_id: self.options.collapse_key.as_ref().map(|key| key.id_for(*contact)),
            contact: *contact,
        })
    }
}

/// Of those with one collapse key, the one that repeats the newest message.
fn newest(successors: Vec<Successor>) -> Vec<Successor> {
    let age = |one: &Successor| one.replay_of.unwrap_or(one.old);
    let mut newest: HashMap<Uuid, MessageId> = HashMap::new();
    for one in &successors {
        if let Some(key) = one.collapse_id {
            let known = newest.entry(key).or_insert(age(one));
            *known = age(one).max(*known);
        }
    }
    let goes = |one: &Successor| one.collapse_id.is_none_or(|key| newest.get(&key) == Some(&age(one)));
    successors.into_iter().filter(goes).collect()
}

/// The same parts under new ids.
fn renamed(parts: &str) -> Result<String, Error> {
    let mut parts: Vec<Part> = serde_json::from_str(parts).map_err(Error::corrupt)?;
    for part in &mut parts {
        part.id = PartId(Uuid::new_v4());
    }
    serde_json::to_string(&parts).map_err(Error::corrupt)
}

fn candidate(row: &Row) -> Result<Candidate, Error> {
    let word: &str = get(row, 1)?;
    // What waits is stored under a word that is no status.
    let status = if word == WAITING { Some(Status::Processing) } else { Status::from_word(word) };
    let failure = get::<Option<i32>>(row, 2)?.and_then(FailureCode::from_number);
    let count = |index| usize::try_from(get::<i32>(row, index)?).map_err(Error::corrupt);
    let status = status.ok_or_else(|| Error::corrupt(format!("status {word}")))?;
    let (contact, number): (Option<Uuid>, Option<String>) = (get(row, 6)?, get(row, 7)?);
    Ok(Candidate {
        old: MessageId(get(row, 0)?),
        past: Past { status, failure, parts: count(3)?, accepted: count(4)? },
        replayed_as: get::<Option<Uuid>>(row, 5)?.map(MessageId),
        replay_of: get::<Option<Uuid>>(row, 15)?.map(MessageId),
        recipient: contact.map(ContactId).zip(number.map(PhoneNumber::from_stored)),
        use_case: get(row, 8)?,
        options: serde_json::from_str(get(row, 9)?).map_err(Error::corrupt)?,
        validity_seconds: validity_seconds(get(row, 10)?, get(row, 11)?, get(row, 12)?),
        parts: get::<Option<&str>>(row, 13)?.map(renamed).transpose()?,
    })
}
