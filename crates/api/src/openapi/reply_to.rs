//! `replyTo`: the message that a message answers.

use utoipa::ToSchema;

/// The message that this one answers.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplyTo {
    /// Id of a message that was received in this workspace.
    #[schema(format = "uuid", examples("0b6f3f0e-5a0c-4f4e-9c1e-6f6a1d1c2b33"))]
    id: String,
    /// What is answered.
    r#type: ReplyToType,
    /// Which of the answered message's actions was pressed, from 0.
    #[schema(minimum = 0)]
    order: Option<i64>,
}

/// What is answered.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ReplyToType {
    Message,
    Click,
    Referrals,
}
