//! A moment's wait, so that more share the next statement.
//!
//! A statement costs the database as much as the work on twenty rows. Who comes alone is not kept waiting: only a
//! statement with several rows shows that more are about to come, and one with many needs no more.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Rows of a statement after which waiting is worth it.
const SEVERAL: RangeInclusive<usize> = 8..=200;
/// How long.
const MOMENT: Duration = Duration::from_millis(2);

/// Waits a moment after a statement, if its rows are several.
pub(crate) async fn gather(rows: usize) {
    if SEVERAL.contains(&rows) {
        tokio::time::sleep(MOMENT).await;
    }
}
