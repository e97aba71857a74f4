//! The facts, found by what they are about.

use std::collections::{BTreeMap, HashMap};

use crate::chaos::facts::{Attempt, Call, Facts, Message, Waiting};
use crate::chaos::ledger::Line;

/// The facts by key, id and part.
pub(crate) struct Index<'a> {
    /// The message ids that answers named, by key.
    pub(crate) answers: BTreeMap<&'a str, Vec<&'a str>>,
    /// What was handed in: parts by key.
    pub(crate) offers: BTreeMap<&'a str, usize>,
    pub(crate) messages: HashMap<&'a str, &'a Message>,
    pub(crate) waiting: HashMap<&'a str, &'a Waiting>,
    /// Calls by part, in the order of their arrival.
    pub(crate) calls: BTreeMap<&'a str, Vec<&'a Call>>,
    /// Attempts by message and number of its part, in the order of their claims.
    pub(crate) attempts: BTreeMap<(&'a str, usize), Vec<&'a Attempt>>,
}

impl<'a> Index<'a> {
    pub(crate) fn of(facts: &'a Facts) -> Self {
        let mut index = Self {
            answers: BTreeMap::new(),
            offers: BTreeMap::new(),
            messages: facts.messages.iter().map(|message| (message.id.as_str(), message)).collect(),
            waiting: facts.waiting.iter().map(|row| (row.message.as_str(), row)).collect(),
            calls: BTreeMap::new(),
            attempts: BTreeMap::new(),
        };
        for line in &facts.ledger {
            match line {
                Line::Offered { key, parts, .. } => {
                    index.offers.insert(key, *parts);
                }
                Line::Accepted { key, message_id, .. } => index.answers.entry(key).or_default().push(message_id),
                Line::Refused { .. }
                | Line::Unclear { .. }
                | Line::Denied { .. }
                | Line::Cancel { .. }
                | Line::GivenUp { .. } => {}
            }
        }
        for call in &facts.calls {
            if let Some(part) = &call.part {
                index.calls.entry(part).or_default().push(call);
            }
        }
        for attempt in &facts.attempts {
            index.attempts.entry((&attempt.message, attempt.part)).or_default().push(attempt);
        }
        index.calls.values_mut().for_each(|calls| calls.sort_by_key(|call| call.at));
        index.attempts.values_mut().for_each(|attempts| attempts.sort_by_key(|attempt| attempt.claim));
        index
    }

    /// Calls of a part.
    pub(crate) fn calls_of(&self, part: &str) -> &[&'a Call] {
        self.calls.get(part).map(Vec::as_slice).unwrap_or_default()
    }

    /// Attempts of a message's part.
    pub(crate) fn attempts_of(&self, message: &'a str, part: usize) -> &[&'a Attempt] {
        self.attempts.get(&(message, part)).map(Vec::as_slice).unwrap_or_default()
    }
}
