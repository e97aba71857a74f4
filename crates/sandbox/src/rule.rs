//! Rules: which request gets which fault.
//!
//! A rule chooses requests by path, recipient, id or text, perhaps only some times or with a
//! probability, and names the answer they get. It holds the choice; `rulebook` applies it.

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Kind};
use crate::error::Error;
use crate::script::check_delay;

/// One rule of a script.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// The requests it is for (`match` in JSON); empty: all.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// How many requests it is for; absent: always.
    #[serde(default)]
    pub times: Option<u64>,
    /// Chance that it applies to a request it matches, 0 to 1; absent: always.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Makes the draws repeat: each depends only on this, the `messageId` and its attempt number.
    #[serde(default)]
    pub seed: Option<u64>,
    /// What the request gets.
    pub answer: Answer,
}

/// The conditions of a rule; all that are present must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Match {
    /// Exact path, without query.
    pub path: Option<String>,
    /// Recipient, with or without `+`.
    pub to: Option<String>,
    /// Exact `messageId`.
    pub message_id: Option<String>,
    /// Part of `message`, `text`, `body` or `caption`.
    pub text_contains: Option<String>,
}

impl Rule {
    /// A rule that gives every request this answer.
    pub fn always(kind: Kind) -> Self {
        Self { answer: Answer::from(kind), ..Self::default() }
    }

    /// Refuses values that have no meaning; `field` is the rule's own path.
    pub(crate) fn check(&self, field: &str) -> Result<(), Error> {
        if self.times == Some(0) {
            return Err(Error::script(format!("{field}.times"), "must be at least 1"));
        }
        if self.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err(Error::script(format!("{field}.probability"), "must be 0 to 1"));
        }
        if self.seed.is_some() && self.probability.is_none() {
            return Err(Error::script(format!("{field}.seed"), "needs a probability"));
        }
        check_delay(&format!("{field}.answer.delayMillis"), self.answer.delay_millis)?;
        self.answer.kind.check(&format!("{field}.answer"))
    }
}
