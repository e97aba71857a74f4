//! The message ids seen: how often each came, and the first result it got.
//!
//! This is the simulated provider's deduplication. It forgets the oldest ids beyond its size, which
//! is the ledger's, so an id is only forgotten in a run whose ledger has dropped entries too.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Result of the first send that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct First {
    /// The `data.messageId` it was answered with.
    pub(crate) message_id: Arc<str>,
    /// The WhatsApp id it got.
    pub(crate) wa_id: Arc<str>,
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
