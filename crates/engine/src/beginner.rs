//! Noting that calls begin, for channels that hold what may have been sent: what gathered while the last statement was under
//! way goes into the next.

use std::collections::HashSet;

use domain::id::MessageId;
use store::Store;
use store::begin::Beginning;
use tokio::sync::{mpsc, oneshot};

use crate::gather::gather;

/// Calls in one statement.
const CALLS_MAX: usize = 500;

struct Request {
    call: Beginning,
    answer: oneshot::Sender<bool>,
}

/// Takes calls that are about to begin. Cheap to clone; the task ends when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Beginner(mpsc::UnboundedSender<Request>);

impl Beginner {
    /// Starts the beginner's task.
    #[allow(clippy::disallowed_methods, reason = "each request holds one of the process's calls, which are bounded")]
    pub(crate) fn start(store: Store) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut requests = Vec::new();
            while receiver.recv_many(&mut requests, CALLS_MAX).await > 0 {
                let rows = requests.len();
                note(&store, &mut requests).await;
                gather(rows).await;
            }
        });
        Self(sender)
    }

    /// Notes that a call begins; `false` when it must not: its claim is superseded, or that cannot be known.
    pub(crate) async fn begin(&self, call: Beginning) -> bool {
        let (answer, answered) = oneshot::channel();
        // The task lives as long as there is a sender.
        drop(self.0.send(Request { call, answer }));
        answered.await.unwrap_or(false)
    }
}

/// Notes calls, and answers each.
async fn note(store: &Store, requests: &mut Vec<Request>) {
    let calls: Vec<Beginning> = requests.iter().map(|request| request.call).collect();
    let standing: HashSet<(MessageId, i64)> = match store.begin(&calls).await {
        Ok(standing) => standing.into_iter().collect(),
        Err(error) => {
            tracing::warn!(%error, calls = calls.len(), "that calls begin cannot be noted: they do not");
            HashSet::new()
        }
    };
    for Request { call, answer } in requests.drain(..) {
        let may_begin = standing.contains(&(call.message, call.claim));
        if answer.send(may_begin).is_err() {
            tracing::debug!(message = %call.message, "who asked is gone with its lane: nothing begins");
        }
    }
}
