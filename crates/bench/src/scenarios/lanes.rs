//! One-time passwords that are handed in while a bulk backlog of the same channel waits.
//!
//! A channel's type decides the lane, so the channel is one for one-time passwords, and the backlog is put into its bulk
//! lane past the API.

use std::time::Duration;

use bench::child::Role;
use domain::message::{Lane, MessageType};
use serde_json::{Value, json};

use super::flow::ways;
use super::{Size, owning};
use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::figures::{milliseconds, round};
use crate::limits::Limits;
use crate::load::{Load, Until, run};
use crate::program::single;
use crate::sink::{Arrival, Sink};

/// Rates of the channel, and messages between which an urgent one comes at that rate.
const RATES: [u32; 2] = [80, 1000];
const ONE_OF: u32 = 16;
/// Numbers of the urgent ones begin here, above every backlog.
const URGENT_FROM: usize = 900_000_000;
const CONNECTIONS: usize = 8;
/// The lane has found its pace.
const BULK_FIRST: usize = 100;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let count = size.messages(100_000, 20_000);
    let sink = Sink::start().await?;
    let mut results = json!({ "backlog": count });
    for rate in RATES {
        results[format!("rate{rate}")] = once(&sink, rate, count, size).await?;
    }
    Ok(results)
}

async fn once(sink: &Sink, rate: u32, count: usize, size: Size) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let limits = Limits::measure(&bed, sink).await?;
    let channels = bed.channels(1, MessageType::TwoFactor, rate).await?;
    Backlog { channels: &channels, lane: Lane::Bulk, from: 0, count, due_in_seconds: 0.0 }.insert(&bed).await?;
    let gateway = owning(Role::Whole, &bed, sink, 1).await?;
    sink.wait_for(BULK_FIRST.min(count)).await?;
    let gap = Duration::from_secs(u64::from(ONE_OF)) / rate;
    let time = size.pick(Duration::from_secs(30), Duration::from_secs(6));
    let urgent = (time.as_nanos() / gap.as_nanos()) as usize;
    let load = Load {
        address: gateway.address()?,
        requests: channels.iter().map(|channel| single(&bed, *channel)).collect(),
        connections: CONNECTIONS,
        from: URGENT_FROM,
        until: Until::Requests(urgent),
        gap: Some(gap),
    };
    let handed = run(load).await?;
    let ended = handed.started + handed.took;
    // The last ones are on their way; bulk goes on meanwhile.
    let waiting = format!("SELECT count(*) FROM outbox WHERE lane = {}", Lane::Urgent.number());
    super::until(&bed, &waiting, 0).await?;
    let left = bed.number("SELECT count(*) FROM outbox").await?;
    drop(gateway);
    bed.remove().await?;
    let arrivals = sink.take();
    let is_bulk = |arrival: &&Arrival| (arrival.number as usize) < URGENT_FROM;
    let during = |arrival: &&Arrival| arrival.at >= handed.started && arrival.at < ended;
    let bulk = arrivals.iter().filter(is_bulk).filter(during).count() as f64 / handed.took.as_secs_f64();
    let ways = ways(&handed, &arrivals);
    Ok(json!({
        "urgentPerSecond": round(handed.per_second()), "urgentArrived": ways.len(), "urgentHandedIn": handed.messages(),
        "urgentHandInToArrivalMs": milliseconds(ways), "urgentHandInToAnswerMs": milliseconds(handed.answer_times()),
        "bulkPerSecond": round(bulk), "bulkShareOfTheRestOfTheRate": round(bulk / (f64::from(rate) - handed.per_second())),
        "backlogLeft": left, "limits": limits.figures()
    }))
}
