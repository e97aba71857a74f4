//! Acts on a large backlog by selector while the same gateway sends it and accepts for another channel.
//!
//! Held, released, and cancelled; then what was sent and what was cancelled must be all there was, and nothing both.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bench::child::Role;
use domain::id::ChannelId;
use domain::message::{Lane, MessageType};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::explain::number_of;
use super::{Size, owning};
use crate::asker::Asker;
use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::figures::{milliseconds, quantile_milliseconds, round};
use crate::limits::Limits;
use crate::load::{HandIn, Load, Until, run};
use crate::program::single;
use crate::sink::{Arrival, Sink};

/// Of the channel with the backlog.
const RATE: u32 = 500;
/// Between two messages that are handed in for the other channel.
const GAP: Duration = Duration::from_millis(5);
const CONNECTIONS: usize = 8;
/// Their numbers begin here, above every backlog.
const ACCEPTED_FROM: usize = 900_000_000;
const FIRST: usize = 200;
/// An act may make accepting slower by so much.
const ACCEPT_BAR: f64 = 3.0;
/// Between two looks whether an act is done, and looks before it is given up.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_MAX: usize = 3_000;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let count = size.messages(100_000, 20_000);
    let calm = size.pick(Duration::from_secs(15), Duration::from_secs(6));
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(2, MessageType::Transactional, RATE).await?;
    Backlog { channels: &channels[..1], lane: Lane::Bulk, from: 0, count, due_in_seconds: 0.0 }.insert(&bed).await?;
    let gateway = owning(Role::Whole, &bed, &sink, channels.len()).await?;
    sink.wait_for(FIRST.min(count)).await?;
    let stage = Stage {
        bed: &bed,
        asker: Asker::new(&bed, &gateway.address()?)?,
        address: gateway.address()?,
        channels: &channels,
    };
    let mut next = ACCEPTED_FROM;
    let calm = stage
        .accept(&mut next, async {
            tokio::time::sleep(calm).await;
            Ok(json!({}))
        })
        .await?;
    let mut acts = json!({});
    for action in ["hold", "release", "cancel"] {
        acts[action] = stage.accept(&mut next, stage.act(action)).await?.beside(&calm);
    }
    super::until(&bed, "SELECT count(*) FROM outbox", 0).await?;
    let cancelled = stage.cancelled().await?;
    drop(gateway);
    bed.remove().await?;
    let races = races(&sink.take(), &cancelled, count);
    Ok(json!({
        "backlog": count, "messagesPerSecond": RATE, "acceptGapMs": GAP.as_millis(),
        "acceptMsBefore": milliseconds(calm.answers), "acts": acts, "acceptBar": ACCEPT_BAR, "races": races,
        "limits": limits.figures()
    }))
}

/// What acts are done on.
struct Stage<'a> {
    bed: &'a Bed,
    asker: Asker,
    address: String,
    channels: &'a [ChannelId],
}

/// Accepting beside something else.
struct Beside {
    told: Value,
    took: Duration,
    answers: Vec<Duration>,
}

impl Beside {
    /// Its figures beside those of accepting alone.
    fn beside(self, calm: &Self) -> Value {
        let p99 = |answers: &[Duration]| quantile_milliseconds(answers, 0.99);
        let ratio = p99(&self.answers) / p99(&calm.answers);
        let rows = self.told["acted"].as_f64().unwrap_or(f64::NAN);
        json!({
            "acted": self.told["acted"], "passed": self.told["passed"], "seconds": round(self.took.as_secs_f64()),
            "rowsPerSecond": (rows / self.took.as_secs_f64()).round(), "acceptMs": milliseconds(self.answers),
            "acceptP99Ratio": round(ratio), "reached": ratio <= ACCEPT_BAR
        })
    }
}

impl Stage<'_> {
    /// Hands messages in at a steady pace for as long as something else goes on.
    async fn accept(
        &self,
        next: &mut usize,
        other: impl Future<Output = Result<Value, String>>,
    ) -> Result<Beside, String> {
        let (over, is_over) = tokio::sync::watch::channel(false);
        let load = async {
            let mut hand_ins: Vec<HandIn> = Vec::new();
            while !*is_over.borrow() {
                let handed = run(self.load(*next)).await?;
                *next += handed.messages() + handed.refused;
                hand_ins.extend(handed.hand_ins);
            }
            Ok::<_, String>(hand_ins)
        };
        let other = async {
            let began = Instant::now();
            let told = other.await;
            over.send_replace(true);
            Ok::<_, String>((told?, began, Instant::now()))
        };
        let (hand_ins, (told, began, ended)) = tokio::try_join!(load, other)?;
        let within = hand_ins.iter().filter(|one| one.written >= began && one.written < ended);
        Ok(Beside { told, took: ended - began, answers: within.map(|one| one.answered - one.written).collect() })
    }

    /// A second of it.
    fn load(&self, from: usize) -> Load {
        Load {
            address: self.address.clone(),
            requests: vec![single(self.bed, self.channels[1])],
            connections: CONNECTIONS,
            from,
            until: Until::Requests((Duration::from_secs(1).as_nanos() / GAP.as_nanos()) as usize),
            gap: Some(GAP),
        }
    }

    /// Counts all that was accepted for the channel, then acts on it.
    async fn act(&self, action: &str) -> Result<Value, String> {
        let path = format!("{}/actions", self.bed.messages_path(self.channels[0]));
        let day_ago =
            self.bed.store.now().saturating_sub(SignedDuration::from_hours(24)).map_err(|error| error.to_string())?;
        let counted = self.asker.post(&path, &json!({ "action": action, "selector": { "startAt": day_ago } })).await?;
        let mut told = self.asker.post(&path, &json!({ "token": counted["token"] })).await?;
        let state = format!("{path}/{}", told["id"].as_str().unwrap_or_default());
        for _ in 0..LOOKS_MAX {
            if told["status"] == "done" {
                return Ok(told);
            }
            tokio::time::sleep(LOOK).await;
            told = self.asker.get(&state).await?;
        }
        Err(format!("{action} does not come to its end: {told}"))
    }

    /// Numbers of the messages that were cancelled.
    async fn cancelled(&self) -> Result<HashSet<u32>, String> {
        const DELETED: &str = "SELECT message_id FROM messages WHERE channel_id = $1 AND status = 'deleted'";
        let rows = self.bed.client().query(DELETED, &[&self.channels[0].0]).await.map_err(|error| error.to_string())?;
        rows.iter().map(|row| number_of(row.get(0))).collect()
    }
}

/// What became of the backlog: sent or cancelled, once.
fn races(arrivals: &[Arrival], cancelled: &HashSet<u32>, count: usize) -> Value {
    let mut sent = HashSet::with_capacity(count);
    let (mut twice, mut both) = (0, 0);
    for arrival in arrivals.iter().filter(|arrival| (arrival.number as usize) < count) {
        twice += usize::from(!sent.insert(arrival.number));
        both += usize::from(cancelled.contains(&arrival.number));
    }
    json!({
        "sent": sent.len(), "cancelled": cancelled.len(), "sentTwice": twice, "sentAndCancelled": both,
        "neither": count - sent.union(cancelled).count()
    })
}
