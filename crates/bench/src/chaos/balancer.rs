//! A balancer before the replicas, as installations have one: it follows readiness, and carries one request a connection.
//!
//! Where a replica refuses the connection, the next one is tried: nothing was sent. What breaks after that is given up, as any
//! balancer does with a request that it must not repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::client::http;
use super::scenario::rest;

/// Between two looks at a replica's readiness (a common setting of balancers is some seconds; tuma's grace is 5 s).
const LOOK: Duration = Duration::from_millis(500);
const LOOK_WAIT: Duration = Duration::from_secs(1);
/// Connections at a time: as many as the client has requests under way.
const CONNECTIONS_MAX: usize = 4_000;
/// A request's first line and some of its head.
const FIRST_BYTES_MAX: usize = 16 * 1024;
/// Ends the first line.
const LINE_END: &[u8] = b"\r\n";
/// One request a connection.
const CLOSE: &[u8] = b"connection: close\r\n";
/// What a client hears of a request that was given up.
const GIVEN_UP: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// One replica behind it.
#[derive(Debug)]
struct Target {
    /// Host and port.
    address: String,
    is_ready: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    targets: Vec<Target>,
    turn: AtomicUsize,
    given_up: AtomicU64,
}

/// A running balancer; ends when dropped.
#[derive(Debug)]
pub(crate) struct Balancer {
    port: u16,
    shared: Arc<Shared>,
    /// Dropping it ends what runs.
    _running: JoinSet<()>,
}

impl Balancer {
    /// Starts it before replicas: scheme and host of each, and where it says whether it is ready.
    pub(crate) async fn start(replicas: Vec<(String, String)>) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let target = |base: &String| Target {
            address: base.trim_start_matches("http://").to_owned(),
            is_ready: AtomicBool::new(true),
        };
        let targets = replicas.iter().map(|(base, _)| target(base)).collect();
        let shared = Arc::new(Shared { targets, turn: AtomicUsize::new(0), given_up: AtomicU64::new(0) });
        let client = http(LOOK_WAIT)?;
        let mut running = JoinSet::new();
        for (place, (_, ready_url)) in replicas.into_iter().enumerate() {
            running.spawn(follow(shared.clone(), place, client.clone(), ready_url));
        }
        running.spawn(serve(listener, shared.clone()));
        Ok(Self { port, shared, _running: running })
    }

    /// Its scheme and host.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Requests that it gave up.
    pub(crate) fn given_up(&self) -> u64 {
        self.shared.given_up.load(Ordering::Relaxed)
    }
}

/// Keeps an eye on a replica's readiness.
async fn follow(shared: Arc<Shared>, place: usize, client: reqwest::Client, ready_url: String) {
    while let Some(target) = shared.targets.get(place) {
        let is_ready = client.get(&ready_url).send().await.is_ok_and(|answer| answer.status() == 200);
        target.is_ready.store(is_ready, Ordering::Relaxed);
        rest(LOOK).await;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut carrying = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = carrying.join_next() => {}
            accepted = listener.accept(), if carrying.len() < CONNECTIONS_MAX => {
                // One that was gone before it was taken asks for nothing.
                let Ok((client, _)) = accepted else { continue };
                let shared = shared.clone();
                carrying.spawn(async move { carry(client, &shared).await });
            }
        }
    }
}

/// Carries the one request of a connection.
async fn carry(mut client: TcpStream, shared: &Shared) {
    let Some(first) = first_bytes(&mut client).await else { return };
    let is_answered = match shared.connect().await {
        Some(mut replica) => exchange(&mut client, &mut replica, &first).await,
        None => false,
    };
    if !is_answered {
        shared.given_up.fetch_add(1, Ordering::Relaxed);
        // The client may have gone, or have a part of an answer: it sees the end either way.
        drop(client.write_all(GIVEN_UP).await);
    }
}

/// What a request begins with, up to its first line at least, with the wish to close after it; `None` when none comes.
async fn first_bytes(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < FIRST_BYTES_MAX {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(LINE_END.len()).position(|some| some == LINE_END) {
            bytes.splice(end + LINE_END.len()..end + LINE_END.len(), CLOSE.iter().copied());
            return Some(bytes);
        }
    }
    None
}

/// Passes the rest of the request on, and the answer back; whether one came.
async fn exchange(client: &mut TcpStream, replica: &mut TcpStream, first: &[u8]) -> bool {
    if replica.write_all(first).await.is_err() {
        return false;
    }
    // An answer ends with its connection, a request with its answer.
    let (mut from_client, mut to_client) = client.split();
    let (mut from_replica, mut to_replica) = replica.split();
    let answer = tokio::io::copy(&mut from_replica, &mut to_client);
    let request = async {
        // The client keeps its side open until it has its answer.
        drop(tokio::io::copy(&mut from_client, &mut to_replica).await);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answered = answer => answered.is_ok_and(|bytes| bytes > 0),
        () = request => false,
    }
}

impl Shared {
    /// A connection to a ready replica, in turn; to another one where it is refused.
    async fn connect(&self) -> Option<TcpStream> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let all = self.targets.iter().cycle().skip(turn % self.targets.len().max(1)).take(self.targets.len());
        for target in all.filter(|target| target.is_ready.load(Ordering::Relaxed)) {
            if let Ok(stream) = TcpStream::connect(&target.address).await {
                return Some(stream);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A replica that answers each request with its name, and says that it is ready.
    async fn replica(name: &'static str) -> (String, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0)
                {
                }
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n{name}");
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        (base, serving)
    }

    async fn asked(balancer: &Balancer) -> (u16, String) {
        let client = http(LOOK_WAIT).expect("a client");
        let answer = client.get(balancer.base()).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    #[tokio::test]
    async fn requests_go_in_turn_and_to_another_one_where_a_connection_is_refused() {
        let ((first, serving), (second, _other)) = (replica("a").await, replica("b").await);
        let both = [first, second].map(|base| (base.clone(), base));
        let balancer = Balancer::start(both.to_vec()).await.expect("a balancer");
        let mut answers = [asked(&balancer).await.1, asked(&balancer).await.1];
        answers.sort();
        assert_eq!(answers, ["a", "b"]);
        serving.abort();
        drop(serving.await);
        for _ in 0..4 {
            assert_eq!(asked(&balancer).await, (200, "b".to_owned()));
        }
        assert_eq!(balancer.given_up(), 0);
    }

    #[tokio::test]
    async fn a_request_that_nobody_takes_is_given_up_and_counted() {
        let (base, serving) = replica("a").await;
        let balancer = Balancer::start(vec![(base.clone(), base)]).await.expect("a balancer");
        serving.abort();
        drop(serving.await);
        assert_eq!(asked(&balancer).await.0, 502);
        assert_eq!(balancer.given_up(), 1);
    }
}
