//! What comes from Lipachat, read without trust: any status, any bytes.
//!
//! Four shapes are known (Lipachat docs, "Sending Messages" and the flow pages): success with data, error, success
//! without data, and the framework's own error body with a number for `status`.

use std::time::Duration;

use domain::outcome::bounded_detail;
use serde_json::Value;

/// Bytes read of an answer; a real one has a few hundred.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// An answer, as far as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// How long it asks to wait, if it does so in a way that can be read.
    pub retry_after: Option<Duration>,
    /// The body, up to [`ANSWER_BYTES_MAX`].
    pub body: Vec<u8>,
    /// Whether the body went on beyond the bound.
    pub is_cut: bool,
}

/// The shape of a body.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// `status: "success"` with an object in `data` that names the message.
    Success {
        /// `data.messageId`.
        message_id: Option<String>,
        /// `data.waId`.
        wa_id: Option<String>,
    },
    /// `status: "success"` with anything else in `data`.
    EmptySuccess,
    /// `status: "error"`.
    Error,
    /// Any other JSON, such as the framework's error body.
    OtherJson,
    /// Not JSON: HTML, cut JSON, nothing.
    NotJson,
}

/// Shape and texts of an answer's body.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// The shape.
    pub shape: Shape,
    /// `message`, `errors`, `error` and `data.statusDesc` in one text.
    pub text: String,
}

/// Reads the body of an answer.
#[must_use]
pub fn read(answer: &Answer) -> Reading {
    let parsed = if answer.is_cut { None } else { serde_json::from_slice::<Value>(&answer.body).ok() };
    let Some(body) = parsed else {
        return Reading { shape: Shape::NotJson, text: String::new() };
    };
    let shape = match (body.get("status").and_then(Value::as_str), body.get("data")) {
        (Some("success"), Some(Value::Object(data))) => {
            let id =
                |name: &str| data.get(name).and_then(Value::as_str).map(bounded_detail).filter(|id| !id.is_empty());
            match (id("messageId"), id("waId")) {
                (None, None) => Shape::EmptySuccess,
                (message_id, wa_id) => Shape::Success { message_id, wa_id },
            }
        }
        (Some("success"), _) => Shape::EmptySuccess,
        (Some("error"), _) => Shape::Error,
        (Some(_) | None, _) => Shape::OtherJson,
    };
    Reading { shape, text: texts(&body) }
}

fn texts(body: &Value) -> String {
    let mut found = Vec::new();
    for path in ["/message", "/errors", "/error", "/data/statusDesc"] {
        match body.pointer(path) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => found.push(text.clone()),
            Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
                found.push(other.to_string())
            }
        }
    }
    found.join(" ").trim().to_owned()
}
