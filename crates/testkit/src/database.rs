//! Databases of tests.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use cluster::Cluster;
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

/// The process's cluster, with the lock on its folder.
struct Held {
    cluster: Cluster,
    _lock: File,
}

static CLUSTER: OnceCell<Held> = OnceCell::const_new();
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
    let cluster = &CLUSTER.get_or_init(start).await.cluster;
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

/// Starts a cluster in the first folder that no other process uses. One that holds databases of a former run is made
/// anew: that is faster than dropping them one by one.
async fn start() -> Held {
    let (folder, lock) = free_folder();
    let mut cluster = Cluster::start(&folder).await.expect("PostgreSQL for tests");
    if is_used(&cluster).await {
        let folder_used = cluster.folder().to_owned();
        cluster.stop().await.expect("an old cluster stops");
        std::fs::remove_dir_all(folder_used).expect("an old cluster goes");
        cluster = Cluster::start(&folder).await.expect("PostgreSQL for tests");
    }
    cluster.create_database(TEMPLATE).await.expect("a template");
    let template = Database::parse(&cluster.url(TEMPLATE)).expect("our own address");
    store::migrate::run(&template).await.expect("migrations");
    Held { cluster, _lock: lock }
}

async fn is_used(cluster: &Cluster) -> bool {
    let client =
        Database::parse(&cluster.url("postgres")).expect("our own address").connect().await.expect("the cluster runs");
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)";
    client.query_one(sql, &[&TEMPLATE]).await.expect("databases are listed").get(0)
}

/// The first folder that no other process uses, and the lock that keeps it so.
fn free_folder() -> (PathBuf, File) {
    let clusters = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-clusters"));
    std::fs::create_dir_all(&clusters).expect("a folder below the build folder");
    for slot in 0..SLOTS {
        let lock = File::create(clusters.join(format!("{slot}.lock"))).expect("a lock file");
        if lock.try_lock().is_ok() {
            return (clusters.join(slot.to_string()), lock);
        }
    }
    (clusters.join("beyond"), File::create(clusters.join("beyond.lock")).expect("a lock file"))
}
