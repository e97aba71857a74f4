//! Emptying a backlog: from the start of the sending gateway's process to the last arrival.

use std::time::Instant;

use bench::child::Role;
use domain::id::ChannelId;
use domain::message::{Lane, MessageType};
use serde_json::{Value, json};

use super::{HIGHEST_RATE, MANY_CHANNELS, Size, statements, strays, until};
use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::figures::{median, round, runs};
use crate::limits::Limits;
use crate::meter::{Meter, memory_megabytes};
use crate::sink::{Arrival, Sink};
use crate::subject::Subject;

const RUNS: usize = 3;
/// Shares of the arrivals between which the rate is steady: start and end are left out.
const STEADY: (f64, f64) = (0.1, 0.9);

/// A backlog that was emptied.
pub(super) struct Drained {
    pub(super) per_second: f64,
    steady_per_second: f64,
    figures: Value,
}

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let count = size.messages(50_000, 10_000);
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, HIGHEST_RATE).await?;
    let results = repeated(&bed, &sink, &channels, count, &limits).await?;
    bed.remove().await?;
    Ok(results)
}

/// The same backlog, put there and emptied again and again.
pub(super) async fn repeated(
    bed: &Bed,
    sink: &Sink,
    channels: &[ChannelId],
    count: usize,
    limits: &Limits,
) -> Result<Value, String> {
    let (mut rates, mut steady, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let (from, lane) = (run * count, Lane::Normal);
        let drained = once(bed, sink, Backlog { channels, lane, from, count, due_in_seconds: 0.0 }).await?;
        rates.push(drained.per_second);
        steady.push(drained.steady_per_second);
        all.push(drained.figures);
    }
    Ok(json!({
        "messages": count, "channels": channels.len(), "channelMessagesPerSecond": HIGHEST_RATE,
        "messagesPerSecond": runs(&rates), "steadyMessagesPerSecond": runs(&steady),
        "ratios": limits.ratios(median(rates)), "limits": limits.figures(), "runs": all
    }))
}

async fn once(bed: &Bed, sink: &Sink, backlog: Backlog<'_>) -> Result<Drained, String> {
    let (from, count) = (backlog.from, backlog.count);
    let other = bed.number("SELECT count(*) FROM outbox").await?;
    backlog.insert(bed).await?;
    bed.free_channels().await?;
    let started = Instant::now();
    let mut gateway = Subject::start_sending(Role::Worker, bed, &sink.url())?;
    let meter = Meter::start(bed, &[gateway.id()])?;
    sink.wait_for(count).await?;
    let spent = meter.stop()?;
    until(bed, "SELECT count(*) FROM outbox", other).await?;
    let settled = started.elapsed();
    let peak = memory_megabytes(gateway.id(), "VmHWM")?;
    let statements = statements(&mut gateway)?;
    drop(gateway);
    let arrivals = sink.take();
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return Err("nothing arrived".to_owned());
    };
    let took = last.at - started;
    let (per_second, steady_per_second) = (count as f64 / took.as_secs_f64(), steady_rate(&arrivals));
    let figures = json!({
        "messagesPerSecond": per_second.round(), "steadyMessagesPerSecond": steady_per_second.round(),
        "firstArrivalSeconds": round((first.at - started).as_secs_f64()), "seconds": round(took.as_secs_f64()),
        "allSettledSeconds": round(settled.as_secs_f64()), "processorSeconds": spent, "peakMegabytes": peak,
        "strays": strays(&arrivals, from, count), "statements": statements
    });
    Ok(Drained { per_second, steady_per_second, figures })
}

fn steady_rate(arrivals: &[Arrival]) -> f64 {
    let at = |share: f64| (arrivals.len() as f64 * share) as usize;
    let (from, to) = (at(STEADY.0), at(STEADY.1));
    match (arrivals.get(from), arrivals.get(to)) {
        (Some(first), Some(last)) => (to - from) as f64 / (last.at - first.at).as_secs_f64(),
        (_, None) | (None, _) => f64::NAN,
    }
}
