//! What two replicas ask of the database when a thousand channels have nothing to send.

use std::time::Duration;

use bench::child::Role;
use domain::message::MessageType;
use serde_json::{Value, json};

use super::{Size, owning};
use crate::bed::Bed;
use crate::figures::round;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::sink::Sink;
use crate::subject::Subject;

const CHANNELS: usize = 1_000;
const CHANNEL_RATE: u32 = 80;
/// Channels have been spread over the replicas, and both have found out that there is nothing to do.
const REST: Duration = Duration::from_secs(30);

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let time = size.pick(Duration::from_secs(30), Duration::from_secs(5));
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    bed.channels(CHANNELS, MessageType::Transactional, CHANNEL_RATE).await?;
    let mut owner = owning(Role::Whole, &bed, &sink, CHANNELS).await?;
    let mut other = Subject::start_sending(Role::Whole, &bed, &sink.url())?;
    tokio::time::sleep(REST).await;
    let meter = Meter::start(&bed, &[owner.id(), other.id()])?;
    let before = (counts(&mut owner)?, counts(&mut other)?, transactions(&bed).await?);
    tokio::time::sleep(time).await;
    let after = (counts(&mut owner)?, counts(&mut other)?, transactions(&bed).await?);
    let spent = meter.stop()?;
    let a_second = |count: f64| round(count / time.as_secs_f64());
    let statements = by_name(&after.0, &before.0).chain(by_name(&after.1, &before.1));
    let mut by_statement = json!({});
    for (name, count) in statements {
        by_statement[&name] =
            a_second(count + by_statement[&name].as_f64().unwrap_or_default() * time.as_secs_f64()).into();
    }
    let total: f64 = by_statement.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_f64()).sum();
    let results = json!({
        "channels": CHANNELS, "replicas": 2, "seconds": time.as_secs(), "statementsPerSecond": round(total),
        "statementsPerSecondByName": by_statement,
        "transactionsPerSecondOfTheDatabase": a_second((after.2 - before.2) as f64),
        "processorSeconds": spent, "limits": limits.figures()
    });
    drop((owner, other));
    bed.remove().await?;
    Ok(results)
}

/// Transactions so far; PostgreSQL counts them up to a second late.
async fn transactions(bed: &Bed) -> Result<i64, String> {
    bed.number("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()").await
}

fn counts(gateway: &mut Subject) -> Result<Value, String> {
    let mut usage: Value = gateway.ask(Duration::ZERO)?;
    Ok(usage["statements"].take())
}

fn by_name(after: &Value, before: &Value) -> impl Iterator<Item = (String, f64)> {
    let count = |statements: &Value, name: &str| statements[name]["count"].as_f64().unwrap_or_default();
    let names = after.as_object().into_iter().flatten();
    names.map(move |(name, _)| (name.clone(), count(after, name) - count(before, name)))
}
