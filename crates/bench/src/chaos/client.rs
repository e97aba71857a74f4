//! The ledger client: hands messages in at a fixed rate, each on disk before its first request, and again until it is
//! clear what became of it.
//!
//! It believes answers only, and takes any replica for as good as another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::clock;
use super::ledger::{Ledger, Line};
use super::order::{Orders, Request};

/// Waiting for an answer: longer than the gateway's own deadline, after which it says that it does not know.
const ANSWER_WAIT: Duration = Duration::from_secs(4);
/// Longer than a busy machine lets a listener of the judge's own wait.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// A message is handed in again for so long: longer than a server takes to recover from a crash.
const REPEAT_FOR: Duration = Duration::from_secs(60);
/// Between two times; doubles up to the longest.
pub(crate) const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);
/// What the text of an answer begins with that says so for sure (contract, section 2).
const NOT_STORED: &str = "Not stored";
/// Requests under way: as many as come in the time that a silent replica is waited for, and as many again.
const REQUESTS_MAX: usize = 2_000;

/// Where a channel's messages go in, and by which key.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// `/workspaces/…/channels/…`
    pub(crate) path: String,
    pub(crate) access_key: String,
}

/// What a client is made with.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Scheme and host of each replica.
    replicas: Arc<Vec<String>>,
    doors: Arc<Vec<Door>>,
    ledger: Ledger,
    /// Requests so far: they go to the replicas in turn.
    turn: Arc<AtomicUsize>,
}

/// Tells the client to stop. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Door {
    /// A message's name in the ledger: its key behind its workspace, for a key is the workspace's own.
    fn name_of(&self, key: &str) -> String {
        format!("{}/{key}", self.workspace())
    }

    /// The workspace's id.
    pub(crate) fn workspace(&self) -> &str {
        self.path.split('/').nth(2).unwrap_or_default()
    }
}

/// Messages that are handed in together, until it is clear what became of them.
struct Posting<'a> {
    door: &'a Door,
    path: &'a str,
    body: &'a str,
    /// Their names in the ledger.
    keys: &'a [String],
    /// Whether other requests hand them in at the same time: then who does not have them does not speak for all.
    is_echoed: bool,
}

/// What is known after one request.
enum Heard {
    /// The gateway has the messages: their ids.
    Has(Vec<String>),
    /// It does not take them.
    Refuses(u16, String),
    /// It may have them or not.
    Nothing(String),
    /// It says that it surely does not have them, and may be asked again.
    Denies(String),
}

impl Client {
    pub(crate) fn new(replicas: Vec<String>, doors: Vec<Door>, ledger: Ledger) -> Result<Self, String> {
        Ok(Self {
            http: http(ANSWER_WAIT)?,
            replicas: Arc::new(replicas),
            doors: Arc::new(doors),
            ledger,
            turn: Arc::default(),
        })
    }

    /// Hands messages in, as many a second as asked for, until it is told to stop; then waits until it is clear what
    /// became of each.
    pub(crate) async fn offer(&self, mut orders: Orders, rate: f64, stop: Stop) -> Result<(), String> {
        let room = Arc::new(Semaphore::new(REQUESTS_MAX));
        let mut posting: JoinSet<Result<(), String>> = JoinSet::new();
        let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while !stop.is_raised() {
            let request = orders.draw();
            for _ in &request.orders {
                ticks.tick().await;
            }
            let permit = room.clone().acquire_owned().await.map_err(|error| error.to_string())?;
            let client = self.clone();
            posting.spawn(async move { client.hand_in(request, permit).await });
            while let Some(done) = posting.try_join_next() {
                done.map_err(|error| error.to_string())??;
            }
        }
        while let Some(done) = posting.join_next().await {
            done.map_err(|error| error.to_string())??;
        }
        Ok(())
    }

    async fn hand_in(&self, request: Request, permit: OwnedSemaphorePermit) -> Result<(), String> {
        let now = clock::now();
        let door = self.doors.get(request.channel).ok_or("no such channel")?;
        let (mut bodies, mut lines, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for order in &request.orders {
            let body = order.request(now)?;
            let body_hash = Sha256::digest(body.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
            let key = door.name_of(&order.key);
            lines.push(Line::Offered { key: key.clone(), at: now, body_hash, parts: order.parts });
            keys.push(key);
            bodies.push(body);
        }
        self.ledger.keep(lines).await?;
        let (path, body) = match bodies.as_slice() {
            [one] => ("messages", one.to_string()),
            many => ("batch/messages", json!({ "messageRequests": many }).to_string()),
        };
        let path = format!("{}/{path}", door.path);
        let posting = Posting { door, path: &path, body: &body, keys: &keys, is_echoed: request.is_echoed };
        let ids = if request.is_echoed {
            let again = || self.until_clear(&posting);
            tokio::try_join!(again(), again(), again())?.0
        } else {
            self.until_clear(&posting).await?
        };
        drop(permit);
        for ((order, key), id) in request.orders.iter().zip(keys).zip(ids) {
            if let Some(pause) = order.cancelled_after {
                sleep(pause).await;
                self.cancel(door, key, &id).await?;
            }
        }
        Ok(())
    }

    /// Answers the ids, if the gateway has the messages.
    async fn until_clear(&self, posting: &Posting<'_>) -> Result<Vec<String>, String> {
        let (began, mut pause) = (Instant::now(), PAUSE_FIRST);
        loop {
            let asked_at = clock::now();
            let heard = self.post(posting).await;
            let at = clock::now();
            let took = at - asked_at;
            let lines = |line: &dyn Fn(String) -> Line| posting.keys.iter().cloned().map(line).collect::<Vec<_>>();
            let open = match heard {
                Heard::Has(ids) => {
                    let both = posting.keys.iter().cloned().zip(ids.iter().cloned());
                    self.ledger.note(both.map(|(key, message_id)| Line::Accepted { key, at, message_id }).collect())?;
                    return Ok(ids);
                }
                Heard::Refuses(status, text) => {
                    self.ledger.note(lines(&|key| Line::Refused { key, at, status, text: text.clone() }))?;
                    return Ok(Vec::new());
                }
                Heard::Denies(text) if !posting.is_echoed => {
                    lines(&|key| Line::Denied { key, at, text: text.clone(), took })
                }
                Heard::Denies(why) | Heard::Nothing(why) => {
                    lines(&|key| Line::Unclear { key, at, why: why.clone(), took })
                }
            };
            self.ledger.note(open)?;
            if began.elapsed() + pause >= REPEAT_FOR {
                self.ledger.note(lines(&|key| Line::GivenUp { key, at }))?;
                return Ok(Vec::new());
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// Cancels a message; asked once, whatever comes of it.
    async fn cancel(&self, door: &Door, key: String, id: &str) -> Result<(), String> {
        let Some(replica) = self.next_replica() else { return Ok(()) };
        let asking = self
            .http
            .delete(format!("{replica}{}/messages/{id}", door.path))
            .header("authorization", format!("AccessKey {}", door.access_key));
        match asking.send().await {
            Ok(answer) => {
                self.ledger.note(vec![Line::Cancel { key, at: clock::now(), status: answer.status().as_u16() }])
            }
            // Nothing is known of it, which is no answer to be checked.
            Err(_) => Ok(()),
        }
    }

    fn next_replica(&self) -> Option<&str> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.replicas.get(turn % self.replicas.len().max(1)).map(String::as_str)
    }

    async fn post(&self, posting: &Posting<'_>) -> Heard {
        let Some(replica) = self.next_replica() else { return Heard::Nothing("no replica".to_owned()) };
        let request = self
            .http
            .post(format!("{replica}{}", posting.path))
            .header("authorization", format!("AccessKey {}", posting.door.access_key))
            .header("content-type", "application/json")
            .body(posting.body.to_owned());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Heard::Nothing("not connected".to_owned()),
            Err(error) if error.is_timeout() => return Heard::Nothing("no answer in time".to_owned()),
            Err(_) => return Heard::Nothing("cut".to_owned()),
        };
        let status = answer.status().as_u16();
        let Ok(text) = answer.text().await else { return Heard::Nothing("cut answer".to_owned()) };
        match status {
            202 => ids(&text, posting.keys.len()).map_or_else(|| Heard::Refuses(202, text), Heard::Has),
            408 | 429 | 500.. if denies(&text) => Heard::Denies(format!("status {status}")),
            // 408: the request did not come whole in time, on a busy machine.
            408 | 429 | 500.. => Heard::Nothing(format!("status {status}")),
            _ => Heard::Refuses(status, text),
        }
    }
}

/// Whether an answer says that nothing was stored.
fn denies(text: &str) -> bool {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    body["message"].as_str().is_some_and(|message| message.starts_with(NOT_STORED))
}

/// The ids that an answer names: of one message, or of a batch whose messages were all taken.
fn ids(text: &str, count: usize) -> Option<Vec<String>> {
    let body: Value = serde_json::from_str(text).ok()?;
    if let Some(id) = body["id"].as_str() {
        return (count == 1).then(|| vec![id.to_owned()]);
    }
    let results = body["results"].as_array()?;
    let taken = results.iter().all(|result| result["status"] != "rejected");
    let ids: Option<Vec<String>> = results.iter().map(|result| result["id"].as_str().map(str::to_owned)).collect();
    ids.filter(|ids| taken && ids.len() == count)
}

/// A client that does nothing by itself.
#[allow(clippy::disallowed_methods, reason = "the judge is a client of its own")]
pub(crate) fn http(answer_wait: Duration) -> Result<reqwest::Client, String> {
    // Installed by an earlier client of this process: as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = reqwest::Client::builder().no_proxy().tcp_nodelay(true).retry(reqwest::retry::never());
    builder.connect_timeout(CONNECT_WAIT).timeout(answer_wait).build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_denies_only_what_it_says_is_not_stored() {
        assert!(denies(r#"{"code":"Unavailable","message":"Not stored: the database is unavailable."}"#));
        assert!(!denies(
            r#"{"code":"Unavailable","message":"The database gave no answer, the message may have been stored"}"#
        ));
        assert!(!denies("cut"));
    }

    #[test]
    fn a_key_is_named_behind_its_workspace() {
        let door = Door { path: "/workspaces/w-1/channels/c-1".to_owned(), access_key: String::new() };
        assert_eq!(door.name_of("k-1"), "w-1/k-1");
    }

    #[test]
    fn an_answer_counts_only_when_it_names_every_message() {
        let check = |text: &str, count, expected: Option<&[&str]>| {
            let expected = expected.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
            assert_eq!(ids(text, count), expected, "{text}");
        };
        check(r#"{"id":"a"}"#, 1, Some(&["a"]));
        check(r#"{"id":"a"}"#, 2, None);
        let batch = r#"{"results":[{"id":"a","status":"accepted"},{"id":"b","status":"scheduled"}]}"#;
        check(batch, 2, Some(&["a", "b"]));
        check(batch, 3, None);
        check(r#"{"results":[{"id":"a","status":"rejected"}]}"#, 1, None);
        check("cut", 1, None);
    }
}
