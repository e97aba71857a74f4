//! The message ids seen: how often each came, and the first result it got.
//!
//! This is the simulated provider's deduplication. It forgets the oldest ids beyond its size, which
//! is the ledger's, so an id is only forgotten in a run whose ledger has dropped entries too.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

/// Result of the first send that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct First {
    /// The `data.messageId` it was answered with.
    pub(crate) message_id: Arc<str>,
    /// The WhatsApp id it got.
    pub(crate) wa_id: Arc<str>,
    /// When it was accepted.
    pub(crate) at: Timestamp,
}

#[derive(Debug, Default)]
struct Seen {
    attempts: u64,
    first: Option<First>,
}

/// The ids seen.
#[derive(Debug)]
pub(crate) struct Known {
    max: usize,
    seen: HashMap<Arc<str>, Seen>,
    order: VecDeque<Arc<str>>,
}

impl Known {
    /// An empty memory for `max` ids.
    pub(crate) fn new(max: usize) -> Self {
        Self { max: max.max(1), seen: HashMap::new(), order: VecDeque::new() }
    }

    /// Counts a request with this id and returns which attempt it is, from 1.
    pub(crate) fn count(&mut self, id: &str) -> u64 {
        if !self.seen.contains_key(id) {
            self.insert(id);
        }
        let Some(seen) = self.seen.get_mut(id) else {
            return 1;
        };
        seen.attempts += 1;
        seen.attempts
    }

    /// Notes a result from before, as if its request had been counted.
    pub(crate) fn restore(&mut self, id: &str, result: First) {
        self.count(id);
        self.accept(id, result);
    }

    /// Forgets a result that was accepted before an instant.
    pub(crate) fn lapse(&mut self, id: &str, before: Timestamp) {
        if let Some(seen) = self.seen.get_mut(id)
            && seen.first.as_ref().is_some_and(|first| first.at < before)
        {
            seen.first = None;
        }
    }

    /// The result of the send of this id that was accepted first.
    pub(crate) fn first(&self, id: &str) -> Option<&First> {
        self.seen.get(id)?.first.as_ref()
    }

    /// Keeps the result of an accepted send, unless an earlier one is known.
    pub(crate) fn accept(&mut self, id: &str, result: First) {
        if let Some(seen) = self.seen.get_mut(id) {
            seen.first.get_or_insert(result);
        }
    }

    fn insert(&mut self, id: &str) {
        if self.order.len() >= self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        let id: Arc<str> = id.into();
        self.order.push_back(Arc::clone(&id));
        self.seen.insert(id, Seen::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_lapses_when_it_is_older_than_asked_for() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let mut known = Known::new(10);
        known.restore("m-1", First { message_id: "m-1".into(), wa_id: "w-1".into(), at: at(100) });
        known.lapse("m-1", at(100));
        assert!(known.first("m-1").is_some());
        known.lapse("m-1", at(101));
        assert!(known.first("m-1").is_none());
        assert_eq!(known.count("m-1"), 2, "what came before still counts");
    }
}
