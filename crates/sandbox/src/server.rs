//! The running sandbox: its listener, its connections, and the handle that owns them.
//!
//! Everything runs on the caller's tokio runtime. Dropping the handle stops it; `stop` also waits
//! until the port is free and every connection is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::account::Account;
use crate::connection::{now, serve};
use crate::error::Error;
use crate::ledger::Entry;
use crate::script::Script;
use crate::settings::Settings;

/// Connections open at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 10_000;
/// Pause after the system could not accept: usually it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running simulator of Lipachat.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    account: Arc<Account>,
    /// Dropped to stop the accept loop.
    stopper: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Sandbox {
    /// Listens on the address of the settings and answers from then on.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] if the address cannot be bound, [`Error::Journal`] if the journal cannot be used.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let address = settings.listen;
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let account = Arc::new(Account::new(settings, now())?);
        let (stopper, stopped) = oneshot::channel();
        let serving = tokio::spawn(accept(listener, Arc::clone(&account), stopped));
        tracing::info!(%address, "sandbox listens");
        Ok(Self { address, account, stopper, serving })
    }

    /// The address it listens on, with the true port.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address: the base URL for a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request in the ledger, oldest first.
    pub fn ledger(&self) -> Vec<Entry> {
        let (records, _) = self.account.records();
        records.iter().map(|record| record.entry()).collect()
    }

    /// Waits until this many requests were received since the start or the last reset.
    pub async fn wait_for(&self, requests: u64) {
        let mut received = self.account.received();
        // The sender lives as long as the account, so this ends only by reaching the number.
        let _ = received.wait_for(|count| *count >= requests).await;
    }

    /// Puts a script in force in place of the current one.
    ///
    /// # Errors
    ///
    /// [`Error::Script`] if a value in it has no meaning; the current script stays.
    pub fn script(&self, script: Script) -> Result<(), Error> {
        self.account.set_script(script)
    }

    /// Forgets the ledger, the ids known and the script.
    pub fn reset(&self) {
        self.account.reset(now());
    }

    /// Closes the listener and all connections, and waits until they are closed.
    pub async fn stop(self) {
        drop(self.stopper);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "sandbox ended early");
        }
    }
}

async fn accept(listener: TcpListener, account: Arc<Account>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    number += 1;
                    connections.spawn(serve(stream, number, Arc::clone(&account)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}
