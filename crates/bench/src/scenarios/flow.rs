//! In and out together: producers hand in while the same gateway sends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bench::child::Role;
use domain::id::ChannelId;
use domain::message::MessageType;
use serde_json::{Value, json};

use super::accept::single;
use super::{HIGHEST_RATE, MANY_CHANNELS, Size, owning, statements, strays};
use crate::bed::Bed;
use crate::figures::{median, milliseconds, round, runs};
use crate::limits::Limits;
use crate::load::{Handed, Load, Until, run};
use crate::meter::Meter;
use crate::sink::{Arrival, Sink};
use crate::subject::Subject;

const PRODUCERS: [usize; 2] = [32, 128];
const RUNS: usize = 3;
const WARM_UP: usize = 500;

/// Messages that went in and out.
pub(super) struct Flowed {
    /// From the first byte handed in to the last arrival.
    pub(super) per_second: f64,
    pub(super) figures: Value,
}

/// Where messages flow.
pub(super) struct Bank<'a> {
    pub(super) bed: &'a Bed,
    pub(super) sink: &'a Sink,
    pub(super) gateway: &'a Subject,
    pub(super) channels: &'a [ChannelId],
}

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let count = size.messages(50_000, 5_000);
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, HIGHEST_RATE).await?;
    let mut gateway = owning(Role::Whole, &bed, &sink, channels.len()).await?;
    let bank = Bank { bed: &bed, sink: &sink, gateway: &gateway, channels: &channels };
    bank.flow(PRODUCERS[0], 0, WARM_UP).await?;
    let mut results = json!({
        "messages": count, "channels": channels.len(), "channelMessagesPerSecond": HIGHEST_RATE, "limits": limits.figures()
    });
    for producers in PRODUCERS {
        let (mut rates, mut all) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            bed.clear().await?;
            let flowed = bank.flow(producers, 0, count).await?;
            rates.push(flowed.per_second);
            all.push(flowed.figures);
        }
        results[format!("producers{producers}")] =
            json!({ "messagesPerSecond": runs(&rates), "ratios": limits.ratios(median(rates)), "runs": all });
    }
    results["statements"] = statements(&mut gateway)?;
    drop(gateway);
    bed.remove().await?;
    Ok(results)
}

impl Bank<'_> {
    /// Hands in so many messages and waits until the last has arrived and is settled.
    pub(super) async fn flow(&self, producers: usize, from: usize, count: usize) -> Result<Flowed, String> {
        let requests = self.channels.iter().map(|channel| single(self.bed, *channel)).collect();
        let (address, until) = (self.gateway.address()?, Until::Requests(count));
        let meter = Meter::start(self.bed, &[self.gateway.id()])?;
        let handed = run(Load { address, requests, connections: producers, from, until, gap: None }).await?;
        self.sink.wait_for(handed.messages()).await?;
        let spent = meter.stop()?;
        super::until(self.bed, "SELECT count(*) FROM outbox", 0).await?;
        let arrivals = self.sink.take();
        let last = arrivals.last().ok_or("nothing arrived")?.at;
        let took = last - handed.started;
        let per_second = handed.messages() as f64 / took.as_secs_f64();
        let figures = json!({
            "messagesPerSecond": per_second.round(), "acceptedPerSecond": handed.per_second().round(),
            "seconds": round(took.as_secs_f64()), "refused": handed.refused,
            "answerMs": milliseconds(handed.answer_times()),
            "handInToArrivalMs": milliseconds(ways(&handed, &arrivals)),
            "strays": strays(&arrivals, from, count), "processorSeconds": spent
        });
        Ok(Flowed { per_second, figures })
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
