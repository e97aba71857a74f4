//! Link tracking: parameters of a workspace on the links of a text.
//!
//! A link is `http://` or `https://` with a host, at the start of a word. Punctuation that ends a sentence is not part
//! of it, nor is a bracket that was opened before it. A parameter that a link has already is left as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::limits::{LINK_PARAMETER_KEY_CHARS_MAX, LINK_PARAMETER_VALUE_CHARS_MAX, LINK_PARAMETERS_MAX};

const SCHEMES: [&str; 2] = ["https://", "http://"];

/// Names and values that are put on links.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkParameters(BTreeMap<String, String>);

impl LinkParameters {
    /// Takes up to 8 parameters: names of 1 to 20 letters, digits, `-`, `_`, `.`; values of 1 to 100 characters.
    ///
    /// # Errors
    /// The text of the violation.
    pub fn new(parameters: BTreeMap<String, String>) -> Result<Self, String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if parameters.len() > LINK_PARAMETERS_MAX {
            return Err(format!("must not hold more than {LINK_PARAMETERS_MAX} parameters"));
        }
        for (name, value) in &parameters {
            if name.is_empty() || name.len() > LINK_PARAMETER_KEY_CHARS_MAX || !name.chars().all(legal) {
                return Err(format!("names must be 1 to {LINK_PARAMETER_KEY_CHARS_MAX} letters, digits, - _ or ."));
            }
            if value.is_empty() || value.chars().count() > LINK_PARAMETER_VALUE_CHARS_MAX {
                return Err(format!("values must be 1 to {LINK_PARAMETER_VALUE_CHARS_MAX} characters"));
            }
        }
        Ok(Self(parameters))
    }

    /// The parameters by name.
    #[must_use]
    pub fn by_name(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The text with the parameters on each of its links.
    #[must_use]
    pub fn track(&self, text: &str) -> String {
        let mut tracked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, link, after)) = next_link(rest, tracked.chars().next_back()) {
            tracked.push_str(before);
            self.append(link, &mut tracked);
            rest = after;
        }
        tracked.push_str(rest);
        tracked
    }

    fn append(&self, link: &str, tracked: &mut String) {
        let (address, fragment) = link.find('#').map_or((link, ""), |at| link.split_at(at));
        let query = address.split_once('?').map_or("", |(_, query)| query);
        let given = |name: &str| form_urlencoded::parse(query.as_bytes()).any(|(known, _)| known == name);
        let mut encoder = form_urlencoded::Serializer::new(String::new());
        encoder.extend_pairs(self.0.iter().filter(|(name, _)| !given(name)));
        let added = encoder.finish();
        tracked.push_str(address);
        if !added.is_empty() {
            match address.find('?') {
                None => tracked.push('?'),
                Some(_) if address.ends_with(['?', '&']) => {}
                Some(_) => tracked.push('&'),
            }
            tracked.push_str(&added);
        }
        tracked.push_str(fragment);
    }
}

/// What stands before the next link, the link, and what follows it. `previous` is the character before the text.
fn next_link(text: &str, previous: Option<char>) -> Option<(&str, &str, &str)> {
    for (start, _) in text.char_indices() {
        let rest = &text[start..];
        let before = text[..start].chars().next_back().or(previous);
        let scheme =
            SCHEMES.iter().find(|scheme| rest.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)));
        let (Some(scheme), false) = (scheme, before.is_some_and(char::is_alphanumeric)) else { continue };
        let end =
            rest.find(|c: char| c.is_whitespace() || c.is_control() || "<>\"`{}|\\^".contains(c)).unwrap_or(rest.len());
        let link = without_punctuation(&rest[..end]);
        if link[scheme.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '[') {
            return Some((&text[..start], link, &rest[link.len()..]));
        }
    }
    None
}

/// Drops what ends a sentence or a bracket around the link rather than the link.
fn without_punctuation(link: &str) -> &str {
    let count = |bracket: char| link.matches(bracket).count();
    let mut round = count(')').saturating_sub(count('('));
    let mut square = count(']').saturating_sub(count('['));
    let mut link = link;
    while let Some(last) = link.chars().next_back() {
        match last {
            ')' if round > 0 => round -= 1,
            ']' if square > 0 => square -= 1,
            // `*`, `_` and `~` around a link are WhatsApp's bold, italic and struck through.
            other if ".,;:!?'*_~…»”’".contains(other) => {}
            _ => break,
        }
        link = &link[..link.len() - last.len_utf8()];
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let parameters = [("a", "1"), ("b", "x y")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let parameters = LinkParameters::new(parameters.into()).expect("legal");
        assert_eq!(parameters.track(text), expected);
        assert_eq!(parameters.track(expected), expected, "twice is once");
    }

    #[test]
    fn every_link_gets_the_parameters_once() {
        check("https://x.example", "https://x.example?a=1&b=x+y");
        check(
            "see http://x.example/p, or HTTPS://Y.example/?q=1.",
            "see http://x.example/p?a=1&b=x+y, or HTTPS://Y.example/?q=1&a=1&b=x+y.",
        );
        check("https://x.example/p#top", "https://x.example/p?a=1&b=x+y#top");
        check("https://x.example/?q=1&", "https://x.example/?q=1&a=1&b=x+y");
        check("Is it https://x.example/?", "Is it https://x.example/?a=1&b=x+y?");
        check("(https://x.example/a_(b))", "(https://x.example/a_(b)?a=1&b=x+y)");
        check("*https://x.example*\nhttps://y.example", "*https://x.example?a=1&b=x+y*\nhttps://y.example?a=1&b=x+y");
        check("https://bücher.example/ü", "https://bücher.example/ü?a=1&b=x+y");
    }

    #[test]
    fn a_parameter_that_is_there_stays() {
        check("https://x.example/?a=2", "https://x.example/?a=2&b=x+y");
        check("https://x.example/?a=2&b=3", "https://x.example/?a=2&b=3");
        check("https://x.example/?aa=2", "https://x.example/?aa=2&a=1&b=x+y");
    }

    #[test]
    fn what_is_no_link_stays() {
        for text in [
            "",
            "no link",
            "xhttps://x.example",
            "https://",
            "https:// x",
            "http:/x",
            "ftp://x.example",
            "x.example",
            "🙂https:/",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn parameters_are_bounded() {
        let of = |name: &str, value: &str| LinkParameters::new([(name.to_owned(), value.to_owned())].into());
        assert!(of("utm_source", "tuma").is_ok());
        for (name, value) in [("", "x"), ("a b", "x"), ("a", ""), (&*"n".repeat(21), "x"), ("a", &"v".repeat(101))] {
            assert!(of(name, value).is_err(), "{name}={value}");
        }
    }
}
