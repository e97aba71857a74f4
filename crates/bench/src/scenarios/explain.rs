//! How well `explain` foretells: its `sendAt` for messages of a backlog, beside their arrival at the sink.
//!
//! The error of one is the time by which it arrived otherwise than foretold, as a share of the time it waited since the
//! question.

use std::collections::HashMap;
use std::time::Instant;

use bench::child::Role;
use domain::id::ChannelId;
use domain::message::{Lane, MessageType};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Size, owning};
use crate::asker::Asker;
use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::figures::round;
use crate::limits::Limits;
use crate::sink::Sink;

const RATE: u32 = 500;
/// Messages that are asked for, evenly over the backlog.
const SAMPLES: usize = 200;
/// The lane has found its pace.
const FIRST: usize = 200;
/// Numbers of the messages of another lane begin here.
const BESIDE_FROM: usize = 500_000_000;
/// What is to be reached.
const MEDIAN_BAR: f64 = 0.05;
const P95_BAR: f64 = 0.20;

/// A message that was asked for.
struct Foretold {
    number: u32,
    asked_at: Instant,
    /// From the question on.
    seconds: f64,
}

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let count = size.messages(10_000, 10_000);
    let sink = Sink::start().await?;
    Ok(json!({
        "backlog": count, "messagesPerSecond": RATE, "samples": SAMPLES,
        "alone": once(&sink, count, 0).await?,
        "besideAMoreUrgentLane": once(&sink, count, count / 3).await?
    }))
}

/// A bulk backlog, asked for while it is sent, beside so many messages of the normal lane.
async fn once(sink: &Sink, count: usize, beside: usize) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let limits = Limits::measure(&bed, sink).await?;
    let channels = bed.channels(1, MessageType::Transactional, RATE).await?;
    let backlog = |lane, from, count| Backlog { channels: &channels, lane, from, count, due_in_seconds: 0.0 };
    backlog(Lane::Bulk, 0, count).insert(&bed).await?;
    if beside > 0 {
        backlog(Lane::Normal, BESIDE_FROM, beside).insert(&bed).await?;
    }
    let gateway = owning(Role::Whole, &bed, sink, 1).await?;
    sink.wait_for(FIRST.min(count)).await?;
    let began = Instant::now();
    let foretold = ask(&bed, &Asker::new(&bed, &gateway.address()?)?, channels[0]).await?;
    let asking_seconds = began.elapsed().as_secs_f64();
    super::until(&bed, "SELECT count(*) FROM outbox", 0).await?;
    drop(gateway);
    bed.remove().await?;
    let arrived: HashMap<u32, Instant> = sink.take().into_iter().map(|arrival| (arrival.number, arrival.at)).collect();
    let mut errors = Vec::with_capacity(foretold.len());
    for one in &foretold {
        let at = arrived.get(&one.number).ok_or_else(|| format!("{} did not arrive", one.number))?;
        // It may have been sent while it was asked for.
        let waited = at.saturating_duration_since(one.asked_at).as_secs_f64();
        if waited > 0.0 {
            errors.push((one.seconds - waited).abs() / waited);
        }
    }
    errors.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| errors.get((errors.len().saturating_sub(1) as f64 * share).round() as usize).copied();
    let (median, p95) = at(0.5).zip(at(0.95)).ok_or("nothing was foretold")?;
    Ok(json!({
        "foretold": errors.len(), "medianError": round(median), "p95Error": round(p95),
        "reached": median <= MEDIAN_BAR && p95 <= P95_BAR, "medianBar": MEDIAN_BAR, "p95Bar": P95_BAR,
        "secondsOfAsking": round(asking_seconds), "limits": limits.figures()
    }))
}

/// Asks for messages of the bulk lane that wait, the last ones first so that none of them goes meanwhile.
async fn ask(bed: &Bed, asker: &Asker, channel: ChannelId) -> Result<Vec<Foretold>, String> {
    const WAITING: &str = "SELECT message_id FROM outbox WHERE lane = $1 ORDER BY message_id DESC";
    let rows = bed.client().query(WAITING, &[&Lane::Bulk.number()]).await;
    let ids: Vec<uuid::Uuid> = rows.map_err(|error| error.to_string())?.iter().map(|row| row.get(0)).collect();
    let step = (ids.len() / SAMPLES).max(1);
    let mut foretold = Vec::with_capacity(SAMPLES);
    for id in ids.into_iter().step_by(step) {
        let path = format!("{}/{id}/explain", bed.messages_path(channel));
        let (asked_at, now) = (Instant::now(), bed.store.now());
        let answer = asker.get(&path).await?;
        // A message that was sent meanwhile has nothing to be foretold.
        if !["accepted", "processing"].contains(&answer["status"].as_str().unwrap_or_default()) {
            continue;
        }
        let send_at = answer["sendAt"].as_str().ok_or_else(|| format!("no sendAt: {answer}"))?;
        let send_at: Timestamp = send_at.parse().map_err(|error| format!("{send_at}: {error}"))?;
        foretold.push(Foretold {
            number: number_of(id)?,
            asked_at,
            seconds: send_at.duration_since(now).as_secs_f64(),
        });
    }
    Ok(foretold)
}

/// The number that the backlog's ids hold.
pub(super) fn number_of(id: uuid::Uuid) -> Result<u32, String> {
    u32::try_from(id.as_u128() & 0x0fff_ffff_ffff_ffff).map_err(|error| error.to_string())
}
