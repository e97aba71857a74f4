//! Migrations, embedded in the binary and applied under an advisory lock.
//!
//! The migration library takes no lock of its own, so replicas that start together would trip over each other. A
//! version of the program accepts a schema newer than itself: a rolling upgrade runs both for a while.

use std::time::Duration;

use refinery::{Migration, Target};
use tokio_postgres::Client;

use crate::connect::Database;
use crate::error::Error;

mod embedded {
    #![allow(missing_docs, unreachable_pub, reason = "written by the macro")]
    refinery::embed_migrations!("../../migrations");
}

/// Key of the advisory lock; any constant that nothing else uses.
const LOCK_KEY: i64 = 0x7475_6d61_6d69_6772;
/// Waiting for another replica's migration.
const LOCK_WAIT: Duration = Duration::from_secs(30);
/// Between two looks at the lock.
const LOCK_LOOK: Duration = Duration::from_millis(100);

/// A migration by name and version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Version number.
    pub version: i64,
    /// Name, with underscores.
    pub name: String,
    /// Its statements.
    pub sql: String,
}

/// What would be applied, in order; nothing is changed.
///
/// # Errors
/// When the database cannot be read.
pub async fn plan(database: &Database) -> Result<Vec<Step>, Error> {
    let mut client = database.connect().await?;
    pending(&mut client).await
}

/// Applies what is pending; answers what was applied.
///
/// # Errors
/// When the database cannot be reached, the lock is not had in time, or a migration fails (it is rolled back).
pub async fn run(database: &Database) -> Result<Vec<Step>, Error> {
    let mut client = database.connect().await?;
    lock(&client).await?;
    let applied = apply(&mut client).await;
    // The lock goes with the connection, too.
    drop(client);
    applied
}

async fn apply(client: &mut Client) -> Result<Vec<Step>, Error> {
    let pending = pending(client).await?;
    if pending.is_empty() {
        return Ok(pending);
    }
    client
        .batch_execute("SET lock_timeout = '5s'")
        .await
        .map_err(|error| Error::of_statement("store.migrate.lock_timeout", error))?;
    embedded::migrations::runner()
        .set_abort_missing(false)
        .set_target(Target::Latest)
        .run_async(client)
        .await
        .map_err(|error| Error::Migration(crate::error::chain(&error)))?;
    Ok(pending)
}

/// Whether every migration of this program is applied.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn versions() -> Vec<i64> {
    let mut versions: Vec<i64> =
        embedded::migrations::runner().get_migrations().iter().map(|m| i64::from(m.version())).collect();
    versions.sort_unstable();
    versions
}

const TRY_LOCK: &str = "-- store.migrate.try_lock
SELECT pg_try_advisory_lock($1)";

async fn lock(client: &Client) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + LOCK_WAIT;
    loop {
        let row = client
            .query_one(TRY_LOCK, &[&LOCK_KEY])
            .await
            .map_err(|error| Error::of_statement("store.migrate.try_lock", error))?;
        if row.get::<_, bool>(0) {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Error::Unavailable(format!(
                "another migration has been running for {} s",
                LOCK_WAIT.as_secs()
            )));
        }
        tokio::time::sleep(LOCK_LOOK).await;
    }
}

const HISTORY_EXISTS: &str = "-- store.migrate.history_exists
SELECT to_regclass('refinery_schema_history') IS NOT NULL";

const APPLIED: &str = "-- store.migrate.applied
SELECT version::bigint FROM refinery_schema_history ORDER BY version";

async fn pending(client: &mut Client) -> Result<Vec<Step>, Error> {
    let failed = |error| Error::of_statement("store.migrate.applied", error);
    let exists: bool = client.query_one(HISTORY_EXISTS, &[]).await.map_err(failed)?.get(0);
    let mut applied: Vec<i64> = Vec::new();
    if exists {
        applied = client.query(APPLIED, &[]).await.map_err(failed)?.iter().map(|row| row.get(0)).collect();
    }
    let runner = embedded::migrations::runner();
    let mut steps: Vec<Step> = runner.get_migrations().iter().map(step).collect();
    steps.retain(|step| !applied.contains(&step.version));
    steps.sort_by_key(|step| step.version);
    Ok(steps)
}

fn step(migration: &Migration) -> Step {
    Step {
        version: i64::from(migration.version()),
        name: migration.name().to_owned(),
        sql: migration.sql().unwrap_or_default().to_owned(),
    }
}
