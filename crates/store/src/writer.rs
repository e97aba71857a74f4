//! Group commit: accepts that arrive while a commit is in flight share the next one.
//!
//! There is no timer: a lone message is written at once, and the busier the machine, the larger the groups. The write
//! runs in a task of its own, so a client that goes away does not cancel it. A commit whose answer was lost is repeated
//! without what is there. One bad row never fails its neighbours.

use std::time::Duration;

use domain::planted::{self, Bug};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::accept::{Accepted, NewMessage};
use crate::client::Store;
use crate::durability::Durability;
use crate::error::Error;

/// Messages in one commit; more do not make it cheaper.
const COMMIT_MESSAGES_MAX: usize = 1000;
/// Commits in flight at once: while one waits for the disk another is being prepared.
const WRITERS: usize = 2;
/// Messages that make a commit of their own worth it while another is in flight; fewer wait for its end. A commit costs
/// the database as much as the inserts of 20 messages.
const COMMIT_MESSAGES_MIN: usize = 100;
/// How long they wait: a commit that takes longer waits for something else than the disk.
const TURN_MAX: Duration = Duration::from_millis(20);
/// Requests that may wait for a commit; past it a caller is told at once.
const WAITING_MAX: usize = 4096;
/// How long a caller waits: past it, it hears that nothing is known.
const ACCEPT_DEADLINE: Duration = Duration::from_secs(2);
/// Repetitions of a statement within the deadline.
const REPEATS_MAX: u32 = 3;
/// Before the first repetition; grows by as much with each.
const REPEAT_PAUSE: Duration = Duration::from_millis(50);

struct Request {
    messages: Vec<NewMessage>,
    deadline: Instant,
    answer: oneshot::Sender<Result<Vec<Accepted>, Error>>,
}

/// Takes accepts and answers each after its commit. Cheap to clone; the tasks end when the last one is dropped.
#[derive(Clone, Debug)]
pub struct AcceptWriter {
    sender: mpsc::Sender<Request>,
    durability: Durability,
}

impl AcceptWriter {
    /// Starts the writer's tasks.
    #[must_use]
    pub fn start(store: &Store) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(receiver));
        for _ in 0..WRITERS {
            let (store, receiver) = (store.clone(), receiver.clone());
            tokio::spawn(async move {
                loop {
                    let mut turn = receiver.lock().await;
                    let Some((group, size)) = next_group(&mut turn).await else { break };
                    let mut writing = std::pin::pin!(write(&store, group));
                    if size < COMMIT_MESSAGES_MIN && timeout(TURN_MAX, &mut writing).await.is_ok() {
                        continue;
                    }
                    drop(turn);
                    writing.await;
                }
            });
        }
        Self { sender, durability: store.database().durability().clone() }
    }

    /// Stores messages together: all of them in one commit, or none. Returns after the commit.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: surely not stored. [`Error::Unknown`]: perhaps stored; repeating with the same
    /// deduplication key tells.
    pub async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Accepted>, Error> {
        self.durability.check()?;
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + ACCEPT_DEADLINE;
        let count = messages.len();
        let request = Request { messages, deadline, answer };
        self.sender
            .try_send(request)
            .map_err(|_| Error::Unavailable("too many messages wait to be stored".to_owned()))?;
        if planted::is(Bug::AnswerBeforeCommit) {
            return Ok(vec![Accepted::New; count]);
        }
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::Unknown("the writer stopped".to_owned())),
            Err(_) => Err(Error::Unknown("not stored in time".to_owned())),
        }
    }
}

/// Waits for one request and takes along what else is waiting.
async fn next_group(receiver: &mut mpsc::Receiver<Request>) -> Option<(Vec<Request>, usize)> {
    let first = receiver.recv().await?;
    let mut size = first.messages.len();
    let mut group = vec![first];
    while size < COMMIT_MESSAGES_MAX {
        let Ok(next) = receiver.try_recv() else { break };
        size += next.messages.len();
        group.push(next);
    }
    Some((group, size))
}

async fn write(store: &Store, mut group: Vec<Request>) {
    // Who waited past the deadline has been told; writing for them would only delay the others.
    group.retain(|request| request.deadline > Instant::now());
    let sizes: Vec<usize> = group.iter().map(|request| request.messages.len()).collect();
    let messages: Vec<NewMessage> =
        group.iter_mut().flat_map(|request| std::mem::take(&mut request.messages)).collect();
    let Some(deadline) = group.iter().map(|request| request.deadline).max() else { return };
    store.metrics.accept_batch_size.observe(u32::try_from(messages.len()).map_or(f64::MAX, f64::from));
    let together = accept(store, &messages, deadline).await;
    let mut rest = messages.as_slice();
    for (request, size) in group.into_iter().zip(sizes) {
        let (own, others) = rest.split_at(size);
        let from = messages.len() - rest.len();
        let result = match &together {
            Ok(all) => Ok(all[from..from + size].to_vec()),
            Err(Error::Unavailable(text)) => Err(Error::Unavailable(text.clone())),
            Err(Error::Unknown(text)) => Err(Error::Unknown(text.clone())),
            // One of them is to blame; each on its own tells which.
            Err(_) => accept(store, own, request.deadline).await,
        };
        rest = others;
        // Whoever asked may be gone; the messages are stored all the same.
        drop(request.answer.send(result));
    }
}

/// Stores messages, repeating what may succeed or may have succeeded.
async fn accept(store: &Store, messages: &[NewMessage], deadline: Instant) -> Result<Vec<Accepted>, Error> {
    let mut perhaps_stored = false;
    let mut repeats = 0;
    loop {
        let error = match store.accept(messages).await {
            Ok(accepted) => return Ok(accepted),
            Err(Error::Unknown(text)) if planted::is(Bug::LostAnswerIsNotStored) => {
                return Err(Error::Unavailable(text));
            }
            Err(error) => error,
        };
        perhaps_stored |= matches!(error, Error::Unknown(_));
        repeats += 1;
        let pause = REPEAT_PAUSE * repeats;
        if !error.is_transient() || repeats > REPEATS_MAX || Instant::now() + pause >= deadline {
            return Err(if perhaps_stored && error.is_transient() { Error::Unknown(error.to_string()) } else { error });
        }
        tokio::time::sleep(pause).await;
    }
}
