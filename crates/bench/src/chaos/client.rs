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
const CONNECT_WAIT: Duration = Duration::from_secs(1);
/// A message is handed in again for so long: longer than a server takes to recover from a crash.
const REPEAT_FOR: Duration = Duration::from_secs(60);
/// Between two times; doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);
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

/// What is known after one request.
enum Heard {
    /// The gateway has the messages: their ids.
    Has(Vec<String>),
    /// It does not take them.
    Refuses(u16, String),
    /// It may have them or not.
    Nothing(String),
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
        let (mut bodies, mut lines) = (Vec::new(), Vec::new());
        for order in &request.orders {
            let body = order.request(now)?;
            let body_hash = Sha256::digest(body.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push(Line::Offered { key: order.key.clone(), at: now, body_hash, parts: order.parts });
            bodies.push(body);
        }
        self.ledger.keep(lines).await?;
        let door = self.doors.get(request.channel).ok_or("no such channel")?;
        let (path, body) = match bodies.as_slice() {
            [one] => ("messages", one.to_string()),
            many => ("batch/messages", json!({ "messageRequests": many }).to_string()),
        };
        let keys: Vec<&str> = request.orders.iter().map(|order| order.key.as_str()).collect();
        self.until_clear(door, &format!("{}/{path}", door.path), &body, &keys).await?;
        drop(permit);
        Ok(())
    }

    async fn until_clear(&self, door: &Door, path: &str, body: &str, keys: &[&str]) -> Result<(), String> {
        let (began, mut pause) = (Instant::now(), PAUSE_FIRST);
        loop {
            let heard = self.post(door, path, body, keys.len()).await;
            let at = clock::now();
            let own = |key: &&str| (*key).to_owned();
            let lines = match heard {
                Heard::Has(ids) => {
                    let both = keys.iter().zip(ids);
                    both.map(|(key, message_id)| Line::Accepted { key: own(key), at, message_id }).collect()
                }
                Heard::Refuses(status, text) => {
                    keys.iter().map(|key| Line::Refused { key: own(key), at, status, text: text.clone() }).collect()
                }
                Heard::Nothing(why) => {
                    let unclear =
                        keys.iter().map(|key| Line::Unclear { key: own(key), at, why: why.clone() }).collect();
                    self.ledger.note(unclear)?;
                    if began.elapsed() + pause < REPEAT_FOR {
                        sleep(pause).await;
                        pause = (pause * 2).min(PAUSE_LONGEST);
                        continue;
                    }
                    keys.iter().map(|key| Line::GivenUp { key: own(key), at }).collect()
                }
            };
            return self.ledger.note(lines);
        }
    }

    async fn post(&self, door: &Door, path: &str, body: &str, count: usize) -> Heard {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(replica) = self.replicas.get(turn % self.replicas.len().max(1)) else {
            return Heard::Nothing("no replica".to_owned());
        };
        let posting = self
            .http
            .post(format!("{replica}{path}"))
            .header("authorization", format!("AccessKey {}", door.access_key))
            .header("content-type", "application/json")
            .body(body.to_owned());
        let answer = match posting.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Heard::Nothing("not connected".to_owned()),
            Err(error) if error.is_timeout() => return Heard::Nothing("no answer in time".to_owned()),
            Err(_) => return Heard::Nothing("cut".to_owned()),
        };
        let status = answer.status().as_u16();
        let Ok(text) = answer.text().await else { return Heard::Nothing("cut answer".to_owned()) };
        match status {
            202 => ids(&text, count).map_or_else(|| Heard::Refuses(202, text), Heard::Has),
            429 | 500.. => Heard::Nothing(format!("status {status}")),
            _ => Heard::Refuses(status, text),
        }
    }
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
