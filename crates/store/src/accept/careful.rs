//! Accepting messages whose fate depends on others to the same recipient: under a frequency cap, or with a collapse key.
//!
//! One transaction that begins with a lock for each such recipient: whoever comes second sees what the first has stored.
//! May be repeated like the plain way.

use std::collections::HashMap;
use std::time::Instant;

use deadpool_postgres::Transaction;
use domain::failure::FailureCode;
use domain::id::{MessageId, WorkspaceId};
use domain::limits::SCHEDULE_AHEAD_MAX;
use domain::message::MessageKey;
use domain::options::{FrequencyCap, MARKETING};
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{ACCEPT, Columns, Done, NewMessage, ids};
use crate::client::{ANSWER_WAIT, Params, Store, get, name_of, unsent};
use crate::error::Error;
use crate::message::{WAITING, first_id_at};

/// First key of the locks, so that they are no others' locks.
const LOCKS: i32 = 0x7475_6d62;
const HOURS_A_DAY: i64 = 24;

// In the order of the lock's key, so that two transactions never wait for each other.
const LOCK: &str = "-- store.accept.careful.lock
SELECT pg_advisory_xact_lock($1, r.key)
FROM (SELECT DISTINCT hashtext(t.contact_id::text) AS key FROM unnest($2::uuid[]) AS t (contact_id) ORDER BY key OFFSET 0) r";

// Counted are messages for marketing that were or will be sent within the days before or after; not one that waits and
// is about to be replaced under the same collapse key. Whose key is taken is not asked: its first message stands. The workspace is
// checked of each row, so that the planner cannot walk along all messages of it.
const COUNTED: &str = "-- store.accept.careful.counted
WITH input AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::integer[], $7::integer[],
        $8::uuid[], $9::uuid[])
    AS t (workspace_id, message_id, contact_id, message_key, planned_at, cap, days, first_id, collapse_id)
), asked AS (
    SELECT i.workspace_id, i.message_id, i.contact_id, i.planned_at, i.cap, make_interval(days => i.days) AS span, i.first_id,
        i.collapse_id
    FROM input i
    WHERE NOT EXISTS (SELECT FROM message_keys k WHERE k.workspace_id = i.workspace_id AND k.message_key = i.message_key)
)
SELECT a.message_id, stored.messages FROM asked a
CROSS JOIN LATERAL (
    SELECT count(c.message_id) AS messages FROM (
        SELECT m.message_id FROM messages m
        WHERE (m.workspace_id = a.workspace_id) IS TRUE AND m.contact_id = a.contact_id AND m.message_id >= a.first_id
        AND m.use_case = $10 AND m.status <> ALL ('{rejected,skipped,deleted,sending_failed}')
        AND greatest(m.created_at, m.scheduled_for) > a.planned_at - a.span
        AND greatest(m.created_at, m.scheduled_for) < a.planned_at + a.span
        AND NOT EXISTS (SELECT FROM outbox o WHERE o.workspace_id = m.workspace_id AND o.message_id = m.message_id
            AND o.collapse_id = a.collapse_id
            AND o.part = 0 AND o.tries = 0 AND NOT o.maybe_sent AND o.due_reason <> 'claimed')
        LIMIT a.cap
    ) c
) stored";

// Of each key only the newest stays, whichever was stored first; a replay is as old as the message it repeats. Not begun: no try under
// way or counted, no part sent, none perhaps sent.
const COLLAPSE: &str = "-- store.accept.careful.collapse
WITH waiting AS MATERIALIZED (
    SELECT n.workspace_id, n.message_id, n.collapse_id FROM (
        SELECT DISTINCT t.workspace_id, t.collapse_id FROM unnest($1::uuid[], $2::uuid[]) AS t (workspace_id, collapse_id)
    ) c
    JOIN outbox n ON n.workspace_id = c.workspace_id AND n.collapse_id = c.collapse_id
), aged AS MATERIALIZED (
    SELECT w.workspace_id, w.message_id, rank() OVER (
        PARTITION BY w.workspace_id, w.collapse_id ORDER BY coalesce(b.replay_of, b.message_id) DESC, b.message_id DESC
    ) AS place
    FROM waiting w JOIN messages b ON b.workspace_id = w.workspace_id AND b.message_id = w.message_id
), replaced AS (
    DELETE FROM outbox o USING aged a
    WHERE o.workspace_id = a.workspace_id AND o.message_id = a.message_id AND a.place > 1
    AND o.part = 0 AND o.tries = 0 AND NOT o.maybe_sent AND o.due_reason <> 'claimed'
    RETURNING o.workspace_id, o.message_id
)
UPDATE messages m SET status = 'skipped', failure_code = $3, failure_source = 'tuma', failure_source_code = '',
    updated_at = $4, last_status_at = $4
FROM replaced r WHERE m.workspace_id = r.workspace_id AND m.message_id = r.message_id AND m.status = $5
RETURNING m.message_id";

// What waits is newer, unless it is itself the replay of an older message; how old the replay of a replay is, nobody asks.
const SUPERSEDED: &str = "-- store.accept.careful.superseded
WITH waiting AS MATERIALIZED (
    SELECT w.workspace_id, w.message_id, t.old_id, t.is_replay
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[]) AS t (workspace_id, collapse_id, old_id, is_replay)
    JOIN outbox w ON w.workspace_id = t.workspace_id AND w.collapse_id = t.collapse_id
)
SELECT w.old_id FROM waiting w JOIN messages b ON b.workspace_id = w.workspace_id AND b.message_id = w.message_id
WHERE (b.replay_of < w.old_id AND NOT w.is_replay) IS NOT TRUE";

/// A message that is to be sent again under a collapse key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Collapsing {
    pub(crate) contact: Uuid,
    pub(crate) key: Uuid,
    /// The message that ended.
    pub(crate) old: Uuid,
    /// Whether that one had sent another one again.
    pub(crate) is_replay: bool,
}

impl Store {
    /// Stores messages.
    pub(super) async fn insert_with_care(&self, messages: &[NewMessage]) -> Result<Done, Error> {
        const NAME: &str = "store.accept.careful.accept";
        let mut client = self.borrow(NAME).await?;
        let started = Instant::now();
        let work = async {
            let transaction = client.transaction().await.map_err(|error| unsent(Error::of_statement(NAME, error)))?;
            // Whatever goes wrong before the commit: nothing was stored.
            let done = self.carefully(&transaction, messages).await.map_err(unsent)?;
            transaction.commit().await.map_err(|error| Error::of_statement(NAME, error))?;
            Ok(done)
        };
        let result = match tokio::time::timeout(ANSWER_WAIT, work).await {
            Ok(result) => result,
            Err(_) => Err(self.abandon(client, NAME)),
        };
        self.observe(NAME, started, &result);
        result
    }

    /// Runs a statement that sends messages again, alone among those that store some for the same recipients, and takes back
    /// what these replace. Its last parameter, which is added here, names those for which something newer waits.
    pub(crate) async fn insert_collapsing(
        &self,
        sql: &'static str,
        params: Params<'_>,
        workspace: WorkspaceId,
        collapsing: &[Collapsing],
    ) -> Result<Row, Error> {
        let name = name_of(sql);
        let mut client = self.borrow(name).await?;
        let started = Instant::now();
        let work = async {
            let transaction = client.transaction().await.map_err(|error| unsent(Error::of_statement(name, error)))?;
            // Whatever goes wrong before the commit: nothing was stored.
            let row = self.replay_carefully(&transaction, sql, params, workspace, collapsing).await.map_err(unsent)?;
            transaction.commit().await.map_err(|error| Error::of_statement(name, error))?;
            Ok(row)
        };
        let result = match tokio::time::timeout(ANSWER_WAIT, work).await {
            Ok(result) => result,
            Err(_) => Err(self.abandon(client, name)),
        };
        self.observe(name, started, &result);
        result
    }

    async fn replay_carefully(
        &self,
        transaction: &Transaction<'_>,
        sql: &'static str,
        params: Params<'_>,
        workspace: WorkspaceId,
        collapsing: &[Collapsing],
    ) -> Result<Row, Error> {
        let column = |of: fn(&Collapsing) -> Uuid| collapsing.iter().map(of).collect::<Vec<Uuid>>();
        let (contacts, keys, old) = (column(|one| one.contact), column(|one| one.key), column(|one| one.old));
        let are_replays: Vec<bool> = collapsing.iter().map(|one| one.is_replay).collect();
        let workspaces = vec![workspace.0; collapsing.len()];
        run(transaction, LOCK, &[&LOCKS, &contacts]).await?;
        let superseded = run(transaction, SUPERSEDED, &[&workspaces, &keys, &old, &are_replays]).await?;
        let superseded = superseded.iter().map(|row| get(row, 0)).collect::<Result<Vec<Uuid>, Error>>()?;
        let mut rows = run(transaction, sql, &[params, &[&superseded]].concat()).await?;
        let code = FailureCode::Collapsed.number();
        run(transaction, COLLAPSE, &[&workspaces, &keys, &code, &self.now(), &WAITING]).await?;
        rows.pop().ok_or_else(|| Error::corrupt("a replay was not answered"))
    }

    async fn carefully(&self, transaction: &Transaction<'_>, messages: &[NewMessage]) -> Result<Done, Error> {
        let is_concerned = |m: &&NewMessage| m.frequency_cap.is_some() || m.collapse_id().is_some();
        let concerned = messages.iter().filter(is_concerned);
        let contacts: Vec<Uuid> =
            concerned.filter_map(|m| m.recipient.as_ref()).map(|(contact, _)| contact.0).collect();
        run(transaction, LOCK, &[&LOCKS, &contacts]).await?;
        let capped = capped(transaction, messages).await?;
        let columns = Columns::of(messages, &capped)?;
        let won = ids(&run(transaction, ACCEPT, &columns.params()).await?)?;
        let collapsing = || messages.iter().filter_map(|m| Some((m.workspace.0, m.collapse_id()?)));
        let (workspaces, keys): (Vec<Uuid>, Vec<Uuid>) = collapsing().unzip();
        let collapsed = if keys.is_empty() {
            Vec::new()
        } else {
            let code = FailureCode::Collapsed.number();
            ids(&run(transaction, COLLAPSE, &[&workspaces, &keys, &code, &self.now(), &WAITING]).await?)?
        };
        Ok(Done { won, capped, collapsed })
    }
}

async fn capped(transaction: &Transaction<'_>, messages: &[NewMessage]) -> Result<Vec<MessageId>, Error> {
    let mut input = Capped::default();
    for message in messages {
        input.push(message);
    }
    if input.ids.is_empty() {
        return Ok(Vec::new());
    }
    let params: Params<'_> = &[
        &input.workspaces,
        &input.ids,
        &input.contacts,
        &input.keys,
        &input.planned,
        &input.caps,
        &input.days,
        &input.first_ids,
        &input.collapse_ids,
        &MARKETING,
    ];
    let mut counted = HashMap::new();
    for row in run(transaction, COUNTED, params).await? {
        counted.insert(MessageId(get(&row, 0)?), get(&row, 1)?);
    }
    Ok(over_cap(messages, &counted))
}

/// Which of the messages of one commit are over their cap, given how many stored ones count against each: one after the
/// other in the order of their ids, so that only those that are sent count against the next.
fn over_cap(messages: &[NewMessage], counted: &HashMap<MessageId, i64>) -> Vec<MessageId> {
    let mut asked: Vec<&NewMessage> = messages.iter().filter(|m| counted.contains_key(&m.id)).collect();
    asked.sort_unstable_by_key(|m| m.id);
    let (mut kept, mut capped): (Vec<&NewMessage>, Vec<MessageId>) = (Vec::new(), Vec::new());
    for message in asked {
        let (Some(cap), Some((contact, _))) = (message.frequency_cap, &message.recipient) else { continue };
        let is_of_contact = |other: &&&NewMessage| {
            other.workspace == message.workspace && other.recipient.as_ref().is_some_and(|(known, _)| known == contact)
        };
        let others = || kept.iter().filter(is_of_contact);
        if message.key.is_some() && others().any(|other| other.key == message.key) {
            // The same request once more: it is answered with the other's message.
            continue;
        }
        let counts = |other: &&&NewMessage| {
            let is_replaced = other.collapse_id().is_some() && other.collapse_id() == message.collapse_id();
            !is_replaced && planned_at(other).duration_since(planned_at(message)).abs() < days(cap)
        };
        let beside = i64::try_from(others().filter(counts).count()).unwrap_or(i64::MAX);
        let stored = counted.get(&message.id).copied().unwrap_or_default();
        if stored.saturating_add(beside) >= i64::from(cap.messages) {
            capped.push(message.id);
        } else {
            kept.push(message);
        }
    }
    capped
}

/// When a message is meant to be sent.
fn planned_at(message: &NewMessage) -> Timestamp {
    message.scheduled_for.map_or(message.created_at, |at| at.max(message.created_at))
}

fn days(cap: FrequencyCap) -> SignedDuration {
    SignedDuration::from_hours(i64::from(cap.days) * HOURS_A_DAY)
}

/// Messages under a cap, as columns.
#[derive(Default)]
struct Capped<'a> {
    workspaces: Vec<Uuid>,
    ids: Vec<Uuid>,
    contacts: Vec<Uuid>,
    keys: Vec<Option<&'a str>>,
    planned: Vec<Timestamp>,
    caps: Vec<i32>,
    days: Vec<i32>,
    first_ids: Vec<Uuid>,
    collapse_ids: Vec<Option<Uuid>>,
}

impl<'a> Capped<'a> {
    fn push(&mut self, message: &'a NewMessage) {
        let (Some(cap), Some((contact, _))) = (message.frequency_cap, &message.recipient) else { return };
        let planned = planned_at(message);
        // Nothing accepted before can fall into the days: the furthest is as far ahead as may be scheduled.
        let reach = days(cap) + SCHEDULE_AHEAD_MAX;
        self.workspaces.push(message.workspace.0);
        self.ids.push(message.id.0);
        self.contacts.push(contact.0);
        self.keys.push(message.key.as_ref().map(MessageKey::as_str));
        self.planned.push(planned);
        self.caps.push(i32::try_from(cap.messages).unwrap_or(i32::MAX));
        self.days.push(i32::try_from(cap.days).unwrap_or(i32::MAX));
        self.collapse_ids.push(message.collapse_id());
        self.first_ids.push(first_id_at(planned.checked_sub(reach).unwrap_or(Timestamp::UNIX_EPOCH)).0);
    }
}

async fn run(transaction: &Transaction<'_>, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Error> {
    let of = |error| Error::of_statement(name_of(sql), error);
    let statement = transaction.prepare_cached(sql).await.map_err(of)?;
    transaction.query(&statement, params).await.map_err(|error| {
        if crate::error::is_stale_plan(&error) {
            // The transaction is lost; whoever repeats it gets fresh statements.
            transaction.statement_cache.clear();
        }
        of(error)
    })
}
