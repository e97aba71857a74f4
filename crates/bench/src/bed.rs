//! What a scenario stands on: a private PostgreSQL with `fsync` and `synchronous_commit` on, one database, one tenant.

use std::path::PathBuf;
use std::sync::Arc;

use bench::child::SECRET_KEY;
use cluster::Cluster;
use domain::content::LongitudeSpelling;
use domain::id::ChannelId;
use domain::message::MessageType;
use domain::phone::PhoneNumber;
use domain::spacing::RecipientRate;
use prometheus::Registry;
use store::Store;
use store::audit::Act;
use store::channel::{ChannelSettings, ChannelStatus};
use store::connect::Database;
use store::metrics::Metrics;
use store::vault::Vault;
use testkit::Tenant;
use tokio_postgres::{Client, NoTls};

/// Connections for making tenants and channels.
const POOL_SIZE: usize = 2;
const NUMBER: &str = "+254110090747";
const PROVIDER_KEY: &str = "bench-key";
const ACT: Act<'_> = Act { actor: "bench", name: "bench" };
/// What fills with messages.
const CLEAR: &str = "TRUNCATE messages, message_keys, outbox, attempts, message_events, contacts, message_tags, tags";

/// A database with one tenant, and the cluster it lives in.
pub(crate) struct Bed {
    cluster: Arc<Cluster>,
    name: String,
    pub(crate) database_url: String,
    pub(crate) tenant: Tenant,
    pub(crate) store: Store,
    client: Client,
}

impl Bed {
    pub(crate) async fn make() -> Result<Self, String> {
        let cluster = Cluster::ephemeral().await.map_err(|error| error.to_string())?;
        Self::on(Arc::new(cluster), "bench").await
    }

    /// A new database on a cluster that others use, too.
    pub(crate) async fn on(cluster: Arc<Cluster>, name: &str) -> Result<Self, String> {
        cluster.create_database(name).await.map_err(|error| error.to_string())?;
        let (name, database_url) = (name.to_owned(), cluster.url(name));
        let database = Database::parse(&database_url).map_err(|error| error.to_string())?;
        store::migrate::run(&database).await.map_err(|error| error.to_string())?;
        let metrics = Metrics::register(&Registry::new()).map_err(|error| error.to_string())?;
        let vault = Vault::new(&SECRET_KEY, None);
        let store = Store::connect(database, POOL_SIZE, vault, metrics).await.map_err(|error| error.to_string())?;
        let tenant = Tenant::create(&store, PROVIDER_KEY).await;
        tenant.lift_request_limits(&store).await;
        let client = connect(&database_url).await?;
        let bed = Self { cluster, name, database_url, tenant, store, client };
        // A checkpoint that is due to the size of the log would fall into one run and not into another.
        bed.execute("ALTER SYSTEM SET max_wal_size = '4GB'").await?;
        bed.number("SELECT pg_reload_conf()::int::bigint").await?;
        let is_durable =
            "SELECT count(*) FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'on'";
        if bed.number(is_durable).await? != 2 {
            return Err("the cluster is not durable".to_owned());
        }
        Ok(bed)
    }

    /// Makes channels that send at a rate.
    pub(crate) async fn channels(
        &self,
        count: usize,
        message_type: MessageType,
        messages_per_second: u32,
    ) -> Result<Vec<ChannelId>, String> {
        let settings = ChannelSettings {
            name: "bench".to_owned(),
            number: PhoneNumber::parse(NUMBER).map_err(|error| error.to_string())?,
            message_type,
            messages_per_second,
            status: ChannelStatus::Active,
            longitude_spelling: LongitudeSpelling::Both,
            account_messages_per_second: None,
            recipient_rate: RecipientRate::default(),
            backlog_max: domain::limits::BACKLOG_MAX,
            on_unknown: domain::outcome::OnUnknown::Repeat,
        };
        let mut channels = Vec::with_capacity(count);
        for _ in 0..count {
            let channel = Tenant::create_channel(&self.store, self.tenant.workspace, &settings, PROVIDER_KEY).await;
            channels.push(channel.id);
        }
        Ok(channels)
    }

    /// A further workspace, with a channel of the same provider account, whose channels share a limit.
    pub(crate) async fn further_tenant(&self, account_messages_per_second: u32) -> Result<Tenant, String> {
        let mut tenant = Tenant::create(&self.store, PROVIDER_KEY).await;
        tenant.lift_request_limits(&self.store).await;
        let settings = ChannelSettings {
            account_messages_per_second: Some(account_messages_per_second),
            recipient_rate: RecipientRate::default(),
            backlog_max: domain::limits::BACKLOG_MAX,
            on_unknown: domain::outcome::OnUnknown::Repeat,
            ..tenant.channel.settings.clone()
        };
        let changed = self.store.update_channel(&tenant.channel, &settings, None, &ACT).await;
        tenant.channel = changed.map_err(|error| error.to_string())?.ok_or("the channel was changed meanwhile")?;
        Ok(tenant)
    }

    /// The path of a channel's messages.
    pub(crate) fn messages_path(&self, channel: ChannelId) -> String {
        format!("/workspaces/{}/channels/{channel}/messages", self.tenant.workspace)
    }

    /// The path of a channel's batches.
    pub(crate) fn batch_path(&self, channel: ChannelId) -> String {
        format!("/workspaces/{}/channels/{channel}/batch/messages", self.tenant.workspace)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn execute(&self, sql: &str) -> Result<(), String> {
        self.client.batch_execute(sql).await.map_err(|error| describe(&error))
    }

    pub(crate) async fn number(&self, sql: &str) -> Result<i64, String> {
        self.client.query_one(sql, &[]).await.map(|row| row.get(0)).map_err(|error| describe(&error))
    }

    /// Removes all messages, and writes out what is dirty.
    pub(crate) async fn clear(&self) -> Result<(), String> {
        self.execute(CLEAR).await?;
        self.execute("CHECKPOINT").await
    }

    /// Frees channels whose owner was killed, so that the next owner does not wait.
    pub(crate) async fn free_channels(&self) -> Result<(), String> {
        self.execute("UPDATE channel_leases SET replica_id = NULL, free_since = free_since - interval '1 minute'")
            .await?;
        self.execute("DELETE FROM replicas").await
    }

    /// After many rows came: what the background would do sooner or later, done before the clock runs.
    pub(crate) async fn settle_down(&self) -> Result<(), String> {
        self.execute("VACUUM (ANALYZE) messages").await?;
        self.execute("VACUUM (ANALYZE) outbox").await?;
        self.execute("CHECKPOINT").await
    }

    /// Where the cluster lives; goes with it.
    pub(crate) fn folder(&self) -> PathBuf {
        self.cluster.folder().to_path_buf()
    }

    /// Bytes of write-ahead log so far.
    pub(crate) async fn log_bytes(&self) -> Result<i64, String> {
        self.number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").await
    }

    /// Bytes of write-ahead log a message since then.
    pub(crate) async fn log_bytes_a_message(&self, before: i64, messages: usize) -> Result<f64, String> {
        Ok(((self.log_bytes().await? - before) as f64 / messages as f64).round())
    }

    /// Ends the cluster, or removes the database when others use the cluster, too.
    pub(crate) async fn remove(self) -> Result<(), String> {
        match Arc::try_unwrap(self.cluster) {
            Ok(cluster) => cluster.stop().await,
            Err(cluster) => cluster.drop_database(&self.name).await,
        }
        .map_err(|error| error.to_string())
    }
}

/// A connection of its own.
pub(crate) async fn connect(database_url: &str) -> Result<Client, String> {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await.map_err(|error| describe(&error))?;
    tokio::spawn(connection);
    Ok(client)
}

/// What the database says, and not only that it said something.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}
