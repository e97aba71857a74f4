//! How late the judge itself is: timers of a busy machine ring late, and so does everything else on it.
//!
//! What is early, late or too fast by less than that may be the machine's doing and not tuma's; a verdict shows it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Looks that are kept: more than an hour of them.
const LOOKS_MAX: usize = 500_000;

/// Watches its own lateness until it is dropped.
#[derive(Debug)]
pub(crate) struct Lag {
    seen: Arc<Mutex<Vec<Duration>>>,
    watching: JoinHandle<()>,
}

impl Lag {
    pub(crate) fn watch() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let watching = tokio::spawn(async move {
            loop {
                let due = Instant::now() + LOOK;
                sleep_until(due).await;
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < LOOKS_MAX {
                    kept.push(due.elapsed());
                }
            }
        });
        Self { seen, watching }
    }

    /// The most so far, microseconds.
    pub(crate) fn most(&self) -> i64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().max().and_then(|lag| i64::try_from(lag.as_micros()).ok()).unwrap_or_default()
    }

    /// For verdicts, milliseconds.
    pub(crate) fn told(&self) -> Value {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.sort_unstable();
        let at = |part: usize, of: usize| seen.get((seen.len() * part / of).min(seen.len().saturating_sub(1)));
        let shown = |lag: Option<&Duration>| lag.map(|lag| lag.as_millis());
        json!({ "p50Ms": shown(at(1, 2)), "p99Ms": shown(at(99, 100)), "maxMs": shown(seen.last()) })
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
