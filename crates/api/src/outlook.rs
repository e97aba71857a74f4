//! When a message goes that waits behind others, and whether so many may wait.
//!
//! What is refused for it, what the 202 tells, what a dry run and an explanation show: all of it is decided here, by
//! `domain::forecast`. Pauses and closed gates are not part of what is refused.

use domain::fairness;
use domain::forecast::{Place, Queue, THOUSAND};
use domain::message::Lane;
use jiff::{SignedDuration, Timestamp};
use store::accept::NewMessage;
use store::backlog::{Backlog, SharedLimit};
use store::channel::ChannelSettings;

use crate::backlog::Seen;
use crate::errors::ApiError;
use crate::wire::response::instant;

/// Waits that are shorter are not worth telling of.
pub(crate) const WAIT_TOLD: SignedDuration = SignedDuration::from_secs(1);
/// A refused message may come again at the latest after so long: until then much may have changed.
const RETRY_AFTER_SECONDS_MAX: i64 = 300;

/// A message among those that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiter {
    pub(crate) lane: Lane,
    /// From when on it may go.
    pub(crate) due_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// What is to be expected for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outlook {
    /// When it goes.
    pub(crate) goes_at: Timestamp,
    /// Those that go before it and were due when they were counted.
    pub(crate) others: u64,
}

impl Outlook {
    /// Whether it waits for others, past the instant at which it may go.
    pub(crate) fn waits(&self, may_go_at: Timestamp) -> bool {
        self.goes_at.duration_since(may_go_at) >= WAIT_TOLD
    }
}

/// Why a message is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// Its turn comes past its validity.
    TooLate { goes_at: Timestamp, expires_at: Timestamp },
    /// As many wait as may.
    Limit { waiting: u64, limit: u32, per_second: u64 },
}

impl Full {
    /// Seconds until it would be taken, if nothing else changes.
    fn retry_after_seconds(&self) -> u32 {
        let seconds = match self {
            Self::TooLate { goes_at, expires_at } => goes_at.duration_since(*expires_at).as_secs() + 1,
            Self::Limit { waiting, limit, per_second } => {
                let surplus = waiting.saturating_sub(u64::from(*limit)) + 1;
                i64::try_from(surplus.div_ceil((*per_second).max(1))).unwrap_or(i64::MAX)
            }
        };
        u32::try_from(seconds.clamp(1, RETRY_AFTER_SECONDS_MAX)).unwrap_or(1)
    }
}

impl From<Full> for ApiError {
    fn from(full: Full) -> Self {
        let why = match full {
            Full::TooLate { goes_at, expires_at } => format!(
                "so many messages wait that this one would go about {}, and it is valid only until {}",
                instant(goes_at),
                instant(expires_at)
            ),
            Full::Limit { waiting, limit, .. } => {
                format!("{waiting} messages wait on the channel, and no more than {limit} may")
            }
        };
        Self::QueueFull { why, retry_after_seconds: full.retry_after_seconds() }
    }
}

/// Messages that a channel sends in a thousand seconds: at its own rate, or at its share of a limit.
pub(crate) fn rate_thousandths(settings: &ChannelSettings, limit: Option<&SharedLimit>) -> u64 {
    let own = u64::from(settings.messages_per_second) * THOUSAND;
    let share = |limit: &SharedLimit| {
        fairness::share(limit.rate_thousandths, fairness::Contender { rate: own, ..limit.own }, &limit.others)
    };
    limit.map_or(own, share)
}

impl Seen {
    /// What waits, as of an instant: what is due keeps waiting for one in the past, or until a gate opens.
    pub(crate) fn queue(&self, settings: &ChannelSettings) -> Queue {
        let due = std::array::from_fn(|lane| self.counted.due[lane] + self.since.due[lane]);
        let rate = rate_thousandths(settings, self.limit.as_deref());
        Queue { due, ..queue(&self.counted, rate) }
    }

    /// Messages that wait, all of them.
    pub(crate) fn waiting(&self) -> u64 {
        self.counted.waiting + self.since.sum()
    }

    /// What is to be expected for a new message.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(crate) fn admit(&self, settings: &ChannelSettings, waiter: &Waiter, now: Timestamp) -> Result<Outlook, Full> {
        let queue = self.queue(settings);
        let waiting = self.waiting();
        if waiting >= u64::from(settings.backlog_max) {
            let per_second = queue.rate_thousandths / THOUSAND;
            return Err(Full::Limit { waiting, limit: settings.backlog_max, per_second });
        }
        let outlook = expect(queue, waiter, now);
        let Waiter { due_at, expires_at, .. } = *waiter;
        if outlook.goes_at >= expires_at && due_at < expires_at {
            return Err(Full::TooLate { goes_at: outlook.goes_at, expires_at });
        }
        Ok(outlook)
    }

    /// What is to be expected for each of several new messages, of which each goes behind those before it. There is none for
    /// what is no new message, and for one that ends at once.
    ///
    /// # Errors
    /// Why one of them is not taken.
    pub(crate) fn admit_all<'a>(
        &self,
        settings: &ChannelSettings,
        messages: impl Iterator<Item = Option<&'a NewMessage>>,
        now: Timestamp,
    ) -> Result<Vec<Option<Outlook>>, Full> {
        let mut seen = self.clone();
        let mut outlooks = Vec::new();
        for message in messages {
            let Some(message) = message.filter(|message| message.rejected.is_none()) else {
                outlooks.push(None);
                continue;
            };
            let waiter = Waiter { lane: message.lane, due_at: message.due_at, expires_at: message.expires_at };
            outlooks.push(Some(seen.admit(settings, &waiter, now)?));
            seen.since.add(message.lane, message.due_at, now);
        }
        Ok(outlooks)
    }
}

/// What was counted of a channel that sends at a rate.
pub(crate) fn queue(counted: &Backlog, rate_thousandths: u64) -> Queue {
    let Backlog { seen_at, due, arrivals, .. } = counted;
    Queue { seen_at: *seen_at, rate_thousandths, due: *due, arrivals: arrivals.clone() }
}

/// When a message goes behind all that wait in its lane. As of an instant in the past they wait then as they do now.
pub(crate) fn expect(queue: Queue, waiter: &Waiter, now: Timestamp) -> Outlook {
    let queue = Queue { seen_at: queue.seen_at.min(now), ..queue };
    let others = queue.due[waiter.lane.index()];
    Outlook { goes_at: queue.turn(&Place { lane: waiter.lane, ahead: others, earliest: waiter.due_at }), others }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    #[test]
    fn a_refused_message_is_told_when_there_would_be_room() {
        let too_late = |goes_at, expires_at| Full::TooLate { goes_at: at(goes_at), expires_at: at(expires_at) };
        let limit = |waiting, limit, per_second| Full::Limit { waiting, limit, per_second };
        for (full, expected) in [
            (too_late(102, 60), 43),
            (too_late(60, 60), 1),
            (too_late(100_000, 60), 300),
            (limit(1_000_000, 1_000_000, 80), 1),
            (limit(1_000_400, 1_000_000, 80), 6),
            (limit(5, 1, 0), 5),
            (limit(u64::MAX, 1, 1), 300),
        ] {
            assert_eq!(full.retry_after_seconds(), expected, "{full:?}");
        }
    }

    #[test]
    fn what_waits_now_waits_at_an_instant_in_the_past_as_well() {
        let queue =
            || Queue { seen_at: at(1000), rate_thousandths: 10 * THOUSAND, due: [0, 100, 0], arrivals: Vec::new() };
        for (now, due_at, expected) in [(1000, 1000, 10), (10, 10, 10), (1000, 1500, 500)] {
            let waiter = Waiter { lane: Lane::Normal, due_at: at(due_at), expires_at: at(9999) };
            let outlook = expect(queue(), &waiter, at(now));
            assert_eq!((outlook.goes_at.as_second() - now, outlook.others), (expected, 100));
        }
    }
}
