//! Placeholders in tables of requests: `{ws}` is a workspace, `{a*5}` is `aaaaa`, `{now+60}` is in a minute.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Texts by name, and the instant that `now` is.
#[derive(Debug)]
pub(crate) struct Placeholders {
    pub(crate) named: BTreeMap<&'static str, String>,
    pub(crate) now: Timestamp,
}

impl Placeholders {
    /// Fills a text; what is no placeholder stays.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            // Nearest end, so that JSON around a placeholder stays what it is.
            let found = after.split_once('}').and_then(|(inside, behind)| Some((self.value(inside)?, behind)));
            match found {
                Some((value, behind)) => {
                    filled.push_str(&value);
                    rest = behind;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }

    /// Fills the texts of a value, names of properties included.
    pub(crate) fn fill_json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Value::Object(properties) => properties
                .iter()
                .map(|(name, item)| (self.fill(name), self.fill_json(item)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn value(&self, inside: &str) -> Option<String> {
        if inside.contains('{') {
            return None;
        }
        if let Some(value) = self.named.get(inside) {
            return Some(value.clone());
        }
        if let Some(seconds) = inside.strip_prefix("now") {
            let ahead = SignedDuration::from_secs(seconds.parse().ok()?);
            return Some(self.now.checked_add(ahead).ok()?.to_string());
        }
        let (unit, count) = inside.split_once('*')?;
        Some(unit.repeat(count.parse().ok()?))
    }
}

#[test]
fn placeholders_are_filled_and_nothing_else_is() {
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let placeholders = Placeholders { named: BTreeMap::from([("ws", "w-1".to_owned())]), now };
    for (text, filled) in [
        ("/workspaces/{ws}/x", "/workspaces/w-1/x"),
        ("{a*3}{[*2}", "aaa[["),
        ("{now+60}", "2026-11-20T12:01:00Z"),
        (r#"{"a":{"b":"{ws}"}}"#, r#"{"a":{"b":"w-1"}}"#),
        (r#"{"a":{[*2}1{]*2}}"#, r#"{"a":[[1]]}"#),
        ("{unknown} {", "{unknown} {"),
    ] {
        assert_eq!(placeholders.fill(text), filled);
    }
}
