//! Acts on many messages that were confirmed and that nobody goes on with: their process was stopped, or had too many.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use store::Store;
use store::action::Action;
use store::error::Error;

use super::{Done, rows};

/// From the last page of an action on it is taken to be left: a page takes at most as long as an answer of the database.
const LEFT: SignedDuration = SignedDuration::from_secs(60);
/// Actions of one run.
const ACTIONS: i64 = 50;
/// Pages of one action in one run; the longest left comes first, so none hides behind others.
const PAGES: usize = 100;
/// Longest pause between two pages. It is as long as the page took, so that sending and accepting have as much time.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Goes on with what is left, and forgets what ended long ago.
pub(super) async fn run_once(store: &Store, now: Timestamp) -> Result<Done, Error> {
    let mut done = Done::default();
    let left_since = now.saturating_sub(LEFT).unwrap_or(Timestamp::MIN);
    for action in store.open_actions(left_since, ACTIONS).await? {
        let id = action.id;
        match go_on(store, action).await {
            Ok(acted) => done.rows += rows(acted),
            Err(error) if error.is_transient() => return Err(error),
            // It must not keep the others.
            Err(error) => tracing::error!(%error, action = %id, "an action cannot be gone on with"),
        }
    }
    done.rows += u64::try_from(store.forget_actions(now).await?).unwrap_or_default();
    // What is not finished is not left since long enough: the next run finds it.
    Ok(done)
}

/// Goes on with an action until its end, or for as many pages as may be; answers how many messages it changed. What may go
/// then is found by looking, as after every hint that is lost.
async fn go_on(store: &Store, mut action: Action) -> Result<i64, Error> {
    let before = action.acted;
    for _ in 0..PAGES {
        let began = Instant::now();
        let Some(progress) = store.work_on_action(&action).await? else { break };
        action = progress.action;
        if action.finished_at.is_some() {
            break;
        }
        tokio::time::sleep(began.elapsed().min(PAUSE_MAX)).await;
    }
    Ok(action.acted - before)
}
