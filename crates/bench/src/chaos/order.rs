//! What is handed in: the requests of a run, all drawn from its seed.

use std::time::Duration;

use serde_json::{Value, json};

use super::clock;
use super::dice::Dice;

/// How keys begin, and how many digits follow at least.
pub(crate) const KEY_PREFIX: &str = "chaos-";
pub(crate) const KEY_DIGITS: usize = 6;
/// Beginning of a recipient's number; five digits follow.
const RECIPIENT_PREFIX: &str = "+2547120";
const RECIPIENTS: usize = 100_000;
/// Messages of a batch.
const BATCH: std::ops::RangeInclusive<usize> = 2..=8;
/// How far ahead a scheduled message is.
const AHEAD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(6));
/// Seconds of a short validity.
const VALIDITY_SECONDS: std::ops::RangeInclusive<usize> = 2..=5;
/// Seconds of validity where all are brief: longer than a call and its repetitions, shorter than the wait at the end.
const BRIEF_SECONDS: usize = 40;
/// Requests of each kind in a hundred; the rest are single messages.
const BATCHES: usize = 4;
const SCHEDULED: usize = 12;
const TWO_PARTS: usize = 12;
const SHORT_LIVED: usize = 6;
/// Of a hundred requests of single messages: handed in at all replicas at once; followed by another message under the same
/// `messageId` in the other workspace; cancelled a moment after they were taken.
const ECHOED: usize = 3;
const TWINNED: usize = 3;
const CANCELLED: usize = 8;
/// When a message is cancelled after it was taken: while it is being sent, mostly.
const CANCELLED_AFTER: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(120));
/// Of the requests, where one workspace has a backlog: one in so many goes to the one channel of the other.
const QUIET_SHARE: usize = 7;
/// That channel.
pub(crate) const QUIET_CHANNEL: usize = 1;
/// How far ahead the message is that ends whoever sends it: there is time to prepare it.
const POISON_AHEAD: Duration = Duration::from_secs(8);
/// What its text holds.
pub(crate) const POISON: &str = "(poison)";
/// Its `messageId`.
pub(crate) const POISON_KEY: &str = "chaos-000000";
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
    /// It is cancelled so long after it was taken.
    pub(crate) cancelled_after: Option<Duration>,
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
    /// Whether it goes to all replicas at once.
    pub(crate) is_echoed: bool,
}

/// Draws requests.
#[derive(Debug)]
pub(crate) struct Orders {
    dice: Dice,
    channels: usize,
    next: usize,
    mix: Mix,
    /// What comes next: another message under the `messageId` of the last one.
    twin: Option<Request>,
}

/// Which kinds there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mix {
    /// All.
    Varied,
    /// Single texts that wait long enough for anything.
    Plain,
    /// As `Varied`, each by one request at a time, under a key that no other has, and none is cancelled.
    Once,
    /// Single texts that are valid for long enough to be sent, and no longer than a run.
    Brief,
    /// Single texts that are valid for some seconds.
    ShortLived,
    /// As `Plain`, nearly all of them by the channels of one workspace.
    Lopsided,
    /// As `Plain`, and the first of them ends whoever sends it.
    Poisoned,
}

impl Mix {
    /// Whether what it is about stays when fewer come.
    pub(crate) fn may_be_slower(self) -> bool {
        match self {
            Self::Varied | Self::Once | Self::Brief => true,
            Self::Plain | Self::ShortLived | Self::Lopsided | Self::Poisoned => false,
        }
    }
}

impl Orders {
    pub(crate) fn of(seed: u64, channels: usize, mix: Mix) -> Self {
        Self { dice: Dice::of(seed, "orders"), channels, next: 0, mix, twin: None }
    }

    /// The next request.
    pub(crate) fn draw(&mut self) -> Request {
        if let Some(twin) = self.twin.take() {
            return twin;
        }
        let channel = self.channel();
        let kind = match self.mix {
            Mix::Varied | Mix::Once => self.dice.below(100),
            Mix::ShortLived => BATCHES + SCHEDULED + TWO_PARTS,
            Mix::Plain | Mix::Brief | Mix::Lopsided | Mix::Poisoned => usize::MAX,
        };
        let count = if kind < BATCHES { BATCH.start() + self.dice.below(BATCH.count()) } else { 1 };
        let kind = kind.saturating_sub(BATCHES);
        let orders = (0..count).map(|_| self.order(channel, kind)).collect();
        let mut request = Request { channel, orders, is_echoed: false };
        if self.mix == Mix::Varied && count == 1 {
            self.complicate(&mut request);
        }
        request
    }

    fn channel(&mut self) -> usize {
        match self.mix {
            Mix::Varied | Mix::Once | Mix::Plain | Mix::Brief | Mix::ShortLived | Mix::Poisoned => {
                self.dice.below(self.channels)
            }
            Mix::Lopsided if self.dice.below(QUIET_SHARE) == 0 => QUIET_CHANNEL,
            // The even ones are of one workspace.
            Mix::Lopsided => self.dice.below(self.channels / 2) * 2,
        }
    }

    /// What happens to some single messages besides.
    fn complicate(&mut self, request: &mut Request) {
        let kind = self.dice.below(100);
        let other = request.channel ^ 1;
        let Some(order) = request.orders.first_mut() else { return };
        if kind < ECHOED {
            request.is_echoed = true;
        } else if kind < ECHOED + TWINNED && other < self.channels {
            let mut twin = order.clone();
            twin.body["body"] = json!({ "type": "text", "text": { "text": format!("{} as well", mark(other)) } });
            twin.parts = 1;
            self.twin = Some(Request { channel: other, orders: vec![twin], is_echoed: false });
        } else if kind < ECHOED + TWINNED + CANCELLED {
            order.cancelled_after = Some(self.dice.between(CANCELLED_AFTER.0, CANCELLED_AFTER.1));
        }
    }

    fn order(&mut self, channel: usize, kind: usize) -> Order {
        let key = format!("{KEY_PREFIX}{:0KEY_DIGITS$}", self.next);
        self.next += 1;
        let recipient = format!("{RECIPIENT_PREFIX}{:05}", self.dice.below(RECIPIENTS));
        let is_poison = self.mix == Mix::Poisoned && key == POISON_KEY;
        let poison = if is_poison { POISON } else { "" };
        let text = format!("{} {key}: your order is on its way. {poison}", mark(channel));
        let mut body = json!({
            "messageId": key, "receiver": { "contacts": [{ "identifierValue": recipient }] },
            "body": { "type": "text", "text": { "text": text } }
        });
        if self.mix == Mix::Brief {
            body["validity"] = json!(BRIEF_SECONDS);
        }
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
        let ahead = if is_poison { Some(POISON_AHEAD) } else { ahead };
        Order { key, body, parts, ahead, cancelled_after: None }
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
        let of_workspace = |request: &Request, order: &Order| (request.channel % 2, order.key.clone());
        let keys = all.iter().flat_map(|request| request.orders.iter().map(|order| of_workspace(request, order)));
        let mut keys: Vec<(usize, String)> = keys.collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), orders.len());
        keys.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        keys.dedup_by(|a, b| a.1 == b.1);
        assert!(keys.len() < orders.len(), "some come in both workspaces");
        assert!(all.iter().any(|request| request.is_echoed));
        assert!(orders.iter().any(|order| order.cancelled_after.is_some()));
        assert!(all.iter().any(|request| request.orders.len() > 1));
        assert!(orders.iter().any(|order| order.parts == 2));
        assert!(orders.iter().any(|order| order.body.get("validity").is_some()));
        assert!(orders.iter().any(|order| order.ahead.is_some()));
        assert!(drawn(3, Mix::Plain).iter().all(|request| request.orders.len() == 1));
        let brief = drawn(3, Mix::Brief);
        assert!(brief.iter().flat_map(|request| &request.orders).all(|order| order.body["validity"] == BRIEF_SECONDS));
    }

    #[test]
    fn a_mix_has_what_it_is_named_for() {
        let brief = drawn(3, Mix::ShortLived);
        assert!(brief.iter().flat_map(|request| &request.orders).all(|order| order.body.get("validity").is_some()));
        let once = drawn(3, Mix::Once);
        let mut keys: Vec<&str> = once.iter().flat_map(|one| &one.orders).map(|order| order.key.as_str()).collect();
        keys.dedup();
        assert_eq!(keys.len(), once.iter().map(|one| one.orders.len()).sum::<usize>());
        assert!(keys.is_sorted() && once.iter().all(|one| !one.is_echoed && one.orders[0].cancelled_after.is_none()));
        let lopsided = drawn(3, Mix::Lopsided);
        let quiet = lopsided.iter().filter(|request| request.channel == QUIET_CHANNEL).count();
        assert!((100..200).contains(&quiet) && lopsided.iter().all(|one| one.channel % 2 == 0 || one.channel == 1));
        let poisoned = drawn(3, Mix::Poisoned);
        let is_poison = |request: &&Request| request.orders[0].body.to_string().contains(POISON);
        assert!(poisoned.iter().filter(is_poison).all(|request| request.orders[0].key == POISON_KEY));
        assert_eq!(poisoned.iter().filter(is_poison).count(), 1);
    }

    #[test]
    fn a_scheduled_request_names_its_time_from_when_it_is_handed_in() {
        let all = drawn(3, Mix::Varied);
        let ahead = all.iter().flat_map(|request| &request.orders).find(|order| order.ahead.is_some());
        let request = ahead.expect("one").request(1_800_000_000_000_000).expect("a request");
        assert!(request[AHEAD_FIELD].as_str().is_some_and(|text| text.starts_with("2027-01-15T08:00:0")), "{request}");
    }
}
