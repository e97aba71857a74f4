//! The groups of switches a script is made of, one type each.
//!
//! Every default is the provider as documented, or the likeliest reading where its pages are silent
//! (provider notes, quirks and unknowns). The types only hold choices; acting on them is elsewhere.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::error::Error;

/// What a wrong key gets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Credentials {
    /// The answer to a missing, empty or wrong `apiKey`.
    pub wrong_key_answer: WrongKeyAnswer,
    /// Every key is wrong: the key was withdrawn on the provider's side.
    pub refuse_all: bool,
}

/// The three possible answers to a wrong key; the pages show the body, not its HTTP status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WrongKeyAnswer {
    /// 200 with `status: "success"`, `data: null`, `message: "Invalid credentials"`.
    #[default]
    Ok200,
    /// The same body with 401.
    Unauthorized401,
    /// 401 with the framework's error body.
    Framework401,
}

/// The form of business errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Errors {
    /// HTTP status that comes with `status: "error"`; 200 is what clients report.
    pub status: u16,
}

impl Default for Errors {
    fn default() -> Self {
        Self { status: 200 }
    }
}

/// What a `messageId` gets that was accepted before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// The first result again; nothing new reaches the recipient.
    #[default]
    Same,
    /// A business error.
    Error,
    /// A second message, with its own `waId`.
    Second,
}

/// The `data.messageId` of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageIdAnswer {
    /// The caller's id.
    #[default]
    Echo,
    /// An id of the provider's own.
    Other,
}

/// The 24-hour session a recipient opens with the shared sandbox number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Session {
    /// Sends other than templates need a session.
    pub required: bool,
    /// Recipients that have one.
    pub opened: Vec<String>,
    /// The code by which a recipient opens one. Not built yet: it needs inbound messages.
    pub join_code: NotYet,
}

/// The 24-hour customer service window of a live number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Window {
    /// Sends other than templates need an open window.
    pub required: bool,
    /// Recipients whose window is open.
    pub opened: Vec<String>,
    /// Accept first and fail later by webhook. Not built yet: now the error comes at once.
    pub fail_later: NotYet,
}

/// How closely requests are read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Strictness {
    /// Which spelling is taken where the pages contradict themselves.
    pub names: Names,
    /// Refuse values longer than WhatsApp allows.
    pub limits: bool,
}

/// Whose spelling of a field is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// Either.
    #[default]
    Both,
    /// The one of the sample requests, such as `languageCode`.
    Samples,
    /// The one of the field tables, such as `language`.
    Table,
}

/// Rate limits and how they show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Rate {
    /// Sends a second for each `from`, with a burst of as many; absent: no limit.
    pub per_second: Option<u32>,
    /// Seconds between two sends of one `from` to one `to`; absent: no limit.
    pub pair_seconds: Option<u32>,
    /// Sends of one pair that may come at once.
    pub pair_burst: u32,
    /// The form of the refusal.
    pub answer: RateAnswer,
    /// Sent verbatim as `Retry-After` if present: seconds, a date or nonsense.
    pub retry_after: Option<String>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_second: None, pair_seconds: None, pair_burst: 1, answer: RateAnswer::default(), retry_after: None }
    }
}

impl Rate {
    /// Refuses zero rates and a `retryAfter` that is not one header line.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.per_second == Some(0) {
            return Err(Error::script("rate.perSecond", "must be at least 1"));
        }
        if self.pair_seconds == Some(0) {
            return Err(Error::script("rate.pairSeconds", "must be at least 1"));
        }
        if self.pair_burst == 0 {
            return Err(Error::script("rate.pairBurst", "must be at least 1"));
        }
        if self.retry_after.as_deref().is_some_and(has_control) {
            return Err(Error::script("rate.retryAfter", "has control characters"));
        }
        Ok(())
    }
}

/// How a refusal for rate shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateAnswer {
    /// A business error with the status of `errors.status`.
    #[default]
    Envelope,
    /// The same body with HTTP 429.
    Http429,
}

/// A switch that exists but is not built yet: only `null` and `{}` are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotYet;

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_null() || value.as_object().is_some_and(|fields| fields.is_empty()) {
            return Ok(Self);
        }
        Err(D::Error::custom("not supported yet"))
    }
}

impl Serialize for NotYet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// Whether a text cannot stand in one header line.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}
