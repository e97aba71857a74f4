//! `/metrics`, `/healthz` and `/readyz`, on a listener of their own.
//!
//! Alive means that the event loop turns; it asks nobody, or an outage of the database would restart every replica.
//! Ready means that the database answers and is migrated, and that the process is not about to stop.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::Data;
use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::{Encoder, Registry, TextEncoder};
use serde_json::json;
use store::Store;

/// How long an answer of the database is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// What the process says of itself.
#[derive(Clone, Debug)]
pub struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    /// Why it is not ready, whatever the database says.
    refusal: Option<&'static str>,
    store: Option<Store>,
    looked: Option<(Instant, Result<(), String>)>,
}

impl Health {
    /// Health of a process that has just begun.
    #[must_use]
    pub fn starting(registry: Registry) -> Self {
        let state = State { refusal: Some("starting"), store: None, looked: None };
        Self(Arc::new(Shared { registry, state: RwLock::new(state) }))
    }

    /// From now on the database decides.
    pub fn serving(&self, store: Store) {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        state.refusal = None;
        state.store = Some(store);
    }

    /// From now on it is not ready.
    pub fn stopping(&self) {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner).refusal = Some("stopping");
    }

    /// Whether the process takes work, or why not.
    ///
    /// # Errors
    /// The reason.
    pub async fn ready(&self) -> Result<(), String> {
        let store = {
            let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(refusal) = state.refusal {
                return Err(refusal.to_owned());
            }
            if let Some((at, known)) = &state.looked
                && at.elapsed() < BELIEVED
            {
                return known.clone();
            }
            state.store.clone()
        };
        let Some(store) = store else { return Err("starting".to_owned()) };
        if !store.database().durability().holds() {
            return Err("the database may lose what it acknowledges".to_owned());
        }
        let found = match store.is_migrated().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("migrations are pending".to_owned()),
            Err(error) => {
                tracing::warn!(%error, "not ready");
                Err("the database cannot be used".to_owned())
            }
        };
        self.0.state.write().unwrap_or_else(PoisonError::into_inner).looked = Some((Instant::now(), found.clone()));
        found
    }

    /// What an operator should know of a process that is ready.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(store) = &state.store else { return Vec::new() };
        let found = store.database().durability().found().into_iter().map(|setting| setting.to_string());
        found.chain(store.stops().into_iter().map(|stop| stop.to_string())).collect()
    }

    fn metrics(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Starts the listener; answers its address.
///
/// # Errors
/// When the address cannot be had.
pub fn start(listen: SocketAddr, health: Health) -> std::io::Result<(SocketAddr, ServerHandle)> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(health.clone()))
            .route("/metrics", web::get().to(show_metrics))
            .route("/healthz", web::get().to(show_alive))
            .route("/readyz", web::get().to(show_ready))
    })
    .workers(1)
    .disable_signals()
    .bind(listen)?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    Ok((address, spawn(server.run())))
}

/// Runs a server in a task of its own.
pub(crate) fn spawn(server: Server) -> ServerHandle {
    let handle = server.handle();
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "a listener ended");
        }
    });
    handle
}

async fn show_metrics(health: Data<Health>) -> HttpResponse {
    match health.metrics() {
        Ok(text) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be shown");
            HttpResponse::InternalServerError().finish()
        }
    }
}

async fn show_alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

async fn show_ready(health: Data<Health>) -> HttpResponse {
    match health.ready().await {
        Ok(()) => match health.warnings() {
            warnings if warnings.is_empty() => HttpResponse::Ok().json(json!({ "status": "ready" })),
            warnings => HttpResponse::Ok().json(json!({ "status": "ready", "warnings": warnings })),
        },
        Err(reason) => HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready", "reason": reason })),
    }
}
