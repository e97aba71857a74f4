//! Emptying a backlog, and claiming, while far more messages wait for tomorrow on the same channels and yet more have ended.

use domain::id::ChannelId;
use domain::message::{Lane, MessageType};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

use super::claim_times::{ClaimTimes, beside};
use super::drain::repeated;
use super::{HIGHEST_RATE, MANY_CHANNELS, Size};
use crate::backlog::Backlog;
use crate::bed::{Bed, describe};
use crate::figures::milliseconds;
use crate::limits::Limits;
use crate::sink::Sink;

/// Seconds from now at which the scheduled ones fall due.
const TOMORROW: f64 = 86_400.0;
/// Messages that have ended, for each that is scheduled.
const FINISHED_TO_SCHEDULED: usize = 10;
/// Numbers of the scheduled ones begin here, above every backlog.
const SCHEDULED_FROM: usize = 500_000_000;

/// Messages that have ended and whose texts were removed; ids of an hour, a millisecond each or more to one.
const FINISHED: &str = "INSERT INTO messages (workspace_id, message_id, channel_id, contact_id, recipient, body, parts, reference,
        tags, meta, expires_at, status, created_at, updated_at, last_status_at)
    SELECT $1, (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint - 3600000 + n * 3600000 / $4), 12, '0')
            || '70009' || lpad(to_hex(n), 15, '0'))::uuid,
        ($2::uuid[])[1 + n % cardinality($2::uuid[])], md5((n % 10000)::text)::uuid, '+254712345678', '', '[]', '', '{}', '{}',
        clock_timestamp(), 'sent', clock_timestamp(), clock_timestamp(), clock_timestamp()
    FROM generate_series($3::bigint, least($3 + 99999, $4 - 1)) n";
const FINISHED_A_STATEMENT: usize = 100_000;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let (scheduled, count) = (size.messages(1_000_000, 100_000), size.messages(50_000, 10_000));
    let (bed, sink) = (Bed::make().await?, Sink::start().await?);
    let limits = Limits::measure(&bed, &sink).await?;
    let channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, HIGHEST_RATE).await?;
    let channel = *channels.first().ok_or("no channels")?;
    let empty = ClaimTimes::of(&bed, channel).await?.take().await?;
    let without = repeated(&bed, &sink, &channels, count, &limits).await?;
    bed.clear().await?;
    let (from, lane) = (SCHEDULED_FROM, Lane::Normal);
    let tomorrow = Backlog { channels: &channels, lane, from, count: scheduled, due_in_seconds: TOMORROW };
    tomorrow.insert(&bed).await?;
    let finished = i64::try_from(scheduled * FINISHED_TO_SCHEDULED).map_err(|error| error.to_string())?;
    finish(&bed, &channels, finished).await?;
    let claims = ClaimTimes::of(&bed, channel).await?.take().await?;
    let with = repeated(&bed, &sink, &channels, count, &limits).await?;
    let rate = |figures: &Value| figures["messagesPerSecond"]["median"].as_f64().unwrap_or(f64::NAN);
    let ratio = crate::figures::round(rate(&with) / rate(&without));
    bed.remove().await?;
    Ok(json!({
        "scheduled": scheduled, "finished": finished, "withToWithout": ratio, "without": without, "with": with,
        "claimsEmpty": milliseconds(empty.clone()), "claimsWith": beside(&empty, claims)
    }))
}

/// Puts messages there that have ended.
async fn finish(bed: &Bed, channels: &[ChannelId], count: i64) -> Result<(), String> {
    let channels: Vec<_> = channels.iter().map(|channel| channel.0).collect();
    let workspace = bed.tenant.workspace.0;
    for from in (0..count).step_by(FINISHED_A_STATEMENT) {
        let params: [&(dyn ToSql + Sync); 4] = [&workspace, &channels, &from, &count];
        bed.client().execute(FINISHED, &params).await.map_err(|error| describe(&error))?;
    }
    bed.settle_down().await
}
