//! What the machine itself can do: the same steps without a queue between them, measured in the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bench::child::Role;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bed::{Bed, connect, describe};
use crate::figures::{milliseconds, round};
use crate::load::{Handed, Load, Prepared, Until, run};
use crate::message;
use crate::sink::Sink;
use crate::subject::{PLAIN, Subject};

/// Time of one limit.
const TIME: Duration = Duration::from_millis(1_500);
/// Connections of the echo server under load, of the committing clients, and calls in flight to the sink.
const ECHO_CONNECTIONS: usize = 64;
const COMMIT_CONNECTIONS: usize = 32;
const SINK_CONNECTIONS: usize = 64;

/// Rates of the machine, a second.
pub(crate) struct Limits {
    /// An actix-web server that sends a body of a message back, 64 connections.
    pub(crate) echo: f64,
    /// Commits of one row, one connection.
    pub(crate) commit_one: f64,
    /// The same, 32 connections.
    pub(crate) commit_many: f64,
    /// Calls of the sink, one after the other over a raw connection each, 64 connections.
    pub(crate) sink: f64,
    /// The same by the client that the gateway calls the provider with.
    pub(crate) sink_by_client: f64,
    one_by_one: Value,
}

impl Limits {
    pub(crate) async fn measure(bed: &Bed, sink: &Sink) -> Result<Self, String> {
        let echo_server = Subject::start(PLAIN, Role::Echo, bed)?;
        let echo_one = posts(&echo_server.address()?, 1).await?;
        let echo = posts(&echo_server.address()?, ECHO_CONNECTIONS).await?;
        drop(echo_server);
        let (sink_one, sink_many) = (posts(&sink.address(), 1).await?, posts(&sink.address(), SINK_CONNECTIONS).await?);
        let sink_by_client = by_client(sink.url()).await?;
        drop(sink.take());
        let (commit_one, commit_times) = commits(bed, 1).await?;
        let (commit_many, _) = commits(bed, COMMIT_CONNECTIONS).await?;
        bed.execute("DROP TABLE one_row_commit").await?;
        let one_by_one = json!({
            "echo": milliseconds(echo_one.answer_times()), "plainClientToSink": milliseconds(sink_one.answer_times()),
            "oneRowCommit": milliseconds(commit_times)
        });
        let (echo, sink) = (echo.per_second(), sink_many.per_second());
        Ok(Self { echo, commit_one, commit_many, sink, sink_by_client, one_by_one })
    }

    /// The limits as figures a second.
    pub(crate) fn figures(&self) -> Value {
        json!({
            "echo64": self.echo.round(), "oneRowCommit1": self.commit_one.round(),
            "oneRowCommit32": self.commit_many.round(), "rawClientToSink64": self.sink.round(),
            "plainClientToSink64": self.sink_by_client.round(), "oneByOneMs": self.one_by_one
        })
    }

    /// A rate as a share of those limits that it passes through.
    pub(crate) fn ratios(&self, per_second: f64) -> Value {
        json!({
            "toEcho64": round(per_second / self.echo), "toOneRowCommit32": round(per_second / self.commit_many),
            "toPlainClientToSink64": round(per_second / self.sink_by_client)
        })
    }
}

async fn posts(address: &str, connections: usize) -> Result<Handed, String> {
    // Without places: the sink notes no arrivals, and there is nothing to patch.
    let body = body();
    let requests = vec![Prepared::post("/api/v1/whatsapp/message/text", "AccessKey bench", &body)];
    let until = Until::Elapsed(TIME);
    run(Load { address: address.to_owned(), requests, connections, from: 0, until, gap: None }).await
}

fn body() -> String {
    let text = message::request().to_string();
    text.replace(message::NUMBER_PLACE, "_________").replace(message::RECIPIENT_PLACE, "000000")
}

/// Calls a second of the plain client, in a thread of its own as the load.
async fn by_client(url: String) -> Result<f64, String> {
    let (done, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let rate = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
            runtime.block_on(async {
                let http = client()?;
                let url = format!("{url}/api/v1/whatsapp/message/text");
                let body = body();
                many(SINK_CONNECTIONS, |_| {
                    let request = http.post(&url).header("content-type", "application/json").header("apiKey", "bench");
                    let request = request.body(body.clone());
                    async move {
                        let answer = request.send().await.map_err(|error| error.to_string())?;
                        answer.bytes().await.map(drop).map_err(|error| error.to_string())
                    }
                })
                .await
            })
        });
        // Nobody waits any more when the scenario has failed elsewhere.
        drop(done.send(rate));
    });
    ended.await.map_err(|_| "the client broke down".to_owned())?
}

/// Commits of one row a second, and how long each took.
async fn commits(bed: &Bed, connections: usize) -> Result<(f64, Vec<Duration>), String> {
    let table = "CREATE TABLE IF NOT EXISTS one_row_commit (id bigint GENERATED ALWAYS AS IDENTITY, body text)";
    bed.execute(table).await?;
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        let client = connect(&bed.database_url).await?;
        let insert = client.prepare("INSERT INTO one_row_commit (body) VALUES ($1)").await;
        clients.push(Arc::new((client, insert.map_err(|error| describe(&error))?)));
    }
    let (body, times) = (Arc::new(body()), Arc::new(std::sync::Mutex::new(Vec::new())));
    let rate = many(connections, |turn| {
        let (client, body, times) = (clients[turn].clone(), body.clone(), times.clone());
        async move {
            let started = Instant::now();
            client.0.execute(&client.1, &[&*body]).await.map_err(|error| describe(&error))?;
            times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(started.elapsed());
            Ok(())
        }
    })
    .await?;
    let times = std::mem::take(&mut *times.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    Ok((rate, times))
}

/// Rate of a step that so many repeat side by side.
async fn many<F>(side_by_side: usize, step: impl Fn(usize) -> F + Clone + Send + Sync) -> Result<f64, String>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for turn in 0..side_by_side {
        let first = step(turn);
        tasks.spawn(async move { (turn, first.await) });
    }
    while let Some(ended) = tasks.join_next().await {
        let (turn, result) = ended.map_err(|error| error.to_string())?;
        result?;
        count.fetch_add(1, Ordering::Relaxed);
        if started.elapsed() < TIME {
            let again = step(turn);
            tasks.spawn(async move { (turn, again.await) });
        }
    }
    Ok(count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}

/// A client that does nothing by itself.
#[allow(clippy::disallowed_methods, reason = "the load generator is a client of its own")]
pub(crate) fn client() -> Result<reqwest::Client, String> {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().map_err(|error| error.to_string())
}
