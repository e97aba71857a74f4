//! The gateway: joins store, API, engine and provider, and takes them apart in order.
//!
//! `serve`, `dev` and the benchmarks start the same gateway. Stopping: not ready any more, no more claims, calls end and
//! are settled, requests are still answered, then the listeners close.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use api::Api;
use domain::id::ReplicaId;
use engine::{Engine, Running, Wake};
use lipachat::Lipachat;
use lipachat::client::LipachatPreview;
use prometheus::{IntGaugeVec, Opts, Registry};
use secrecy::SecretString;
use store::Store;
use store::serving::RENEWAL;
use store::writer::AcceptWriter;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::health::{self, Health};
use crate::memory;
use crate::state_file::StateFile;

/// The head of a request must come within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection is kept for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Open connections a worker thread.
const CONNECTIONS_MAX: usize = 5_000;
/// Requests under way when listeners close may take so long.
const CLOSE_SECONDS: u64 = 5;

/// What a gateway is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database, migrated.
    pub store: Store,
    /// API, admin API, provider webhooks; `None` leaves them out.
    pub listen: Option<SocketAddr>,
    /// The provider; `None` leaves sending out.
    pub lipachat_url: Option<String>,
    /// Token of the admin API.
    pub admin_token: SecretString,
    /// Times and bounds of the engine.
    pub engine: engine::Settings,
    /// What remembers the database beyond the process, if anything does.
    pub state_file: Option<StateFile>,
}

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The provider's address.
    #[error(transparent)]
    Provider(#[from] lipachat::client::Error),
    /// A metric's name is taken.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// A gateway at work.
#[derive(Debug)]
pub struct Gateway {
    /// Where the API listens.
    pub listen: Option<SocketAddr>,
    /// The database.
    pub store: Store,
    health: Health,
    api: Option<ServerHandle>,
    engine: Option<Running>,
    clock: JoinHandle<()>,
    /// Its row among those that answer requests, and what renews it.
    serving: Option<(ReplicaId, JoinHandle<()>)>,
}

impl Gateway {
    /// Starts the gateway.
    ///
    /// # Errors
    /// When one of its parts cannot start.
    pub fn start(settings: Settings, registry: &Registry, health: Health) -> Result<Self, Error> {
        let store = settings.store;
        let wake = Wake::default();
        let engine = match &settings.lipachat_url {
            Some(url) => Some(start_engine(&store, url, settings.engine, wake.clone(), registry)?),
            None => {
                engine::tell_owners(store.clone(), &wake);
                None
            }
        };
        let (listen, api) = match settings.listen {
            Some(listen) => {
                let (listen, handle) = start_api(&store, listen, settings.admin_token, wake, registry)?;
                (Some(listen), Some(handle))
            }
            None => (None, None),
        };
        show_build(registry)?;
        health.serving(store.clone());
        let clock = tokio::spawn(memory::keep(store.clone(), settings.state_file));
        let serving = listen.map(|_| {
            let replica = ReplicaId(Uuid::new_v4());
            (replica, tokio::spawn(keep_serving(store.clone(), replica)))
        });
        Ok(Self { listen, store, health, api, engine, clock, serving })
    }

    /// Stops it; requests are still answered for the time of grace, so that a balancer can turn away.
    pub async fn stop(self, grace: Duration) {
        self.health.stopping();
        let engine = async {
            if let Some(engine) = self.engine {
                engine.stop().await;
            }
        };
        tokio::join!(engine, tokio::time::sleep(grace));
        if let Some(api) = self.api {
            api.stop(true).await;
        }
        self.clock.abort();
        if let Some((replica, renewal)) = self.serving {
            // A renewal after the row went would bring it back.
            renewal.abort();
            drop(renewal.await);
            if let Err(error) = self.store.leave_serving(replica).await {
                tracing::debug!(%error, "others count this replica until it was not seen for a while");
            }
        }
    }
}

fn start_engine(
    store: &Store,
    url: &str,
    settings: engine::Settings,
    wake: Wake,
    registry: &Registry,
) -> Result<Running, Error> {
    let engine = Engine {
        store: store.clone(),
        provider: Lipachat::new(url)?,
        settings,
        metrics: engine::metrics::Metrics::register(registry)?,
        wake,
        replica: ReplicaId(Uuid::new_v4()),
    };
    Ok(engine.start())
}

fn start_api(
    store: &Store,
    listen: SocketAddr,
    admin_token: SecretString,
    wake: Wake,
    registry: &Registry,
) -> Result<(SocketAddr, ServerHandle), Error> {
    let metrics = api::metrics::Metrics::register(registry)?;
    let due = Arc::new(move |channel, lane, due_at| wake.due(channel, lane, due_at));
    let api = Data::new(Api::new(
        store.clone(),
        AcceptWriter::start(store),
        metrics,
        due,
        Arc::new(LipachatPreview),
        admin_token,
    ));
    let failed = |error| Error::Listen(listen, error);
    let server = HttpServer::new(move || App::new().configure(|config| api::configure(config, api.clone())))
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .max_connections(CONNECTIONS_MAX)
        .shutdown_timeout(CLOSE_SECONDS)
        .disable_signals()
        .bind(listen)
        .map_err(failed)?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    Ok((address, health::spawn(server.run())))
}

/// Notes again and again that this process answers requests, which also tells how many do.
async fn keep_serving(store: Store, replica: ReplicaId) {
    loop {
        if let Err(error) = store.show_serving(replica).await {
            tracing::debug!(%error, "replicas that answer requests cannot be counted");
        }
        tokio::time::sleep(RENEWAL).await;
    }
}

fn show_build(registry: &Registry) -> Result<(), prometheus::Error> {
    let build = IntGaugeVec::new(Opts::new("tuma_build_info", "The running version"), &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))
}
