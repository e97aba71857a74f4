//! Migrations, embedded in the binary and applied under an advisory lock.
//!
//! The migration library takes no lock of its own, so replicas that start together would trip over each other. A
//! version of the program accepts a schema newer than itself: a rolling upgrade runs both for a while.
//!
//! What changes a table waits for whoever uses it, and everybody who comes later waits behind. So a migration waits for a lock
//! shortly, gives up its place, and comes again.

use std::time::Duration;

use refinery::{Migration, Runner, Target};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

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

/// What a migration waits for one lock: traffic that comes meanwhile waits as long.
const TABLE_LOCK_WAIT: Duration = Duration::from_millis(500);
/// Between two tries of migrations that could not have a lock: traffic goes on meanwhile.
const LOCKED_PAUSE: Duration = Duration::from_millis(500);
/// Tries of migrations that cannot have a lock. Past them somebody holds it for long, and must be told.
const LOCKED_TRIES_MAX: u32 = 20;

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
    let runner = embedded::migrations::runner().set_abort_missing(false).set_target(Target::Latest);
    apply_patiently(client, &runner, LOCKED_TRIES_MAX).await?;
    Ok(pending)
}

/// Applies migrations, each in a transaction; comes again when one cannot have a lock.
async fn apply_patiently(client: &mut Client, runner: &Runner, tries_max: u32) -> Result<(), Error> {
    client
        .batch_execute(&format!("SET lock_timeout = {}", TABLE_LOCK_WAIT.as_millis()))
        .await
        .map_err(|error| Error::of_statement("store.migrate.lock_timeout", error))?;
    let mut tries = 0;
    loop {
        tries += 1;
        let Err(error) = runner.run_async(client).await else { return Ok(()) };
        let (is_locked, error) = sorted(&error);
        if !is_locked || tries >= tries_max {
            return Err(error);
        }
        tracing::info!(%error, tries, "a table is in use; the migration comes again");
        tokio::time::sleep(LOCKED_PAUSE).await;
    }
}

/// Whether migrations failed for want of a lock, and the error by what the caller can do: a lost connection rolled the last one
/// back, or its answer was lost, and running them again tells.
fn sorted(error: &refinery::Error) -> (bool, Error) {
    let text = crate::error::chain(error);
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<tokio_postgres::Error>() {
            let is_locked = refused.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
            let class = refused.code().map(|state| &state.code()[..2]);
            let is_passing = is_locked || matches!(class, None | Some("08" | "40" | "53" | "57"));
            return (is_locked, if is_passing { Error::Unavailable(text) } else { Error::Migration(text) });
        }
        cause = inner.source();
    }
    (false, Error::Migration(text))
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

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKED: &str = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        WHERE c.relname = 'in_use' AND NOT l.granted";

    /// A table that somebody has locked, and a migration that wants to change it.
    async fn in_use() -> (Client, Client, Client, Runner) {
        let database = Database::parse(&testkit::empty_database().await).expect("our own address");
        let [user, migrating, looking] = [database.connect().await, database.connect().await, database.connect().await];
        let user = user.expect("the cluster runs");
        user.batch_execute("CREATE TABLE in_use (a integer)").await.expect("made");
        user.batch_execute("BEGIN; LOCK TABLE in_use IN ACCESS SHARE MODE").await.expect("locked");
        let change = Migration::unapplied("V1__change", "ALTER TABLE in_use ADD b integer").expect("a migration");
        (user, migrating.expect("the cluster runs"), looking.expect("the cluster runs"), Runner::new(&[change]))
    }

    async fn waiting(client: &Client) -> i64 {
        client.query_one(LOCKED, &[]).await.expect("counted").get(0)
    }

    #[tokio::test]
    async fn a_migration_gives_up_its_place_in_front_of_traffic_and_comes_again() {
        let (user, mut migrating, looking, runner) = in_use().await;
        let applied = tokio::spawn(async move { apply_patiently(&mut migrating, &runner, LOCKED_TRIES_MAX).await });
        while waiting(&looking).await == 0 {}
        // Whoever comes now waits behind it, shortly.
        looking.batch_execute("SELECT a FROM in_use").await.expect("served");
        user.batch_execute("COMMIT").await.expect("unlocked");
        applied.await.expect("no panic").expect("applied");
        looking.batch_execute("SELECT b FROM in_use").await.expect("the new column");
    }

    #[tokio::test]
    async fn a_lock_that_is_never_to_be_had_ends_the_tries() {
        let (_user, mut migrating, looking, runner) = in_use().await;
        let error = apply_patiently(&mut migrating, &runner, 2).await.expect_err("in use");
        assert!(error.is_transient() && error.to_string().contains("lock"), "{error}");
        assert_eq!(waiting(&looking).await, 0);
    }

    #[tokio::test]
    async fn a_connection_lost_in_the_middle_may_be_tried_again_and_a_wrong_statement_not() {
        let (user, mut migrating, _, runner) = in_use().await;
        let pid: i32 = migrating.query_one("SELECT pg_backend_pid()", &[]).await.expect("a number").get(0);
        let applied = tokio::spawn(async move { apply_patiently(&mut migrating, &runner, 1_000).await });
        while waiting(&user).await == 0 {}
        user.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.expect("cut");
        let error = applied.await.expect("no panic").expect_err("cut");
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        let wrong = Runner::new(&[Migration::unapplied("V1__wrong", "SELECT wrong").expect("a migration")]);
        let error = apply_patiently(&mut { in_use().await.1 }, &wrong, 1).await.expect_err("wrong");
        assert!(matches!(error, Error::Migration(_)), "{error}");
    }
}
