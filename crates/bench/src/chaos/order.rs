//! What is handed in: the requests of a run, all drawn from its seed.

use std::time::Duration;

use serde_json::{Value, json};

use super::clock;
use super::dice::Dice;

/// Beginning of a recipient's number; five digits follow.
const RECIPIENT_PREFIX: &str = "+2547120";
const RECIPIENTS: usize = 100_000;
/// Messages of a batch.
const BATCH: std::ops::RangeInclusive<usize> = 2..=8;
/// How far ahead a scheduled message is.
const AHEAD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(6));
/// Seconds of a short validity.
const VALIDITY_SECONDS: std::ops::RangeInclusive<usize> = 2..=5;
/// Requests of each kind in a hundred; the rest are single messages.
const BATCHES: usize = 4;
const SCHEDULED: usize = 12;
const TWO_PARTS: usize = 12;
const SHORT_LIVED: usize = 6;
/// Where the requested time goes: it is written when the message is first handed in.
const AHEAD_FIELD: &str = "scheduledFor";

/// One message to hand in.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Order {
    /// Its `messageId`.
    pub(crate) key: String,
    /// Its request, without a time.
    body: Value,
    /// Calls it leads to.
    pub(crate) parts: usize,
    /// Requested time, from when it is handed in.
    ahead: Option<Duration>,
}

impl Order {
    /// The request as it is handed in now, and each time again.
    pub(crate) fn request(&self, now: i64) -> Result<Value, String> {
        let mut body = self.body.clone();
        if let Some(ahead) = self.ahead {
            let micros = i64::try_from(ahead.as_micros()).map_err(|error| error.to_string())?;
            body[AHEAD_FIELD] = json!(clock::text(now.saturating_add(micros))?);
        }
        Ok(body)
    }
}

/// Messages that go in with one request, by one channel.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Request {
    /// The channel, by its place among those of the stage.
    pub(crate) channel: usize,
    /// One, or a batch.
    pub(crate) orders: Vec<Order>,
}

/// Draws requests.
#[derive(Debug)]
pub(crate) struct Orders {
    dice: Dice,
    channels: usize,
    next: usize,
    /// Whether texts name the channel, for rules of the upstream.
    mix: Mix,
}

/// Which kinds there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mix {
    /// All.
    Varied,
    /// Single texts that wait long enough for anything.
    Plain,
}

impl Orders {
    pub(crate) fn of(seed: u64, channels: usize, mix: Mix) -> Self {
        Self { dice: Dice::of(seed, "orders"), channels, next: 0, mix }
    }

    /// The next request.
    pub(crate) fn draw(&mut self) -> Request {
        let channel = self.dice.below(self.channels);
        let kind = match self.mix {
            Mix::Varied => self.dice.below(100),
            Mix::Plain => usize::MAX,
        };
        let count = if kind < BATCHES { BATCH.start() + self.dice.below(BATCH.count()) } else { 1 };
        let kind = kind.saturating_sub(BATCHES);
        let orders = (0..count).map(|_| self.order(channel, kind)).collect();
        Request { channel, orders }
    }

    fn order(&mut self, channel: usize, kind: usize) -> Order {
        let key = format!("chaos-{:06}", self.next);
        self.next += 1;
        let recipient = format!("{RECIPIENT_PREFIX}{:05}", self.dice.below(RECIPIENTS));
        let text = format!("{} {key}: your order is on its way.", mark(channel));
        let mut body = json!({
            "messageId": key, "receiver": { "contacts": [{ "identifierValue": recipient }] },
            "body": { "type": "text", "text": { "text": text } }
        });
        let (mut parts, mut ahead) = (1, None);
        if kind < SCHEDULED {
            ahead = Some(self.dice.between(AHEAD.0, AHEAD.1));
        } else if kind < SCHEDULED + TWO_PARTS {
            let url = |name: &str| json!({ "mediaUrl": format!("https://cdn.example.org/{key}-{name}.jpg") });
            let images = [url("a"), url("b")];
            body["body"] = json!({ "type": "image", "image": { "text": text, "images": images } });
            parts = 2;
        } else if kind < SCHEDULED + TWO_PARTS + SHORT_LIVED {
            body["validity"] = json!(VALIDITY_SECONDS.start() + self.dice.below(VALIDITY_SECONDS.count()));
        }
        Order { key, body, parts, ahead }
    }
}

/// What texts of a channel begin with.
pub(crate) fn mark(channel: usize) -> String {
    format!("[{channel}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, mix: Mix) -> Vec<Request> {
        let mut orders = Orders::of(seed, 4, mix);
        (0..1_000).map(|_| orders.draw()).collect()
    }

    #[test]
    fn the_same_seed_hands_in_the_same() {
        assert_eq!(drawn(3, Mix::Varied), drawn(3, Mix::Varied));
        assert_ne!(drawn(3, Mix::Varied), drawn(4, Mix::Varied));
    }

    #[test]
    fn all_kinds_come_and_no_key_twice() {
        let all = drawn(3, Mix::Varied);
        let orders: Vec<&Order> = all.iter().flat_map(|request| &request.orders).collect();
        let mut keys: Vec<&str> = orders.iter().map(|order| order.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), orders.len());
        assert!(all.iter().any(|request| request.orders.len() > 1));
        assert!(orders.iter().any(|order| order.parts == 2));
        assert!(orders.iter().any(|order| order.body.get("validity").is_some()));
        assert!(orders.iter().any(|order| order.ahead.is_some()));
        assert!(drawn(3, Mix::Plain).iter().all(|request| request.orders.len() == 1));
    }

    #[test]
    fn a_scheduled_request_names_its_time_from_when_it_is_handed_in() {
        let all = drawn(3, Mix::Varied);
        let ahead = all.iter().flat_map(|request| &request.orders).find(|order| order.ahead.is_some());
        let request = ahead.expect("one").request(1_800_000_000_000_000).expect("a request");
        assert!(request[AHEAD_FIELD].as_str().is_some_and(|text| text.starts_with("2027-01-15T08:00:0")), "{request}");
    }
}
