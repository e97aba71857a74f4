//! A wire between a node and the database that can be cut, and that can swallow answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const BUFFER_BYTES: usize = 16 * 1024;

/// What the wire does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wire {
    /// Carries both ways.
    Whole,
    /// Carries what the node says and swallows what the database answers.
    Mute,
    /// Ends every connection.
    Cut,
}

/// The wire.
pub(crate) struct Forwarder {
    address: SocketAddr,
    target: String,
    wire: watch::Sender<Wire>,
    /// Answers swallowed and connections refused.
    harm: Arc<AtomicU64>,
}

impl Forwarder {
    /// A whole wire to the database of an address.
    pub(crate) async fn start(url: &str) -> Self {
        let target = host_of(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a port");
        let (wire, state) = watch::channel(Wire::Whole);
        let harm = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(listener, target.clone(), state, harm.clone()));
        Self { address, target, wire, harm }
    }

    /// The address of the database over this wire.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(&self.target, &self.address.to_string())
    }

    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// Answers swallowed and connections refused so far.
    pub(crate) fn harm(&self) -> u64 {
        self.harm.load(Ordering::Relaxed)
    }
}

fn host_of(url: &str) -> &str {
    let start = url.find('@').map_or_else(|| url.find("//").map_or(0, |at| at + 2), |at| at + 1);
    let rest = &url[start..];
    &rest[..rest.find('/').unwrap_or(rest.len())]
}

async fn accept(listener: TcpListener, target: String, state: watch::Receiver<Wire>, harm: Arc<AtomicU64>) {
    while let Ok((near, _)) = listener.accept().await {
        if *state.borrow() == Wire::Cut {
            harm.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let far = TcpStream::connect(&target).await.expect("the cluster runs");
        tokio::spawn(carry(near, far, state.clone(), harm.clone()));
    }
}

/// Carries both ways until either side ends or the wire is cut. An answer once swallowed leaves a gap, so the
/// connection carries no further answers.
async fn carry(mut near: TcpStream, mut far: TcpStream, mut state: watch::Receiver<Wire>, harm: Arc<AtomicU64>) {
    let (mut question, mut answer) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    let seen = state.clone();
    let mut has_gap = false;
    loop {
        let done = tokio::select! {
            () = cut(&mut state) => true,
            read = near.read(&mut question) => match read {
                Ok(count) if count > 0 => far.write_all(&question[..count]).await.is_err(),
                Ok(_) | Err(_) => true,
            },
            read = far.read(&mut answer) => match read {
                Ok(count) if count > 0 => {
                    has_gap |= *seen.borrow() == Wire::Mute;
                    if has_gap {
                        harm.fetch_add(1, Ordering::Relaxed);
                        false
                    } else {
                        near.write_all(&answer[..count]).await.is_err()
                    }
                }
                Ok(_) | Err(_) => true,
            },
        };
        if done {
            return;
        }
    }
}

async fn cut(state: &mut watch::Receiver<Wire>) {
    drop(state.wait_for(|wire| *wire == Wire::Cut).await);
}
