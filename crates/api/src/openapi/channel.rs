//! Answers about channels, their contacts and the tags of a workspace, and the request for an upload.

use utoipa::ToSchema;

/// A channel, as clients see it.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Channel {
    /// Id of the channel.
    #[schema(format = "uuid")]
    id: String,
    /// The platform: `whatsapp`.
    #[schema(examples("whatsapp"))]
    platform_id: String,
    /// Its name.
    name: String,
    /// Id of its connector.
    #[schema(format = "uuid")]
    connector_id: String,
    /// Its number in E.164 form.
    #[schema(examples("+254700000000"))]
    identifier: String,
    /// Whether it sends.
    status: ChannelStatus,
    /// What it is used for.
    channel_message_type: MessageType,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// Whether a channel sends.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChannelStatus {
    Active,
    Inactive,
}

/// What a channel is used for.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MessageType {
    Promotional,
    Conversational,
    Transactional,
    #[serde(rename = "2fa")]
    TwoFactor,
}

/// A page of channels.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelList {
    /// The channels.
    results: Vec<Channel>,
    /// Opens the next page; empty on the last one.
    next_page_token: String,
}

/// What a channel knows of a contact.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelContact {
    /// End of WhatsApp's 24-hour window; in the past when it is closed, `null` when there was none.
    #[schema(required = true, format = DateTime)]
    service_window_expire_at: Option<String>,
    /// Whether the window never ends.
    is_permanent_session: bool,
    /// What else the platform says.
    #[schema(value_type = Object)]
    metadata: serde_json::Value,
}

/// A tag of a workspace.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkspaceTag {
    /// The tag, in lower case.
    tag: String,
    /// How many messages have it.
    #[schema(minimum = 0)]
    messages: i64,
    /// When it was first used.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last used.
    #[schema(format = DateTime)]
    last_used_at: String,
}

/// A page of tags.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagList {
    /// The tags.
    results: Vec<WorkspaceTag>,
    /// Opens the next page; empty on the last one.
    next_page_token: String,
}

/// A request for a place to upload a file to. Always refused.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadRequest {
    /// MIME type of the file.
    #[schema(min_length = 1, examples("image/png"))]
    content_type: String,
}
