//! In and out together while a transaction elsewhere holds a snapshot, so that no dead row can be removed.

use std::time::{Duration, Instant};

use bench::child::Role;
use domain::message::MessageType;
use serde_json::{Value, json};

use super::bank::Bank;
use super::claim_times::{ClaimTimes, beside};
use super::{HIGHEST_RATE, MANY_CHANNELS, Size, owning, statements};
use crate::bed::{Bed, connect, describe};
use crate::figures::{milliseconds, runs};
use crate::limits::Limits;
use crate::load::Until;
use crate::sink::Sink;

const PRODUCERS: usize = 32;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let count = size.messages(50_000, 5_000);
    let held_for = size.pick(Duration::from_secs(600), Duration::from_secs(3));
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, HIGHEST_RATE).await?;
    let channel = *channels.first().ok_or("no channels")?;
    let empty = ClaimTimes::of(&bed, channel).await?.take().await?;
    bed.free_channels().await?;
    let mut gateway = owning(Role::Whole, &bed, &sink, channels.len()).await?;
    let bank = Bank::of_gateway(&bed, &sink, &gateway, &channels)?;
    let until = Until::Requests(count);
    let before = bank.flow(PRODUCERS, 0, until).await?;
    let holder = connect(&bed.database_url).await?;
    // The first statement takes the snapshot.
    let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1";
    holder.batch_execute(hold).await.map_err(|error| describe(&error))?;
    let (held_since, mut held) = (Instant::now(), Vec::new());
    while held_since.elapsed() < held_for {
        let flowed = bank.flow(PRODUCERS, (held.len() + 1) * count, until).await?;
        held.push(with_outbox(&bed, flowed.figures).await?);
    }
    let rates: Vec<f64> = held.iter().filter_map(|round| round["messagesPerSecond"].as_f64()).collect();
    let used = statements(&mut gateway)?;
    // The last gateway's process ends; the snapshot stays.
    drop(gateway);
    let claims = ClaimTimes::of(&bed, channel).await?.take().await?;
    let held_seconds = held_since.elapsed().as_secs();
    holder.batch_execute("COMMIT").await.map_err(|error| describe(&error))?;
    let results = json!({
        "messagesARound": count, "before": before.figures, "heldSeconds": held_seconds, "heldRounds": held.len(),
        "heldMessagesPerSecond": runs(&rates), "heldFirst": held.first(), "heldLast": held.last(),
        "claimsEmpty": milliseconds(empty.clone()), "claimsHeld": beside(&empty, claims),
        "ratios": limits.ratios(before.per_second), "limits": limits.figures(), "statements": used
    });
    bed.remove().await?;
    Ok(results)
}

/// A round with the size of the outbox after it.
async fn with_outbox(bed: &Bed, mut round: Value) -> Result<Value, String> {
    round["outboxBytes"] = bed.number("SELECT pg_total_relation_size('outbox')").await?.into();
    let dead = "SELECT coalesce(pg_stat_get_dead_tuples('outbox'::regclass), 0)";
    round["outboxDeadRows"] = bed.number(dead).await?.into();
    Ok(round)
}
