//! Acts on messages: another time for one, and acts on many.

use std::collections::BTreeSet;

use utoipa::ToSchema;

use super::message::{Message, MessageStatus};
use super::message_request::Tag;

/// Another time for a message.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MessageChange {
    /// RFC 3339 with an offset, up to 35 days ahead; a time that is past means at once, and so does `null`.
    #[schema(required = true, format = DateTime, examples("2026-11-21T08:00:00+03:00"))]
    scheduled_for: Option<String>,
}

/// What is to be counted, or the token of what was.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ActionRequest {
    /// What is to be done.
    action: Option<ActionWord>,
    /// To which messages.
    selector: Option<ActionSelector>,
    /// The token of a count, which is then acted on.
    #[schema(format = "uuid")]
    token: Option<String>,
}

/// An act on messages.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActionWord {
    Hold,
    Release,
    Cancel,
    Replay,
}

/// Which messages of the channel: all conditions must hold, and there must be one.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ActionSelector {
    /// With all of these tags.
    #[schema(max_items = 10, value_type = Option<BTreeSet<Tag>>)]
    tags: Option<BTreeSet<String>>,
    /// Shown with one of these statuses: waiting ones, or for `replay` those of messages that ended without delivery. Without
    /// it `replay` is of `sending_failed` and `delivery_failed` alone. A message is `processing` from when it is first taken to
    /// be sent, also where a pause of its tag has put it back unsent.
    status: Option<StatusChoice>,
    /// To this contact, by international number or by id.
    #[schema(
        max_length = 64,
        pattern = r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[ ().\u00a0-]*\+?[ ().\u00a0-]*[1-9]([ ().\u00a0-]*[0-9]){6,14}[ ().\u00a0-]*)$",
        examples("+254712345678")
    )]
    receiver: Option<String>,
    /// For this use case, in any of its spellings; that of a message which names none is its channel's.
    #[schema(min_length = 1, max_length = 64, pattern = r"\S", examples("marketing"))]
    use_case: Option<String>,
    /// Accepted then or later; RFC 3339 with an offset.
    #[schema(format = DateTime)]
    start_at: Option<String>,
    /// Accepted before; RFC 3339 with an offset.
    #[schema(format = DateTime)]
    end_at: Option<String>,
}

/// A status, or several.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum StatusChoice {
    One(MessageStatus),
    Several(Vec<MessageStatus>),
}

/// What was counted, or what was done.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum ActionAnswer {
    Counted(ActionCount),
    Acted(ActionState),
}

/// The messages that an act would concern.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActionCount {
    /// Confirms the act.
    #[schema(format = "uuid")]
    token: String,
    /// What would be done.
    action: ActionWord,
    /// To which messages.
    selector: ActionSelection,
    /// How many there are now.
    #[schema(minimum = 0)]
    count: i64,
    /// The first of them, up to 10.
    #[schema(max_items = 10)]
    sample: Vec<Message>,
    /// Until when it may be confirmed.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// An act on many messages, as it stands.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActionState {
    /// Its id: the token of its count.
    #[schema(format = "uuid")]
    id: String,
    /// What is done.
    action: ActionWord,
    /// To which messages.
    selector: ActionSelection,
    /// How far it is.
    status: ActionStatus,
    /// How many messages there were when they were counted.
    #[schema(minimum = 0)]
    count: i64,
    /// Messages that were changed.
    #[schema(minimum = 0)]
    acted: i64,
    /// Messages that were left as they are: they were being sent, had changed, or could not go within their validity; their
    /// recipient is being erased; or a newer message has their collapse key.
    #[schema(minimum = 0)]
    passed: i64,
    /// When they were counted.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when it may be confirmed.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it was confirmed.
    #[schema(required = false, nullable = false, format = DateTime)]
    confirmed_at: Option<String>,
    /// When it came to its end.
    #[schema(required = false, nullable = false, format = DateTime)]
    finished_at: Option<String>,
}

/// How far an act on many messages is.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActionStatus {
    Counted,
    Expired,
    Running,
    Done,
}

/// Which messages an act concerns.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActionSelection {
    /// With all of these tags.
    #[schema(required = false, nullable = false)]
    tags: Option<Vec<String>>,
    /// Shown with one of these statuses.
    #[schema(required = false, nullable = false)]
    status: Option<Vec<MessageStatus>>,
    /// To this contact.
    #[schema(required = false, nullable = false, format = "uuid")]
    receiver: Option<String>,
    /// For this use case.
    #[schema(required = false, nullable = false)]
    use_case: Option<String>,
    /// Accepted then or later.
    #[schema(required = false, nullable = false, format = DateTime)]
    start_at: Option<String>,
    /// Accepted before.
    #[schema(required = false, nullable = false, format = DateTime)]
    end_at: Option<String>,
}
