//! The script in force, with how often each of its rules was used.
//!
//! Draws are seeded: they depend on the rule's seed, the message id and the attempt number only, so
//! that a run repeats whatever the order in which its requests arrive.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::answer::Answer;
use crate::behaviour::text;
use crate::request::Request;
use crate::rule::{Match, Rule};
use crate::script::Script;
use crate::settings::digits;

/// Fields that may hold a message's text.
const TEXT_FIELDS: [&str; 4] = ["message", "text", "body", "caption"];

/// A script at work.
#[derive(Debug, Default)]
pub(crate) struct Rulebook {
    pub(crate) script: Script,
    /// For each rule, the requests it was applied to.
    used: Vec<u64>,
}

impl Rulebook {
    /// Puts a script in force.
    pub(crate) fn new(script: Script) -> Self {
        let used = vec![0; script.rules.len()];
        Self { script, used }
    }

    /// The answer of the first rule that applies; its use is counted.
    pub(crate) fn choose(&mut self, request: &Request, body: Option<&Value>, attempt: u64) -> Option<Answer> {
        let rules = self.script.rules.iter().zip(&mut self.used);
        for (rule, used) in rules {
            let has_times_left = rule.times.is_none_or(|times| *used < times);
            if has_times_left && matches(&rule.matches, request, body) && draw(rule, body, attempt) {
                *used += 1;
                return Some(rule.answer.clone());
            }
        }
        None
    }
}

fn matches(wanted: &Match, request: &Request, body: Option<&Value>) -> bool {
    let field = |name| body.and_then(|body| text(body, name));
    let path = wanted.path.as_ref().is_none_or(|path| *path == request.path);
    let to = wanted.to.as_deref().is_none_or(|to| field("to").is_some_and(|got| digits(got) == digits(to)));
    let id = wanted.message_id.as_deref().is_none_or(|id| field("messageId") == Some(id));
    let text = wanted
        .text_contains
        .as_deref()
        .is_none_or(|part| TEXT_FIELDS.iter().any(|name| field(name).is_some_and(|text| text.contains(part))));
    path && to && id && text
}

fn draw(rule: &Rule, body: Option<&Value>, attempt: u64) -> bool {
    let Some(probability) = rule.probability else {
        return true;
    };
    let id = body.and_then(|body| text(body, "messageId")).unwrap_or_default();
    fraction(rule.seed.unwrap_or(0), id, attempt) < probability
}

/// A number from 0 to below 1 that looks drawn, but is always the same for the same input.
fn fraction(seed: u64, id: &str, attempt: u64) -> f64 {
    let digest =
        Sha256::new().chain_update(seed.to_be_bytes()).chain_update(attempt.to_be_bytes()).chain_update(id).finalize();
    let top = digest.iter().take(4).fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_are_spread_evenly() {
        let hits = |seed| (0..10_000).filter(|id| fraction(seed, &id.to_string(), 1) < 0.3).count();
        assert_eq!(hits(7), hits(7));
        assert!((2_800..3_200).contains(&hits(7)), "{}", hits(7));
        assert_ne!(fraction(7, "a", 1), fraction(7, "a", 2));
        assert_ne!(fraction(7, "a", 1), fraction(8, "a", 1));
    }
}
