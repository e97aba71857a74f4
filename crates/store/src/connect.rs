//! How the database is reached: address, TLS, pool and their bounds.
//!
//! TLS always verifies certificate and name. Without `sslmode` a database on this machine is spoken to in the clear,
//! any other with TLS when it offers it. A pooler in transaction mode may stand between: session settings only help the
//! planner, and nothing breaks where they are lost. Every wait is bounded here and in `client`.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::durability::Durability;
use crate::error::Error;

/// Connections of one process; a few writers and readers keep two cores busy.
pub const POOL_SIZE_DEFAULT: usize = 16;
/// Waiting for a free connection; past it the caller gets `Unavailable`.
const POOL_WAIT: Duration = Duration::from_secs(1);
/// Making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Checking a connection before it is lent.
const RECYCLE_TIMEOUT: Duration = Duration::from_secs(1);
/// A peer that acknowledges nothing for so long is gone.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which the system asks the peer for a sign of life.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);

/// A parsed database address with its way of encryption.
#[derive(Clone)]
pub struct Database {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    durability: Durability,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("name", &self.config.get_dbname()).finish_non_exhaustive()
    }
}

impl Database {
    /// Reads a `postgres://` address or a key-value string. `sslmode` is `disable`, `prefer`, `require`, `verify-ca` or
    /// `verify-full`; the last three are the same, since verification is never off.
    ///
    /// # Errors
    /// [`Error::Configuration`] when it cannot be understood; the text holds no part of the address.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let plain =
            url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let mut config: tokio_postgres::Config = plain.parse().map_err(|error| {
            Error::Configuration(format!("not a database address: {}", crate::error::chain(&error)))
        })?;
        if config.get_dbname().is_none() {
            return Err(Error::Configuration("not a database address: no database is named".to_owned()));
        }
        if config.get_hosts().is_empty() {
            return Err(Error::Configuration("not a database address: no host is named".to_owned()));
        }
        if !plain.contains("sslmode=") && config.get_hosts().iter().all(is_this_machine) {
            config.ssl_mode(SslMode::Disable);
        }
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_USER_TIMEOUT)
            .keepalives_idle(KEEPALIVE_IDLE)
            .application_name("tuma");
        let tls = MakeRustlsConnect::new(tls_config()?);
        Ok(Self { config, tls, durability: Durability::default() })
    }

    /// Whether it keeps what it acknowledges.
    #[must_use]
    pub fn durability(&self) -> &Durability {
        &self.durability
    }

    /// A pool over the database; makes no connection yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the pool cannot be built.
    pub fn pool(&self, size: usize) -> Result<Pool, Error> {
        let manager = Manager::from_config(
            self.config.clone(),
            self.tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let durability = self.durability.clone();
        Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(RECYCLE_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |client, _| {
                let durability = durability.clone();
                Box::pin(async move { begin_session(client, &durability).await })
            }))
            .build()
            .map_err(|error| Error::Configuration(error.to_string()))
    }

    /// How connections are encrypted.
    pub(crate) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    /// A connection of its own, outside the pool; it lives until the client is dropped.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be reached.
    pub async fn connect(&self) -> Result<tokio_postgres::Client, Error> {
        self.connect_listening(|_| {}).await
    }

    /// The same, which also hears what is notified on it.
    pub(crate) async fn connect_listening(
        &self,
        mut heard: impl FnMut(&str) + Send + 'static,
    ) -> Result<tokio_postgres::Client, Error> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, mut connection) = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| Error::Unavailable("connecting took too long".to_owned()))?
            .map_err(|error| Error::of_connecting(&error))?;
        tokio::spawn(async move {
            loop {
                match std::future::poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(notification))) => heard(notification.payload()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        tracing::debug!(%error, "a database connection ended");
                        break;
                    }
                    None => break,
                }
            }
        });
        Ok(client)
    }
}

// A statement is planned once, often while its table is empty or nothing is known of it yet, and then finds a million rows:
// the plan must not be one that reads all of them. Compiling pays for no statement of ours.
const BEGIN_SESSION: &str = "-- store.connect.begin_session
SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
    set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false)";

/// A session that would acknowledge what may be lost is not used: a role's or database's setting holds for new ones only,
/// so the others know nothing of it.
async fn begin_session(client: &ClientWrapper, durability: &Durability) -> Result<(), HookError> {
    let asked = tokio::time::timeout(RECYCLE_TIMEOUT, client.simple_query(BEGIN_SESSION)).await;
    let answer = asked.map_err(|_| HookError::message("no answer on a new connection"))?.map_err(HookError::Backend)?;
    let row = answer.iter().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        Some([row.get(0)?, row.get(1)?, row.get(2)?])
    });
    let values = row.ok_or_else(|| HookError::message("no settings of a new connection"))?;
    durability.note(values);
    durability.check().map_err(|error| HookError::message(error.to_string()))
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn tls_config() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 {
        tracing::debug!(unusable, "some certificates of the system cannot be used");
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Configuration(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_understood_is_not_repeated_in_the_error() {
        for bad in
            ["", "postgres://tuma:topsecret@", "mysql://tuma:topsecret@h/d", "postgres://tuma:topsecret@h:notaport/d"]
        {
            let error = Database::parse(bad).expect_err(bad).to_string();
            assert!(!error.contains("topsecret"), "{error}");
        }
    }

    #[test]
    fn a_database_on_this_machine_is_spoken_to_in_the_clear_unless_told_otherwise() {
        let mode = |url| Database::parse(url).expect("an address").config.get_ssl_mode();
        assert_eq!(mode("postgres://u@127.0.0.1/d"), SslMode::Disable);
        assert_eq!(mode("postgres://u@db.example.org/d"), SslMode::Prefer);
        assert_eq!(mode("postgres://u@127.0.0.1/d?sslmode=verify-full"), SslMode::Require);
    }
}
