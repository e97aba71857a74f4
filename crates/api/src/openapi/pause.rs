//! Pauses, as they are asked for and as they are answered.

use utoipa::ToSchema;

use super::message_request::Tag;
use super::words;

/// A pause to make. A property that is `null` counts as absent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PauseRequest {
    /// What it covers.
    scope: PauseScope,
    /// A channel of the workspace; with the scope `channel`, and only then.
    #[schema(format = "uuid")]
    channel_id: Option<String>,
    /// A tag, in upper or lower case; with the scope `tag`, and only then.
    #[schema(value_type = Option<Tag>)]
    tag: Option<String>,
    #[schema(schema_with = words::pause_reason)]
    reason: String,
    /// When it is over by itself, at most 365 days ahead; RFC 3339 with an offset. Without it the pause holds until it is ended.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// What a pause covers.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PauseScope {
    /// All messages of the workspace.
    Workspace,
    /// The messages of a channel.
    Channel,
    /// Messages with a tag, whatever their channel.
    Tag,
}

/// A pause.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pause {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What it covers.
    scope: PauseScope,
    /// The channel that it covers, if it covers one.
    #[schema(required = true, format = "uuid")]
    channel_id: Option<String>,
    /// The tag that it covers, if it covers one.
    #[schema(required = true)]
    tag: Option<String>,
    /// Why, for people.
    reason: String,
    /// When it is over by itself; `null` when it is not.
    #[schema(required = true, format = DateTime)]
    until: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Who made it.
    #[schema(examples("access-key 7d1f0a52-6a3e-4b8e-9a2f-0c1a7a0d9f11"))]
    created_by: String,
    /// Since when it is over; `null` while it is open.
    #[schema(required = true, format = DateTime)]
    ended_at: Option<String>,
    /// Who ended it; `null` while it is open, and where its time has come.
    #[schema(required = true)]
    ended_by: Option<String>,
}

/// Open pauses.
#[derive(ToSchema)]
pub(crate) struct Pauses {
    /// The newest first.
    results: Vec<Pause>,
}
