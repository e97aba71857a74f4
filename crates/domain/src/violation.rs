//! What is wrong with a request: texts by path, all of them at once.
//!
//! Paths are Bird's: a dot before each property, `[n]` after an array: `.receiver.contacts[0].identifierValue`.

use std::collections::BTreeMap;

/// Violations of one request, by path.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Violations(BTreeMap<String, Vec<String>>);

impl Violations {
    /// Adds one text under a path.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.entry(path.into()).or_default().push(text.into());
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Texts by path, sorted by path.
    #[must_use]
    pub fn by_path(&self) -> &BTreeMap<String, Vec<String>> {
        &self.0
    }
}
