//! Shapes of properties that are kept and echoed but have no meaning of their own here.

use domain::violation::Violations;
use serde_json::Value;
use uuid::Uuid;

use crate::reader::Fields;

/// Characters of a text that no source limits.
pub(crate) const TEXT_CHARS_MAX: usize = 1024;

/// What a property may hold.
pub(crate) enum Shape {
    Text,
    Id,
    Integer,
    Boolean,
    /// A text of a closed set.
    Word(&'static [&'static str]),
    /// Texts under any name.
    Texts,
    /// An object of any shape.
    Any,
    Object(&'static [(&'static str, Shape, Need)]),
    List(&'static Shape),
}

/// Whether a property must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}

/// Settings for Telegram (Channels API, `text`).
pub(crate) const TELEGRAM: Shape =
    Shape::Object(&[("parseMode", Shape::Word(&["Markdown", "MarkdownV2"]), Need::Optional)]);

/// Checks a property, if it is there.
pub(crate) fn check_property(fields: &mut Fields<'_>, name: &'static str, shape: &Shape, violations: &mut Violations) {
    if let Some(value) = fields.optional(name) {
        check(value, shape, &fields.path_of(name), violations);
    }
}

/// Checks a value.
pub(crate) fn check(value: &Value, shape: &Shape, path: &str, violations: &mut Violations) {
    let must_be = |is_right: bool, what: &str| (!is_right).then(|| format!("must be {what}"));
    let problem = match shape {
        Shape::Text => check_text(value),
        Shape::Id => must_be(value.as_str().is_some_and(|text| Uuid::try_parse(text).is_ok()), "a UUID"),
        Shape::Integer => must_be(value.is_i64(), "an integer"),
        Shape::Boolean => must_be(value.is_boolean(), "a boolean"),
        Shape::Any => must_be(value.is_object(), "an object"),
        Shape::Word(words) => {
            let is_known = value.as_str().is_some_and(|text| words.contains(&text));
            must_be(is_known, &format!("one of: {}", words.join(", ")))
        }
        Shape::Texts => match value.as_object() {
            Some(texts) => texts.values().find_map(check_text).map(|text| format!("values {text}")),
            None => Some("must be an object".to_owned()),
        },
        Shape::Object(properties) => {
            check_object(value, properties, path, violations);
            None
        }
        Shape::List(each) => match value.as_array() {
            Some(values) => {
                for (position, value) in values.iter().enumerate() {
                    check(value, each, &format!("{path}[{position}]"), violations);
                }
                None
            }
            None => Some("value must be an array".to_owned()),
        },
    };
    if let Some(problem) = problem {
        violations.add(path, problem);
    }
}

fn check_object(value: &Value, properties: &[(&'static str, Shape, Need)], path: &str, violations: &mut Violations) {
    let Some(mut fields) = Fields::of(value, path, violations) else { return };
    for (name, shape, need) in properties {
        let found = match need {
            Need::Required => fields.required(name, violations),
            Need::Optional => fields.optional(name),
        };
        if let Some(found) = found {
            check(found, shape, &fields.path_of(name), violations);
        }
    }
    fields.finish(violations);
}

fn check_text(value: &Value) -> Option<String> {
    let is_short = value.as_str().is_some_and(|text| text.chars().count() <= TEXT_CHARS_MAX);
    (!is_short).then(|| format!("must be a string of at most {TEXT_CHARS_MAX} characters"))
}
