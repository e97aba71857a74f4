//! In and out together: producers hand in while the same gateway sends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bench::child::Role;
use domain::message::MessageType;
use serde_json::{Value, json};

use super::bank::Bank;
use super::{HIGHEST_RATE, MANY_CHANNELS, Size, owning, statements, strays};
use crate::bed::Bed;
use crate::figures::{median, milliseconds, round, runs};
use crate::limits::Limits;
use crate::load::{Handed, Load, Until, run};
use crate::meter::Meter;
use crate::sink::{Arrival, Sink};

const PRODUCERS: [usize; 2] = [32, 128];
const RUNS: usize = 3;
const WARM_UP: usize = 500;
/// What accepting, claiming and settling a message may write to the log.
pub(super) const LOG_BYTES_BAR: f64 = 4096.0;

/// Messages that went in and out.
pub(super) struct Flowed {
    /// From the first byte handed in to the last arrival.
    pub(super) per_second: f64,
    /// From the first byte of each request to its message's arrival.
    pub(super) ways: Vec<Duration>,
    /// Accepted, claimed and settled.
    pub(super) log_bytes_a_message: f64,
    /// Processor seconds.
    pub(super) spent: Value,
    pub(super) figures: Value,
}

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let count = size.messages(50_000, 5_000);
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, HIGHEST_RATE).await?;
    let mut gateway = owning(Role::Whole, &bed, &sink, channels.len()).await?;
    let bank = Bank::of_gateway(&bed, &sink, &gateway, &channels)?;
    bank.flow(PRODUCERS[0], 0, Until::Requests(WARM_UP)).await?;
    let mut results = json!({
        "messages": count, "channels": channels.len(), "channelMessagesPerSecond": HIGHEST_RATE, "limits": limits.figures()
    });
    for producers in PRODUCERS {
        let (mut rates, mut log_bytes, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            bed.clear().await?;
            let flowed = bank.flow(producers, 0, Until::Requests(count)).await?;
            rates.push(flowed.per_second);
            log_bytes.push(flowed.log_bytes_a_message);
            all.push(flowed.figures);
        }
        let log_reached = median(log_bytes.clone()) <= LOG_BYTES_BAR;
        results[format!("producers{producers}")] = json!({
            "messagesPerSecond": runs(&rates), "ratios": limits.ratios(median(rates)),
            "walBytesPerMessage": runs(&log_bytes), "walBytesBar": LOG_BYTES_BAR, "walBytesReached": log_reached,
            "runs": all
        });
    }
    results["statements"] = statements(&mut gateway)?;
    drop(gateway);
    bed.remove().await?;
    Ok(results)
}

impl Bank<'_> {
    /// Hands in, and waits until the last message has arrived and is settled.
    pub(super) async fn flow(&self, producers: usize, from: usize, until: Until) -> Result<Flowed, String> {
        let before = self.bed.log_bytes().await?;
        let meter = Meter::start(self.bed, &self.processes)?;
        let handed = run(Load { from, ..self.load(producers, until) }).await?;
        let count = handed.messages();
        self.sink.wait_for(count).await?;
        let spent = meter.stop()?;
        super::until(self.bed, self.unfinished, 0).await?;
        let log_bytes_a_message = self.bed.log_bytes_a_message(before, count).await?;
        let arrivals = self.sink.take();
        let last = arrivals.last().ok_or("nothing arrived")?.at;
        let took = last - handed.started;
        let per_second = count as f64 / took.as_secs_f64();
        let ways = ways(&handed, &arrivals);
        let figures = json!({
            "messagesPerSecond": per_second.round(), "acceptedPerSecond": handed.per_second().round(),
            "seconds": round(took.as_secs_f64()), "refused": handed.refused,
            "answerMs": milliseconds(handed.answer_times()), "handInToArrivalMs": milliseconds(ways.clone()),
            "walBytesPerMessage": log_bytes_a_message, "strays": strays(&arrivals, from, count),
            "processorSeconds": spent
        });
        Ok(Flowed { per_second, ways, log_bytes_a_message, spent, figures })
    }
}

/// From the first byte of each request to its message's arrival.
pub(super) fn ways(handed: &Handed, arrivals: &[Arrival]) -> Vec<Duration> {
    let mut first: HashMap<u32, Instant> = HashMap::with_capacity(arrivals.len());
    for arrival in arrivals {
        first.entry(arrival.number).or_insert(arrival.at);
    }
    let way = |number: u32, written: Instant| first.get(&number).map(|at| at.saturating_duration_since(written));
    handed.hand_ins.iter().filter_map(|hand_in| way(hand_in.number, hand_in.written)).collect()
}
