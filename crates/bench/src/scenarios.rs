//! What is measured: a file a scenario, each of which stands alone.

pub(crate) mod accept;

pub(crate) mod accept_batch;

pub(crate) mod accept_cost;

mod bank;

mod claim_times;

pub(crate) mod bloat;

pub(crate) mod drain;

pub(crate) mod explain;

pub(crate) mod fairness;

pub(crate) mod flow;

pub(crate) mod future;

pub(crate) mod idle;

pub(crate) mod lanes;

pub(crate) mod latency;

pub(crate) mod memory;

pub(crate) mod pacing;

pub(crate) mod peers;

pub(crate) mod start;

pub(crate) mod steer;

use std::time::Duration;

use bench::child::Role;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::sink::{Arrival, Sink};
use crate::subject::{PLAIN, Subject};

/// Channels that work is spread over where no channel's rate shall bound it, and that rate: the highest settable one.
pub(crate) const MANY_CHANNELS: usize = 64;
pub(crate) const HIGHEST_RATE: u32 = domain::limits::MESSAGES_PER_SECOND_MAX;
/// Between two looks whether something has come about.
const LOOK: Duration = Duration::from_millis(50);
/// Looks before it is given up.
const LOOKS_MAX: usize = 2_400;
/// A statement that took less than this share of a gateway's time in the database is not shown.
const STATEMENT_SHARE_SHOWN: f64 = 0.01;

/// How large a scenario is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// A size for trying, instead of the one for figures.
    pub(crate) short: bool,
    /// Messages, instead of the usual number.
    pub(crate) messages: Option<usize>,
    /// Runs of what is measured beside others; the rest has a number of its own.
    pub(crate) runs: usize,
}

impl Size {
    /// Messages: as asked for, else the usual number.
    pub(crate) fn messages(self, full: usize, short: usize) -> usize {
        self.messages.unwrap_or(self.pick(full, short))
    }

    /// One of two.
    pub(crate) fn pick<T>(self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }
}

/// Numbers from `from` on that arrived more than once, and those that did not arrive.
fn strays(arrivals: &[Arrival], from: usize, count: usize) -> Value {
    let mut times = vec![0_u32; count];
    for arrival in arrivals {
        if let Some(times) = (arrival.number as usize).checked_sub(from).and_then(|place| times.get_mut(place)) {
            *times += 1;
        }
    }
    let repeated: u32 = times.iter().map(|times| times.saturating_sub(1)).sum();
    json!({ "repeated": repeated, "missing": times.iter().filter(|times| **times == 0).count() })
}

/// Waits until a number in the database is one.
async fn until(bed: &Bed, sql: &str, wanted: i64) -> Result<(), String> {
    for _ in 0..LOOKS_MAX {
        if bed.number(sql).await? == wanted {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("{wanted} was not reached: {sql}"))
}

/// Statements of a gateway since it started, those that took the most time first: count and mean time.
fn statements(gateway: &mut Subject) -> Result<Value, String> {
    let usage: Value = gateway.ask(Duration::ZERO)?;
    let seconds = |statement: &Value| statement["seconds"].as_f64().unwrap_or_default();
    let mut all: Vec<(&String, &Value)> = usage["statements"].as_object().into_iter().flatten().collect();
    let total: f64 = all.iter().map(|(_, statement)| seconds(statement)).sum();
    all.retain(|(_, statement)| seconds(statement) > total * STATEMENT_SHARE_SHOWN);
    let shown = all.into_iter().map(|(name, statement)| {
        let count = statement["count"].as_f64().unwrap_or(f64::NAN);
        let mean = crate::figures::round(seconds(statement) * 1000.0 / count);
        (name.clone(), json!({ "count": count, "meanMs": mean }))
    });
    Ok(Value::Object(shown.collect()))
}

/// A gateway that sends, which has taken the leases of so many channels.
pub(crate) async fn owning(role: Role, bed: &Bed, sink: &Sink, channels: usize) -> Result<Subject, String> {
    let gateway = Subject::start_sending(role, bed, &sink.url())?;
    let owned = "SELECT count(*) FROM channel_leases JOIN replicas USING (replica_id) WHERE lease_expires_at > clock_timestamp()";
    // The tenant's own channel is one more.
    until(bed, owned, i64::try_from(channels + 1).map_err(|error| error.to_string())?).await?;
    Ok(gateway)
}

/// A gateway that only takes requests.
pub(crate) fn accepting(bed: &Bed) -> Result<Subject, String> {
    Subject::start(PLAIN, Role::Gateway, bed)
}
