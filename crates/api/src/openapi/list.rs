//! Payload of a body of type `list`.

use utoipa::ToSchema;

use super::actions::Row;
use super::words;

/// A text with rows to choose from, in sections.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ListPayload {
    /// The header, up to 60 UTF-16 units, empty or not only white space.
    #[schema(max_length = 60, pattern = r"^$|\S", examples("Menu"))]
    title: Option<String>,
    /// The text, 1 to 4096 UTF-16 units, not only white space.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S", examples("What would you like?"))]
    text: String,
    /// Bird's alternative text: taken and not sent, since Lipachat has no place for it.
    #[schema(examples("Menu list"))]
    alt_text: Option<String>,
    /// 1 to 10 sections with 10 rows in all; no two rows with the same text or payload.
    #[schema(min_items = 1, max_items = 10)]
    items: Vec<ListSection>,
    /// The button that opens the list.
    metadata: Option<ListMetadata>,
    #[schema(schema_with = words::nothing, required = false)]
    actions: Option<()>,
}

/// A section of a list.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ListSection {
    /// The title, up to 24 UTF-16 units. Where it is absent or empty, the list's title or button label stands for it,
    /// which then may not be longer than that.
    #[schema(max_length = 24, pattern = r"^$|\S", examples("Starters"))]
    title: Option<String>,
    /// Bird's alternative text: taken and not sent, since Lipachat has no place for it.
    #[schema(examples("Starters"))]
    alt_text: Option<String>,
    /// 1 to 10 rows.
    #[schema(min_items = 1, max_items = 10)]
    actions: Vec<Row>,
    #[schema(schema_with = words::nothing, required = false)]
    media_url: Option<()>,
    #[schema(schema_with = words::nothing, required = false)]
    description: Option<()>,
}

/// What a list shows besides its rows.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ListMetadata {
    /// The button that opens the list.
    button: Option<ListButton>,
    /// Bird's settings for Apple's platform: taken, echoed and not sent.
    reply_message: Option<ReplyMessage>,
}

/// What Apple's platform shows for an answer.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplyMessage {
    /// The title.
    #[schema(max_length = 1024)]
    title: Option<String>,
    /// The text.
    #[schema(max_length = 1024)]
    text: Option<String>,
}

/// The button that opens a list.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ListButton {
    /// Its label, 1 to 20 UTF-16 units, not only white space; `Options` where it is absent.
    #[schema(min_length = 1, max_length = 20, pattern = r"\S", examples("Open menu"))]
    label: Option<String>,
}
