//! Requests byte for byte, and answers without what differs from request to request.

use serde_json::Value;

use crate::harness::Harness;
use crate::raw::{RawAnswer, exchange, request};

/// Headers that differ from request to request, or with the requests before.
const OF_THE_REQUEST: [&str; 4] = ["x-request-id", "messagebird-request-id", "date", "ratelimit"];

/// Sends a request with these credentials.
pub(super) async fn ask(
    harness: &Harness,
    method: &str,
    path: &str,
    credentials: &[&str],
    body: Option<&Value>,
) -> RawAnswer {
    let mut headers: Vec<_> =
        credentials.iter().map(|credential| ("Authorization".to_owned(), (*credential).to_owned())).collect();
    if body.is_some() {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    let body = body.map(Value::to_string);
    exchange(harness.address, &request(method, path, &headers, body.as_deref().map(str::as_bytes))).await
}

/// All of an answer that a client could tell two of them apart by.
pub(super) fn essence(answer: &RawAnswer) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !OF_THE_REQUEST.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    headers.sort();
    format!("{}\n{}\n\n{}", answer.status, headers.join("\n"), answer.body)
}

/// The code of an error.
pub(super) fn code(answer: &RawAnswer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}
