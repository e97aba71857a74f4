//! Migrations: any number of replicas may start at once, and looking changes nothing.

use domain::decision::Step;
use domain::message::Lane;
use store::connect::Database;
use store::migrate;
use tokio::task::JoinSet;

use crate::fixtures::{Fixture, connect, load, replica, result, sent};

/// Rounds of replicas that start together.
const ROUNDS: usize = 6;
/// More than the connections of the store.
const POOL: usize = 10;

const TABLES: &str =
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_migrate_once() {
    let url = testkit::empty_database().await;
    let mut starting = JoinSet::new();
    for _ in 0..8 {
        let database = Database::parse(&url).expect("our own address");
        starting.spawn(async move { migrate::run(&database).await.expect("migrated").len() });
    }
    let mut applied = starting.join_all().await;
    applied.sort_unstable();
    let steps = applied.pop().unwrap_or_default();
    assert!(steps > 0);
    assert!(applied.iter().all(|applied| *applied == 0), "{applied:?}");
    let database = Database::parse(&url).expect("our own address");
    assert!(migrate::plan(&database).await.expect("a plan").is_empty());
    assert!(migrate::run(&database).await.expect("migrated").is_empty());
}

/// Replicas that start on an empty database, again and again; in every other round one is cut off from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_are_all_served_also_when_one_is_cut_off_in_the_middle() {
    const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database
        WHERE locktype = 'advisory' AND granted AND datname = current_database() AND pid <> pg_backend_pid()";
    for round in 0..ROUNDS {
        let url = testkit::empty_database().await;
        let client = connect(&url).await;
        let mut starting = JoinSet::new();
        for _ in 0..8 {
            let database = Database::parse(&url).expect("our own address");
            starting.spawn(async move { migrate::run(&database).await });
        }
        let mut cut = 0;
        while round % 2 == 1 && cut == 0 {
            cut = client.execute(CUT, &[]).await.expect("asked");
        }
        let results = starting.join_all().await;
        let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        assert!(failed.len() as u64 <= cut && failed.iter().all(|error| error.is_transient()), "{failed:?}");
        let database = Database::parse(&url).expect("our own address");
        assert!(migrate::run(&database).await.expect("migrated").is_empty(), "the others did it");
        client.execute("SELECT system_identifier FROM installation", &[]).await.expect("the newest column");
    }
}

/// A column that this version does not know, and one whose type has changed under a statement that is prepared.
#[tokio::test]
async fn a_running_version_goes_on_when_a_newer_one_changes_the_schema() {
    let f = Fixture::new().await;
    let (replica, workspace, channel) = (replica(), f.tenant.workspace, f.tenant.channel.id);
    let run = async || {
        let message = f.queue(Lane::Normal).await;
        let lease = f.lease(replica).await;
        let claimed = f.claim_one(&lease, replica).await;
        assert_eq!(f.settle(replica, &[result(&claimed, Step::Sent, sent("wamid.1"))]).await, 1);
        assert!(f.store.message(workspace, message.id).await.expect("read").is_some());
        assert!(f.store.channel(workspace, channel).await.expect("read").is_some());
        assert!(load(&f.store, workspace, channel).await.expect("there").is_ok());
    };
    run().await;
    for table in
        ["messages", "outbox", "attempts", "channels", "channel_leases", "replicas", "workspaces", "installation"]
    {
        f.database.execute(&format!("ALTER TABLE {table} ADD of_tomorrow text NOT NULL DEFAULT 'x'")).await;
    }
    run().await;
    // Each connection of the pool has its own statements.
    for _ in 0..POOL {
        run().await;
    }
    f.database
        .execute("ALTER TABLE channels ALTER name TYPE varchar; ALTER TABLE messages ALTER body TYPE varchar")
        .await;
    for _ in 0..POOL {
        run().await;
    }
}

#[tokio::test]
async fn a_plan_lists_what_is_pending_and_changes_nothing() {
    let url = testkit::empty_database().await;
    let database = Database::parse(&url).expect("our own address");
    let client = connect(&url).await;
    let planned = migrate::plan(&database).await.expect("a plan");
    assert_eq!(planned.first().map(|step| (step.version, step.name.as_str())), Some((1, "create_messages_and_outbox")));
    assert!(planned.iter().all(|step| !step.sql.is_empty()));
    assert!(planned.windows(2).all(|pair| pair[0].version < pair[1].version));
    let tables: i64 = client.query_one(TABLES, &[]).await.expect("counted").get(0);
    assert_eq!(tables, 0);
    assert_eq!(migrate::run(&database).await.expect("migrated"), planned);
}

#[tokio::test]
async fn a_database_newer_than_the_program_is_accepted() {
    let database = testkit::database().await;
    assert!(database.store.is_migrated().await.expect("read"));
    database
        .execute("INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (9999, 'of_tomorrow', '2027-01-01T00:00:00Z', '1')")
        .await;
    assert!(database.store.is_migrated().await.expect("read"));
    let address = Database::parse(&database.url).expect("our own address");
    assert!(migrate::run(&address).await.expect("migrated").is_empty());
    database.execute("DELETE FROM refinery_schema_history").await;
    assert!(!database.store.is_migrated().await.expect("read"));
}

#[tokio::test]
async fn a_table_that_is_partitioned_gets_its_partitions_at_once() {
    let url = testkit::empty_database().await;
    let client = connect(&url).await;
    let steps = migrate::plan(&Database::parse(&url).expect("our own address")).await.expect("a plan");
    for step in &steps {
        if step.sql.contains("PARTITION BY") && step.version > 4 {
            let wait = "UPDATE chores SET due_at = '2027-01-01T00:00:00Z'";
            client.batch_execute(wait).await.expect("chores are there");
        }
        client.batch_execute(&step.sql).await.expect("applied");
    }
    let due = "SELECT due_at = '-infinity' FROM chores WHERE chore = 'partitions'";
    assert!(client.query_one(due, &[]).await.expect("read").get::<_, bool>(0));
}
