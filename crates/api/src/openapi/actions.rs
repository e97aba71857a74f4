//! What a recipient can tap: buttons, a request for a location, rows of a list.

use utoipa::ToSchema;

use super::words;

/// Something to tap below a text.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "type", mapping(
    ("reply" = "#/components/schemas/ReplyButton"),
    ("postback" = "#/components/schemas/PostbackButton"),
    ("locationRequest" = "#/components/schemas/LocationRequestAction")
)))]
pub(crate) enum Action {
    Reply(ReplyButton),
    Postback(PostbackButton),
    LocationRequest(LocationRequestAction),
}

/// A button below files.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "type", mapping(
    ("reply" = "#/components/schemas/ReplyButton"),
    ("postback" = "#/components/schemas/PostbackButton")
)))]
pub(crate) enum Button {
    Reply(ReplyButton),
    Postback(PostbackButton),
}

/// A row of a list.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "type", mapping(
    ("reply" = "#/components/schemas/ReplyRow"),
    ("postback" = "#/components/schemas/PostbackRow")
)))]
pub(crate) enum Row {
    Reply(ReplyRow),
    Postback(PostbackRow),
}

/// A button that answers with its text.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplyButton {
    #[schema(schema_with = words::reply)]
    r#type: String,
    /// The button.
    reply: ReplyButtonPayload,
}

/// A button that answers with a payload.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PostbackButton {
    #[schema(schema_with = words::postback)]
    r#type: String,
    /// The button.
    postback: PostbackButtonPayload,
}

/// A button that asks for the recipient's location; the only action of its message.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LocationRequestAction {
    #[schema(schema_with = words::location_request)]
    r#type: String,
    /// Bird's settings of the button.
    location_request: Option<LocationRequestPayload>,
}

/// Bird's settings of the button that asks for a location.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LocationRequestPayload {
    /// Bird's label of the button: taken and not sent, since WhatsApp fixes it.
    #[schema(examples("Send location"))]
    text: Option<String>,
}

/// A button that answers with its text.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplyButtonPayload {
    /// The label and answer, 1 to 20 UTF-16 units, without white space at its ends; another one for each button.
    #[schema(min_length = 1, max_length = 20, pattern = r"^\S([\s\S]*\S)?$", examples("Yes"))]
    text: String,
    /// Nothing: a button has no description.
    metadata: Option<ButtonMetadata>,
    #[schema(schema_with = words::nothing, required = false)]
    image_url: Option<()>,
}

/// A button that answers with a payload.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PostbackButtonPayload {
    /// The label, 1 to 20 UTF-16 units, not only white space; another one for each button.
    #[schema(min_length = 1, max_length = 20, pattern = r"\S", examples("Morning"))]
    text: String,
    /// What the button answers with, up to 256 UTF-16 units, without white space at its ends; the text where it is
    /// absent or empty.
    #[schema(max_length = 256, pattern = r"^(\S([\s\S]*\S)?)?$", examples("slot-am"))]
    payload: Option<String>,
    /// Nothing: a button has no description.
    metadata: Option<ButtonMetadata>,
    #[schema(schema_with = words::nothing, required = false)]
    image_url: Option<()>,
}

/// Nothing: a button has no description.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ButtonMetadata {
    /// Nothing.
    description: Option<ButtonDescription>,
}

/// Nothing: a button has no description.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ButtonDescription {
    #[schema(schema_with = words::nothing, required = false)]
    label: Option<()>,
}

/// A row that answers with its text.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplyRow {
    #[schema(schema_with = words::reply)]
    r#type: String,
    /// The row.
    reply: ReplyRowPayload,
}

/// A row that answers with a payload.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PostbackRow {
    #[schema(schema_with = words::postback)]
    r#type: String,
    /// The row.
    postback: PostbackRowPayload,
}

/// A row that answers with its text.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplyRowPayload {
    /// The title, 1 to 24 UTF-16 units, not only white space; another one for each row.
    #[schema(min_length = 1, max_length = 24, pattern = r"\S", examples("Soup"))]
    text: String,
    /// The line below the title.
    metadata: Option<RowMetadata>,
    #[schema(schema_with = words::nothing, required = false)]
    image_url: Option<()>,
}

/// A row that answers with a payload.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PostbackRowPayload {
    /// The title, 1 to 24 UTF-16 units, not only white space; another one for each row.
    #[schema(min_length = 1, max_length = 24, pattern = r"\S", examples("Soup"))]
    text: String,
    /// What the row answers with, up to 200 UTF-16 units, not only white space; the text where it is absent or empty.
    #[schema(max_length = 200, pattern = r"^$|\S", examples("m-1"))]
    payload: Option<String>,
    /// The line below the title.
    metadata: Option<RowMetadata>,
    #[schema(schema_with = words::nothing, required = false)]
    image_url: Option<()>,
}

/// What a row shows besides its title.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RowMetadata {
    /// The line below the title.
    description: Option<RowDescription>,
}

/// The line below a row's title.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RowDescription {
    /// 1 to 72 UTF-16 units, not only white space.
    #[schema(min_length = 1, max_length = 72, pattern = r"\S", examples("Tomato, vegan"))]
    label: Option<String>,
}
