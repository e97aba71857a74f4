//! Accepting messages whose fate depends on others to the same recipient: under a frequency cap, or with a collapse key.
//!
//! One transaction that begins with a lock for each such recipient: whoever comes second sees what the first has stored.
//! May be repeated like the plain way; what is stored already is not decided again.

use std::time::Instant;

use deadpool_postgres::{Object, Transaction};
use domain::failure::FailureCode;
use domain::id::MessageId;
use domain::limits::SCHEDULE_AHEAD_MAX;
use domain::message::MessageKey;
use domain::options::MARKETING;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{ACCEPT, Columns, NewMessage, ids};
use crate::client::{ANSWER_WAIT, Params, Store, name_of, unsent};
use crate::error::Error;
use crate::message::{WAITING, first_id_at};

/// First key of the locks, so that they are no others' locks.
const LOCKS: i32 = 0x7475_6d62;
const HOURS_A_DAY: i64 = 24;

// In the order of the lock's key, so that two transactions never wait for each other.
const LOCK: &str = "-- store.accept.careful.lock
SELECT pg_advisory_xact_lock($1, r.key)
FROM (SELECT DISTINCT hashtext(t.contact_id::text) AS key FROM unnest($2::uuid[]) AS t (contact_id) ORDER BY key OFFSET 0) r";

// Counted are messages for marketing that were or will be sent within the days before or after. What the statement found
// stored already (it is being repeated) keeps the fate it has.
const CAPPED: &str = "-- store.accept.careful.capped
WITH input AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::integer[], $7::integer[], $8::uuid[])
    AS t (workspace_id, message_id, contact_id, message_key, planned_at, cap, days, first_id)
), asked AS (
    SELECT i.workspace_id, i.message_id, i.contact_id, i.planned_at, i.cap, make_interval(days => i.days) AS span, i.first_id
    FROM input i
    WHERE NOT EXISTS (SELECT FROM messages m WHERE m.workspace_id = i.workspace_id AND m.message_id = i.message_id)
    AND NOT EXISTS (SELECT FROM message_keys k WHERE k.workspace_id = i.workspace_id AND k.message_key = i.message_key)
)
SELECT a.message_id FROM asked a
CROSS JOIN LATERAL (
    SELECT count(c.message_id) AS messages FROM (
        SELECT m.message_id FROM messages m
        WHERE m.workspace_id = a.workspace_id AND m.contact_id = a.contact_id AND m.message_id >= a.first_id
        AND m.use_case = $9 AND m.status <> ALL ('{rejected,skipped,deleted,sending_failed}')
        AND greatest(m.created_at, m.scheduled_for) > a.planned_at - a.span
        AND greatest(m.created_at, m.scheduled_for) < a.planned_at + a.span
        LIMIT a.cap
    ) c
) stored
CROSS JOIN LATERAL (
    SELECT count(b.message_id) AS messages FROM asked b
    WHERE b.workspace_id = a.workspace_id AND b.contact_id = a.contact_id AND b.message_id < a.message_id
    AND b.planned_at > a.planned_at - a.span AND b.planned_at < a.planned_at + a.span
) beside
WHERE stored.messages + beside.messages >= a.cap
UNION ALL
SELECT m.message_id FROM input i JOIN messages m ON m.workspace_id = i.workspace_id AND m.message_id = i.message_id
WHERE m.failure_code = $10";

// Not begun: no try under way or counted, no part sent, none perhaps sent.
const COLLAPSE: &str = "-- store.accept.careful.collapse
WITH replaced AS (
    DELETE FROM outbox o USING outbox n
    WHERE n.workspace_id = ANY ($1) AND n.message_id = ANY ($2)
    AND o.workspace_id = n.workspace_id AND o.collapse_id = n.collapse_id AND o.message_id < n.message_id
    AND o.part = 0 AND o.tries = 0 AND NOT o.maybe_sent AND o.due_reason <> 'claimed'
    RETURNING o.workspace_id, o.message_id
)
UPDATE messages m SET status = 'skipped', failure_code = $3, failure_source = 'tuma', failure_source_code = '',
    updated_at = $4, last_status_at = $4
FROM replaced r WHERE m.workspace_id = r.workspace_id AND m.message_id = r.message_id AND m.status = $5";

impl Store {
    /// Stores messages; answers the ids whose keys were new, and those over the frequency cap.
    pub(super) async fn accept_with_care(
        &self,
        messages: &[NewMessage],
    ) -> Result<(Vec<MessageId>, Vec<MessageId>), Error> {
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
            Err(_) => {
                drop(Object::take(client));
                Err(Error::Unknown(format!("{NAME}: no answer within {} s", ANSWER_WAIT.as_secs())))
            }
        };
        self.observe(NAME, started, &result);
        result
    }

    async fn carefully(
        &self,
        transaction: &Transaction<'_>,
        messages: &[NewMessage],
    ) -> Result<(Vec<MessageId>, Vec<MessageId>), Error> {
        let is_concerned = |m: &&NewMessage| m.frequency_cap.is_some() || m.collapse_id().is_some();
        let concerned = messages.iter().filter(is_concerned);
        let contacts: Vec<Uuid> =
            concerned.filter_map(|m| m.recipient.as_ref()).map(|(contact, _)| contact.0).collect();
        run(transaction, LOCK, &[&LOCKS, &contacts]).await?;
        let capped = capped(transaction, messages).await?;
        let columns = Columns::of(messages, &capped)?;
        let won = ids(&run(transaction, ACCEPT, &columns.params()).await?)?;
        let collapsing = || messages.iter().filter(|m| m.collapse_id().is_some());
        let workspaces: Vec<Uuid> = collapsing().map(|m| m.workspace.0).collect();
        let collapsed: Vec<Uuid> = collapsing().map(|m| m.id.0).collect();
        if !collapsed.is_empty() {
            let code = FailureCode::Collapsed.number();
            run(transaction, COLLAPSE, &[&workspaces, &collapsed, &code, &self.now(), &WAITING]).await?;
        }
        Ok((won, capped))
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
        &MARKETING,
        &FailureCode::FrequencyCapped.number(),
    ];
    ids(&run(transaction, CAPPED, params).await?)
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
}

impl<'a> Capped<'a> {
    fn push(&mut self, message: &'a NewMessage) {
        let (Some(cap), Some((contact, _))) = (message.frequency_cap, &message.recipient) else { return };
        let planned = message.scheduled_for.map_or(message.created_at, |at| at.max(message.created_at));
        let days = i32::try_from(cap.days).unwrap_or(i32::MAX);
        // Nothing accepted before can fall into the days: the furthest is as far ahead as may be scheduled.
        let reach = SignedDuration::from_hours(i64::from(days) * HOURS_A_DAY) + SCHEDULE_AHEAD_MAX;
        self.workspaces.push(message.workspace.0);
        self.ids.push(message.id.0);
        self.contacts.push(contact.0);
        self.keys.push(message.key.as_ref().map(MessageKey::as_str));
        self.planned.push(planned);
        self.caps.push(i32::try_from(cap.messages).unwrap_or(i32::MAX));
        self.days.push(days);
        self.first_ids.push(first_id_at(planned.checked_sub(reach).unwrap_or(Timestamp::UNIX_EPOCH)).0);
    }
}

async fn run(transaction: &Transaction<'_>, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Error> {
    let of = |error| Error::of_statement(name_of(sql), error);
    let statement = transaction.prepare_cached(sql).await.map_err(of)?;
    transaction.query(&statement, params).await.map_err(of)
}
