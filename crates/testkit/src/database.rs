//! Databases of tests.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use cluster::{Cluster, Error};
use store::Store;
use store::connect::Database;
use store::metrics::Metrics;
use store::vault::Vault;
use tokio::sync::OnceCell;

/// Processes that may run tests at the same time.
const SLOTS: u32 = 16;
/// Connections of one test's store.
const POOL_SIZE: usize = 8;
const TEMPLATE: &str = "tuma_template";

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of one test.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its address.
    pub url: String,
    /// A store connected to it.
    pub store: Store,
}

impl TestDatabase {
    /// A further store on the same database, as another replica would have it.
    pub async fn another_store(&self) -> Store {
        connect(&self.url).await
    }

    /// Runs statements past the store: what operators and faults do.
    pub async fn execute(&self, sql: &str) {
        let client = Database::parse(&self.url).expect("our own address").connect().await.expect("the cluster runs");
        client.batch_execute(sql).await.expect("a statement of the test");
    }

    /// One number past the store: what a checker reads.
    pub async fn number(&self, sql: &str) -> i64 {
        let client = Database::parse(&self.url).expect("our own address").connect().await.expect("the cluster runs");
        client.query_one(sql, &[]).await.expect("a statement of the test").get(0)
    }
}

/// A migrated database that no other test uses.
pub async fn database() -> TestDatabase {
    let url = fresh(Some(TEMPLATE)).await;
    let store = connect(&url).await;
    TestDatabase { url, store }
}

/// The address of an empty database that no other test uses.
pub async fn empty_database() -> String {
    fresh(None).await
}

async fn fresh(template: Option<&str>) -> String {
    let cluster = CLUSTER.get_or_init(start).await;
    let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    match template {
        Some(template) => cluster.create_database_from(&name, template).await.expect("a copy of the template"),
        None => cluster.create_database(&name).await.expect("an empty database"),
    }
    cluster.url(&name)
}

async fn connect(url: &str) -> Store {
    let vault = Vault::new(&[7; 32], None);
    let metrics = Metrics::register(&prometheus::Registry::new()).expect("fresh names");
    let database = Database::parse(url).expect("our own address");
    Store::connect(database, POOL_SIZE, vault, metrics).await.expect("the cluster runs")
}

/// Starts the cluster of the first folder that no other process uses, and clears what the last run left there.
async fn start() -> Cluster {
    let cluster = free_cluster().await;
    let client =
        Database::parse(&cluster.url("postgres")).expect("our own address").connect().await.expect("the cluster runs");
    let rows = client
        .query(
            "SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%' OR datname = $1 ORDER BY datname",
            &[&TEMPLATE],
        )
        .await
        .expect("databases are listed");
    for row in rows {
        cluster.drop_database(row.get(0)).await.expect("an old database goes");
    }
    cluster.create_database(TEMPLATE).await.expect("a template");
    let template = Database::parse(&cluster.url(TEMPLATE)).expect("our own address");
    store::migrate::run(&template).await.expect("migrations");
    cluster
}

#[allow(clippy::panic, reason = "tests cannot run without a database")]
async fn free_cluster() -> Cluster {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-clusters"));
    let mut refusal = String::new();
    for slot in 0..SLOTS {
        let folder = folder.join(slot.to_string());
        std::fs::create_dir_all(&folder).expect("a folder below the build folder");
        match Cluster::start(&folder).await {
            Ok(cluster) => return cluster,
            Err(error @ Error::InUse { .. }) => refusal = error.to_string(),
            Err(error) => {
                refusal = error.to_string();
                break;
            }
        }
    }
    std::panic::panic_any(format!("PostgreSQL for tests: {refusal}"))
}
