//! The answers a rule can give: the ordinary one, wrong ones, and faults of the connection.
//!
//! Whether the message counts as delivered before the fault strikes is part of the answer: that is
//! the difference between "not sent" and "unknown". What cannot be put on the wire is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::script::check_status;
use crate::switches::has_control;

/// What a request gets in place of the ordinary answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", rename_all = "camelCase")]
pub struct Answer {
    /// The fault itself; its fields stand beside `kind` in JSON.
    #[serde(flatten)]
    pub kind: Kind,
    /// Whether a good message counts as delivered before the fault.
    pub accept: bool,
    /// Milliseconds the answer, or the fault, is held back. Delivery is not.
    pub delay_millis: u64,
}

/// The faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Kind {
    /// The ordinary answer; of use with `delayMillis`, or to exempt requests from later rules.
    Normal {},
    /// A business error.
    EnvelopeError {
        /// Its text.
        #[serde(default = "request_failed")]
        message: String,
        /// Its HTTP status.
        #[serde(default = "status_200")]
        status: u16,
        /// Its `errors`: null, or an object, list or text.
        #[serde(default)]
        errors: Value,
    },
    /// The framework's error body.
    Framework {
        /// Its HTTP status.
        #[serde(default = "status_500")]
        status: u16,
    },
    /// Any status, headers and body. A `Content-Length` among the headers replaces the true one.
    Status {
        /// The HTTP status.
        status: u16,
        /// More headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// No body at all.
    Empty {
        /// The HTTP status.
        #[serde(default = "status_200")]
        status: u16,
    },
    /// A gateway's HTML page.
    Html {
        /// The HTTP status.
        #[serde(default = "status_502")]
        status: u16,
    },
    /// Half of the ordinary body under its full length, then the connection ends.
    CutJson {},
    /// Bytes that need not be HTTP, then the connection ends.
    Garbage {
        /// The bytes, each as one character up to U+00FF.
        #[serde(default = "not_http")]
        bytes: String,
    },
    /// A redirect.
    Redirect {
        /// The HTTP status.
        #[serde(default = "status_307")]
        status: u16,
        /// Where to.
        location: String,
    },
    /// A body that does not end before 64 MiB.
    Endless {},
    /// The ordinary answer, its body byte by byte.
    Drip {
        /// The pace.
        #[serde(default = "one")]
        bytes_per_second: u32,
    },
    /// No answer; the connection stays open until the peer closes it.
    Hang {},
    /// No answer; our side of the connection is closed, the peer's is not.
    HalfClose {},
    /// No answer; the connection is reset.
    Reset {},
    /// No answer; the connection is closed in order.
    Close {},
}

impl Default for Answer {
    fn default() -> Self {
        Self::from(Kind::Normal {})
    }
}

impl From<Kind> for Answer {
    fn from(kind: Kind) -> Self {
        Self { accept: kind.accepts(), kind, delay_millis: 0 }
    }
}

impl TryFrom<Map<String, Value>> for Answer {
    type Error = String;

    fn try_from(mut fields: Map<String, Value>) -> Result<Self, String> {
        let accept = fields.remove("accept");
        let delay_millis = fields.remove("delayMillis");
        let kind: Kind = serde_json::from_value(Value::Object(fields.clone()))
            .map_err(|error| format!("{}{error}", refused_field(&fields)))?;
        let mut answer = Self::from(kind);
        if let Some(accept) = accept {
            answer.accept = accept.as_bool().ok_or("accept: expected true or false")?;
        }
        if let Some(delay_millis) = delay_millis {
            answer.delay_millis = delay_millis.as_u64().ok_or("delayMillis: expected a whole number")?;
        }
        Ok(answer)
    }
}

/// `name: ` of the field that makes an answer unreadable, or nothing if the parser's text says it.
fn refused_field(fields: &Map<String, Value>) -> String {
    let kind = fields.get("kind").cloned().unwrap_or_default();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "kind") {
        let alone = Map::from_iter([("kind".to_owned(), kind.clone()), (name.clone(), value.clone())]);
        let refused = serde_json::from_value::<Kind>(Value::Object(alone)).is_err_and(|error| {
            let text = error.to_string();
            !text.contains("missing field") && !text.contains("unknown")
        });
        if refused {
            return format!("{name}: ");
        }
    }
    String::new()
}

impl Kind {
    /// Whether a good message counts as delivered unless the rule says otherwise: so it is where
    /// the caller cannot know what happened.
    fn accepts(&self) -> bool {
        match self {
            Self::Normal {}
            | Self::CutJson {}
            | Self::Garbage { .. }
            | Self::Drip { .. }
            | Self::Hang {}
            | Self::HalfClose {}
            | Self::Reset {}
            | Self::Close {} => true,
            Self::EnvelopeError { .. }
            | Self::Framework { .. }
            | Self::Status { .. }
            | Self::Empty { .. }
            | Self::Html { .. }
            | Self::Redirect { .. }
            | Self::Endless {} => false,
        }
    }

    /// The word for it in the ledger; `None` for the ordinary answer.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Normal {} => None,
            Self::EnvelopeError { .. } => Some("envelopeError"),
            Self::Framework { .. } => Some("framework"),
            Self::Status { .. } => Some("status"),
            Self::Empty { .. } => Some("empty"),
            Self::Html { .. } => Some("html"),
            Self::CutJson {} => Some("cutJson"),
            Self::Garbage { .. } => Some("garbage"),
            Self::Redirect { .. } => Some("redirect"),
            Self::Endless {} => Some("endless"),
            Self::Drip { .. } => Some("drip"),
            Self::Hang {} => Some("hang"),
            Self::HalfClose {} => Some("halfClose"),
            Self::Reset {} => Some("reset"),
            Self::Close {} => Some("close"),
        }
    }

    /// Refuses values that cannot be put on the wire.
    pub(crate) fn check(&self, field: &str) -> Result<(), Error> {
        match self {
            Self::Framework { status }
            | Self::Empty { status }
            | Self::Html { status }
            | Self::EnvelopeError { status, .. } => check_status(&format!("{field}.status"), *status),
            Self::Status { status, headers, .. } => {
                check_status(&format!("{field}.status"), *status)?;
                check_headers(field, headers)
            }
            Self::Redirect { status, location } => {
                check_status(&format!("{field}.status"), *status)?;
                refuse_if(has_control(location), field, "location", "has control characters")
            }
            Self::Garbage { bytes } => {
                refuse_if(latin1(bytes).is_none(), field, "bytes", "each character must be at most U+00FF")
            }
            Self::Drip { bytes_per_second } => {
                let within = (1..=DRIP_PACE_MAX).contains(bytes_per_second);
                refuse_if(!within, field, "bytesPerSecond", "must be 1 to 1000")
            }
            Self::Normal {}
            | Self::CutJson {}
            | Self::Endless {}
            | Self::Hang {}
            | Self::HalfClose {}
            | Self::Reset {}
            | Self::Close {} => Ok(()),
        }
    }
}

/// Fastest drip: beyond it the timer's own grain of a millisecond would set the pace.
const DRIP_PACE_MAX: u32 = 1_000;

/// The bytes of a text whose characters each stand for one byte.
pub(crate) fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(character).ok()).collect()
}

fn check_headers(field: &str, headers: &BTreeMap<String, String>) -> Result<(), Error> {
    for (name, value) in headers {
        let token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let bad = !token || has_control(value);
        refuse_if(bad, field, &format!("headers.{name}"), "is not a header line")?;
    }
    Ok(())
}

fn refuse_if(bad: bool, field: &str, part: &str, reason: &str) -> Result<(), Error> {
    if bad {
        return Err(Error::script(format!("{field}.{part}"), reason));
    }
    Ok(())
}

fn request_failed() -> String {
    "Request failed.".to_owned()
}

fn not_http() -> String {
    "\u{0}\u{ff}\u{fe} this is not HTTP\r\n\r\n".to_owned()
}

fn status_200() -> u16 {
    200
}

fn status_307() -> u16 {
    307
}

fn status_500() -> u16 {
    500
}

fn status_502() -> u16 {
    502
}

fn one() -> u32 {
    1
}
