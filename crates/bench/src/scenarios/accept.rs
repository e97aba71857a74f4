//! Accepting messages over HTTP, by a gateway that only takes requests.

use std::time::Duration;

use serde_json::{Value, json};

use super::bank::Bank;
use super::{Size, accepting, statements};
use crate::bed::Bed;
use crate::figures::{median, milliseconds, runs};
use crate::limits::Limits;
use crate::load::{Handed, Load, Prepared, Until, run};
use crate::meter::Meter;
use crate::program::single;
use crate::sink::Sink;

const CONNECTIONS: [usize; 4] = [1, 32, 64, 128];
const RUNS: usize = 3;
/// Before the first run: connections, plans, caches.
const WARM_UP: Duration = Duration::from_millis(500);

/// Messages that were accepted.
pub(super) struct Accepted {
    pub(super) handed: Handed,
    pub(super) log_bytes_a_message: f64,
    /// Processor seconds.
    pub(super) spent: Value,
}

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let request = single(&bed, bed.tenant.channel.id);
    let results = rates(&bed, request, &CONNECTIONS, size).await?;
    bed.remove().await?;
    Ok(results)
}

/// Messages accepted a second, by connections.
pub(super) async fn rates(bed: &Bed, request: Prepared, connections: &[usize], size: Size) -> Result<Value, String> {
    let sink = Sink::start().await?;
    let limits = Limits::measure(bed, &sink).await?;
    let mut gateway = accepting(bed)?;
    let bank = Bank { requests: vec![request], ..Bank::of_gateway(bed, &sink, &gateway, &[])? };
    bank.warm_up(connections.last().copied().unwrap_or(1)).await?;
    let time = size.pick(Duration::from_secs(5), Duration::from_secs(1));
    let mut results = json!({ "limits": limits.figures(), "secondsARun": time.as_secs_f64() });
    for connections in connections.iter().copied() {
        let (mut rates, mut times, mut log_bytes, mut spent) = (Vec::new(), Vec::new(), 0.0, Value::Null);
        for _ in 0..RUNS {
            bed.clear().await?;
            let accepted = bank.accept(connections, time).await?;
            rates.push(accepted.handed.per_second());
            times.extend(accepted.handed.answer_times());
            (log_bytes, spent) = (accepted.log_bytes_a_message, accepted.spent);
        }
        results[format!("connections{connections}")] = json!({
            "messagesPerSecond": runs(&rates), "ratios": limits.ratios(median(rates)),
            "answerMs": milliseconds(times), "walBytesPerMessageOfLastRun": log_bytes,
            "processorSecondsOfLastRun": spent
        });
    }
    results["statements"] = statements(&mut gateway)?;
    Ok(results)
}

impl Bank<'_> {
    /// Hands in for a while, and forgets it.
    pub(super) async fn warm_up(&self, connections: usize) -> Result<(), String> {
        run(self.load(connections, Until::Elapsed(WARM_UP))).await.map(drop)
    }

    /// Hands in for so long, as fast as it is taken.
    pub(super) async fn accept(&self, connections: usize, time: Duration) -> Result<Accepted, String> {
        let before = self.bed.log_bytes().await?;
        let meter = Meter::start(self.bed, &self.processes)?;
        let handed = run(self.load(connections, Until::Elapsed(time))).await?;
        let spent = meter.stop()?;
        let log_bytes_a_message = self.bed.log_bytes_a_message(before, handed.messages()).await?;
        Ok(Accepted { handed, log_bytes_a_message, spent })
    }

    /// All that can be handed in, numbered from zero.
    pub(super) fn load(&self, connections: usize, until: Until) -> Load {
        let (address, requests) = (self.address.clone(), self.requests.clone());
        Load { address, requests, connections, from: 0, until, gap: None }
    }
}
