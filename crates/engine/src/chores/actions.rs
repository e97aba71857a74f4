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
/// Statements of one run that forget, of a thousand or two each: more than can have lapsed since the last one.
const FORGETTING_MAX: usize = 100;
/// Longest pause between two pages. It is as long as the page took, so that sending and accepting have as much time.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Goes on with what is left, and forgets what ended long ago.
pub(super) async fn run_once(store: &Store, now: Timestamp) -> Result<Done, Error> {
    let mut done = Done::default();
    let left_since = now.saturating_sub(LEFT).unwrap_or(Timestamp::MIN);
    let mut failed = None;
    for mut action in store.open_actions(left_since, ACTIONS).await? {
        let before = action.acted;
        let gone_on = go_on(store, &mut action).await;
        done.rows += rows(action.acted - before);
        // It must not keep the others, neither now nor by being the first of each run.
        let Err(error) = gone_on else { continue };
        if error.is_transient() {
            tracing::warn!(%error, action = %action.id, "a page of an action failed; the next run goes on with it");
            failed = Some(error);
        } else {
            tracing::error!(%error, action = %action.id, "an action cannot be gone on with");
        }
        if let Err(error) = store.put_off_action(&action, now).await {
            failed = Some(error);
        }
    }
    for _ in 0..FORGETTING_MAX {
        let forgotten = store.forget_actions(now).await?;
        done.rows += u64::try_from(forgotten).unwrap_or_default();
        if forgotten == 0 {
            break;
        }
    }
    // What is not finished is not left since long enough: the next run finds it.
    failed.map_or(Ok(done), Err)
}

/// Goes on with an action until its end, or for as many pages as may be. What may go then is found by looking, as after every
/// hint that is lost.
async fn go_on(store: &Store, action: &mut Action) -> Result<(), Error> {
    for _ in 0..PAGES {
        let began = Instant::now();
        let Some(progress) = store.work_on_action(action).await? else { break };
        *action = progress.action;
        if action.finished_at.is_some() {
            break;
        }
        tokio::time::sleep(began.elapsed().min(PAUSE_MAX)).await;
    }
    Ok(())
}
