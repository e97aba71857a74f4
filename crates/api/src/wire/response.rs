//! The Message object, as clients read it.

use domain::failure::FailureCode;
use domain::gate::GateReason;
use domain::lifecycle::Status;
use domain::schedule::DueReason;
use jiff::{Timestamp, Unit};
use serde::Serialize;
use serde_json::{Value, json};
use store::message::{Message, Waiting};

use crate::errors::ApiError;

/// A message in the shape of the Channels API.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageView {
    id: String,
    channel_id: String,
    sender: Value,
    receiver: Value,
    body: Value,
    meta: Value,
    reference: String,
    parts: Vec<Value>,
    status: &'static str,
    reason: String,
    details: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Value>,
    direction: &'static str,
    tags: Vec<String>,
    chargeable_units: usize,
    batch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_for: Option<String>,
    last_status_at: String,
    created_at: String,
    updated_at: String,
}

/// Shows a message.
///
/// # Errors
/// 500 when a stored body is not JSON.
pub(crate) fn view(message: &Message) -> Result<MessageView, ApiError> {
    let number = message.recipient.e164();
    let mut contact = json!({
        "id": message.contact.to_string(),
        "identifierKey": "phonenumber",
        "identifierValue": number,
        "platformAddress": number,
        "platformAddressSelector": "identifiers.phonenumber",
        "annotations": { "name": "" }
    });
    if let Some(country) = message.recipient.country_code() {
        contact["countryCode"] = Value::String(country);
    }
    Ok(MessageView {
        id: message.id.to_string(),
        channel_id: message.channel.to_string(),
        sender: json!({ "connector": { "id": message.connector.0.to_string(), "identifierValue": message.connector.1.e164() } }),
        receiver: json!({ "contacts": [contact] }),
        body: stored_json(&message.body)?,
        meta: stored_json(&message.meta)?,
        reference: message.reference.clone(),
        parts: message.platform_references.iter().map(|reference| json!({ "platformReference": reference })).collect(),
        status: message.status.as_str(),
        reason: message.reason.clone(),
        details: details(message),
        failure: message.failure.as_ref().map(failure),
        direction: "outgoing",
        tags: message.tags.clone(),
        chargeable_units: 1,
        batch_id: None,
        scheduled_for: message.scheduled_for.map(instant),
        last_status_at: instant(message.last_status_at),
        created_at: instant(message.created_at),
        updated_at: instant(message.updated_at),
    })
}

fn stored_json(text: &str) -> Result<Value, ApiError> {
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "a stored body is not JSON");
        ApiError::Internal
    })
}

/// RFC 3339 in UTC with at most three fraction digits, trailing zeros dropped (Channels API, conventions).
pub(crate) fn instant(at: Timestamp) -> String {
    at.round(Unit::Millisecond).unwrap_or(at).to_string()
}

fn failure((code, source, source_code): &(FailureCode, String, String)) -> Value {
    let (number, description, _) = code.row();
    json!({ "code": number, "description": description, "source": { "name": source, "code": source_code } })
}

/// What a waiting message waits for, and until when.
fn details(message: &Message) -> String {
    match (&message.waiting, message.status) {
        (Some(waiting), Status::Scheduled) => format!("scheduled for {}", instant(waiting.due_at)),
        (Some(waiting), _) => waiting_details(waiting),
        (None, _) => message.failure.as_ref().map(|(code, _, _)| code.row().1.to_owned()).unwrap_or_default(),
    }
}

fn waiting_details(waiting: &Waiting) -> String {
    if let Some((reason, until)) = waiting.gate {
        let what = match reason {
            GateReason::Credentials => "held because the provider refuses the channel's key; next probe",
            GateReason::RateLimit => "held because the provider asked to slow down; goes on",
            GateReason::Breaker => "held because the provider cannot be reached or fails; next probe",
        };
        return format!("{what} at {}", instant(until));
    }
    match waiting.reason {
        DueReason::Requested | DueReason::Gate => String::new(),
        DueReason::BackOff => format!("try {} failed; next try at {}", waiting.tries, instant(waiting.due_at)),
        DueReason::Claimed => "being sent".to_owned(),
    }
}
