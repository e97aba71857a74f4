//! `tuma dev`: everything on one machine, with no set-up.
//!
//! A private PostgreSQL, the sandbox, the gateway, one workspace with one channel and one key. The data folder keeps the
//! database and what was made on the first start, so the next start finds the same ids and nothing is lost.

mod identity;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use cluster::Cluster;
use prometheus::Registry;
use sandbox::Sandbox;
use serde_json::{Value, json};
use store::Store;
use store::connect::{Database, POOL_SIZE_DEFAULT};
use store::durability;
use store::metrics::Metrics;

use super::{complain, print, refuse, start_logging};
use crate::cli::DevArgs;
use crate::config;
use crate::gateway::{Gateway, Settings};
use crate::health::{self, Health};
use crate::memory;
use crate::signals::asked_to_stop;
use crate::state_file::StateFile;
use identity::Identity;

const DATABASE: &str = "tuma";
/// Between two looks whether PostgreSQL still runs.
const DATABASE_LOOK: Duration = Duration::from_secs(1);
const METRICS_PORT: u16 = 9464;
const SANDBOX_PORT: u16 = 8081;

/// Everything that runs.
struct Dev {
    cluster: Cluster,
    sandbox: Option<Sandbox>,
    metrics: (SocketAddr, actix_web::dev::ServerHandle),
    gateway: Gateway,
    identity: Identity,
    database_url: String,
    listen: SocketAddr,
    organization: String,
}

/// Runs the command.
pub async fn run(args: DevArgs) -> ExitCode {
    let environment = config::environment();
    if let Err(problems) = start_logging(&environment) {
        return refuse(&problems);
    }
    let temporary = if args.ephemeral { Some(tempfile::tempdir()) } else { None };
    let folder = match &temporary {
        None => args.data_dir.clone(),
        Some(Ok(folder)) => folder.path().to_owned(),
        Some(Err(error)) => {
            complain(format!("no temporary folder: {error}"));
            return ExitCode::FAILURE;
        }
    };
    // Signals are listened to from the start, so that one that comes early stops what has been started.
    let asked = asked_to_stop();
    tokio::pin!(asked);
    let started = tokio::select! {
        started = start(&args, &folder) => started,
        _ = &mut asked => return ExitCode::SUCCESS,
    };
    let mut dev = match started {
        Ok(dev) => dev,
        Err(why) => {
            complain(why);
            return ExitCode::FAILURE;
        }
    };
    announce(&dev, &args, &folder);
    let code = tokio::select! {
        stopped = asked => if stopped.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        () = database_ended(&mut dev.cluster) => {
            complain("PostgreSQL ended; nothing accepted is lost, start again on the same data folder");
            ExitCode::FAILURE
        }
    };
    tracing::info!("stopping; asked again, it stops at once");
    tokio::select! {
        () = dev.stop() => code,
        _ = asked_to_stop() => code,
    }
}

/// Returns when the private PostgreSQL is gone without having been asked to stop.
async fn database_ended(cluster: &mut Cluster) {
    while !cluster.has_exited() {
        tokio::time::sleep(DATABASE_LOOK).await;
    }
}

impl Dev {
    fn base_url(&self) -> String {
        format!("http://{}", self.listen)
    }

    fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.metrics.0)
    }

    async fn stop(self) {
        self.gateway.stop(Duration::ZERO).await;
        self.metrics.1.stop(false).await;
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
        if let Err(error) = self.cluster.stop().await {
            complain(format!("PostgreSQL did not stop cleanly: {error}"));
        }
    }
}

async fn start(args: &DevArgs, folder: &Path) -> Result<Dev, String> {
    let folder = absolute(folder)?;
    let cluster =
        if args.ephemeral { Cluster::ephemeral().await } else { Cluster::start(&folder.join("postgres")).await };
    let cluster = cluster.map_err(|error| error.to_string())?;
    cluster.create_database(DATABASE).await.map_err(|error| error.to_string())?;
    let database_url = cluster.url(DATABASE);
    let identity = Identity::load_or_make(&folder)?;
    let registry = Registry::new();
    let store = connect(&database_url, &identity, &registry).await.map_err(|error| error.to_string())?;
    // Whoever closes the lid of a machine on which everything runs has set no clock.
    store.clock().follow_up_to(Duration::MAX);
    let state_file = StateFile::at(&folder.join("state.json"));
    memory::begin(&store, Some(&state_file)).await.map_err(|error| error.to_string())?;
    let organization = store.organization().await.map_err(|error| error.to_string())?.to_string();
    identity.ensure(&store).await?;
    let sandbox = match &args.lipachat_url {
        Some(_) => None,
        None => Some(start_sandbox(args).await?),
    };
    let health = Health::starting(registry.clone());
    let listen_metrics = beside(args, METRICS_PORT);
    let metrics = health::start(listen_metrics, health.clone())
        .map_err(|error| format!("cannot listen on {listen_metrics} for metrics: {error}"))?;
    let upstream = sandbox.as_ref().map(Sandbox::url).or_else(|| args.lipachat_url.clone());
    let settings = Settings {
        store,
        listen: Some(args.listen),
        lipachat_url: upstream,
        admin_token: identity.admin_token(),
        engine: engine::Settings::default(),
        state_file: Some(state_file),
    };
    let gateway = Gateway::start(settings, &registry, health).map_err(|error| error.to_string())?;
    let listen = gateway.listen.unwrap_or(args.listen);
    Ok(Dev { cluster, sandbox, metrics, gateway, identity, database_url, listen, organization })
}

/// The data folder as it stays right whatever happens to the working folder, made if it is not there.
fn absolute(folder: &Path) -> Result<PathBuf, String> {
    let said = |error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(said)?;
    folder.canonicalize().map_err(said)
}

async fn connect(url: &str, identity: &Identity, registry: &Registry) -> Result<Store, String> {
    let text = |error: store::error::Error| error.to_string();
    let database = Database::parse(url).map_err(text)?;
    let found = durability::look(&database).await.map_err(text)?;
    if !found.is_empty() {
        return Err(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    store::migrate::run(&database).await.map_err(text)?;
    let metrics = Metrics::register(registry).map_err(|error| error.to_string())?;
    Store::connect(database, POOL_SIZE_DEFAULT, identity.vault()?, metrics).await.map_err(text)
}

/// Takes any key and any number, so that channels made later can be tried, too; its script can refuse them.
async fn start_sandbox(args: &DevArgs) -> Result<Sandbox, String> {
    let settings = sandbox::Settings { listen: beside(args, SANDBOX_PORT), ..sandbox::Settings::default() };
    Sandbox::start(settings).await.map_err(|error| error.to_string())
}

/// The address of a listener beside the API's: its own port, or a free one when the API takes a free one. On loopback
/// whatever the API does, since nobody has to show a key there.
fn beside(args: &DevArgs, port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), if args.listen.port() == 0 { 0 } else { port })
}

fn announce(dev: &Dev, args: &DevArgs, folder: &Path) {
    if args.json { print(as_json(dev)) } else { print(as_text(dev, args, folder)) }
}

fn as_json(dev: &Dev) -> Value {
    let identity = &dev.identity;
    json!({
        "baseUrl": dev.base_url(), "metricsUrl": dev.metrics_url(), "sandboxUrl": dev.sandbox.as_ref().map(Sandbox::url),
        "databaseUrl": dev.database_url, "adminToken": identity.admin_token, "organizationId": dev.organization,
        "workspaceId": identity.workspace_id, "channelId": identity.channel_id, "accessKey": identity.access_key,
        // Provider webhooks are not taken yet, so there is no address to name.
        "webhookUrl": Value::Null, "secretKey": identity.secret_key
    })
}

fn as_text(dev: &Dev, args: &DevArgs, folder: &Path) -> String {
    let (base, identity) = (dev.base_url(), &dev.identity);
    let (workspace, channel, key) = (identity.workspace_id, identity.channel_id, &identity.access_key);
    let upstream = match &dev.sandbox {
        Some(sandbox) => format!("{url}  (ledger: {url}/_sandbox/ledger)", url = sandbox.url()),
        None => format!(
            "{}  (set its key: tuma admin channels update {channel} --workspace {workspace} --provider-key-file -)",
            args.lipachat_url.as_deref().unwrap_or_default(),
        ),
    };
    let kept = if args.ephemeral { "removed on exit".to_owned() } else { folder.display().to_string() };
    let rows = [
        ("API", base.clone()),
        ("metrics", dev.metrics_url()),
        ("provider", upstream),
        ("PostgreSQL", dev.database_url.clone()),
        ("data", kept),
        ("workspace", workspace.to_string()),
        ("channel", format!("{channel}  (from {})", identity::NUMBER)),
        ("access key", key.clone()),
        ("admin token", identity.admin_token.clone()),
        ("secret key", identity.secret_key.clone()),
    ];
    let rows: String = rows.iter().map(|(name, value)| format!("  {name:<12} {value}\n")).collect();
    let body = json!({
        "receiver": { "contacts": [{ "identifierValue": "+254712345678" }] },
        "body": { "type": "text", "text": { "text": "Hello from tuma" } }
    });
    format!(
        "tuma {} is ready\n\n{rows}\nSend a message:\n\n  curl -sS {base}/workspaces/{workspace}/channels/{channel}/messages \
         -H 'Authorization: AccessKey {key}' -H 'Content-Type: application/json' -d '{body}'\n\nCtrl-C stops everything.",
        env!("CARGO_PKG_VERSION"),
    )
}
