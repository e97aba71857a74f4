//! Requests and answers of the admin API.

use utoipa::ToSchema;

use super::channel::{ChannelStatus, MessageType};
use super::words;

/// A workspace to make.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkspaceRequest {
    #[schema(schema_with = words::workspace_name)]
    name: String,
}

/// What is to change of a workspace.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkspaceChange {
    #[schema(schema_with = words::workspace_name_or_null, required = false)]
    name: Option<String>,
    /// How often messages with `capFrequency` reach one recipient.
    frequency_cap: Option<FrequencyCap>,
    #[schema(schema_with = words::link_parameters, required = false)]
    link_parameters: Option<()>,
    /// How often its keys may ask.
    request_limits: Option<RequestLimits>,
    /// Days after their acceptance until ended messages lose `body`, `template` and `meta`, 1 to 3650; 30 by default. Longer
    /// days hold for messages that still have them.
    #[schema(minimum = 1, maximum = 3650, examples(30))]
    body_retention_days: Option<i64>,
    /// Its share where several workspaces contend for the limit of one Lipachat account, 1 to 100; 1 by default.
    #[schema(minimum = 1, maximum = 100, examples(3))]
    weight: Option<i64>,
}

/// So many messages for marketing within so many days.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FrequencyCap {
    /// Messages, 1 to 1000; 1 by default.
    #[schema(minimum = 1, maximum = 1000, examples(2))]
    messages: i64,
    /// Days, 1 to 35; 1 by default.
    #[schema(minimum = 1, maximum = 35, examples(7))]
    days: i64,
}

/// Requests a second that the keys of a workspace may make together, over all replicas.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RequestLimits {
    /// Requests that change something, 1 to 100000; 500 by default.
    #[schema(minimum = 1, maximum = 100000, examples(500))]
    posts_per_second: i64,
    /// Requests that read, 1 to 100000; 50 by default.
    #[schema(minimum = 1, maximum = 100000, examples(50))]
    gets_per_second: i64,
}

/// A workspace.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Workspace {
    /// Id of the workspace.
    #[schema(format = "uuid")]
    id: String,
    /// Id of the organization, the same for all workspaces of an installation.
    #[schema(format = "uuid")]
    organization_id: String,
    /// Its name.
    name: String,
    /// How often messages with `capFrequency` reach one recipient.
    frequency_cap: FrequencyCap,
    #[schema(schema_with = words::shown_link_parameters)]
    link_parameters: (),
    /// How often its keys may ask.
    request_limits: RequestLimits,
    /// Days after their acceptance until ended messages lose `body`, `template` and `meta`.
    body_retention_days: i64,
    /// Its share where several workspaces contend for the limit of one Lipachat account.
    #[schema(minimum = 1, maximum = 100)]
    weight: i64,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A page of workspaces.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkspaceList {
    /// The workspaces.
    results: Vec<Workspace>,
    /// Opens the next page; empty on the last one.
    next_page_token: String,
}

/// A recipient to erase: by number or by contact.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ErasureRequest {
    #[schema(schema_with = words::erased_number, required = false)]
    identifier_value: Option<String>,
    /// The contact, as messages name it.
    #[schema(format = "uuid", examples("6c0a8f0b-0d5a-5d0c-9a64-7f0c7d0b8e11"))]
    contact_id: Option<String>,
}

/// What came of an erasure so far.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Erasure {
    /// The contact, which names the erased messages as before.
    #[schema(format = "uuid")]
    contact_id: String,
    /// Messages that this request erased, the cancelled ones included.
    #[schema(minimum = 0)]
    erased_messages: i64,
    /// Messages that this request cancelled: they had not begun to be sent.
    #[schema(minimum = 0)]
    cancelled_messages: i64,
    /// Messages found being sent. They are erased when they have ended, without a further request.
    #[schema(minimum = 0)]
    messages_under_way: i64,
    /// Whether nothing is left. If not, the rest is erased within minutes of its end, without a further request.
    is_complete: bool,
}

/// Whether sending is held for the whole installation.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SendingHold {
    /// Whether it is held.
    held: bool,
    /// Why; `null` while it is not held.
    #[schema(required = true)]
    reason: Option<SendingHoldReason>,
    /// Since when; `null` while it is not held.
    #[schema(required = true, format = DateTime)]
    since: Option<String>,
}

/// Why sending is held.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SendingHoldReason {
    /// The database is older than what a process remembers: it was restored from a backup.
    Restored,
    /// The database is on another server than before.
    OtherServer,
}

/// A channel to make.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewChannel {
    #[schema(schema_with = words::channel_name)]
    name: String,
    #[schema(schema_with = words::channel_number)]
    number: String,
    /// Lipachat's key, 1 to 1024 printable ASCII characters; it is never shown again.
    #[schema(min_length = 1, max_length = 1024, pattern = "^[!-~]+$", examples("lipachat-key"))]
    provider_key: String,
    /// What it is used for; `transactional` where it is absent.
    message_type: Option<MessageType>,
    /// How many messages it sends a second, 1 to 1000; 80 where it is absent.
    #[schema(minimum = 1, maximum = 1000, examples(80))]
    messages_per_second: Option<i64>,
    /// Whether it sends; `active` where it is absent.
    status: Option<ChannelStatus>,
    /// How longitude is spelled to Lipachat; `both` where it is absent.
    longitude_spelling: Option<LongitudeSpelling>,
    /// How many messages a second all channels with the same Lipachat key send together, 1 to 1000, exact over replicas;
    /// where several channels of a key name one, the least counts. Absent or `null`: the channel names none.
    #[schema(minimum = 1, maximum = 1000, examples(200))]
    account_messages_per_second: Option<i64>,
    /// How often it may write to one recipient; WhatsApp's own limit, 6 seconds and 45 messages, where it is absent or
    /// `null`.
    recipient_rate: Option<RecipientRate>,
    /// How many messages may wait on it, 1 to 100000000; 1000000 where it is absent. More are refused with `QueueFull`.
    #[schema(minimum = 1, maximum = 100_000_000, examples(1_000_000))]
    backlog_max: Option<i64>,
    /// What is done with a message that may have been sent, when no answer tells; `repeat` where it is absent.
    on_unknown: Option<OnUnknown>,
}

/// What is to change of a channel.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChannelChange {
    #[schema(schema_with = words::channel_name_or_null, required = false)]
    name: Option<String>,
    #[schema(schema_with = words::channel_number_or_null, required = false)]
    number: Option<String>,
    /// Lipachat's key, 1 to 1024 printable ASCII characters; it is never shown again.
    #[schema(min_length = 1, max_length = 1024, pattern = "^[!-~]+$", examples("lipachat-key"))]
    provider_key: Option<String>,
    /// What it is used for.
    message_type: Option<MessageType>,
    /// How many messages it sends a second, 1 to 1000.
    #[schema(minimum = 1, maximum = 1000, examples(80))]
    messages_per_second: Option<i64>,
    /// Whether it sends.
    status: Option<ChannelStatus>,
    /// How longitude is spelled to Lipachat.
    longitude_spelling: Option<LongitudeSpelling>,
    /// How many messages a second all channels with the same Lipachat key send together, 1 to 1000, exact over replicas;
    /// where several channels of a key name one, the least counts. `null` removes it.
    #[schema(minimum = 1, maximum = 1000, examples(200))]
    account_messages_per_second: Option<i64>,
    /// How often it may write to one recipient; `null` for WhatsApp's own limit, 6 seconds and 45 messages.
    recipient_rate: Option<RecipientRate>,
    /// How many messages may wait on it, 1 to 100000000. More are refused with `QueueFull`.
    #[schema(minimum = 1, maximum = 100_000_000, examples(1_000_000))]
    backlog_max: Option<i64>,
    /// What is done with a message that may have been sent, when no answer tells.
    on_unknown: Option<OnUnknown>,
}

/// How Lipachat answers an id that it has seen.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Duplicates {
    /// With the first result.
    Same,
    /// By refusing it.
    Error,
    /// By sending a second time.
    Second,
    /// In no way that can be relied upon.
    Unclear,
}

/// A channel, as its operator sees it.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperatedChannel {
    /// Id of the channel.
    #[schema(format = "uuid")]
    id: String,
    /// Its workspace.
    #[schema(format = "uuid")]
    workspace_id: String,
    /// Id of its connector.
    #[schema(format = "uuid")]
    connector_id: String,
    /// Its name.
    name: String,
    /// Its number in E.164 form.
    #[schema(examples("+254700000000"))]
    number: String,
    /// What it is used for.
    message_type: MessageType,
    /// How many messages it sends a second.
    #[schema(minimum = 1, maximum = 1000)]
    messages_per_second: i64,
    /// Whether it sends.
    status: ChannelStatus,
    /// How longitude is spelled to Lipachat.
    longitude_spelling: LongitudeSpelling,
    /// How many messages a second all channels with the same Lipachat key send together, the least of those that name
    /// one; `null` where this channel names none.
    #[schema(required = true, minimum = 1, maximum = 1000)]
    account_messages_per_second: Option<i64>,
    /// How often it may write to one recipient.
    recipient_rate: RecipientRate,
    /// How many messages may wait on it.
    #[schema(minimum = 1, maximum = 100_000_000)]
    backlog_max: i64,
    /// What is done with a message that may have been sent, when no answer tells.
    on_unknown: OnUnknown,
    /// How Lipachat answers an id that it has seen, as `tuma probe` found out; `null` where it was not asked.
    #[schema(required = true)]
    duplicates: Option<Duplicates>,
    /// When that was found out.
    #[schema(required = true, format = DateTime)]
    duplicates_probed_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// How often a channel may write to one recipient. A message that comes sooner waits for its turn.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RecipientRate {
    /// Seconds that each message is paid back with, 0 to 86400; 6 by default, 0 for no spacing.
    #[schema(minimum = 0, maximum = 86400, examples(6))]
    interval_seconds: i64,
    /// Messages that may go at once, 1 to 1000; 45 by default.
    #[schema(minimum = 1, maximum = 1000, examples(45))]
    burst: i64,
}

/// What is done with a message that may have been sent. `repeat`: it is sent again under the same id until an answer tells.
/// `hold`: it is not sent again unless it is released; it waits for proof until its validity ends, and ends with 16002.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnUnknown {
    Repeat,
    Hold,
}

/// How longitude is spelled to Lipachat, whose page says `longtitude`.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LongitudeSpelling {
    Both,
    Longitude,
    Longtitude,
}

/// A page of channels.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperatedChannelList {
    /// The channels.
    results: Vec<OperatedChannel>,
    /// Opens the next page; empty on the last one.
    next_page_token: String,
}

/// An access key to make.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessKeyRequest {
    #[schema(schema_with = words::access_key_name)]
    name: String,
    /// What it may be used for; everything where it is absent.
    #[schema(min_items = 1)]
    scopes: Option<Vec<Scope>>,
}

/// What an access key may be used for.
#[derive(ToSchema)]
pub(crate) enum Scope {
    #[serde(rename = "messages:write")]
    MessagesWrite,
    #[serde(rename = "messages:read")]
    MessagesRead,
    #[serde(rename = "channels:read")]
    ChannelsRead,
    #[serde(rename = "templates:write")]
    TemplatesWrite,
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    #[serde(rename = "settings:write")]
    SettingsWrite,
}

/// An access key; its secret only in the answer that makes it.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessKey {
    /// Id of the key.
    #[schema(format = "uuid")]
    id: String,
    /// Its workspace.
    #[schema(format = "uuid")]
    workspace_id: String,
    /// Its name.
    name: String,
    /// What it may be used for.
    scopes: Vec<Scope>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was revoked, or `null`.
    #[schema(required = true, format = DateTime)]
    revoked_at: Option<String>,
    /// The secret; only where the key is made.
    #[schema(required = false, nullable = false)]
    access_key: Option<String>,
}

/// A page of access keys.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessKeyList {
    /// The keys.
    results: Vec<AccessKey>,
    /// Opens the next page; empty on the last one.
    next_page_token: String,
}
