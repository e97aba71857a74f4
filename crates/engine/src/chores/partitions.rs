//! Partitions are made before the first message that belongs in them.

use jiff::Timestamp;
use store::Store;
use store::error::Error;

use super::Done;

/// Makes what is missing: two months ahead, so that it may fail for long before it matters.
pub(super) async fn run_once(store: &Store, now: Timestamp) -> Result<Done, Error> {
    let made = store.make_partitions(now).await?;
    if made.left > 0 {
        tracing::debug!(partitions = made.left, "the default partitions hold rows and keep the current month");
    }
    Ok(Done { rows: made.made, ..Done::default() })
}
