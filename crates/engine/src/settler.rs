//! Writing results: what gathered while the last statement was under way goes into the next.
//!
//! A result is kept until it is written. While the database is away nothing new is sent: a message that was sent and
//! not recorded would be sent again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::decision::Step;
use domain::id::{ChannelId, MessageId, ReplicaId};
use domain::message::Lane;
use jiff::Timestamp;
use store::Store;
use store::settle::Settlement;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::gather::gather;
use crate::metrics::Metrics;
use crate::wake::Wake;

/// Results in one statement.
const RESULTS_MAX: usize = 500;
/// Results that may wait; past it lanes wait, too.
const WAITING_MAX: usize = 4096;
/// A statement that takes longer may never succeed, as behind a lock: until it has, nothing new is sent.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);
/// Between two tries while the database is away: doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// A result with the channel it belongs to.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) channel: ChannelId,
    pub(crate) lane: Lane,
    pub(crate) settlement: Settlement,
}

/// Takes results. Cheap to clone; the task ends when the last one is dropped and all is written.
#[derive(Clone, Debug)]
pub(crate) struct Settler {
    sender: mpsc::Sender<Settled>,
    recording: Arc<AtomicBool>,
    writing_since: Arc<Mutex<Option<Instant>>>,
}

impl Settler {
    /// Starts the settler's task.
    pub(crate) fn start(store: Store, replica: ReplicaId, metrics: Metrics, wake: Wake) -> (Self, JoinHandle<()>) {
        let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
        let recording = Arc::new(AtomicBool::new(true));
        let flag = recording.clone();
        let writing_since = Arc::new(Mutex::new(None));
        let since = writing_since.clone();
        let task = tokio::spawn(async move {
            let mut results = Vec::new();
            while receiver.recv_many(&mut results, RESULTS_MAX).await > 0 {
                *since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                let written = write(&store, replica, &metrics, &flag, &results).await;
                *since.lock().unwrap_or_else(PoisonError::into_inner) = None;
                // What still waits here may hold results of rows whose claims have lapsed: they go first.
                if receiver.is_empty() && !flag.swap(true, Ordering::Relaxed) {
                    metrics.recording.set(1);
                    tracing::info!("results can be written again");
                }
                let now = store.now();
                for result in
                    results.drain(..).filter(|one| written.contains(&(one.settlement.message, one.settlement.claim)))
                {
                    announce(&metrics, &wake, &result, now);
                }
                gather(written.len()).await;
            }
        });
        (Self { sender, recording, writing_since }, task)
    }

    /// Whether results can be written: the last statement went through, none from before waits, and the one that is under way does
    /// not take too long.
    pub(crate) fn is_recording(&self) -> bool {
        let since = *self.writing_since.lock().unwrap_or_else(PoisonError::into_inner);
        self.recording.load(Ordering::Relaxed) && since.is_none_or(|since| since.elapsed() < WRITTEN_WITHIN)
    }

    /// Hands over a result; waits while too many wait.
    pub(crate) async fn settle(&self, result: Settled) {
        // The task lives as long as there is a sender.
        drop(self.sender.send(result).await);
    }
}

/// Writes results, however long the database is away; those that hold a value the database refuses are left to lapse.
async fn write(
    store: &Store,
    replica: ReplicaId,
    metrics: &Metrics,
    recording: &AtomicBool,
    results: &[Settled],
) -> HashSet<(MessageId, i64)> {
    let settlements: Vec<Settlement> = results.iter().map(|result| result.settlement.clone()).collect();
    let mut written = HashSet::new();
    let mut open = vec![&settlements[..]];
    let mut pause = PAUSE_FIRST;
    let mut repeated = false;
    while let Some(batch) = open.pop() {
        match store.settle(replica, batch).await {
            Ok(changed) => {
                let superseded = batch.len().saturating_sub(changed.len());
                if repeated {
                    // A former call may have written them.
                    written.extend(batch.iter().map(|one| (one.message, one.claim)));
                } else if superseded > 0 {
                    metrics.results_superseded.inc_by(superseded as u64);
                    tracing::warn!(superseded, "results came under claims that were superseded");
                }
                written.extend(changed);
                repeated = false;
            }
            Err(error) if error.is_of_a_value() => match batch {
                [one] => {
                    tracing::error!(%error, message = %one.message, "a result cannot be stored; its claim will lapse")
                }
                many => {
                    let (first, second) = many.split_at(many.len() / 2);
                    open.extend([second, first]);
                }
            },
            Err(error) => {
                repeated = true;
                open.push(batch);
                if recording.swap(false, Ordering::Relaxed) {
                    tracing::error!(%error, "results cannot be written; sending pauses");
                }
                metrics.recording.set(0);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
        }
    }
    written
}

/// Whoever owns the channel by now: it may have looked before this was written.
fn tell(wake: &Wake, result: &Settled, due_at: Timestamp) {
    wake.due(result.channel, result.lane, due_at);
}

fn announce(metrics: &Metrics, wake: &Wake, result: &Settled, now: Timestamp) {
    match &result.settlement.step {
        Step::Sent => metrics.settled.with_label_values(&["sent", "0"]).inc(),
        Step::Failed(failure) => {
            let (number, name, status) = failure.code.row();
            metrics.settled.with_label_values(&[status.as_str(), &number.to_string()]).inc();
            let message = result.settlement.message;
            tracing::warn!(%message, code = number, name, rule = failure.source_code, "a message ended without delivery");
        }
        Step::NextPart => {
            // The row has the instant of the statement, which was between.
            let finished_at = result.settlement.attempt.as_ref().map_or(now, |attempt| attempt.finished_at);
            tell(wake, result, finished_at);
        }
        Step::Wait { due_at, .. } => tell(wake, result, *due_at),
    }
}
