//! One statement at a time: borrow, run, give back, all within a deadline and under a name.
//!
//! A deadline ends the waiting, not the statement: what was sent may still be carried out. So a connection whose answer
//! was not waited for is thrown away, and the caller hears `Unknown`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::bulkhead::Bulkheads;
use crate::clock::DatabaseClock;
use crate::connect::Database;
use crate::error::Error;
use crate::installation::Memory;
use crate::metrics::Metrics;
use crate::planted;
use crate::serving::Count;
use crate::vault::Vault;

/// Waiting for one answer.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The database as the rest of tuma sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    connections: Arc<Bulkheads>,
    database: Database,
    pub(crate) clock: DatabaseClock,
    pub(crate) memory: Memory,
    pub(crate) vault: Vault,
    pub(crate) metrics: Metrics,
    pub(crate) serving: Count,
}

const READ_CLOCK: &str = "-- store.client.read_clock
SELECT clock_timestamp(), current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')";

const SERVER_VERSION: &str = "-- store.client.server_version
SELECT current_setting('server_version_num')::integer";

const MIGRATED: &str = "-- store.client.migrated
SELECT version::bigint FROM refinery_schema_history ORDER BY version";

impl Store {
    /// Connects to a migrated database.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect(database: Database, pool_size: usize, vault: Vault, metrics: Metrics) -> Result<Self, Error> {
        let connections = Arc::new(Bulkheads::new(&database, pool_size)?);
        let (clock, memory) = (DatabaseClock::unset(), Memory::default());
        let store = Self { connections, database, clock, memory, vault, metrics, serving: Count::default() };
        // Of two the better one counts.
        store.read_clock().await?;
        store.read_clock().await?;
        Ok(store)
    }

    /// The database's clock.
    #[must_use]
    pub fn clock(&self) -> &DatabaseClock {
        &self.clock
    }

    /// The database's time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The address, for connections outside the pool.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The key that signs page tokens.
    #[must_use]
    pub fn cursor_key(&self) -> [u8; crate::vault::KEY_BYTES] {
        *self.vault.cursor_key()
    }

    /// Renews the reading of the database's clock, and of what keeps its commits.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn read_clock(&self) -> Result<Timestamp, Error> {
        let name = name_of(READ_CLOCK);
        let client = self.borrow(name).await?;
        let reading = async {
            // Whatever is waited for before the question is not the way of the answer.
            let of_statement = |error| Error::of_statement(name, error);
            let statement = client.prepare_cached(READ_CLOCK).await.map_err(of_statement)?;
            let asked_at = Instant::now();
            let row = client.query_one(&statement, &[]).await.map_err(of_statement)?;
            let answered_at = Instant::now();
            self.database.durability().note([get(&row, 1)?, get(&row, 2)?, get(&row, 3)?]);
            Ok((get::<Timestamp>(&row, 0)?, asked_at, answered_at))
        };
        let started = Instant::now();
        let result = match tokio::time::timeout(ANSWER_WAIT, reading).await {
            Ok(result) => result,
            Err(_) => return Err(self.abandon(client, name)),
        };
        self.observe(name, started, &result);
        let (database, asked_at, answered_at) = result?;
        self.clock.take(database, asked_at, answered_at);
        self.show_stops();
        Ok(database)
    }

    /// Version of the server: 150018 is 15.18.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn server_version(&self) -> Result<i32, Error> {
        get(&self.one(SERVER_VERSION, &[]).await?, 0)
    }

    /// Whether the database answers and every migration of this program is applied.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn is_migrated(&self) -> Result<bool, Error> {
        let rows = self.query(MIGRATED, &[]).await?;
        let mut applied = Vec::with_capacity(rows.len());
        for row in &rows {
            applied.push(get::<i64>(row, 0)?);
        }
        Ok(crate::migrate::versions().iter().all(|version| applied.contains(version)))
    }

    /// Runs a statement; answers its rows.
    pub(crate) async fn query(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let (name, sql) = (name_of(sql), planted::sql(sql));
        let client = self.borrow(name).await?;
        let started = Instant::now();
        let result = match tokio::time::timeout(ANSWER_WAIT, run(&client, name, sql, params)).await {
            Ok(result) => result,
            Err(_) => Err(self.abandon(client, name)),
        };
        self.observe(name, started, &result);
        result
    }

    /// A connection for what goes by a name.
    pub(crate) async fn borrow(&self, name: &'static str) -> Result<Object, Error> {
        self.connections.borrow(name).await.map_err(|why| {
            self.count_error(name, "unavailable");
            Error::Unavailable(format!("{name}: {why}"))
        })
    }

    /// Gives up a connection whose answer did not come in time, and asks the database to end what runs on it: else it would go on
    /// for nobody, and the next one beside it.
    pub(crate) fn abandon(&self, client: Object, name: &'static str) -> Error {
        let (token, tls) = (client.cancel_token(), self.database.tls());
        drop(Object::take(client));
        tokio::spawn(async move {
            if !matches!(tokio::time::timeout(ANSWER_WAIT, token.cancel_query(tls)).await, Ok(Ok(()))) {
                tracing::debug!(name, "a statement that took too long cannot be cancelled");
            }
        });
        Error::Unknown(format!("{name}: no answer within {} s", ANSWER_WAIT.as_secs()))
    }

    /// Notes in the metrics how long something took, and how it failed.
    pub(crate) fn observe<T>(&self, name: &'static str, started: Instant, result: &Result<T, Error>) {
        let took = started.elapsed();
        self.connections.note(name, took);
        self.metrics.statement_seconds.with_label_values(&[name]).observe(took.as_secs_f64());
        if let Err(error) = result {
            match error {
                Error::Unavailable(_) => self.count_error(name, "unavailable"),
                Error::Unknown(_) => self.count_error(name, "unknown"),
                Error::Refused { .. } | Error::Corrupt(_) | Error::Configuration(_) | Error::Migration(_) => {
                    self.count_error(name, "refused");
                }
                Error::Exists => {}
            }
        }
    }

    /// Runs a statement that answers exactly one row.
    pub(crate) async fn one(&self, sql: &'static str, params: Params<'_>) -> Result<Row, Error> {
        self.maybe_one(sql, params).await?.ok_or_else(|| Error::corrupt(format!("{} answered no row", name_of(sql))))
    }

    /// Runs a statement that answers one row or none.
    pub(crate) async fn maybe_one(&self, sql: &'static str, params: Params<'_>) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    fn count_error(&self, name: &str, kind: &str) {
        self.metrics.statement_errors.with_label_values(&[name, kind]).inc();
    }
}

async fn run(client: &Object, name: &'static str, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Error> {
    let unprepared = |error| unsent(Error::of_statement(name, error));
    let statement = client.prepare_cached(sql).await.map_err(unprepared)?;
    match client.query(&statement, params).await {
        Err(error) if crate::error::is_stale_plan(&error) => {
            // A newer version changed a column's type: refused before it ran, so it may run once more.
            client.statement_cache.clear();
            let statement = client.prepare_cached(sql).await.map_err(unprepared)?;
            client.query(&statement, params).await
        }
        answered => answered,
    }
    .map_err(|error| Error::of_statement(name, error))
}

/// Before the statement or the commit is sent, whatever went wrong, nothing was done.
pub(crate) fn unsent(error: Error) -> Error {
    match error {
        Error::Unknown(text) => Error::Unavailable(text),
        other @ (Error::Unavailable(_)
        | Error::Refused { .. }
        | Error::Exists
        | Error::Corrupt(_)
        | Error::Configuration(_)
        | Error::Migration(_)) => other,
    }
}

/// The name in the first line of a statement.
pub(crate) fn name_of(sql: &'static str) -> &'static str {
    sql.lines().next().unwrap_or_default().trim_start_matches("-- ")
}

/// A column of a row.
pub(crate) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Error> {
    row.try_get(index).map_err(|error| Error::corrupt(crate::error::chain(&error)))
}
