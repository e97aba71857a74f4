//! In and out together while a transaction elsewhere holds a snapshot, so that no dead row can be removed.

use bench::child::Role;
use domain::message::MessageType;
use serde_json::{Value, json};

use super::bank::Bank;
use super::{HIGHEST_RATE, MANY_CHANNELS, Size, owning, statements};
use crate::bed::{Bed, connect, describe};
use crate::limits::Limits;
use crate::load::Until;
use crate::sink::Sink;

const PRODUCERS: usize = 32;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let (count, rounds) = (size.messages(50_000, 5_000), size.pick(8, 3));
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, HIGHEST_RATE).await?;
    let mut gateway = owning(Role::Whole, &bed, &sink, channels.len()).await?;
    let bank = Bank::of_gateway(&bed, &sink, &gateway, &channels)?;
    let until = Until::Requests(count);
    let before = bank.flow(PRODUCERS, 0, until).await?;
    let holder = connect(&bed.database_url).await?;
    // The first statement takes the snapshot.
    let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1";
    holder.batch_execute(hold).await.map_err(|error| describe(&error))?;
    let mut held = Vec::with_capacity(rounds);
    for round in 1..=rounds {
        let flowed = bank.flow(PRODUCERS, round * count, until).await?;
        held.push(with_outbox(&bed, flowed.figures).await?);
    }
    holder.batch_execute("COMMIT").await.map_err(|error| describe(&error))?;
    let after = bank.flow(PRODUCERS, (rounds + 1) * count, until).await?;
    let results = json!({
        "messagesARound": count, "before": before.figures, "held": held,
        "after": with_outbox(&bed, after.figures).await?, "ratios": limits.ratios(before.per_second),
        "limits": limits.figures(), "statements": statements(&mut gateway)?
    });
    drop(gateway);
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
