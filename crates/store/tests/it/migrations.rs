//! Migrations: any number of replicas may start at once, and looking changes nothing.

use store::connect::Database;
use store::migrate;
use tokio::task::JoinSet;

use crate::fixtures::connect;

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
