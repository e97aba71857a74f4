//! Resident memory of a gateway while many messages wait, all of them due.

use std::time::Duration;

use bench::child::Role;
use domain::message::{Lane, MessageType};
use serde_json::{Value, json};

use super::{MANY_CHANNELS, Size, owning};
use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::limits::Limits;
use crate::meter::memory_megabytes;
use crate::sink::Sink;

/// Slow, so that the backlog stays.
const CHANNEL_RATE: u32 = 10;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let count = size.messages(1_000_000, 50_000);
    let time = size.pick(Duration::from_secs(20), Duration::from_secs(4));
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, CHANNEL_RATE).await?;
    let gateway = owning(Role::Whole, &bed, &sink, channels.len()).await?;
    tokio::time::sleep(time / 2).await;
    let empty = memory_megabytes(gateway.id(), "VmRSS")?;
    let backlog = Backlog { channels: &channels, lane: Lane::Normal, from: 0, count, due_in_seconds: 0.0 };
    backlog.insert(&bed).await?;
    tokio::time::sleep(time).await;
    let (waiting, peak) = (memory_megabytes(gateway.id(), "VmRSS")?, memory_megabytes(gateway.id(), "VmHWM")?);
    let left = bed.number("SELECT count(*) FROM outbox").await?;
    drop(gateway);
    bed.remove().await?;
    Ok(json!({
        "messages": count, "waitingAtTheEnd": left, "sentMeanwhile": sink.count(), "channels": channels.len(),
        "residentMegabytesWithoutMessages": empty, "residentMegabytes": waiting, "peakMegabytes": peak,
        "limits": limits.figures()
    }))
}
