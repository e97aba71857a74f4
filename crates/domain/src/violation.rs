//! What is wrong with a request: texts by path, all of them at once.
//!
//! Paths are Bird's: a dot before each property, `[n]` after an array: `.receiver.contacts[0].identifierValue`.

use std::collections::BTreeMap;

/// Texts kept of one request: far more than a request with a mistake has, few enough to answer with.
const TEXTS_MAX: usize = 200;

/// Violations of one request, by path.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Violations {
    by_path: BTreeMap<String, Vec<String>>,
    texts: usize,
}

impl Violations {
    /// Adds one text under a path. Beyond 200 texts the rest is not kept, and the root says so.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.texts += 1;
        if self.texts <= TEXTS_MAX {
            self.by_path.entry(path.into()).or_default().push(text.into());
        } else if self.texts == TEXTS_MAX + 1 {
            self.by_path.entry(".".to_owned()).or_default().push(format!("has more than {TEXTS_MAX} violations"));
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Texts by path, sorted by path.
    #[must_use]
    pub fn by_path(&self) -> &BTreeMap<String, Vec<String>> {
        &self.by_path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_texts_is_bounded_and_the_rest_is_not_passed_over_in_silence() {
        let mut violations = Violations::default();
        for number in 0..100_000 {
            violations.add(format!(".p{number}"), "property is unsupported");
        }
        assert_eq!(violations.by_path().len(), TEXTS_MAX + 1);
        assert_eq!(violations.by_path()["."], ["has more than 200 violations"]);
    }
}
