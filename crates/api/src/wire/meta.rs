//! `meta`: echoed as it was sent; of its properties the use case and the campaign have a meaning here.

use domain::violation::Violations;
use serde_json::{Map, Value};

use crate::reader::Fields;
use crate::wire::shape::Need::{Optional, Required};
use crate::wire::shape::{self, Shape, TEXT_CHARS_MAX};

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
            shape::check(value, shape, &meta.path_of(name), violations);
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
