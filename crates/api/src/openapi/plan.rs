//! The answer of a dry run: what would become of a message.

use utoipa::ToSchema;

/// What would become of a message. Nothing is stored and nothing is sent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// Whether the request would be accepted. One without violations is not while too many messages wait: see the gate
    /// `backlog`.
    would_accept: bool,
    /// All that is wrong with the request, texts by path; empty when it would be accepted.
    violations: std::collections::BTreeMap<String, Vec<String>>,
    /// When it would be sent, about, with what waits now before it; `null` when it would not be: refused, or not before its
    /// validity ends, or held by what has no end yet.
    #[schema(required = true, format = DateTime)]
    send_at: Option<String>,
    /// When it would not be sent any more; `null` where it would be refused.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    /// What it must pass before it is sent, in this order; empty where it would be refused.
    gates: Vec<Gate>,
    /// The calls it would become; none where it would be refused or fail at once.
    lipachat_calls: Vec<LipachatCall>,
}

/// Something that a message must pass before it is sent.
#[derive(ToSchema)]
pub(crate) struct Gate {
    /// Which one.
    gate: GateName,
    /// Whether it lets the message through at the time the message asks for.
    verdict: Verdict,
    /// Until when it stays closed; `null` when it is open, or nobody can say.
    #[schema(required = true, format = DateTime)]
    until: Option<String>,
    /// The setting that decides.
    #[schema(examples("workspace.quietHours windows[0], zone Africa/Nairobi"))]
    setting: String,
}

/// Which gate it is.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum GateName {
    Schedule,
    QuietHours,
    Validity,
    Hold,
    ServiceWindow,
    Template,
    Breaker,
    Credentials,
    ChannelRate,
    WorkspaceShare,
    RecipientRate,
    Backlog,
}

/// Whether a gate lets a message through. `unknown`: what it depends on is not known.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    Open,
    Closed,
    Unknown,
}

/// A call to Lipachat.
#[derive(ToSchema)]
pub(crate) struct LipachatCall {
    /// Its method.
    #[schema(examples("POST"))]
    method: String,
    /// Its path.
    #[schema(examples("/api/v1/whatsapp/message/text"))]
    path: String,
    /// Its body.
    #[schema(value_type = Object)]
    body: serde_json::Value,
}
