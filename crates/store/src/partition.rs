//! Partitions by month: made ahead, and dropped when all they hold is older than it is kept.
//!
//! The default partition takes whatever no month is there for, so accepting never waits for this work. It is empty
//! where a month was made before its first message, which is the rule: the work runs as soon as an engine starts. A range
//! cannot become a partition while the default one holds rows of it, and looking for them would lock it. So while it holds
//! rows, the current month is left to it, nothing is moved, and a month is made at least a day before it begins: a
//! constraint that no row is of that month is added without looking, proved beside the traffic, and then spares attaching
//! the look. Were the constraint left behind by a process that died, the default partition would refuse that month's rows,
//! so each run begins by removing such, and has a day to do so.
//!
//! The statements here name tables, which parameters cannot do; names come from the list below and from `Month` alone.
//! Each transaction touches one of the tables, and waits for a lock only shortly, since all traffic waits behind it.
//! What holds waiting messages is not dropped: these are messages of channels that were switched off.

use std::time::Duration;

use domain::id::MessageId;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;
use crate::month::Month;

/// Days that messages are kept, unless a workspace keeps their texts longer.
pub const MESSAGE_RETENTION_DAYS: i32 = 400;
/// Months made beside the current one.
const MONTHS_AHEAD: usize = 2;
/// Room for a constraint to be removed before it does harm.
const MARGIN: SignedDuration = SignedDuration::from_hours(24);
/// Longest wait for a lock; all traffic waits as long.
const LOCK_WAIT: Duration = Duration::from_millis(500);
/// Longest statement under a lock that traffic waits for.
const LOCKED_WORK: Duration = Duration::from_secs(5);
/// Proving a constraint reads the default partition once; traffic does not wait for it.
const PROOF: Duration = Duration::from_secs(300);
/// Key of the advisory lock under which partitions are made and dropped.
const LOCK_KEY: i64 = 0x7475_6d61_7061_7274;
/// How rows of a table come and go (see the migration that sets it for the default partitions).
const INSERTED: &str = "autovacuum_vacuum_insert_scale_factor = 0.05";
/// A row is updated twice: room for a second version on its page lets the updates leave the indexes alone.
const UPDATED: &str = "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02";
/// Partitioned tables with the storage of their partitions, those that others belong to last.
const TABLES: [(&str, &str); 4] =
    [("attempts", INSERTED), ("message_events", INSERTED), ("message_tags", INSERTED), ("messages", UPDATED)];

/// What making partitions came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Made {
    /// Partitions made.
    pub made: u64,
    /// Partitions that are not there because the default one holds rows.
    pub left: u64,
}

/// A month whose messages are all older than they are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expired(Month);

impl Expired {
    /// Ids from the first one on, below the second one.
    ///
    /// # Errors
    /// Never for a month that is over.
    pub fn ids(self) -> Result<(MessageId, MessageId), Error> {
        self.0.ids()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        self.0.suffix()
    }
}

const LIST: &str = "-- store.partition.list
SELECT p.relname::text, c.relname::text FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE i.inhparent = ANY (ARRAY['messages'::regclass, 'attempts'::regclass, 'message_tags'::regclass, 'message_events'::regclass])
ORDER BY c.relname";

const DEFAULTS_USED: &str = "-- store.partition.defaults_used
SELECT EXISTS (SELECT FROM attempts_default), EXISTS (SELECT FROM message_events_default), EXISTS (SELECT FROM message_tags_default),
    EXISTS (SELECT FROM messages_default)";

const PROMISES: &str = "-- store.partition.promises
SELECT p.relname::text, substr(n.conname::text, length(p.relname) + length('_not_') + 1) FROM pg_constraint n
JOIN pg_inherits i ON i.inhrelid = n.conrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE i.inhparent = ANY (ARRAY['messages'::regclass, 'attempts'::regclass, 'message_tags'::regclass, 'message_events'::regclass])
AND n.contype = 'c' AND starts_with(n.conname, p.relname || '_not_')
ORDER BY n.conname";

const KEPT_DAYS: &str = "-- store.partition.kept_days
SELECT greatest($1, max(body_retention_days)) FROM workspaces";

// Reads the outbox, which is small; asked once a month.
const UNFINISHED: &str = "-- store.partition.unfinished
SELECT EXISTS (SELECT FROM outbox WHERE message_id >= $1 AND message_id < $2)";

const TRY_LOCK: &str = "-- store.partition.try_lock
SELECT pg_try_advisory_xact_lock($1)";

/// A partition by its table and its name.
struct Known {
    table: String,
    month: Option<Month>,
}

impl Store {
    /// Makes the partitions of the current month and the next ones that are not there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when a lock was not had in time. What was made stays; the rest may be tried again.
    pub async fn make_partitions(&self, now: Timestamp) -> Result<Made, Error> {
        self.release_promises().await?;
        let known = self.partitions().await?;
        let mut months = vec![Month::of(now)];
        for ahead in 0..MONTHS_AHEAD {
            months.push(months[ahead].next()?);
        }
        let is_there =
            |table: &str, month: Month| known.iter().any(|one| one.table == table && one.month == Some(month));
        let all = TABLES.into_iter().flat_map(|(table, _)| months.iter().map(move |month| (table, *month)));
        if all.into_iter().all(|(table, month)| is_there(table, month)) {
            return Ok(Made::default());
        }
        let used = self.one(DEFAULTS_USED, &[]).await?;
        let mut client = self.database().connect().await?;
        let mut made = Made::default();
        for (index, (table, storage)) in TABLES.into_iter().enumerate() {
            let is_used: bool = get(&used, index)?;
            for month in months.iter().copied().filter(|month| !is_there(table, *month)) {
                let is_near = month.start()? < now.saturating_add(MARGIN).map_err(Error::corrupt)?;
                match (is_used, is_near) {
                    (true, true) => made.left += 1,
                    (true, false) => made.made += u64::from(make_beside(&mut client, table, storage, month).await?),
                    (false, _) => made.made += u64::from(attach(&mut client, table, storage, month).await?),
                }
            }
        }
        Ok(made)
    }

    /// The oldest month whose messages are all older than they are kept, and of which none waits.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn expired_month(&self, now: Timestamp) -> Result<Option<Expired>, Error> {
        let mut months: Vec<Month> = self.partitions().await?.into_iter().filter_map(|one| one.month).collect();
        months.sort_unstable();
        months.dedup();
        let Some(oldest) = months.first() else { return Ok(None) };
        let least = kept_since(now, MESSAGE_RETENTION_DAYS)?;
        if oldest.end()? > least {
            return Ok(None);
        }
        let since = kept_since(now, get(&self.one(KEPT_DAYS, &[&MESSAGE_RETENTION_DAYS]).await?, 0)?)?;
        for month in months {
            if month.end()? > since {
                return Ok(None);
            }
            let (low, high) = month.ids()?;
            if !get::<bool>(&self.one(UNFINISHED, &[&low.0, &high.0]).await?, 0)? {
                return Ok(Some(Expired(month)));
            }
            tracing::warn!(month = month.suffix(), "the month is kept: messages in it still wait");
        }
        Ok(None)
    }

    /// Drops the partitions of a month.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when a lock was not had in time; what is left may be dropped later.
    pub async fn drop_month(&self, expired: Expired) -> Result<u64, Error> {
        let known = self.partitions().await?;
        let mut client = self.database().connect().await?;
        let mut dropped = 0;
        for (table, _) in TABLES {
            if known.iter().any(|one| one.table == table && one.month == Some(expired.0)) {
                dropped += u64::from(drop_one(&mut client, table, expired.0).await?);
            }
        }
        Ok(dropped)
    }

    /// Removes the constraints of months that were not made after all.
    async fn release_promises(&self) -> Result<(), Error> {
        for row in self.query(PROMISES, &[]).await? {
            let (table, suffix): (&str, &str) = (get(&row, 0)?, get(&row, 1)?);
            let listed = TABLES.into_iter().find(|(name, _)| *name == table).map(|(name, _)| name);
            if let Some((table, month)) = listed.zip(Month::from_suffix(suffix)) {
                release(&mut self.database().connect().await?, table, month).await?;
            }
        }
        Ok(())
    }

    async fn partitions(&self) -> Result<Vec<Known>, Error> {
        let rows = self.query(LIST, &[]).await?;
        rows.iter()
            .map(|row| {
                let (table, name): (String, &str) = (get(row, 0)?, get(row, 1)?);
                let suffix = name.strip_prefix(table.as_str()).and_then(|rest| rest.strip_prefix('_'));
                Ok(Known { month: suffix.and_then(Month::from_suffix), table })
            })
            .collect()
    }
}

fn kept_since(now: Timestamp, days: i32) -> Result<Timestamp, Error> {
    now.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).map_err(Error::corrupt)
}

/// Begins a transaction that waits for locks only shortly; `None` when another replica is at the same work.
async fn begin<'a>(client: &'a mut Client, work: Duration) -> Result<Option<Transaction<'a>>, Error> {
    let of = |error| Error::of_statement("store.partition.begin", error);
    let transaction = client.transaction().await.map_err(of)?;
    let bounds = format!(
        "SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
        LOCK_WAIT.as_millis(),
        work.as_millis()
    );
    transaction.batch_execute(&bounds).await.map_err(of)?;
    let row = transaction.query_one(TRY_LOCK, &[&LOCK_KEY]).await.map_err(of)?;
    Ok(get::<bool>(&row, 0)?.then_some(transaction))
}

/// Runs one statement that changes tables in a transaction of its own; answers whether it was this replica's to do.
async fn change(client: &mut Client, name: &'static str, sql: &str, work: Duration) -> Result<bool, Error> {
    let of = |error| Error::of_statement(name, error);
    let Some(transaction) = begin(client, work).await? else { return Ok(false) };
    transaction.batch_execute(sql).await.map_err(of)?;
    transaction.commit().await.map_err(of)?;
    Ok(true)
}

/// Makes a month of a table whose default partition is empty.
async fn attach(client: &mut Client, table: &str, storage: &str, month: Month) -> Result<bool, Error> {
    let (low, high) = bounds(month)?;
    let suffix = month.suffix();
    // Made beside the table first: traffic waits only while it is attached.
    let sql = format!(
        "-- store.partition.attach
        CREATE TABLE {table}_{suffix} (LIKE {table} INCLUDING ALL) WITH ({storage});
        ALTER TABLE {table} ATTACH PARTITION {table}_{suffix} FOR VALUES FROM ('{low}') TO ('{high}');
        ALTER TABLE {table}_default DROP CONSTRAINT IF EXISTS {table}_not_{suffix}"
    );
    change(client, "store.partition.attach", &sql, LOCKED_WORK).await
}

/// Makes a month that is ahead, of a table whose default partition holds rows of others.
async fn make_beside(client: &mut Client, table: &str, storage: &str, month: Month) -> Result<bool, Error> {
    let (low, high) = bounds(month)?;
    let suffix = month.suffix();
    let promise = format!(
        "-- store.partition.promise
        ALTER TABLE {table}_default DROP CONSTRAINT IF EXISTS {table}_not_{suffix};
        ALTER TABLE {table}_default ADD CONSTRAINT {table}_not_{suffix}
            CHECK (message_id < '{low}' OR message_id >= '{high}') NOT VALID"
    );
    if !change(client, "store.partition.promise", &promise, LOCKED_WORK).await? {
        return Ok(false);
    }
    let prove = format!(
        "-- store.partition.prove
        ALTER TABLE {table}_default VALIDATE CONSTRAINT {table}_not_{suffix}"
    );
    let made = match change(client, "store.partition.prove", &prove, PROOF).await {
        Ok(true) => attach(client, table, storage, month).await,
        other @ (Ok(false) | Err(_)) => other,
    };
    if !matches!(made, Ok(true)) {
        release(client, table, month).await?;
    }
    made
}

async fn release(client: &mut Client, table: &str, month: Month) -> Result<bool, Error> {
    let suffix = month.suffix();
    let sql = format!(
        "-- store.partition.release
        ALTER TABLE {table}_default DROP CONSTRAINT IF EXISTS {table}_not_{suffix}"
    );
    change(client, "store.partition.release", &sql, LOCKED_WORK).await
}

async fn drop_one(client: &mut Client, table: &str, month: Month) -> Result<bool, Error> {
    let suffix = month.suffix();
    let sql = format!(
        "-- store.partition.drop_one
        ALTER TABLE {table} DETACH PARTITION {table}_{suffix};
        DROP TABLE {table}_{suffix}"
    );
    change(client, "store.partition.drop_one", &sql, LOCKED_WORK).await
}

fn bounds(month: Month) -> Result<(Uuid, Uuid), Error> {
    let (low, high) = month.ids()?;
    Ok((low.0, high.0))
}
