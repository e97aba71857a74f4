//! Months that are older than messages are kept go: their keys first, then their partitions.
//!
//! In this order a key never stands for a message that is gone: a repetition would be told to wait for ever.

use jiff::{SignedDuration, Timestamp};
use store::Store;
use store::error::Error;
use store::key::KeyPosition;

use super::{Done, rows};

/// Keys looked at in one statement.
const KEYS: i64 = 5_000;
/// Statements of one run.
const BATCHES: usize = 100;
/// Gates that were closed and pauses that are over are kept as long as messages (README, choices).
const HOLDS_KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Gates, and pauses, forgotten in one run.
const HOLDS: i64 = 10_000;

/// Forgets gates and pauses of long ago; walks over a bounded number of keys of the oldest month that is to go, and drops it at the end.
pub(super) async fn run_once(store: &Store, now: Timestamp, position: &str) -> Result<Done, Error> {
    let before = now.saturating_sub(HOLDS_KEPT).unwrap_or(Timestamp::MIN);
    let forgotten = store.forget_gates(before, HOLDS).await? + store.forget_pauses(before, HOLDS).await?;
    let done = run_months(store, now, position).await?;
    Ok(Done { rows: done.rows + forgotten as u64, ..done })
}

async fn run_months(store: &Store, now: Timestamp, position: &str) -> Result<Done, Error> {
    let Some(expired) = store.expired_month(now).await? else { return Ok(Done::default()) };
    let mut keys = read(position, &expired.name());
    let (mut touched, mut has_more) = (0, true);
    for _ in 0..BATCHES {
        let (removed, next) = store.remove_keys(keys.as_ref(), expired.ids()?, KEYS).await?;
        touched += rows(removed);
        keys = next;
        if keys.is_none() {
            let dropped = store.drop_month(expired).await?;
            tracing::info!(month = expired.name(), tables = dropped, "a month of messages is dropped");
            touched += dropped;
            // Of what another replica is at, nothing is dropped here.
            has_more = dropped > 0;
            break;
        }
    }
    let position = keys.map(|keys| format!("{} {} {}", expired.name(), keys.workspace, keys.key)).unwrap_or_default();
    Ok(Done { rows: touched, position, has_more })
}

/// Month, workspace and key, if it is this month.
fn read(position: &str, month: &str) -> Option<KeyPosition> {
    let (workspace, key) = position.strip_prefix(month)?.strip_prefix(' ')?.split_once(' ')?;
    Some(KeyPosition { workspace: workspace.parse().ok()?, key: key.to_owned() })
}
