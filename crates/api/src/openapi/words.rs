//! Schemas of single words and texts that a derive cannot say: the word that tells a variant, items of arrays, maps.

use domain::limits::{
    LINK_PARAMETER_VALUE_CHARS_MAX, LINK_PARAMETERS_MAX, PAUSE_REASON_CHARS_MAX, TAG_CHARS_MAX,
    TEMPLATE_BODY_UNITS_MAX, URL_CHARS_MAX, USE_CASE_CHARS_MAX,
};
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};

use crate::routes::admin::NAME_CHARS_MAX;
use crate::wire::shape::TEXT_CHARS_MAX;

/// More than white space.
const NOT_BLANK: &str = r"\S";
/// Without control characters, not only white space.
const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$";
/// 7 to 15 digits, with what people write between them.
const PHONE_NUMBER: &str = r"^[ ().\u00a0-]*\+?[ ().\u00a0-]*[1-9]([ ().\u00a0-]*[0-9]){6,14}[ ().\u00a0-]*$";
/// Longest text that is read as a number.
const PHONE_NUMBER_CHARS_MAX: usize = 64;
/// `https` in any case, then neither white space nor control characters.
const MEDIA_URL: &str = r"^[Hh][Tt][Tt][Pp][Ss]://[^\s\x00-\x1f\x7f-\x9f]+$";
/// `1`, `body.1`, `header`, `header.media`, `button.0`.
const PLACEHOLDER: &str = r"^(header|header\.media|button\.0*[0-9]|(body\.)?0*([1-9][0-9]?|100))$";

/// A time of day to the minute.
const TIME_OF_DAY: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";
/// A date of a year in four digits.
const DATE: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$";

/// Functions that give the schema of one word.
macro_rules! words {
    ($($name:ident = $word:literal),* $(,)?) => {
        $(pub(super) fn $name() -> Object { one_word($word) })*
    };
}

words! {
    text = "text",
    image = "image",
    file = "file",
    location = "location",
    list = "list",
    contact = "contact",
    flow = "flow",
    reply = "reply",
    postback = "postback",
    location_request = "locationRequest",
    string = "string",
    number = "number",
    boolean = "boolean",
}

fn one_word(word: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([word]))
        .description(Some(format!("Tells this form from the others: `{word}`.")))
        .build()
}

/// Functions that give schemas of one form, each with its own words.
macro_rules! texts {
    ($form:ident: $($name:ident($($word:expr),*)),* $(,)?) => {
        $(pub(super) fn $name() -> Object { $form($($word),*) })*
    };
}

texts! { name:
    workspace_name(Type::String, "Shop"),
    workspace_name_or_null(text_or_null(), "Shop"),
    channel_name(Type::String, "Receipts"),
    channel_name_or_null(text_or_null(), "Receipts"),
    access_key_name(Type::String, "checkout"),
}

texts! { reason:
    pause_reason("The price is wrong"),
}

texts! { phone_number:
    channel_number(Type::String, "The number it sends from, in E.164 form.", &["+254700000000"]),
    channel_number_or_null(text_or_null(), "The number it sends from, in E.164 form.", &["+254700000001"]),
    erased_number(text_or_null(), "The number, in E.164 form.", &["+254712345678"]),
    recipient_number(
        text_or_null(),
        "An international number in E.164 form, 7 to 15 digits, up to 64 characters. Spaces, dashes, dots and brackets\n\
         are dropped; a missing `+` is added if the rest is a valid number.",
        &["+254712345678", "254 712 345-678"]
    ),
    platform_address(text_or_null(), "The number that is really written to: the contact's.", &["+254712345678"]),
}

texts! { media_url:
    image_url("https://cdn.example.org/a.jpg"),
    file_url("https://cdn.example.org/d.pdf"),
}

texts! { time_of_day:
    window_start("When it begins, `HH:MM`.", "21:00"),
    window_end("When it is over, `HH:MM`: the next day where it is before `start`; never the same.", "08:00"),
}

fn text_or_null() -> SchemaType {
    SchemaType::from_iter([Type::String, Type::Null])
}

/// What an operator calls a thing.
fn name(schema_type: impl Into<SchemaType>, example: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(schema_type)
        .min_length(Some(1))
        .max_length(Some(NAME_CHARS_MAX))
        .pattern(Some(NAME))
        .description(Some(format!(
            "1 to {NAME_CHARS_MAX} characters without control characters, not only white space."
        )))
        .examples([example])
        .build()
}

/// Why an operator does a thing.
fn reason(example: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(PAUSE_REASON_CHARS_MAX))
        .pattern(Some(NAME))
        .description(Some(format!(
            "Why, for people: 1 to {PAUSE_REASON_CHARS_MAX} characters without control characters, not only white space. \
             `details` of held messages show it."
        )))
        .examples([example])
        .build()
}

fn phone_number(schema_type: impl Into<SchemaType>, description: &str, examples: &[&str]) -> Object {
    ObjectBuilder::new()
        .schema_type(schema_type)
        .max_length(Some(PHONE_NUMBER_CHARS_MAX))
        .pattern(Some(PHONE_NUMBER))
        .description(Some(description))
        .examples(examples.iter().copied())
        .build()
}

fn time_of_day(description: &str, example: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(TIME_OF_DAY))
        .description(Some(description))
        .examples([example])
        .build()
}

/// A date that quiet hours close.
pub(super) fn holiday() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
        .pattern(Some(DATE))
        .description(Some("A date, `YYYY-MM-DD`."))
        .examples(["2026-12-25"])
        .build()
}

/// A use case that quiet hours hold.
pub(super) fn held_use_case() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(USE_CASE_CHARS_MAX))
        .pattern(Some(NAME))
        .description(Some(format!(
            "1 to {USE_CASE_CHARS_MAX} characters without control characters, not only white space."
        )))
        .examples(["marketing"])
        .build()
}

/// The address of an image or a file.
fn media_url(example: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .max_length(Some(URL_CHARS_MAX))
        .pattern(Some(MEDIA_URL))
        .description(Some(format!(
            "An `https` address of a public host, without user and white space, up to {URL_CHARS_MAX} characters. \
             Lipachat fetches it, tuma does not."
        )))
        .examples([example])
        .build()
}

/// A property of Bird's that has no counterpart here.
pub(super) fn nothing() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Null)
        .description(Some("A property of Bird's that is not supported: absent or `null`."))
        .build()
}

/// One tag of a request.
pub(super) fn tag() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(TAG_CHARS_MAX))
        .pattern(Some("^[a-zA-Z0-9_ -]+$"))
        .description(Some(format!("1 to {TAG_CHARS_MAX} letters, digits, spaces, `-` or `_`; kept in lower case.")))
        .build()
}

/// The name of a platform in a query.
pub(super) fn platform() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[a-z0-9-]{1,50}$"))
        .description(Some("The name of a platform, 1 to 50 of `a-z 0-9 -`."))
        .examples(["whatsapp"])
        .build()
}

/// A value of a template.
pub(super) fn template_text() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(TEMPLATE_BODY_UNITS_MAX))
        .pattern(Some(NOT_BLANK))
        .description(Some(format!("What fills the place, 1 to {TEMPLATE_BODY_UNITS_MAX} UTF-16 units, not only white space; 60 in a header, an `https` URL in `header.media`.")))
        .build()
}

/// The place of a template that a value fills.
pub(super) fn placeholder() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(PLACEHOLDER))
        .description(Some(
            "`1` to `100` or `body.1` to `body.100` fill the body, `header` a text header, `header.media` the URL of a \
             media header, `button.0` to `button.9` the buttons.",
        ))
        .examples(["1", "body.2", "header", "header.media", "button.0"])
        .build()
}

/// Values of a template by place.
pub(super) fn variables() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property_names(Some(placeholder()))
        .additional_properties(Some(AdditionalProperties::from(Schema::Object(template_text()))))
        .description(Some("The older form of `parameters`: texts by place; places of the body without gaps."))
        .examples([serde_json::json!({ "1": "Asha", "2": "TM-1042" })])
        .build()
}

/// What the first screen of a flow is given.
pub(super) fn flow_data() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .min_properties(Some(1))
        .description(Some("What the first screen is given; not empty."))
        .examples([serde_json::json!({ "guests": 2 })])
        .build()
}

/// What a message is for.
fn use_case() -> Object {
    ObjectBuilder::new()
        .schema_type(text_or_null())
        .min_length(Some(1))
        .max_length(Some(TEXT_CHARS_MAX))
        .description(Some("What the message is for; `marketing` is under the frequency cap if `capFrequency` says so."))
        .build()
}

/// The free part of `meta`.
pub(super) fn extra_information() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property("useCase", use_case())
        .description(Some("Anything; `useCase` decides which quiet hours and whether the frequency cap hold."))
        .examples([serde_json::json!({ "useCase": "transactional" })])
        .build()
}

/// Headers of a mail, never sent.
pub(super) fn mail_headers() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .additional_properties(Some(AdditionalProperties::from(
            ObjectBuilder::new().schema_type(Type::String).max_length(Some(TEXT_CHARS_MAX)),
        )))
        .description(Some("Further headers, texts by name of at most 1024 characters."))
        .build()
}

/// Tracking parameters of a workspace, as they are shown.
pub(super) fn shown_link_parameters() -> Object {
    tracking(SchemaType::new(Type::Object))
}

/// Tracking parameters of a workspace in a request.
pub(super) fn link_parameters() -> Object {
    tracking(SchemaType::from_iter([Type::Object, Type::Null]))
}

fn tracking(schema_type: SchemaType) -> Object {
    let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9._-]{1,20}$"));
    let value = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(LINK_PARAMETER_VALUE_CHARS_MAX));
    ObjectBuilder::new()
        .schema_type(schema_type)
        .property_names(Some(name))
        .additional_properties(Some(AdditionalProperties::from(value)))
        .max_properties(Some(LINK_PARAMETERS_MAX))
        .description(Some("What link tracking puts on links: up to 8 values of 1 to 100 characters by name."))
        .examples([serde_json::json!({ "utm_source": "tuma", "utm_medium": "whatsapp" })])
        .build()
}
