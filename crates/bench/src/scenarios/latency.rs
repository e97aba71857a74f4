//! Hand-in to arrival at the sink: one message at a time on an idle gateway, and at a steady rate.

use std::time::Duration;

use bench::child::Role;
use serde_json::{Value, json};

use super::bank::Bank;
use super::flow::ways;
use super::{Size, owning, strays};
use crate::bed::Bed;
use crate::figures::milliseconds;
use crate::limits::Limits;
use crate::load::{Handed, Load, Until, run};
use crate::sink::{Arrival, Sink};

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
    let bank = Bank::of_gateway(&bed, &sink, &gateway, &[bed.tenant.channel.id])?;
    let mut results = json!({ "limits": limits.figures() });
    let (one_by_one, steady) = (size.messages(500, 200), size.messages(4_000, 800));
    let rounds = [
        ("warmUp", 1, REST / 5, WARM_UP),
        ("oneByOne", 1, REST, one_by_one),
        ("steady200", STEADY_CONNECTIONS, STEADY_GAP, steady),
    ];
    for (name, connections, gap, count) in rounds {
        let (handed, arrivals) = bank.pace(connections, gap, count).await?;
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

impl Bank<'_> {
    /// Hands in at a steady rate of 200 a second, after a warm-up; how long each message took to arrive.
    pub(super) async fn steady(&self, count: usize) -> Result<Vec<Duration>, String> {
        self.pace(STEADY_CONNECTIONS, STEADY_GAP, WARM_UP).await?;
        let (handed, arrivals) = self.pace(STEADY_CONNECTIONS, STEADY_GAP, count).await?;
        Ok(ways(&handed, &arrivals))
    }

    async fn pace(&self, connections: usize, gap: Duration, count: usize) -> Result<(Handed, Vec<Arrival>), String> {
        let load = Load { gap: Some(gap), ..self.load(connections, Until::Requests(count)) };
        let handed = run(load).await?;
        self.sink.wait_for(handed.messages()).await?;
        Ok((handed, self.sink.take()))
    }
}
