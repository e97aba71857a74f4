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
use crate::meter::Meter;
use crate::program::{Crew, Program};
use crate::sink::{Arrival, Sink};
use crate::subject::Subject;

const RUNS: usize = 3;
/// Shares of the arrivals between which the rate is steady: start and end are left out.
const STEADY: (f64, f64) = (0.1, 0.9);

/// A backlog that waits to be emptied.
pub(super) struct Waiting<'a> {
    pub(super) bed: &'a Bed,
    pub(super) sink: &'a Sink,
    /// Number of its first message.
    pub(super) from: usize,
    pub(super) count: usize,
    /// Counts messages that are not settled, and how many of them stay.
    pub(super) unfinished: &'static str,
    pub(super) others: i64,
}

/// A backlog that was emptied.
pub(super) struct Drained {
    pub(super) per_second: f64,
    pub(super) steady_per_second: f64,
    pub(super) log_bytes_a_message: f64,
    pub(super) peak_megabytes: f64,
    /// Processor seconds.
    pub(super) spent: Value,
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
    let (from, count, unfinished) = (backlog.from, backlog.count, Program::Tuma.unfinished());
    let others = bed.number(unfinished).await?;
    backlog.insert(bed).await?;
    bed.free_channels().await?;
    let waiting = Waiting { bed, sink, from, count, unfinished, others };
    let start = || Ok(Crew(vec![Subject::start_sending(Role::Worker, bed, &sink.url())?]));
    let (mut drained, mut crew) = waiting.drain(start).await?;
    if let Some(gateway) = crew.0.first_mut() {
        drained.figures["statements"] = statements(gateway)?;
    }
    Ok(drained)
}

impl Waiting<'_> {
    /// Starts what sends, and waits until the last message has arrived and is settled.
    pub(super) async fn drain(&self, start: impl FnOnce() -> Result<Crew, String>) -> Result<(Drained, Crew), String> {
        let (bed, count) = (self.bed, self.count);
        let before = bed.log_bytes().await?;
        let started = Instant::now();
        let crew = start()?;
        let meter = Meter::start(bed, &crew.ids())?;
        self.sink.wait_for(count).await?;
        let spent = meter.stop()?;
        until(bed, self.unfinished, self.others).await?;
        let settled = started.elapsed();
        let log_bytes_a_message = bed.log_bytes_a_message(before, count).await?;
        let peak_megabytes = crew.peak_megabytes()?;
        let arrivals = self.sink.take();
        let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
            return Err("nothing arrived".to_owned());
        };
        let took = last.at - started;
        let (per_second, steady_per_second) = (count as f64 / took.as_secs_f64(), steady_rate(&arrivals));
        let figures = json!({
            "messagesPerSecond": per_second.round(), "steadyMessagesPerSecond": steady_per_second.round(),
            "firstArrivalSeconds": round((first.at - started).as_secs_f64()), "seconds": round(took.as_secs_f64()),
            "allSettledSeconds": round(settled.as_secs_f64()), "walBytesPerMessage": log_bytes_a_message,
            "processorSeconds": spent, "peakMegabytes": peak_megabytes, "strays": strays(&arrivals, self.from, count)
        });
        let drained = Drained { per_second, steady_per_second, log_bytes_a_message, peak_megabytes, spent, figures };
        Ok((drained, crew))
    }
}

fn steady_rate(arrivals: &[Arrival]) -> f64 {
    let at = |share: f64| (arrivals.len() as f64 * share) as usize;
    let (from, to) = (at(STEADY.0), at(STEADY.1));
    match (arrivals.get(from), arrivals.get(to)) {
        (Some(first), Some(last)) => (to - from) as f64 / (last.at - first.at).as_secs_f64(),
        (_, None) | (None, _) => f64::NAN,
    }
}
