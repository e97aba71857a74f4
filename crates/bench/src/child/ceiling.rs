//! The ceiling: a bare program of the gateway's shape. HTTP in, group commit of one narrow row, HTTP out, batched commit
//! of the completion, and nothing else in it: no tenants, checks, limits, retries or history.
//!
//! It tells how far this shape goes on this machine. A committed message goes to the senders from memory, or is claimed
//! from the table by a statement as after a restart; what waits in the table is claimed either way.

mod deliver;

mod store;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes, Data};
use serde_json::value::RawValue;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

/// Bytes of a body.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Requests that wait for a commit, and messages that wait for a sender or for their completion.
const WAITING_MAX: usize = 100_000;
/// Calls of the sink in flight, a connection each.
const SENDERS: usize = 64;

/// How a committed message gets to the senders.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From memory.
    HandOver,
    /// From the table.
    Claim,
}

/// Messages of one request, and who waits for their commit.
struct HandIn {
    bodies: Vec<Bytes>,
    committed: oneshot::Sender<()>,
}

/// A message on its way out.
struct Job {
    id: i64,
    body: Bytes,
}

/// Starts it; without a sink it only takes messages.
pub(super) async fn start(database_url: &str, sink: Option<&str>, way: Way) -> Result<SocketAddr, String> {
    store::prepare(database_url).await?;
    let sink = sink.map(|url| url.trim_start_matches("http://").parse()).transpose();
    let sink: Option<SocketAddr> = sink.map_err(|_| "the sink is no address")?;
    let (hand_ins, waiting) = mpsc::channel(WAITING_MAX);
    let database_url = database_url.to_owned();
    std::thread::Builder::new()
        .name("ceiling".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let ended = runtime
                .map_err(|error| error.to_string())
                .and_then(|runtime| runtime.block_on(async { move_messages(&database_url, sink, way, waiting).await }));
            if let Err(why) = ended {
                drop(std::io::Write::write_all(&mut std::io::stderr(), why.as_bytes()));
            }
        })
        .map_err(|error| error.to_string())?;
    serve(hand_ins)
}

/// One thread for HTTP and one for all else, as many as there are processors left beside database and load.
fn serve(hand_ins: mpsc::Sender<HandIn>) -> Result<SocketAddr, String> {
    let hand_ins = Data::new(hand_ins);
    super::floor::serve(Some(1), move |config| {
        config
            .app_data(hand_ins.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .route("/message", web::post().to(take_one))
            .route("/messages", web::post().to(take_many));
    })
}

async fn take_one(hand_ins: Data<mpsc::Sender<HandIn>>, body: Bytes) -> HttpResponse {
    take(&hand_ins, vec![body]).await
}

async fn take_many(hand_ins: Data<mpsc::Sender<HandIn>>, body: Bytes) -> HttpResponse {
    let Ok(messages) = serde_json::from_slice::<Vec<&RawValue>>(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    let bodies = messages.iter().map(|message| body.slice_ref(message.get().as_bytes())).collect();
    take(&hand_ins, bodies).await
}

async fn take(hand_ins: &mpsc::Sender<HandIn>, bodies: Vec<Bytes>) -> HttpResponse {
    let (committed, commit) = oneshot::channel();
    let count = bodies.len();
    if hand_ins.send(HandIn { bodies, committed }).await.is_err() || commit.await.is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::Accepted().content_type("application/json").body(format!(r#"{{"accepted":{count}}}"#))
}

/// Everything but HTTP in; returns when a part of it has failed.
async fn move_messages(
    database_url: &str,
    sink: Option<SocketAddr>,
    way: Way,
    hand_ins: mpsc::Receiver<HandIn>,
) -> Result<(), String> {
    let (jobs, waiting) = mpsc::channel(WAITING_MAX);
    let mut parts = JoinSet::new();
    let handed_over = (sink.is_some() && way == Way::HandOver).then(|| jobs.clone());
    parts.spawn(store::commit(store::connect(database_url).await?, hand_ins, handed_over));
    if let Some(sink) = sink {
        let (done, finished) = mpsc::channel(WAITING_MAX);
        parts.spawn(store::complete(store::connect(database_url).await?, finished));
        parts.spawn(store::claim(store::connect(database_url).await?, jobs, way));
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..SENDERS {
            parts.spawn(deliver::deliver(sink, waiting.clone(), done.clone()));
        }
    }
    parts.join_next().await.map_or(Ok(()), |ended| ended.map_err(|error| error.to_string())?)
}
