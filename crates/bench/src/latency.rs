//! Hand-in to arrival at the sink, one message at a time on an idle gateway.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::figures::milliseconds;
use crate::limits;
use crate::rig::{Rig, client};

/// Between two messages: everything has come to rest.
const PAUSE: Duration = Duration::from_millis(25);
/// Messages before the first that counts: connections, plans and caches.
const WARM_UP: usize = 50;

/// Measures the scenario.
pub(crate) async fn measure(messages: usize) -> Result<Value, String> {
    let rig = Rig::start().await?;
    let http = client()?;
    let url = rig.messages_url();
    let mut handed_in = Vec::with_capacity(messages);
    let mut accepted = Vec::with_capacity(messages);
    for number in 0..WARM_UP + messages {
        let body = json!({
            "receiver": { "contacts": [{ "identifierValue": "+254712345678" }] },
            "body": { "type": "text", "text": { "text": format!("latency {number}") } }
        });
        let request = http.post(&url).header("authorization", format!("AccessKey {}", rig.tenant.access_key));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let started = wall_clock();
        let answer = request.send().await.map_err(|error| error.to_string())?;
        if answer.status() != 202 {
            return Err(format!("HTTP {}", answer.status()));
        }
        answer.bytes().await.map_err(|error| error.to_string())?;
        if number >= WARM_UP {
            accepted.push(wall_clock().duration_since(started).unwrap_or_default());
            handed_in.push((format!("latency {number}"), started));
        }
        tokio::time::sleep(PAUSE).await;
    }
    rig.sink.wait_for((WARM_UP + messages) as u64).await;
    let to_sink = arrivals(&rig, &handed_in)?;
    let calls = rig.sink.ledger().len();
    let limits = limits::measure(&rig).await?;
    rig.stop().await?;
    Ok(json!({
        "handInToAnswerMs": milliseconds(accepted), "handInToArrivalMs": milliseconds(to_sink),
        "calls": calls, "messages": WARM_UP + messages, "limits": limits
    }))
}

fn arrivals(rig: &Rig, handed_in: &[(String, SystemTime)]) -> Result<Vec<Duration>, String> {
    let ledger = rig.sink.ledger();
    let mut found = Vec::with_capacity(handed_in.len());
    for (text, started) in handed_in {
        let entry = ledger.iter().find(|entry| entry.body.as_ref().is_some_and(|body| body["message"] == *text));
        let arrival: SystemTime = entry.ok_or(format!("{text} did not arrive"))?.arrival.into();
        found.push(arrival.duration_since(*started).unwrap_or_default());
    }
    Ok(found)
}

#[allow(
    clippy::disallowed_methods,
    reason = "the sink stamps arrivals by the machine's clock, so hand-ins are stamped by it, too"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
