//! Erasures whose request could not finish them: many messages, or some that were being sent.

use jiff::Timestamp;
use store::Store;
use store::error::Error;

use super::{Done, rows};

/// Messages looked at in one statement.
const MESSAGES: i64 = 200;
/// Statements for one contact in one run.
const BATCHES: usize = 20;
/// Contacts of one run; the one looked at longest ago comes first, so none hides behind others.
const CONTACTS: i64 = 50;

/// Passes over messages of contacts that are being erased.
pub(super) async fn run_once(store: &Store, now: Timestamp) -> Result<Done, Error> {
    let mut done = Done::default();
    for (workspace, contact) in store.open_erasures(CONTACTS).await? {
        let mut is_end = false;
        for _ in 0..BATCHES {
            let step = store.erase(workspace, contact, now, MESSAGES).await?;
            done.rows += rows(step.erased);
            is_end = step.is_end;
            if is_end {
                break;
            }
        }
        done.has_more |= !is_end;
    }
    store.close_erasures().await?;
    Ok(done)
}
