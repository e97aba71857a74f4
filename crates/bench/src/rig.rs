//! A gateway with its database and its sink, in this process.

use std::time::Duration;

use cluster::Cluster;
use prometheus::Registry;
use sandbox::Sandbox;
use secrecy::SecretString;
use server::gateway::{Gateway, Settings};
use server::health::Health;
use store::Store;
use store::connect::{Database, POOL_SIZE_DEFAULT};
use store::metrics::Metrics;
use store::vault::Vault;
use testkit::Tenant;

/// Everything a scenario needs.
pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) sink: Sandbox,
    pub(crate) gateway: Gateway,
    pub(crate) tenant: Tenant,
    pub(crate) database_url: String,
}

impl Rig {
    pub(crate) async fn start() -> Result<Self, String> {
        let cluster = Cluster::ephemeral().await.map_err(|error| error.to_string())?;
        cluster.create_database("bench").await.map_err(|error| error.to_string())?;
        let database_url = cluster.url("bench");
        let database = Database::parse(&database_url).map_err(|error| error.to_string())?;
        store::migrate::run(&database).await.map_err(|error| error.to_string())?;
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).map_err(|error| error.to_string())?;
        let vault = Vault::new(&[1; 32], None);
        let store =
            Store::connect(database, POOL_SIZE_DEFAULT, vault, metrics).await.map_err(|error| error.to_string())?;
        let sink = Sandbox::start(sandbox::Settings::default()).await.map_err(|error| error.to_string())?;
        let tenant = Tenant::create(&store, "bench-key").await;
        tenant.lift_request_limits(&store).await;
        let settings = Settings {
            store,
            listen: Some(([127, 0, 0, 1], 0).into()),
            lipachat_url: Some(sink.url()),
            admin_token: SecretString::from("bench-admin-token"),
            engine: engine::Settings::default(),
        };
        let health = Health::starting(registry.clone());
        let gateway = Gateway::start(settings, &registry, health).map_err(|error| error.to_string())?;
        Ok(Self { cluster, sink, gateway, tenant, database_url })
    }

    pub(crate) fn messages_url(&self) -> String {
        let listen = self.gateway.listen.map(|address| address.to_string()).unwrap_or_default();
        format!("http://{listen}{}", self.tenant.messages_path())
    }

    pub(crate) async fn stop(self) -> Result<(), String> {
        self.gateway.stop(Duration::ZERO).await;
        self.sink.stop().await;
        self.cluster.stop().await.map_err(|error| error.to_string())
    }
}

/// A client that does nothing by itself.
#[allow(clippy::disallowed_methods, reason = "the load generator is a client of its own")]
pub(crate) fn client() -> Result<reqwest::Client, String> {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().map_err(|error| error.to_string())
}
