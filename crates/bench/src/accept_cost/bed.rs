//! What all subjects share: a database with one channel.

use bench::child::SECRET_KEY;
use cluster::Cluster;
use prometheus::Registry;
use store::Store;
use store::connect::Database;
use store::metrics::Metrics;
use store::vault::Vault;
use testkit::Tenant;

/// Connections for making the tenant.
const POOL_SIZE: usize = 1;

/// A database with one channel, and the cluster it lives in.
pub(super) struct Bed {
    cluster: Cluster,
    pub(super) database_url: String,
    pub(super) tenant: Tenant,
}

impl Bed {
    pub(super) async fn make() -> Result<Self, String> {
        let cluster = Cluster::ephemeral().await.map_err(|error| error.to_string())?;
        cluster.create_database("bench").await.map_err(|error| error.to_string())?;
        let database_url = cluster.url("bench");
        let database = Database::parse(&database_url).map_err(|error| error.to_string())?;
        store::migrate::run(&database).await.map_err(|error| error.to_string())?;
        let metrics = Metrics::register(&Registry::new()).map_err(|error| error.to_string())?;
        let vault = Vault::new(&SECRET_KEY, None);
        let store = Store::connect(database, POOL_SIZE, vault, metrics).await.map_err(|error| error.to_string())?;
        let tenant = Tenant::create(&store, "bench-key").await;
        tenant.lift_request_limits(&store).await;
        Ok(Self { cluster, database_url, tenant })
    }

    pub(super) async fn remove(self) -> Result<(), String> {
        self.cluster.stop().await.map_err(|error| error.to_string())
    }
}
