//! One connection: requests in, replies out, until either side ends it.
//!
//! Paths under `/_sandbox` are the sandbox's own and leave no trace in the ledger; all others are
//! the account's. Input that is not HTTP is refused and costs the connection, nothing more.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use crate::account::{Account, Arrival};
use crate::behaviour::framework;
use crate::control;
use crate::reply::{Action, Next, Reply, Wishes, perform, read_to_end};
use crate::request::{self, ReadError, Request};

/// Room for a usual request, so that it takes one read.
const BUFFER_BYTES: usize = 4 * 1024;
/// How long a refused peer may go on sending, so that it can read why.
const LINGER: Duration = Duration::from_secs(1);

/// Serves a connection to its end.
pub(crate) async fn serve(mut stream: TcpStream, number: u64, account: Arc<Account>) {
    if let Err(error) = serve_requests(&mut stream, number, &account).await {
        tracing::debug!(%error, "connection lost");
    }
}

async fn serve_requests(stream: &mut TcpStream, number: u64, account: &Account) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
    loop {
        let request = match request::read(stream, &mut buffer).await {
            Ok(Some(request)) => request,
            Ok(None) | Err(ReadError::Lost) => return Ok(()),
            Err(ReadError::Refused(status)) => return refuse(stream, status).await,
        };
        let wishes = Wishes { keep_alive: request.keep_alive, head_only: request.method == "HEAD" };
        let (seq, reply) = reply(request, number, account);
        let next = perform(stream, reply, wishes).await;
        if let Some(seq) = seq {
            account.ended(seq, now());
        }
        if next? == Next::End {
            return Ok(());
        }
    }
}

/// The place of a request in the ledger, if it has one, and how it ends.
fn reply(request: Request, connection: u64, account: &Account) -> (Option<u64>, Reply) {
    if control::owns(&request.path) {
        let response = control::answer(&request, account);
        return (None, Reply { delay: Duration::ZERO, action: Action::Answer(response) });
    }
    let arrival = Arrival { at: now(), connection, random: Uuid::new_v4() };
    let (seq, reply) = account.receive(request, &arrival);
    (Some(seq), reply)
}

async fn refuse(stream: &mut TcpStream, status: u16) -> io::Result<()> {
    tracing::debug!(status, "request refused unread");
    let reply = Reply { delay: Duration::ZERO, action: Action::Answer(framework(now(), status, "")) };
    let wishes = Wishes { keep_alive: false, head_only: false };
    perform(stream, reply, wishes).await?;
    stream.shutdown().await?;
    // Closing with unread bytes would reset the connection, and the answer with it.
    match timeout(LINGER, read_to_end(stream)).await {
        Ok(result) => result,
        Err(_) => Ok(()),
    }
}

/// The provider's clock.
#[allow(clippy::disallowed_methods, reason = "the provider has a clock of its own")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
