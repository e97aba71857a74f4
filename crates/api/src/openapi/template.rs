//! `template` of a request.

use utoipa::ToSchema;

use super::words;

/// An approved template of the channel, by name and locale, with what fills its places.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Template {
    /// Name at WhatsApp, 1 to 512 lower-case letters, digits or underscores.
    #[schema(min_length = 1, max_length = 512, pattern = "^[a-z0-9_]+$", examples("order_receipt"))]
    name: String,
    /// Language with an optional script and region, up to 20 characters.
    #[schema(max_length = 20, pattern = "^[A-Za-z0-9]{2,8}([-_][A-Za-z0-9]{2,8})*$", examples("en", "pt_BR"))]
    locale: String,
    /// Values by place, each place once, those of the body without gaps: up to 100 of the body, 10 buttons, a header.
    #[schema(min_items = 1, max_items = 111)]
    parameters: Option<Vec<TemplateParameter>>,
    #[schema(schema_with = words::variables, required = false)]
    variables: Option<()>,
    #[schema(schema_with = words::nothing, required = false)]
    project_id: Option<()>,
    #[schema(schema_with = words::nothing, required = false)]
    version: Option<()>,
    #[schema(schema_with = words::nothing, required = false)]
    attachments: Option<()>,
    #[schema(schema_with = words::nothing, required = false)]
    short_links: Option<()>,
    #[schema(schema_with = words::nothing, required = false)]
    utm_parameters: Option<()>,
    #[schema(schema_with = words::nothing, required = false)]
    settings: Option<()>,
}

/// A value of a template.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "type", mapping(
    ("string" = "#/components/schemas/StringParameter"),
    ("number" = "#/components/schemas/NumberParameter"),
    ("boolean" = "#/components/schemas/BooleanParameter")
)))]
pub(crate) enum TemplateParameter {
    String(StringParameter),
    Number(NumberParameter),
    Boolean(BooleanParameter),
}

/// A text.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StringParameter {
    #[schema(schema_with = words::string)]
    r#type: String,
    #[schema(schema_with = words::placeholder)]
    key: String,
    #[schema(schema_with = words::template_text)]
    value: String,
}

/// A number, sent as its shortest decimal; one with more than 15 digits belongs into a string.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberParameter {
    #[schema(schema_with = words::number)]
    r#type: String,
    #[schema(schema_with = words::placeholder)]
    key: String,
    /// What fills the place; at most 15 digits.
    #[schema(minimum = -999999999999999.0, maximum = 999999999999999.0, examples(2))]
    value: f64,
}

/// `true` or `false`, sent as that word.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BooleanParameter {
    #[schema(schema_with = words::boolean)]
    r#type: String,
    #[schema(schema_with = words::placeholder)]
    key: String,
    /// What fills the place.
    value: bool,
}
