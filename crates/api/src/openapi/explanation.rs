//! The answer of `explain`: the plan of a stored message, its timeline, and its delays.

use utoipa::ToSchema;

use super::message::MessageStatus;
use super::plan::{Gate, LipachatCall};

/// A stored message explained: when it goes and what stands before it, or when it went, and what its time was spent for.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    /// Always `true`: it was accepted.
    would_accept: bool,
    /// Always empty.
    violations: std::collections::BTreeMap<String, Vec<String>>,
    /// Its status.
    status: MessageStatus,
    /// When it was sent, or goes, about; `null` when it will not: it has ended, cannot go before its validity ends, or is held
    /// by what has no end yet. Behind more than 200,000 others it goes later than is told.
    #[schema(required = true, format = DateTime)]
    send_at: Option<String>,
    /// When it is not sent any more.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What it must pass before it is sent, in this order, as of the instant asked for.
    gates: Vec<Gate>,
    /// The calls it is made of, those that were made and those to come; none when its texts are no longer kept.
    lipachat_calls: Vec<LipachatCall>,
    /// What happened to it, in order; the newest 1,000 calls and 1,000 other events.
    timeline: Vec<TimelineEntry>,
    /// What the time from its acceptance was spent for: until it was sent or ended, else until the instant asked for.
    delays: Delays,
}

/// Something that happened to a message.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimelineEntry {
    /// When; a call, when it began.
    #[schema(format = DateTime)]
    at: String,
    /// What: `accepted`, `attempt` (a call), what happened besides, or the status it has ended with.
    event: TimelineEvent,
    /// What it had waited for until then.
    #[schema(nullable = false)]
    waited_for: Option<WaitReason>,
    /// Until when it was to wait.
    #[schema(format = DateTime, nullable = false)]
    waited_until: Option<String>,
    /// What it waits for from then on.
    #[schema(nullable = false)]
    waits_for: Option<WaitReason>,
    /// Until when it is to wait.
    #[schema(format = DateTime, nullable = false)]
    waits_until: Option<String>,
    /// Who did it; absent where tuma did.
    #[schema(nullable = false)]
    actor: Option<String>,
    /// The call, of an `attempt`.
    #[schema(nullable = false)]
    call: Option<TimelineCall>,
}

/// What happened to a message.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimelineEvent {
    Accepted,
    Attempt,
    PutOff,
    ProvenSent,
    ProvenNotSent,
    Planned,
    Held,
    Released,
    Rescheduled,
    Cancelled,
    Replayed,
    Sent,
    Delivered,
    SendingFailed,
    DeliveryFailed,
    Rejected,
    Skipped,
    Deleted,
}

/// What a message waits for. `requested`: its own time, or its turn. `unknown`: proof of whether it was sent. `claimed`: the result
/// of a call; where such a wait has ended, the process that made the call died, and it was perhaps sent.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WaitReason {
    Requested,
    BackOff,
    QuietHours,
    Released,
    Paused,
    Held,
    Unknown,
    Gate,
    Recipient,
    Order,
    Claimed,
}

/// A call that was made.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimelineCall {
    /// The part, from 0.
    #[schema(minimum = 0)]
    part: i64,
    /// When the answer had come, or was no longer waited for.
    #[schema(format = DateTime)]
    finished_at: String,
    /// What it came to.
    #[schema(examples("sent"))]
    outcome: String,
    /// The rule by which the answer was understood.
    rule: String,
    /// The answer's HTTP status; `null` where none came.
    #[schema(required = true)]
    http_status: Option<i32>,
}

/// Seconds by cause, to the millisecond. They sum exactly to the time from acceptance to the end.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delays {
    /// `scheduledFor`.
    #[schema(minimum = 0)]
    schedule: f64,
    /// Quiet hours, and the time over which they let go.
    #[schema(minimum = 0)]
    quiet_hours: f64,
    /// Pauses, and operators who hold messages.
    #[schema(minimum = 0)]
    hold: f64,
    /// Pauses after calls that failed.
    #[schema(minimum = 0)]
    back_off: f64,
    /// The recipient's own pace, and earlier messages to the recipient.
    #[schema(minimum = 0)]
    recipient_rate: f64,
    /// The channel's gate, closed because Lipachat could not be reached or failed.
    #[schema(minimum = 0)]
    breaker: f64,
    /// The channel's gate, closed because Lipachat refused its key.
    #[schema(minimum = 0)]
    credentials: f64,
    /// The channel's gate, closed because Lipachat asked to slow down.
    #[schema(minimum = 0)]
    rate_limit: f64,
    /// The channel's rate, and others before it.
    #[schema(minimum = 0)]
    queue: f64,
    /// Calls.
    #[schema(minimum = 0)]
    provider: f64,
}
