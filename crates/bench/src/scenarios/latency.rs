//! Hand-in to arrival at the sink: one message at a time on an idle gateway, and at a steady rate.

use std::time::Duration;

use bench::child::Role;
use serde_json::{Value, json};

use super::accept::single;
use super::flow::ways;
use super::{Size, owning, strays};
use crate::bed::Bed;
use crate::figures::milliseconds;
use crate::limits::Limits;
use crate::load::{Load, Until, run};
use crate::sink::Sink;

/// Between two messages one at a time: everything has come to rest.
const REST: Duration = Duration::from_millis(25);
/// Between two messages at the steady rate of 200 a second.
const STEADY_GAP: Duration = Duration::from_millis(5);
/// Connections at the steady rate, so that one slow answer does not hold up the next message.
const STEADY_CONNECTIONS: usize = 16;
/// Messages before the first that counts: connections, plans and caches.
const WARM_UP: usize = 200;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let gateway = owning(Role::Whole, &bed, &sink, 0).await?;
    let address = gateway.address()?;
    let mut results = json!({ "limits": limits.figures() });
    let (one_by_one, steady) = (size.messages(500, 200), size.messages(4_000, 800));
    let rounds = [
        ("warmUp", 1, REST / 5, WARM_UP),
        ("oneByOne", 1, REST, one_by_one),
        ("steady200", STEADY_CONNECTIONS, STEADY_GAP, steady),
    ];
    for (name, connections, gap, count) in rounds {
        let requests = vec![single(&bed, bed.tenant.channel.id)];
        let (address, until, gap) = (address.clone(), Until::Requests(count), Some(gap));
        let handed = run(Load { address, requests, connections, from: 0, until, gap }).await?;
        sink.wait_for(handed.messages()).await?;
        let arrivals = sink.take();
        if name != "warmUp" {
            results[name] = json!({
                "handInToAnswerMs": milliseconds(handed.answer_times()),
                "handInToArrivalMs": milliseconds(ways(&handed, &arrivals)),
                "messagesPerSecond": handed.per_second().round(), "late": handed.late,
                "strays": strays(&arrivals, 0, count)
            });
        }
    }
    drop(gateway);
    bed.remove().await?;
    Ok(results)
}
