//! Answers about messages: the Message object, lists of it, a batch.

use utoipa::ToSchema;

use super::message_request::ShortLinks;
use super::reply_to::ReplyTo;

/// A message, as it stands now.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    /// Id of the message; ids sort by time of acceptance.
    #[schema(format = "uuid")]
    id: String,
    /// The channel it goes through.
    #[schema(format = "uuid")]
    channel_id: String,
    /// Who sends it: the channel's connector, or the contact of an incoming message.
    sender: Party,
    /// Who receives it: one contact, or the channel's connector for an incoming message.
    receiver: Parties,
    /// `body` of the request; absent for a template, and once the workspace no longer keeps it.
    #[schema(required = false)]
    body: Option<MessageBody>,
    /// `template` of the request; absent once the workspace no longer keeps it.
    #[schema(required = false)]
    template: Option<MessageTemplate>,
    /// `meta` of the request; `{}` where there was none, and once the workspace no longer keeps it.
    #[schema(value_type = Object)]
    meta: serde_json::Value,
    /// `reference` of the request; empty where there was none.
    #[schema(max_length = 256)]
    reference: String,
    /// What the platform calls the parts that it has accepted, in order.
    parts: Vec<MessagePart>,
    /// Where it stands. It never goes backwards.
    status: MessageStatus,
    /// The platform's text about a failure; empty where there is none.
    reason: String,
    /// What a waiting message waits for and until when, or what is to be said of its end; often empty.
    details: String,
    /// Why it was not delivered.
    #[schema(required = false)]
    failure: Option<Failure>,
    /// Whether it was sent or received by the workspace.
    direction: Direction,
    /// `replyTo` of the request.
    #[schema(required = false)]
    reply_to: Option<ReplyTo>,
    /// `shortLinks` of the request.
    #[schema(required = false)]
    short_links: Option<ShortLinks>,
    /// Labels, in lower case.
    tags: Vec<String>,
    /// Always 1: tuma does not charge.
    chargeable_units: i64,
    /// The batch it came in, or `null`.
    #[schema(required = true, format = "uuid")]
    batch_id: Option<String>,
    /// When it was asked to be sent.
    #[schema(required = false, format = DateTime)]
    scheduled_for: Option<String>,
    /// The message that it sends again.
    #[schema(required = false, nullable = false, format = "uuid")]
    replay_of: Option<String>,
    /// The message that sends it again.
    #[schema(required = false, nullable = false, format = "uuid")]
    replayed_as: Option<String>,
    /// When `status` changed last.
    #[schema(format = DateTime)]
    last_status_at: String,
    /// When it was accepted.
    #[schema(format = DateTime, examples("2026-03-01T09:00:00.12Z"))]
    created_at: String,
    /// When anything of it changed last.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// One end of a message: a connector or a contact.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Party {
    /// The channel's connector.
    #[schema(required = false)]
    connector: Option<Connector>,
    /// The contact.
    #[schema(required = false)]
    contact: Option<Contact>,
}

/// The receiving end of a message: a connector or contacts.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parties {
    /// The one contact that is written to; none where a rejected item of a batch names none, or after its erasure.
    #[schema(required = false, max_items = 1)]
    contacts: Option<Vec<Contact>>,
    /// The channel's connector.
    #[schema(required = false)]
    connector: Option<Connector>,
}

/// The channel's end.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connector {
    /// Id of the connector.
    #[schema(format = "uuid")]
    id: String,
    /// The channel's number in E.164 form.
    #[schema(examples("+254700000000"))]
    identifier_value: String,
}

/// A contact of the workspace.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contact {
    /// Id of the contact.
    #[schema(format = "uuid")]
    id: String,
    /// What identifies the contact: `phonenumber`.
    #[schema(examples("phonenumber"))]
    identifier_key: String,
    /// The number in E.164 form.
    #[schema(examples("+254712345678"))]
    identifier_value: String,
    /// The role of the contact.
    #[schema(required = false, examples("to"))]
    r#type: Option<String>,
    /// ISO 3166 code of the number's country; absent where the prefix belongs to none.
    #[schema(required = false, nullable = false, min_length = 2, max_length = 2, examples("KE"))]
    country_code: Option<String>,
    /// The number that is really written to.
    #[schema(examples("+254712345678"))]
    platform_address: String,
    /// Which identifier of the contact is written to.
    #[schema(examples("identifiers.phonenumber"))]
    platform_address_selector: String,
    /// What is known of the contact.
    annotations: Annotations,
}

/// What is known of a contact.
#[derive(ToSchema)]
pub(crate) struct Annotations {
    /// The contact's name; empty where it is not known.
    name: String,
}

/// `body` of the request, as it was sent; that of a rejected item of a batch may have any shape.
#[derive(ToSchema)]
pub(crate) struct MessageBody {
    /// Names the property that holds the payload.
    #[schema(required = false, value_type = Option<serde_json::Value>, examples("text"))]
    r#type: Option<String>,
}

/// `template` of the request, as it was sent; that of a rejected item of a batch may have any shape.
#[derive(ToSchema)]
pub(crate) struct MessageTemplate {
    /// Name at WhatsApp.
    #[schema(required = false, value_type = Option<serde_json::Value>, examples("order_receipt"))]
    name: Option<String>,
    /// Language.
    #[schema(required = false, value_type = Option<serde_json::Value>, examples("en"))]
    locale: Option<String>,
}

/// A part that the platform has accepted.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessagePart {
    /// The platform's id of the part.
    #[schema(examples("wamid.HBgMMjU0NzEyMzQ1Njc4"))]
    platform_reference: String,
}

/// Where a message stands.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MessageStatus {
    Accepted,
    Scheduled,
    Processing,
    Sent,
    Delivered,
    Rejected,
    SendingFailed,
    DeliveryFailed,
    Skipped,
    Deleted,
}

/// Whether a message was sent or received by the workspace.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    Incoming,
    Outgoing,
}

/// Why a message was not delivered.
#[derive(ToSchema)]
pub(crate) struct Failure {
    /// 11002, 12001, 12006 or 16001 to 16008.
    #[schema(examples(16001))]
    code: i64,
    /// The code in words.
    #[schema(examples("VALIDITY_EXPIRED"))]
    description: String,
    /// Who said so.
    source: FailureSource,
}

/// Who said why a message was not delivered.
#[derive(ToSchema)]
pub(crate) struct FailureSource {
    /// `tuma` or `lipachat`.
    #[schema(examples("lipachat"))]
    name: String,
    /// The source's own code.
    code: String,
}

/// A page of messages.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageList {
    /// The messages.
    results: Vec<Message>,
    /// Opens the next page; empty on the last one.
    next_page_token: String,
    /// `startAt` of the request.
    #[schema(required = false, format = DateTime)]
    start_at: Option<String>,
    /// `endAt` of the request.
    #[schema(required = false, format = DateTime)]
    end_at: Option<String>,
}

/// A batch, accepted as a whole; its messages may have been refused.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Batch {
    /// Id of the batch.
    #[schema(format = "uuid")]
    batch_id: String,
    /// Ids of its messages, in the order of the requests.
    #[schema(min_items = 1, max_items = 100)]
    message_ids: Vec<String>,
    /// What became of each request, in the same order.
    #[schema(min_items = 1, max_items = 100)]
    results: Vec<BatchResult>,
}

/// What became of one request of a batch.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchResult {
    /// Id of the message.
    #[schema(format = "uuid")]
    id: String,
    /// Where it stands; `rejected` when the request was refused.
    status: MessageStatus,
    /// Whether an earlier request with the same deduplication key had made the message.
    idempotent_replayed: bool,
    /// Why the request was refused.
    #[schema(required = true)]
    failure: Option<Failure>,
    /// All that was wrong with the request, or what the message waits for.
    details: String,
}
