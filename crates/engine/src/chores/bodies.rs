//! Ended messages lose their texts when their workspace no longer keeps them.

use domain::id::{MessageId, WorkspaceId};
use jiff::Timestamp;
use store::Store;
use store::error::Error;

use super::{Done, rows};

/// Messages looked at in one statement.
const MESSAGES: i64 = 500;
/// Statements of one run.
const BATCHES: usize = 50;
/// Workspaces that take turns.
const WORKSPACES: i64 = 50;

/// Goes on in the workspaces that are the furthest behind, then with messages that had waited when it was their turn.
pub(super) async fn run_once(store: &Store, now: Timestamp, position: &str) -> Result<Done, Error> {
    let mut touched = 0;
    let mut batches = 0;
    let mut overdue = store.overdue_bodies(now, WORKSPACES).await?;
    while !overdue.is_empty() && batches < BATCHES {
        for one in &overdue {
            touched += rows(store.remove_bodies(one, MESSAGES).await?.removed);
            batches += 1;
        }
        overdue = store.overdue_bodies(now, WORKSPACES).await?;
    }
    let mut beyond = read(position);
    loop {
        let (removed, next) = store.remove_late_bodies(beyond, MESSAGES).await?;
        touched += rows(removed.removed);
        beyond = next;
        batches += 1;
        if beyond.is_none() || batches >= BATCHES {
            break;
        }
    }
    let has_more = !overdue.is_empty() || beyond.is_some();
    let position = beyond.map(|(workspace, message)| format!("{workspace} {message}")).unwrap_or_default();
    Ok(Done { rows: touched, position, has_more })
}

/// Workspace and message.
fn read(position: &str) -> Option<(WorkspaceId, MessageId)> {
    let (workspace, message) = position.split_once(' ')?;
    Some((workspace.parse().ok()?, message.parse().ok()?))
}
