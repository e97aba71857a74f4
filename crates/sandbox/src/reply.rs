//! How a request ends on the wire: with an answer, or with one of the faults.
//!
//! This is the only place that breaks HTTP on purpose. It decides nothing: the account says which
//! reply a request gets.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connection::now;
use crate::response::Response;

/// Where an endless body ends after all, so that a careless peer's memory survives.
const ENDLESS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of an endless body written at once.
const ENDLESS_CHUNK_BYTES: usize = 64 * 1024;

/// What a request gets, and when.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) delay: Duration,
    pub(crate) action: Action,
}

/// The ways a request can end.
#[derive(Debug)]
pub(crate) enum Action {
    /// An answer; the connection may go on.
    Answer(Response),
    /// The head and half of the body.
    Cut(Response),
    /// The head, then the body byte by byte.
    Drip(Response, u32),
    /// Bytes as they are.
    Raw(Vec<u8>),
    /// A good head and a body that goes on and on.
    Endless,
    /// Nothing, until the peer has had enough.
    Hang,
    /// Nothing, with our side closed.
    HalfClose,
    /// Nothing, and the connection closed.
    Close,
    /// Nothing, and the connection reset.
    Reset,
}

impl Action {
    /// The status the peer can read; `None` if it gets no answer.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(response) | Self::Cut(response) | Self::Drip(response, _) => Some(response.status),
            Self::Endless => Some(200),
            Self::Raw(_) | Self::Hang | Self::HalfClose | Self::Close | Self::Reset => None,
        }
    }
}

/// What becomes of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another request may follow.
    KeepAlive,
    /// It ends.
    End,
}

/// What the request says about its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes {
    pub(crate) keep_alive: bool,
    /// The method was HEAD: no body is wanted.
    pub(crate) head_only: bool,
}

/// Carries a reply out.
pub(crate) async fn perform(stream: &mut TcpStream, reply: Reply, wishes: Wishes) -> io::Result<Next> {
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    match reply.action {
        Action::Answer(response) => return write_answer(stream, &response, wishes).await,
        Action::Cut(response) => write_cut(stream, &response).await?,
        Action::Drip(response, pace) => return write_slowly(stream, &response, pace, wishes).await,
        Action::Raw(bytes) => stream.write_all(&bytes).await?,
        Action::Endless => write_endlessly(stream).await?,
        Action::Hang => read_to_end(stream).await?,
        Action::HalfClose => {
            stream.shutdown().await?;
            read_to_end(stream).await?;
        }
        Action::Close => {}
        Action::Reset => stream.set_zero_linger()?,
    }
    Ok(Next::End)
}

/// Reads and forgets until the peer closes.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> io::Result<()> {
    let mut scratch = [0; 4096];
    while stream.read(&mut scratch).await? > 0 {}
    Ok(())
}

async fn write_answer(stream: &mut TcpStream, response: &Response, wishes: Wishes) -> io::Result<Next> {
    let keep_alive = wishes.keep_alive && !response.has_own_framing();
    let mut bytes = response.head(keep_alive, now());
    if response.may_have_body() && !wishes.head_only {
        bytes.extend_from_slice(&response.body);
    }
    stream.write_all(&bytes).await?;
    Ok(if keep_alive { Next::KeepAlive } else { Next::End })
}

async fn write_cut(stream: &mut TcpStream, response: &Response) -> io::Result<()> {
    let mut bytes = response.head(true, now());
    bytes.extend_from_slice(&response.body[..response.body.len() / 2]);
    stream.write_all(&bytes).await
}

async fn write_slowly(stream: &mut TcpStream, response: &Response, pace: u32, wishes: Wishes) -> io::Result<Next> {
    stream.write_all(&response.head(wishes.keep_alive, now())).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / pace.max(1));
    for byte in &response.body {
        ticks.tick().await;
        stream.write_all(&[*byte]).await?;
    }
    Ok(if wishes.keep_alive { Next::KeepAlive } else { Next::End })
}

async fn write_endlessly(stream: &mut TcpStream) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut chunk = format!("{ENDLESS_CHUNK_BYTES:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + ENDLESS_CHUNK_BYTES, b' ');
    chunk.extend_from_slice(b"\r\n");
    for _ in 0..ENDLESS_BYTES_MAX / ENDLESS_CHUNK_BYTES {
        stream.write_all(&chunk).await?;
    }
    Ok(())
}
