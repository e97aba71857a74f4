//! Emptying a backlog while far more messages wait for tomorrow on the same channels.

use domain::message::{Lane, MessageType};
use serde_json::{Value, json};

use super::drain::repeated;
use super::{HIGHEST_RATE, MANY_CHANNELS, Size};
use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::limits::Limits;
use crate::sink::Sink;

/// Seconds from now at which the scheduled ones fall due.
const TOMORROW: f64 = 86_400.0;
/// Numbers of the scheduled ones begin here, above every backlog.
const SCHEDULED_FROM: usize = 500_000_000;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let (scheduled, count) = (size.messages(1_000_000, 100_000), size.messages(50_000, 10_000));
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, HIGHEST_RATE).await?;
    let without = repeated(&bed, &sink, &channels, count, &limits).await?;
    bed.clear().await?;
    let (from, lane) = (SCHEDULED_FROM, Lane::Normal);
    let tomorrow = Backlog { channels: &channels, lane, from, count: scheduled, due_in_seconds: TOMORROW };
    tomorrow.insert(&bed).await?;
    let with = repeated(&bed, &sink, &channels, count, &limits).await?;
    let rate = |figures: &Value| figures["messagesPerSecond"]["median"].as_f64().unwrap_or(f64::NAN);
    let ratio = crate::figures::round(rate(&with) / rate(&without));
    bed.remove().await?;
    Ok(json!({ "scheduled": scheduled, "withToWithout": ratio, "without": without, "with": with }))
}
