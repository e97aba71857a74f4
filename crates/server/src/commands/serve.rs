//! `tuma serve`: the gateway, until asked to stop.
//!
//! A database that is away at the start is waited for, however long; the process says so and is alive, but not ready.

use std::process::ExitCode;
use std::time::Duration;

use prometheus::Registry;
use store::Store;
use store::connect::{Database, POOL_SIZE_DEFAULT};
use store::durability;
use store::metrics::Metrics;

use super::{complain, refuse, start_logging};
use crate::cli::{Role, ServeArgs};
use crate::config::{self, Config, EXIT_CONFIG};
use crate::gateway::{Gateway, Settings};
use crate::health::{self, Health};
use crate::memory;
use crate::planted;
use crate::signals::asked_to_stop;
use crate::state_file::StateFile;

/// Between two tries to reach the database at the start: doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// Requests are still answered for so long after readiness went: balancers need it to turn away.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the command.
pub async fn run(args: &ServeArgs) -> ExitCode {
    let environment = match planted::choose(config::environment()) {
        Ok(environment) => environment,
        Err(problems) => return refuse(&problems),
    };
    let config = match config::read(&environment) {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    if let Err(problems) = start_logging(&environment) {
        return refuse(&problems);
    }
    let registry = Registry::new();
    let health = Health::starting(registry.clone());
    let metrics = match health::start(config.metrics_listen, health.clone()) {
        Ok((address, handle)) => {
            tracing::info!(%address, "metrics and health are served");
            handle
        }
        Err(error) => {
            complain(format!("cannot listen on {}: {error}", config.metrics_listen));
            return ExitCode::FAILURE;
        }
    };
    let code = tokio::select! {
        started = start(config, args, &registry, health) => match started {
            Ok(gateway) => serve(gateway).await,
            Err(code) => code,
        },
        stopped = asked_to_stop() => stop_code(stopped),
    };
    metrics.stop(false).await;
    code
}

async fn serve(gateway: Gateway) -> ExitCode {
    let code = stop_code(asked_to_stop().await);
    tracing::info!("stopping");
    tokio::select! {
        () = gateway.stop(GRACE) => tracing::info!("stopped"),
        _ = asked_to_stop() => tracing::warn!("stopped at once, as asked a second time"),
    }
    code
}

async fn start(config: Config, args: &ServeArgs, registry: &Registry, health: Health) -> Result<Gateway, ExitCode> {
    check_durability(&config.database).await?;
    migrate(&config.database).await?;
    let store = connect(&config, registry).await?;
    remember(&store, config.state_file.as_ref()).await?;
    let settings = Settings {
        store,
        listen: args.roles.contains(&Role::Api).then_some(config.listen),
        lipachat_url: args.roles.contains(&Role::Worker).then_some(config.lipachat_url),
        admin_token: config.admin_token,
        engine: engine::Settings::default(),
        state_file: config.state_file,
    };
    let gateway = Gateway::start(settings, registry, health).map_err(|error| {
        complain(error);
        ExitCode::FAILURE
    })?;
    if let Some(address) = gateway.listen {
        tracing::info!(%address, "requests are taken");
    }
    Ok(gateway)
}

async fn connect(config: &Config, registry: &Registry) -> Result<Store, ExitCode> {
    let failed = |error: &dyn std::fmt::Display| {
        complain(error);
        ExitCode::FAILURE
    };
    let metrics = Metrics::register(registry).map_err(|error| failed(&error))?;
    let mut pause = PAUSE_FIRST;
    loop {
        match Store::connect(config.database.clone(), POOL_SIZE_DEFAULT, config.vault.clone(), metrics.clone()).await {
            Ok(store) => return Ok(store),
            Err(error) if error.is_transient() => wait(&error, &mut pause).await,
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// Whether the database is the one that was left, and no older: before anything is sent.
async fn remember(store: &Store, file: Option<&StateFile>) -> Result<(), ExitCode> {
    let mut pause = PAUSE_FIRST;
    loop {
        match memory::begin(store, file).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() => wait(&error, &mut pause).await,
            Err(error) => return Err(end(&error)),
        }
    }
}

/// Nothing is changed in a database that may lose what it acknowledges, unless that is meant.
async fn check_durability(database: &Database) -> Result<(), ExitCode> {
    let mut pause = PAUSE_FIRST;
    loop {
        match durability::look(database).await {
            Ok(found) => match super::refusals(&found, database.durability().is_allowed()) {
                refusals if refusals.0.is_empty() => return Ok(()),
                refusals => return Err(refuse(&refusals)),
            },
            Err(error) if error.is_transient() => wait(&error, &mut pause).await,
            Err(error) => return Err(end(&error)),
        }
    }
}

async fn migrate(database: &Database) -> Result<(), ExitCode> {
    let mut pause = PAUSE_FIRST;
    loop {
        match store::migrate::run(database).await {
            Ok(applied) => {
                for step in applied {
                    tracing::info!(version = step.version, name = step.name, "migration applied");
                }
                return Ok(());
            }
            Err(error) if error.is_transient() => wait(&error, &mut pause).await,
            Err(error) => return Err(end(&error)),
        }
    }
}

/// Says what waiting does not mend.
fn end(error: &store::error::Error) -> ExitCode {
    complain(error);
    if matches!(error, store::error::Error::Configuration(_)) { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
}

async fn wait(error: &store::error::Error, pause: &mut Duration) {
    tracing::warn!(%error, retry_in = ?*pause, "waiting for the database");
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(PAUSE_LONGEST);
}

fn stop_code(stopped: std::io::Result<()>) -> ExitCode {
    match stopped {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format!("signals cannot be listened to: {error}"));
            ExitCode::FAILURE
        }
    }
}
