//! All that is stored of one message's time: what it waits for, its calls, what else happened, and what was closed meanwhile.

use domain::content::Part;
use domain::event::Event;
use domain::gate::GateReason;
use domain::id::{ChannelId, MessageId, WorkspaceId};
use domain::message::Lane;
use domain::schedule::DueReason;
use domain::timeline::{Attempted, Cause, Closed, Happened, Wait};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::client::{Params, Store, get};
use crate::error::Error;

/// Calls, events, gates and pauses of a message that are read, the newest: far more than a message has unless the provider
/// fails for its whole validity.
const ROWS_MAX: i64 = 1_000;

/// What is not shown of a message as such.
#[derive(Clone, PartialEq, Debug)]
pub struct Inside {
    /// All parts; empty when their texts are no longer kept.
    pub parts: Vec<Part>,
    /// What it is for, as the caller says.
    pub use_case: Option<String>,
    /// Where it waits, while it does.
    pub standing: Option<Standing>,
}

/// Where a message waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its lane.
    pub lane: Lane,
    /// From when on it may go.
    pub due_at: Timestamp,
    /// For what it waits.
    pub reason: DueReason,
}

/// A message whose time is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its channel.
    pub channel: ChannelId,
    /// The message.
    pub message: MessageId,
    /// Its tags.
    pub tags: &'a [String],
    /// From acceptance on.
    pub from: Timestamp,
    /// Until its end.
    pub until: Timestamp,
}

/// What happened in a message's time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Its calls.
    pub attempts: Vec<Attempted>,
    /// What else happened to it.
    pub events: Vec<Happened>,
    /// Pauses and gates that were closed to it. What is closed still ends with the time asked for.
    pub closed: Vec<Closed>,
}

/// What was let go, or is to be, at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LetGoTogether {
    /// All of them.
    pub messages: u64,
    /// Those before the message.
    pub before: u64,
}

const INSIDE: &str = "-- store.explain.inside
SELECT m.parts, m.use_case, o.lane, o.due_at, o.due_reason FROM messages m
LEFT JOIN outbox o ON o.workspace_id = m.workspace_id AND o.message_id = m.message_id
WHERE m.workspace_id = $1 AND m.message_id = $2";

const ATTEMPTS: &str = "-- store.explain.attempts
SELECT part, started_at, finished_at, outcome, rule, http_status, waited_for, due_at FROM attempts
WHERE workspace_id = $1 AND message_id = $2 ORDER BY claim DESC LIMIT $3";

const EVENTS: &str = "-- store.explain.events
SELECT at, event, waited_for, due_at, reason, until, actor FROM message_events
WHERE workspace_id = $1 AND message_id = $2 ORDER BY at DESC, event LIMIT $3";

const GATES: &str = "-- store.explain.gates
SELECT reason, since, opened_at FROM gate_history
WHERE workspace_id = $1 AND channel_id = $2 AND since < $4 AND opened_at > $3
UNION ALL
SELECT reason, coalesce(reason_since, since), $4 FROM channel_gates WHERE workspace_id = $1 AND channel_id = $2 AND since < $4
ORDER BY 2 DESC LIMIT $5";

const PAUSES: &str = "-- store.explain.pauses
SELECT created_at, least(ended_at, until, $4) FROM pauses
WHERE workspace_id = $1 AND created_at < $4 AND least(ended_at, until, $4) > $3
AND (channel_id IS NULL OR channel_id = $2) AND (tag IS NULL OR tag = ANY ($5))
ORDER BY created_at DESC LIMIT $6";

const LET_GO_TOGETHER: &str = "-- store.explain.let_go_together
SELECT count(l.message_id), count(l.message_id) FILTER (WHERE l.message_id < $4) FROM (
    SELECT message_id FROM outbox WHERE channel_id = $1 AND lane = $2 AND due_at = $3 ORDER BY message_id LIMIT $5
) l";

impl Store {
    /// What is not shown of a message as such.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn inside(&self, workspace: WorkspaceId, message: MessageId) -> Result<Option<Inside>, Error> {
        let Some(row) = self.maybe_one(INSIDE, &[&workspace.0, &message.0]).await? else { return Ok(None) };
        let parts = serde_json::from_str(get(&row, 0)?).map_err(Error::corrupt)?;
        Ok(Some(Inside { parts, use_case: get(&row, 1)?, standing: standing(&row)? }))
    }

    /// What happened in a message's time, as far as it is stored.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn told(&self, asked: &Asked<'_>) -> Result<Told, Error> {
        let (workspace, message) = (asked.workspace.0, asked.message.0);
        let attempts = self.query(ATTEMPTS, &[&workspace, &message, &ROWS_MAX]).await?;
        let events = self.query(EVENTS, &[&workspace, &message, &ROWS_MAX]).await?;
        let gates: Params<'_> = &[&workspace, &asked.channel.0, &asked.from, &asked.until, &ROWS_MAX];
        let gates = self.query(GATES, gates).await?;
        let pauses: Params<'_> = &[&workspace, &asked.channel.0, &asked.from, &asked.until, &asked.tags, &ROWS_MAX];
        let pauses = self.query(PAUSES, pauses).await?;
        let paused =
            pauses.iter().map(|row| Ok(Closed { cause: Cause::Hold, from: get(row, 0)?, until: get(row, 1)? }));
        Ok(Told {
            attempts: attempts.iter().rev().map(attempted).collect::<Result<_, _>>()?,
            events: events.iter().rev().map(happened).collect::<Result<_, _>>()?,
            // A pause counts before a gate that is closed at the same time.
            closed: paused.chain(gates.iter().map(closed)).collect::<Result<_, Error>>()?,
        })
    }

    /// How many of a lane fall due together with a message, and how many of them go before it; counted up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn let_go_together(
        &self,
        channel: ChannelId,
        standing: &Standing,
        message: MessageId,
        limit: i64,
    ) -> Result<LetGoTogether, Error> {
        let params: Params<'_> = &[&channel.0, &standing.lane.number(), &standing.due_at, &message.0, &limit];
        let row = self.one(LET_GO_TOGETHER, params).await?;
        let count = |column| u64::try_from(get::<i64>(&row, column)?).map_err(Error::corrupt);
        Ok(LetGoTogether { messages: count(0)?, before: count(1)? })
    }
}

fn standing(row: &Row) -> Result<Option<Standing>, Error> {
    let Some(number) = get::<Option<i16>>(row, 2)? else { return Ok(None) };
    let lane = Lane::from_number(number).ok_or_else(|| Error::corrupt(format!("lane {number}")))?;
    Ok(Some(Standing { lane, due_at: get(row, 3)?, reason: reason(get(row, 4)?)? }))
}

fn attempted(row: &Row) -> Result<Attempted, Error> {
    let part: i16 = get(row, 0)?;
    Ok(Attempted {
        part: usize::try_from(part).map_err(Error::corrupt)?,
        started_at: get(row, 1)?,
        finished_at: get(row, 2)?,
        outcome: get(row, 3)?,
        rule: get(row, 4)?,
        http_status: get(row, 5)?,
        waited: wait(row, 6)?,
    })
}

fn happened(row: &Row) -> Result<Happened, Error> {
    let event: &str = get(row, 1)?;
    Ok(Happened {
        at: get(row, 0)?,
        event: Event::from_word(event).ok_or_else(|| Error::corrupt(format!("event {event}")))?,
        waited: wait(row, 2)?,
        waits: wait(row, 4)?,
        actor: get(row, 6)?,
    })
}

/// The wait in two columns of a row, from this one on.
fn wait(row: &Row, first: usize) -> Result<Option<Wait>, Error> {
    let (word, until): (Option<&str>, Option<Timestamp>) = (get(row, first)?, get(row, first + 1)?);
    word.zip(until).map(|(word, until)| Ok(Wait { reason: reason(word)?, until })).transpose()
}

fn reason(word: &str) -> Result<DueReason, Error> {
    DueReason::from_word(word).ok_or_else(|| Error::corrupt(format!("due reason {word}")))
}

fn closed(row: &Row) -> Result<Closed, Error> {
    let word: &str = get(row, 0)?;
    let reason = GateReason::from_word(word).ok_or_else(|| Error::corrupt(format!("gate {word}")))?;
    Ok(Closed { cause: Cause::of_gate(reason), from: get(row, 1)?, until: get(row, 2)? })
}
