//! Databases of tests.

use std::fs::File;
use std::path::{Path, PathBuf};
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

    /// The first column of all rows, past the store.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let client = Database::parse(&self.url).expect("our own address").connect().await.expect("the cluster runs");
        let rows = client.query(sql, &[]).await.expect("a statement of the test");
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// `current_setting()` and `pg_settings` as all see them who connect from now on.
const PRETEND: &str = "CREATE SCHEMA pretended;
    CREATE TABLE pretended.pg_settings AS SELECT name, setting, source FROM pg_catalog.pg_settings;
    CREATE FUNCTION pretended.current_setting(asked text) RETURNS text LANGUAGE sql VOLATILE AS
        'SELECT setting FROM pretended.pg_settings WHERE name = asked';
    DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET search_path = pretended, public, pg_catalog'', current_database()); END'";

impl TestDatabase {
    /// From now on new sessions see settings of the server that [`TestDatabase::pretend_setting`] changes: the server is the
    /// other tests', too.
    pub async fn pretend_settings(&self) {
        self.execute(PRETEND).await;
    }

    /// Gives a setting another value, as far as it is seen.
    pub async fn pretend_setting(&self, name: &str, value: &str) {
        let sql = format!(
            "UPDATE pretended.pg_settings SET setting = '{value}', source = 'configuration file' WHERE name = '{name}'"
        );
        self.execute(&sql).await;
    }

    /// Ends all other sessions.
    pub async fn cut_sessions(&self) {
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    }
}

/// `clock_timestamp()` as all see it who connect from now on, and the server's identifier.
const PRETEND_CLOCK: &str = "CREATE SCHEMA set_clock;
    CREATE TABLE set_clock.by (seconds bigint NOT NULL, server bigint NOT NULL);
    INSERT INTO set_clock.by SELECT 0, system_identifier FROM pg_control_system();
    CREATE FUNCTION set_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        'SELECT pg_catalog.clock_timestamp() + (SELECT seconds FROM set_clock.by) * interval ''1 second''';
    CREATE FUNCTION set_clock.pg_control_system(OUT system_identifier bigint) LANGUAGE sql VOLATILE AS
        'SELECT server FROM set_clock.by';
    DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET search_path = set_clock, public, pg_catalog'', current_database()); END'";

impl TestDatabase {
    /// From now on new sessions see a clock and a server that [`TestDatabase::set_clock`] and
    /// [`TestDatabase::move_to_server`] change.
    pub async fn pretend_clock(&self) {
        self.execute(PRETEND_CLOCK).await;
    }

    /// Sets the clock so many seconds ahead of the real one.
    pub async fn set_clock(&self, seconds: i64) {
        self.execute(&format!("UPDATE set_clock.by SET seconds = {seconds}")).await;
    }

    /// Moves the database to another server, as far as is seen.
    pub async fn move_to_server(&self, identifier: i64) {
        self.execute(&format!("UPDATE set_clock.by SET server = {identifier}")).await;
    }

    /// Puts the database back by so many seconds of the installation's life, as a backup of then does: every lease of then has
    /// lapsed, and every session is cut.
    pub async fn put_back(&self, seconds: u32) {
        self.execute(&format!(
            "UPDATE installation SET lived_seconds = lived_seconds - {seconds}, held_reason = NULL, held_since = NULL;
             UPDATE replicas SET lease_expires_at = clock_timestamp() - interval '1 hour'"
        ))
        .await;
        self.cut_sessions().await;
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
        remove(&folder_used);
        cluster = Cluster::start(&folder).await.expect("PostgreSQL for tests");
    }
    cluster.create_database(TEMPLATE).await.expect("a template");
    let template = Database::parse(&cluster.url(TEMPLATE)).expect("our own address");
    store::migrate::run(&template).await.expect("migrations");
    Held { cluster, _lock: lock }
}

/// Removes a folder. It goes out of the way first: a run that is killed here must not leave half a cluster to the next one.
fn remove(folder: &Path) {
    let aside = folder.with_extension("removed");
    drop(std::fs::remove_dir_all(&aside));
    std::fs::rename(folder, &aside).expect("an old cluster moves");
    std::fs::remove_dir_all(aside).expect("an old cluster goes");
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
