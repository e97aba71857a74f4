//! Parameters of paths, queries and headers.

use utoipa::{IntoParams, ToSchema};

use super::channel::ChannelStatus;
use super::message::{Direction, MessageStatus};
use super::message_request::Tag;
use super::words;

/// Ids of a path.
macro_rules! path {
    ($name:ident { $($field:ident: $doc:literal),* $(,)? }) => {
        #[derive(IntoParams)]
        #[into_params(parameter_in = Path, rename_all = "camelCase")]
                pub(crate) struct $name {
            $(
                #[doc = $doc]
                #[param(format = "uuid")]
                $field: String,
            )*
        }
    };
}

path!(WorkspacePath { workspace_id: "The workspace." });
path!(ChannelPath { workspace_id: "The workspace.", channel_id: "A channel of the workspace." });
path!(MessagePath {
    workspace_id: "The workspace.",
    channel_id: "A channel of the workspace.",
    message_id: "A message of the channel.",
});
path!(ActionPath {
    workspace_id: "The workspace.",
    channel_id: "A channel of the workspace.",
    action_id: "An act on messages of the channel.",
});
path!(ContactPath {
    workspace_id: "The workspace.",
    channel_id: "A channel of the workspace.",
    contact_id: "A contact of the workspace.",
});
path!(PausePath { workspace_id: "The workspace.", pause_id: "A pause of the workspace." });
path!(AccessKeyPath { workspace_id: "The workspace.", access_key_id: "An access key of the workspace." });

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct PageQuery {
    /// How many results a page may hold, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 10, nullable = false)]
    limit: Option<i64>,
    /// `nextPageToken` of the page before, of the same list in the same order.
    #[param(max_length = 8000, pattern = "^[A-Za-z0-9_-]*$", nullable = false)]
    page_token: Option<String>,
    /// Turns the order round.
    #[param(default = false, nullable = false)]
    reverse: Option<bool>,
}

/// Which messages of a list. All conditions must hold.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct MessageFilter {
    /// Messages with one of these statuses; separated by commas, or the parameter repeated.
    #[param(style = Form, explode = false, min_items = 1, nullable = false)]
    status: Option<Vec<MessageStatus>>,
    /// Messages sent or received.
    #[param(nullable = false, inline)]
    direction: Option<Direction>,
    /// `unknown`: messages of which a part may have been sent, and nothing has told whether it was. They wait, are held for
    /// proof, or have ended with 16002.
    #[param(nullable = false, inline)]
    outcome: Option<Outcome>,
    /// Messages with all of these tags; separated by commas, or the parameter repeated.
    #[param(style = Form, explode = false, min_items = 1, max_items = 10, nullable = false, value_type = Option<Vec<Tag>>)]
    tags: Option<Vec<String>>,
    /// Messages accepted then or later; RFC 3339 with an offset.
    #[param(format = DateTime, nullable = false)]
    start_at: Option<String>,
    /// Messages accepted before; RFC 3339 with an offset.
    #[param(format = DateTime, nullable = false)]
    end_at: Option<String>,
    /// Messages with this reference.
    #[param(min_length = 1, max_length = 256, nullable = false)]
    reference: Option<String>,
    /// The message with this deduplication key.
    #[param(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]+$", nullable = false)]
    message_id: Option<String>,
    /// Messages to this contact, by international number or by id.
    #[param(
        max_length = 64,
        pattern = r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[ ().\u00a0-]*\+?[ ().\u00a0-]*[1-9]([ ().\u00a0-]*[0-9]){6,14}[ ().\u00a0-]*)$",
        nullable = false
    )]
    receiver: Option<String>,
    /// Messages of this batch.
    #[param(format = "uuid", nullable = false)]
    batch_id: Option<String>,
}

/// What came of the calls for a message.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Unknown,
}

/// Which platform's.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct PlatformFilter {
    /// Of one of these platforms; separated by commas, or the parameter repeated. There is `whatsapp` alone: others
    /// have nothing here.
    #[param(style = Form, explode = false, min_items = 1, inline, nullable = false, value_type = Option<Vec<Platform>>)]
    platform: Option<Vec<String>>,
}

/// The name of a platform.
pub(crate) struct Platform;

impl utoipa::PartialSchema for Platform {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        words::platform().into()
    }
}

impl ToSchema for Platform {}

/// Which channels of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct ChannelFilter {
    /// Channels with this status.
    #[param(nullable = false, inline)]
    status: Option<ChannelStatus>,
}

/// Whether to send or only to tell what would happen.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct DryRunQuery {
    /// Stores and sends nothing; the answer is the plan.
    #[param(default = false, nullable = false)]
    dry_run: Option<bool>,
    /// Plans as if it were that instant; only with `dryRun=true`. RFC 3339 with an offset.
    #[param(format = DateTime, nullable = false)]
    at: Option<String>,
}

/// As of when to explain.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct AtQuery {
    /// Explains as if it were that instant; now where it is absent. RFC 3339 with an offset.
    #[param(format = DateTime, nullable = false)]
    at: Option<String>,
}

/// The deduplication key as a header.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IdempotencyKey {
    /// Deduplication key, unique in the workspace, 1 to 128 of `A-Z a-z 0-9 . _ : -`; the same as `messageId` of the
    /// body. A repeated request is answered with its first message and the header `idempotent-replayed`.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9._:-]+$",
        nullable = false
    )]
    idempotency_key: Option<String>,
}

/// The contact of a path by number.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct ContactQuery {
    /// The contact's number; may be empty.
    #[param(
        max_length = 64,
        pattern = r"^([ ().\u00a0-]*\+?[ ().\u00a0-]*[1-9]([ ().\u00a0-]*[0-9]){6,14}[ ().\u00a0-]*)?$",
        nullable = false
    )]
    contact_identifier_value: Option<String>,
}
