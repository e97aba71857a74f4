//! The Message object, as clients read it.

use domain::failure::FailureCode;
use domain::gate::GateReason;
use domain::id::ContactId;
use domain::lifecycle::Status;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::{Timestamp, Unit};
use serde::Serialize;
use serde_json::{Value, json};
use store::message::{Message, Waiting};

use crate::errors::ApiError;

/// What becomes of `replyTo` (contract, section 3).
const REPLY_NOT_SENT: &str = "replyTo is kept but not sent: Lipachat has no reply context";

/// A message in the shape of the Channels API.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageView {
    id: String,
    channel_id: String,
    sender: Value,
    receiver: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<Value>,
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
    reply_to: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_links: Option<Value>,
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
    Ok(MessageView {
        id: message.id.to_string(),
        channel_id: message.channel.to_string(),
        sender: json!({ "connector": { "id": message.connector.0.to_string(), "identifierValue": message.connector.1.e164() } }),
        receiver: json!({ "contacts": message.recipient.as_ref().map(contact).into_iter().collect::<Vec<_>>() }),
        body: Some(stored_json(&message.body)?).filter(|body| !body.is_null()),
        template: message.template.as_deref().map(stored_json).transpose()?,
        meta: stored_json(&message.meta)?,
        reference: message.reference.clone(),
        parts: message.platform_references.iter().map(|reference| json!({ "platformReference": reference })).collect(),
        status: message.status.as_str(),
        reason: message.reason.clone(),
        details: details(message),
        failure: message.failure.as_ref().map(failure),
        direction: message.direction.as_str(),
        tags: message.tags.clone(),
        chargeable_units: 1,
        batch_id: message.batch.map(|batch| batch.to_string()),
        reply_to: message.options.reply_to.as_ref().map(|reply_to| json!(reply_to)),
        short_links: message.options.short_links_domain.as_ref().map(|domain| json!({ "domain": domain })),
        scheduled_for: message.scheduled_for.map(instant),
        last_status_at: instant(message.last_status_at),
        created_at: instant(message.created_at),
        updated_at: instant(message.updated_at),
    })
}

fn contact((id, number): &(ContactId, PhoneNumber)) -> Value {
    let mut contact = json!({
        "id": id.to_string(),
        "identifierKey": "phonenumber",
        "identifierValue": number.e164(),
        "platformAddress": number.e164(),
        "platformAddressSelector": "identifiers.phonenumber",
        "annotations": { "name": "" }
    });
    if let Some(country) = number.country_code() {
        contact["countryCode"] = Value::String(country);
    }
    contact
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

pub(crate) fn failure((code, source, source_code): &(FailureCode, String, String)) -> Value {
    let (number, description, _) = code.row();
    json!({ "code": number, "description": description, "source": { "name": source, "code": source_code } })
}

/// What a waiting message waits for and until when, and what of it is not sent.
fn details(message: &Message) -> String {
    let status = status_details(message);
    match (&message.options.reply_to, status.is_empty()) {
        (None, _) => status,
        (Some(_), true) => REPLY_NOT_SENT.to_owned(),
        (Some(_), false) => format!("{status}; {REPLY_NOT_SENT}"),
    }
}

pub(crate) fn status_details(message: &Message) -> String {
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
