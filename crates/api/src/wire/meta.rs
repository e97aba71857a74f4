//! `meta`: echoed as it was sent; of its properties the use case and the campaign have a meaning here.

use domain::violation::Violations;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::reader::Fields;

/// A value that no source limits.
const TEXT_CHARS_MAX: usize = 1024;

/// What is read from `meta`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Meta {
    /// As it was sent.
    pub(crate) value: Value,
    /// `extraInformation.useCase`
    pub(crate) use_case: Option<String>,
    /// Whether the message belongs to a campaign.
    pub(crate) has_campaign: bool,
}

/// What a property of `meta` may hold.
enum Shape {
    Text,
    Id,
    Integer,
    /// A text of a closed set.
    Word(&'static [&'static str]),
    /// Texts under any name.
    Texts,
    Object(&'static [(&'static str, Shape, Need)]),
    List(&'static Shape),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

use Need::{Optional, Required};

const PRODUCT: Shape = Shape::Object(&[
    ("externalCatalogId", Shape::Text, Required),
    ("externalProductId", Shape::Text, Required),
    ("quantity", Shape::Integer, Required),
    (
        "price",
        Shape::Object(&[
            ("amount", Shape::Integer, Required),
            ("exponent", Shape::Integer, Required),
            ("currencyCode", Shape::Text, Required),
        ]),
        Required,
    ),
]);

const RUN: Shape = Shape::Object(&[
    ("id", Shape::Id, Optional),
    ("name", Shape::Text, Optional),
    ("stepId", Shape::Text, Optional),
    ("runId", Shape::Id, Optional),
]);

/// Properties beside `extraInformation` (Channels API, send a message, `meta`).
const PROPERTIES: &[(&str, Shape)] = &[
    (
        "referral",
        Shape::Object(&[
            ("source", Shape::Text, Required),
            ("title", Shape::Text, Optional),
            ("text", Shape::Text, Optional),
            ("group", Shape::Text, Optional),
            (
                "metadata",
                Shape::Object(&[
                    ("source_id", Shape::Text, Required),
                    ("source_url", Shape::Text, Optional),
                    ("media_url", Shape::Text, Optional),
                    ("tracking_id", Shape::Text, Optional),
                ]),
                Optional,
            ),
        ]),
    ),
    ("order", Shape::Object(&[("products", Shape::List(&PRODUCT), Required)])),
    (
        "referredProduct",
        Shape::Object(&[("externalCatalogId", Shape::Text, Required), ("externalProductId", Shape::Text, Required)]),
    ),
    (
        "email",
        Shape::Object(&[
            ("subject", Shape::Text, Optional),
            ("headers", Shape::Texts, Optional),
            (
                "from",
                Shape::Object(&[("username", Shape::Text, Optional), ("displayName", Shape::Text, Optional)]),
                Optional,
            ),
        ]),
    ),
    (
        "pushNotifications",
        Shape::Object(&[("gatewayTypeOverride", Shape::Word(&["apns", "firebase", "web"]), Optional)]),
    ),
    ("navigatorId", Shape::Id),
    ("navigatorMessageId", Shape::Id),
    ("flow", RUN),
    ("journey", RUN),
    ("campaign", Shape::Object(&[("id", Shape::Id, Optional), ("name", Shape::Text, Optional)])),
];

/// Reads `meta`.
pub(crate) fn read(fields: &mut Fields<'_>, violations: &mut Violations) -> Meta {
    let mut read = Meta { value: Value::Object(Map::new()), use_case: None, has_campaign: false };
    let Some(mut meta) = fields.object("meta", violations) else { return read };
    if let Some(value) = meta.optional("extraInformation") {
        match value.as_object() {
            Some(extra) => read.use_case = use_case(extra, violations),
            None => violations.add(".meta.extraInformation", "must be an object"),
        }
    }
    for (name, shape) in PROPERTIES {
        if let Some(value) = meta.optional(name) {
            check(value, shape, &meta.path_of(name), violations);
            read.has_campaign |= *name == "campaign";
        }
    }
    meta.finish(violations);
    read.value = fields.optional("meta").cloned().unwrap_or_default();
    read
}

fn use_case(extra: &Map<String, Value>, violations: &mut Violations) -> Option<String> {
    let path = ".meta.extraInformation.useCase";
    match extra.get("useCase") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX => Some(text.clone()),
        Some(_) => {
            violations.add(path, format!("must be a string of 1 to {TEXT_CHARS_MAX} characters"));
            None
        }
    }
}

fn check(value: &Value, shape: &Shape, path: &str, violations: &mut Violations) {
    let problem = match shape {
        Shape::Text => check_text(value),
        Shape::Id => {
            let is_id = value.as_str().is_some_and(|text| Uuid::try_parse(text).is_ok());
            (!is_id).then(|| "must be a UUID".to_owned())
        }
        Shape::Integer => value.as_i64().is_none().then(|| "must be an integer".to_owned()),
        Shape::Word(words) => {
            let is_known = value.as_str().is_some_and(|text| words.contains(&text));
            (!is_known).then(|| format!("must be one of: {}", words.join(", ")))
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
            Required => fields.required(name, violations),
            Optional => fields.optional(name),
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
