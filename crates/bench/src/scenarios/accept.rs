//! Accepting single messages over HTTP, by a gateway that only takes requests.

use std::time::Duration;

use domain::id::ChannelId;
use serde_json::{Value, json};

use super::{Size, accepting, statements};
use crate::bed::Bed;
use crate::figures::{median, milliseconds, runs};
use crate::limits::Limits;
use crate::load::{Load, Prepared, Until, run};
use crate::message;
use crate::meter::Meter;
use crate::sink::Sink;

const CONNECTIONS: [usize; 4] = [1, 32, 64, 128];
pub(super) const RUNS: usize = 3;
/// Before the first run: connections, plans, caches.
const WARM_UP: Duration = Duration::from_millis(500);

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let request = single(&bed, bed.tenant.channel.id);
    let results = rates(&bed, &request, &CONNECTIONS, size).await?;
    bed.remove().await?;
    Ok(results)
}

/// A request with one message.
pub(super) fn single(bed: &Bed, channel: ChannelId) -> Prepared {
    let authorization = format!("AccessKey {}", bed.tenant.access_key);
    Prepared::post(&bed.messages_path(channel), &authorization, &message::request().to_string())
}

/// Messages accepted a second, by connections.
pub(super) async fn rates(bed: &Bed, request: &Prepared, connections: &[usize], size: Size) -> Result<Value, String> {
    let sink = Sink::start().await?;
    let limits = Limits::measure(bed, &sink).await?;
    let mut gateway = accepting(bed)?;
    let load = |connections, time| Load {
        address: gateway.address.clone().unwrap_or_default(),
        requests: vec![request.clone()],
        connections,
        from: 0,
        until: Until::Elapsed(time),
        gap: None,
    };
    run(load(connections.last().copied().unwrap_or(1), WARM_UP)).await?;
    let time = size.pick(Duration::from_secs(5), Duration::from_secs(1));
    let mut results = json!({ "limits": limits.figures(), "secondsARun": time.as_secs_f64() });
    for connections in connections.iter().copied() {
        let (mut rates, mut times, mut spent) = (Vec::new(), Vec::new(), Value::Null);
        for _ in 0..RUNS {
            bed.clear().await?;
            let meter = Meter::start(bed, &[gateway.id()])?;
            let handed = run(load(connections, time)).await?;
            spent = meter.stop()?;
            rates.push(handed.per_second());
            times.extend(handed.answer_times());
        }
        results[format!("connections{connections}")] = json!({
            "messagesPerSecond": runs(&rates), "ratios": limits.ratios(median(rates)),
            "answerMs": milliseconds(times), "processorSecondsOfLastRun": spent
        });
    }
    results["statements"] = statements(&mut gateway)?;
    Ok(results)
}
