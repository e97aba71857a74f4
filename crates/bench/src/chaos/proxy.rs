//! A TCP proxy that can be told to misbehave: transparent by default, one task a connection.
//!
//! It knows nothing of tuma but the names of three statements, by which it finds the answer to a commit.

pub(crate) mod exchange;

pub(crate) mod frames;

pub(crate) mod pump;

pub(crate) mod switch;

pub(crate) mod talk;

pub(crate) mod trap;

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use pump::{Protocol, carry};
use switch::Switch;
use trap::Trap;

/// Connections at a time: three replicas with their pools, and the calls of three engines.
const CONNECTIONS_MAX: usize = 4_000;

/// What a proxy has in common with others of its kind, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) switch: Switch,
    pub(crate) trap: Trap,
    /// The replica that goes this way.
    pub(crate) replica: usize,
}

/// A running proxy; ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Starts it in front of a server on this machine.
    pub(crate) async fn start(server: SocketAddr, protocol: Protocol, way: Way) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let serving = tokio::spawn(async move {
            let mut listener = Some(listener);
            while let Some(open) = listener.take() {
                serve(open, server, protocol, &way).await;
                listener = reopened(address, &way.switch).await;
            }
        });
        Ok(Self { address, serving })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Carries connections until they are to be refused; ends those that there are then.
async fn serve(listener: TcpListener, server: SocketAddr, protocol: Protocol, way: &Way) {
    let mut connections = JoinSet::new();
    let mut faults = way.switch.watch();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            _ = faults.wait_for(|faults| faults.refuses) => return,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                // One that was gone before it was taken is nothing to carry.
                let Ok((client, _)) = accepted else { continue };
                let way = way.clone();
                connections.spawn(async move {
                    // A server that is down shows as a closed connection.
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_ok() {
                        carry(client, server, protocol, &way).await;
                    }
                });
            }
        }
    }
}

/// A listener at the same address, when connections are no longer to be refused; `None` when it cannot be had: whoever
/// goes this way is refused from then on, which no verdict survives.
async fn reopened(address: SocketAddr, switch: &Switch) -> Option<TcpListener> {
    let mut faults = switch.watch();
    faults.wait_for(|faults| !faults.refuses).await.ok()?;
    TcpListener::bind(address).await.ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::switch::{Fault, Faults};
    use super::*;

    /// A proxy and its switch.
    struct Echo {
        address: SocketAddr,
        switch: Switch,
        _proxy: Proxy,
    }

    /// A server that says what it hears, and a proxy before it.
    async fn echo() -> Echo {
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
        let way = Way { switch: Switch::transparent(), trap: Trap::default(), replica: 0 };
        let proxy = Proxy::start(address, Protocol::Http, way.clone()).await.expect("a proxy");
        Echo { address: proxy.address, switch: way.switch, _proxy: proxy }
    }

    async fn connect(proxy: &Echo) -> TcpStream {
        TcpStream::connect(proxy.address).await.expect("a connection")
    }

    /// Says something and reads to the end; how it ended.
    async fn said(proxy: &Echo, text: &str) -> std::io::Result<String> {
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

    #[tokio::test]
    async fn what_is_refused_is_not_connected_and_goes_through_again_afterwards() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        stream.write_all(b"held").await.expect("written");
        stream.read_exact(&mut [0; 4]).await.expect("an answer");
        proxy.switch.turn(Faults { refuses: true, ..Faults::default() });
        assert!(matches!(stream.read(&mut [0; 4]).await, Ok(0) | Err(_)), "its connections end");
        while TcpStream::connect(proxy.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        proxy.switch.clear();
        while TcpStream::connect(proxy.address).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(said(&proxy, "hello").await.expect("an end"), "hello");
    }
}
