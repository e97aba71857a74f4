//! Claiming for all lanes: what lanes ask for while one statement is under way goes into the next.
//!
//! A lone lane is served at once. The busier the replica, the more lanes share a statement and its commit: small statements
//! go one after the other, and after one that found several rows others have a moment to join the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{ChannelId, ReplicaId};
use jiff::Timestamp;
use store::Store;
use store::outbox::{Claimed, Wanted};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::gather::gather;
use crate::wake::Wake;

/// Lanes served by one statement.
const ASKED_MAX: usize = 256;
/// Rows in one statement; more would keep the others waiting.
const ROWS_MAX: usize = 2_000;
/// Statements in flight at once: while one waits for the disk another is being prepared.
const CLAIMERS: usize = 2;
/// Lanes that make a statement of their own worth it while another is in flight; fewer wait for its end.
const ASKED_MIN: usize = 100;
/// How long they wait.
const TURN_MAX: Duration = Duration::from_millis(20);

/// What was taken for a lane.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) claimed: Vec<Claimed>,
    /// Before the statement was sent, by the process's clock and by the database's.
    pub(crate) asked_at: Instant,
    pub(crate) now: Timestamp,
}

struct Request {
    wanted: Wanted,
    answer: oneshot::Sender<Answer>,
}

/// Takes requests. Cheap to clone; the tasks end when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Claimer(mpsc::UnboundedSender<Request>);

impl Claimer {
    /// Starts the claimer's tasks.
    #[allow(
        clippy::disallowed_methods,
        reason = "each lane has one request at a time, so there are never more than lanes"
    )]
    pub(crate) fn start(store: &Store, replica: ReplicaId, lasting: Duration, wake: &Wake) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..CLAIMERS {
            let (store, receiver, wake) = (store.clone(), receiver.clone(), wake.clone());
            tokio::spawn(async move {
                loop {
                    let mut turn = receiver.lock().await;
                    let Some(group) = next_group(&mut turn).await else { break };
                    let is_small = group.len() < ASKED_MIN;
                    let mut claiming = std::pin::pin!(async {
                        let found = claim(&store, replica, lasting, &wake, group).await;
                        gather(found).await;
                    });
                    if is_small && timeout(TURN_MAX, &mut claiming).await.is_ok() {
                        continue;
                    }
                    drop(turn);
                    claiming.await;
                }
            });
        }
        Self(sender)
    }

    /// Asks for rows; the answer comes when they are claimed, and not at all when they cannot be.
    pub(crate) fn ask(&self, wanted: Wanted) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        // The tasks live as long as there is a sender.
        drop(self.0.send(Request { wanted, answer }));
        answered
    }
}

/// What a test sees of a request, and answers it by.
#[cfg(test)]
pub(crate) struct Asked(mpsc::UnboundedReceiver<Request>);

#[cfg(test)]
impl Asked {
    /// A claimer whose requests are answered by hand.
    #[allow(clippy::disallowed_methods, reason = "as the claimer's own")]
    pub(crate) fn claimer() -> (Claimer, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Claimer(sender), Self(receiver))
    }

    /// The next request, which must be there.
    pub(crate) fn next(&mut self) -> (Wanted, oneshot::Sender<Answer>) {
        let request = self.0.try_recv().expect("rows were asked for");
        (request.wanted, request.answer)
    }

    /// Whether nothing was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Waits for one request and takes along what else is waiting.
async fn next_group(receiver: &mut mpsc::UnboundedReceiver<Request>) -> Option<Vec<Request>> {
    let first = receiver.recv().await?;
    let mut rows = first.wanted.room.total;
    let mut group = vec![first];
    while group.len() < ASKED_MAX && rows < ROWS_MAX {
        let Ok(next) = receiver.try_recv() else { break };
        rows += next.wanted.room.total;
        group.push(next);
    }
    Some(group)
}

/// Claims for a group, and answers each; says how many rows were found.
async fn claim(store: &Store, replica: ReplicaId, lasting: Duration, wake: &Wake, group: Vec<Request>) -> usize {
    let wanted: Vec<Wanted> = group.iter().map(|request| request.wanted).collect();
    let (asked_at, now) = (Instant::now(), store.now());
    match store.claim(replica, &wanted, lasting).await {
        Ok(claimed) => {
            let found = claimed.len();
            if !claimed.is_empty() {
                wake.note_work();
            }
            let mut by_channel: HashMap<ChannelId, Vec<Claimed>> = HashMap::new();
            for message in claimed {
                by_channel.entry(message.channel).or_default().push(message);
            }
            for request in group {
                let claimed = by_channel.remove(&request.wanted.lease.channel).unwrap_or_default();
                // A lane that is gone leaves its rows to lapse.
                drop(request.answer.send(Answer { claimed, asked_at, now }));
            }
            found
        }
        Err(error) => {
            tracing::warn!(%error, lanes = group.len(), "rows cannot be claimed");
            0
        }
    }
}
