//! Payload of a body of type `text`.

use utoipa::ToSchema;

use super::actions::Action;
use super::words;

/// A text.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TextPayload {
    /// 1 to 4096 UTF-16 units, not only white space; 1024 with actions.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S", examples("Your parcel left the depot."))]
    text: String,
    /// What the recipient can tap: up to three replies and postbacks with different texts and payloads, or one
    /// `locationRequest` alone.
    #[schema(max_items = 3)]
    actions: Option<Vec<Action>>,
    /// Bird's settings of a text.
    metadata: Option<TextMetadata>,
    #[schema(schema_with = words::nothing, required = false)]
    attachments: Option<()>,
}

/// Bird's settings of a text: taken, echoed and not sent, since Lipachat has none.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TextMetadata {
    /// Subject of a mail.
    #[schema(max_length = 1024)]
    subject: Option<String>,
    #[schema(schema_with = words::mail_headers, required = false)]
    headers: Option<()>,
    /// Settings for WhatsApp.
    whatsapp: Option<WhatsAppMetadata>,
    /// Settings for LINE.
    #[schema(value_type = Option<Object>)]
    line: Option<serde_json::Value>,
    /// Settings for Telegram.
    telegram: Option<TelegramMetadata>,
    /// Settings for Apple's platform.
    apple: Option<AppleMetadata>,
}

/// Settings for WhatsApp.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WhatsAppMetadata {
    /// Whether a link is shown with a preview: not sent, Lipachat has no such setting.
    preview_url: Option<bool>,
}

/// Settings for Telegram.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TelegramMetadata {
    /// How Telegram reads the text.
    parse_mode: Option<TelegramParseMode>,
}

/// How Telegram reads a text.
#[derive(ToSchema)]
pub(crate) enum TelegramParseMode {
    Markdown,
    MarkdownV2,
}

/// Settings for Apple's platform.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AppleMetadata {
    /// What stands for the text in a summary.
    #[schema(max_length = 1024)]
    summary_text: Option<String>,
}
