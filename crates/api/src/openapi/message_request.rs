//! The request to send a message, and a batch of them.

use utoipa::ToSchema;

use super::body::Body;
use super::meta::Meta;
use super::receiver::Receiver;
use super::reply_to::ReplyTo;
use super::template::Template;
use super::words;

/// A message to one recipient: either `body` or `template`. A property that is `null` counts as absent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MessageRequest {
    /// Whom it goes to: exactly one contact.
    receiver: Receiver,
    /// What it says. Reaches the recipient only within 24 hours of their last message; outside, send a template.
    body: Option<Body>,
    /// The approved template that it is made from.
    template: Option<Template>,
    /// Deduplication key, unique in the workspace, 1 to 128 of `A-Z a-z 0-9 . _ : -`; the same as the header
    /// `Idempotency-Key`.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]+$", examples("receipt-TM-1042"))]
    message_id: Option<String>,
    /// The caller's own name of the message, echoed; up to 256 characters, need not be unique.
    #[schema(max_length = 256, examples("order-7781"))]
    reference: Option<String>,
    /// Labels to find the message by, at most 10; lower-cased, duplicates merged, order kept.
    #[schema(max_items = 10, value_type = Option<Vec<Tag>>, examples(json!(["orders", "vip"])))]
    tags: Option<Vec<String>>,
    /// What the message belongs to; echoed.
    meta: Option<Meta>,
    /// The received message that this one answers. Lipachat cannot show it; it is stored and echoed.
    reply_to: Option<ReplyTo>,
    /// Where the events of this one message are posted.
    notification: Option<Notification>,
    /// When to send it: RFC 3339 with an offset, at most 35 days ahead; the past means now.
    #[schema(format = DateTime, examples("2026-11-21T08:00:00+03:00"))]
    scheduled_for: Option<String>,
    /// Seconds after which it is not sent any more, 1 to 3024000, from the later of acceptance and `scheduledFor`.
    /// Without it 129600, or 600 on a channel for one-time passwords.
    #[schema(minimum = 1, maximum = 3024000, examples(3600))]
    validity: Option<i64>,
    /// A newer message with the same key to the same recipient replaces an older one that has not begun to be sent;
    /// 1 to 64 characters.
    #[schema(min_length = 1, max_length = 64, pattern = r"\S", examples("delivery-7781"))]
    collapse_key: Option<String>,
    /// Applies the frequency cap; only with `meta.extraInformation.useCase` = `marketing`.
    cap_frequency: Option<bool>,
    /// Puts the workspace's tracking parameters on the links of the text; only with `meta.campaign`.
    enable_link_tracking: Option<bool>,
    /// Sends in quiet hours too.
    ignore_quiet_hours: Option<bool>,
    /// Sends to recipients of the global holdout too; tuma has no holdout.
    ignore_global_holdout: Option<bool>,
    /// Short links: of SMS only; kept and echoed, without effect on WhatsApp.
    short_links: Option<ShortLinks>,
    /// Who sends it: the channel's own number, the only one that can.
    sender: Option<Sender>,
}

/// Who sends a message.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sender {
    /// The channel's end.
    connector: SenderConnector,
}

/// The channel's end.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SenderConnector {
    /// The channel's own number.
    #[schema(examples("+254700000000"))]
    identifier_value: String,
    #[schema(schema_with = words::nothing, required = false)]
    annotations: Option<()>,
}

/// A label of a message.
pub(crate) struct Tag;

impl utoipa::PartialSchema for Tag {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        words::tag().into()
    }
}

impl ToSchema for Tag {}

/// Where the events of one message are posted.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Notification {
    /// An `https` address that reaches a public host, up to 2048 characters.
    #[schema(
        format = "uri",
        max_length = 2048,
        pattern = r"^[Hh][Tt][Tt][Pp][Ss]://\S+$",
        examples("https://hooks.example.org/tuma")
    )]
    url: String,
}

/// Short links of a message.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ShortLinks {
    /// The domain of the links, 1 to 128 characters; `default` is the workspace's.
    #[schema(min_length = 1, max_length = 128, pattern = r"\S", examples("default"))]
    domain: String,
}

/// Messages to send through one channel.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// 1 to 100 requests, each read on its own: one that is refused becomes a `rejected` message.
    #[schema(min_items = 1, max_items = 100)]
    message_requests: Vec<MessageRequest>,
}
