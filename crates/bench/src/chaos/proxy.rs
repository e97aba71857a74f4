//! A TCP proxy that can be told to misbehave: transparent by default, one task a connection.
//!
//! It knows nothing of tuma but the names of three statements, by which it finds the answer to a commit.

pub(crate) mod frames;

pub(crate) mod pump;

pub(crate) mod switch;

pub(crate) mod talk;

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use pump::{Protocol, carry};
use switch::Switch;

/// Connections at a time: three replicas with their pools, and the calls of three engines.
const CONNECTIONS_MAX: usize = 4_000;

/// A running proxy; ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) switch: Switch,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Starts it in front of a server on this machine.
    pub(crate) async fn start(server: SocketAddr, protocol: Protocol) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let switch = Switch::transparent();
        let serving = tokio::spawn(serve(listener, server, protocol, switch.clone()));
        Ok(Self { address, switch, serving })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, protocol: Protocol, switch: Switch) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                // One that was gone before it was taken is nothing to carry.
                let Ok((client, _)) = accepted else { continue };
                let switch = switch.clone();
                connections.spawn(async move {
                    // A server that is down shows as a closed connection.
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_ok() {
                        carry(client, server, protocol, &switch).await;
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::switch::{Fault, Faults};
    use super::*;

    /// A server that says what it hears, and a proxy before it.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        Proxy::start(address, Protocol::Any).await.expect("a proxy")
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.address).await.expect("a connection")
    }

    /// Says something and reads to the end; how it ended.
    async fn said(proxy: &Proxy, text: &str) -> std::io::Result<String> {
        let mut stream = connect(proxy).await;
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await?;
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await?;
        Ok(heard)
    }

    fn all(to_client: Fault) -> Faults {
        Faults { to_client: Some(to_client), share: 1.0, ..Faults::default() }
    }

    #[tokio::test]
    async fn without_a_fault_everything_goes_through_to_the_end() {
        let proxy = echo().await;
        assert_eq!(said(&proxy, "hello").await.expect("an end"), "hello");
        assert_eq!(proxy.switch.strikes(), 0);
    }

    #[tokio::test]
    async fn an_answer_is_cut_at_the_byte_that_was_asked_for() {
        let proxy = echo().await;
        proxy.switch.turn(all(Fault::CutAfter(3)));
        let mut stream = connect(&proxy).await;
        stream.write_all(b"hello").await.expect("written");
        let mut heard = Vec::new();
        let mut piece = [0; 16];
        while let Ok(read) = stream.read(&mut piece).await {
            if read == 0 {
                break;
            }
            heard.extend_from_slice(&piece[..read]);
        }
        assert!(b"hel".starts_with(&heard), "a reset may overtake what was sent: {heard:?}");
        assert_eq!(proxy.switch.strikes(), 1);
    }

    #[tokio::test]
    async fn a_swallowed_answer_does_not_come_and_the_connection_ends_after_the_fault() {
        let proxy = echo().await;
        proxy.switch.turn(all(Fault::Swallow));
        let mut stream = connect(&proxy).await;
        stream.write_all(b"lost").await.expect("written");
        while proxy.switch.strikes() == 0 {
            tokio::task::yield_now().await;
        }
        proxy.switch.clear();
        stream.write_all(b"later").await.expect("written");
        assert!(stream.read(&mut [0; 16]).await.is_err(), "reset");
    }

    #[tokio::test]
    async fn a_half_closed_answer_is_an_end_without_an_answer() {
        let proxy = echo().await;
        proxy.switch.turn(all(Fault::HalfClose));
        assert_eq!(said(&proxy, "hello").await.expect("an end"), "");
    }

    #[tokio::test]
    async fn what_waits_in_a_hole_comes_when_it_is_over() {
        let proxy = echo().await;
        proxy.switch.turn(all(Fault::Hole));
        let mut stream = connect(&proxy).await;
        stream.write_all(b"late").await.expect("written");
        while proxy.switch.strikes() == 0 {
            tokio::task::yield_now().await;
        }
        proxy.switch.clear();
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).await.expect("an answer");
        assert_eq!(&heard, b"late");
    }
}
