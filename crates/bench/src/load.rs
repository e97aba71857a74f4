//! The load: prepared requests over kept raw connections, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::message::{NUMBER_DIGITS, NUMBER_PLACE, RECIPIENT_PLACE, RECIPIENTS, write_digits};
use crate::wire::Connection;

/// Requests that may be refused before a run counts for nothing: one in so many.
const REFUSED_SHARE: usize = 100;

/// A request with places for numbers, as bytes that are patched.
#[derive(Clone)]
pub(crate) struct Prepared {
    bytes: Vec<u8>,
    numbers: Vec<usize>,
    recipients: Vec<usize>,
}

impl Prepared {
    /// A POST of a body in which places may stand.
    pub(crate) fn post(path: &str, authorization: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: {authorization}\r\ncontent-type: \
             application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let places = |place: &str| text.match_indices(place).map(|(at, _)| at).collect();
        Self { numbers: places(NUMBER_PLACE), recipients: places(RECIPIENT_PLACE), bytes: text.into_bytes() }
    }

    /// Messages of one request.
    fn messages(&self) -> usize {
        self.numbers.len().max(1)
    }

    /// The bytes with the numbers from one on.
    fn numbered(&mut self, first: usize) -> &[u8] {
        for (offset, at) in self.numbers.iter().enumerate() {
            write_digits(&mut self.bytes[*at..*at + NUMBER_DIGITS], first + offset);
        }
        for (offset, at) in self.recipients.iter().enumerate() {
            write_digits(&mut self.bytes[*at..*at + RECIPIENT_PLACE.len()], (first + offset) % RECIPIENTS);
        }
        &self.bytes
    }
}

/// When a load ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// After so many requests.
    Requests(usize),
    /// After so long.
    Elapsed(Duration),
}

/// What is sent, where, and how.
pub(crate) struct Load {
    pub(crate) address: String,
    /// Taken in turn.
    pub(crate) requests: Vec<Prepared>,
    pub(crate) connections: usize,
    /// Number of the first message.
    pub(crate) from: usize,
    pub(crate) until: Until,
    /// Between two requests of all connections together; without it each sends as soon as it is answered.
    pub(crate) gap: Option<Duration>,
}

/// A request that was answered with 2xx.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandIn {
    /// Number of its first message.
    pub(crate) number: u32,
    pub(crate) written: Instant,
    pub(crate) answered: Instant,
}

/// What became of a load.
pub(crate) struct Handed {
    pub(crate) hand_ins: Vec<HandIn>,
    /// Requests answered otherwise.
    pub(crate) refused: usize,
    pub(crate) started: Instant,
    /// From the first byte to the last answer.
    pub(crate) took: Duration,
    /// Requests whose time had passed when their connection was free.
    pub(crate) late: usize,
    messages_a_request: usize,
}

impl Handed {
    /// Messages that were accepted.
    pub(crate) fn messages(&self) -> usize {
        self.hand_ins.len() * self.messages_a_request
    }

    /// Messages accepted a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.messages() as f64 / self.took.as_secs_f64()
    }

    /// From the first byte written to the answer.
    pub(crate) fn answer_times(&self) -> Vec<Duration> {
        self.hand_ins.iter().map(|hand_in| hand_in.answered - hand_in.written).collect()
    }
}

struct Shared {
    load: Load,
    next: AtomicUsize,
    refused: AtomicUsize,
    late: AtomicUsize,
    started: Instant,
}

/// Runs a load to its end.
pub(crate) async fn run(load: Load) -> Result<Handed, String> {
    let (done, ended) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let handed = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(send(load)));
            // Nobody waits any more when the scenario has failed elsewhere.
            drop(done.send(handed));
        })
        .map_err(|error| error.to_string())?;
    let handed = ended.await.map_err(|_| "the load broke down".to_owned())??;
    if handed.refused * REFUSED_SHARE > handed.hand_ins.len() {
        return Err(format!("{} of {} requests were refused", handed.refused, handed.refused + handed.hand_ins.len()));
    }
    Ok(handed)
}

async fn send(load: Load) -> Result<Handed, String> {
    let mut connections = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        connections.push(Connection::open(&load.address).await?);
    }
    let (next, refused, late) = Default::default();
    let shared = Arc::new(Shared { load, next, refused, late, started: Instant::now() });
    let mut tasks = JoinSet::new();
    for (turn, connection) in connections.into_iter().enumerate() {
        tasks.spawn(send_share(shared.clone(), connection, turn));
    }
    let mut hand_ins = Vec::new();
    while let Some(share) = tasks.join_next().await {
        hand_ins.extend(share.map_err(|error| error.to_string())??);
    }
    hand_ins.sort_unstable_by_key(|hand_in| hand_in.number);
    Ok(Handed {
        hand_ins,
        refused: shared.refused.load(Ordering::Relaxed),
        late: shared.late.load(Ordering::Relaxed),
        started: shared.started,
        took: shared.started.elapsed(),
        messages_a_request: shared.load.requests.first().map_or(1, Prepared::messages),
    })
}

async fn send_share(shared: Arc<Shared>, mut connection: Connection, turn: usize) -> Result<Vec<HandIn>, String> {
    let load = &shared.load;
    let mut requests = load.requests.clone();
    let (mut hand_ins, mut round) = (Vec::new(), 0);
    loop {
        if let Some(gap) = load.gap {
            let at = shared.started + gap * u32::try_from(turn + round * load.connections).unwrap_or(u32::MAX);
            if at < Instant::now() && round > 0 {
                shared.late.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep_until(at.into()).await;
            round += 1;
        }
        let request = shared.next.fetch_add(1, Ordering::Relaxed);
        let is_over = match load.until {
            Until::Requests(count) => request >= count,
            Until::Elapsed(time) => shared.started.elapsed() >= time,
        };
        if is_over {
            return Ok(hand_ins);
        }
        let turns = requests.len();
        let prepared = requests.get_mut(request % turns).ok_or("no request")?;
        let number = load.from + request * prepared.messages();
        let bytes = prepared.numbered(number);
        let written = Instant::now();
        let status = connection.exchange(bytes).await?;
        if (200..300).contains(&status) {
            let number = u32::try_from(number).map_err(|error| error.to_string())?;
            hand_ins.push(HandIn { number, written, answered: Instant::now() });
        } else {
            shared.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}
