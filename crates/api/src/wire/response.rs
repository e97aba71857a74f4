//! The Message object, as clients read it.

use domain::failure::FailureCode;
use domain::gate::GateReason;
use domain::id::ContactId;
use domain::lifecycle::Status;
use domain::options::ReplyTo;
use domain::pause::Pause;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde::Serialize;
use serde_json::value::RawValue;
use store::message::{Message, Waiting};
use store::stop::Stop;
use uuid::Uuid;

use crate::errors::ApiError;
use crate::outlook::Outlook;

/// What becomes of `replyTo` (contract, section 3).
const REPLY_NOT_SENT: &str = "replyTo is kept but not sent: Lipachat has no reply context";

/// A message in the shape of the Channels API.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageView<'a> {
    id: Uuid,
    channel_id: Uuid,
    sender: Sender<'a>,
    receiver: Receiver<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a RawValue>,
    meta: &'a RawValue,
    reference: &'a str,
    parts: Vec<PartView<'a>>,
    status: &'static str,
    reason: &'a str,
    details: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView<'a>>,
    direction: &'static str,
    tags: &'a [String],
    chargeable_units: usize,
    batch_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a ReplyTo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_links: Option<ShortLinks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_for: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_of: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed_as: Option<Uuid>,
    last_status_at: String,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize, Debug)]
struct Sender<'a> {
    connector: Connector<'a>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Connector<'a> {
    id: Uuid,
    identifier_value: &'a str,
}

#[derive(Serialize, Debug)]
struct Receiver<'a> {
    /// None where a rejected item of a batch names none.
    contacts: Vec<Contact<'a>>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Contact<'a> {
    id: Uuid,
    identifier_key: &'static str,
    identifier_value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<String>,
    platform_address: &'a str,
    platform_address_selector: &'static str,
    annotations: Annotations,
}

#[derive(Serialize, Debug)]
struct Annotations {
    name: &'static str,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct PartView<'a> {
    platform_reference: &'a str,
}

#[derive(Serialize, Debug)]
struct ShortLinks<'a> {
    domain: &'a str,
}

/// Why a message was not delivered.
#[derive(Serialize, Debug)]
pub(crate) struct FailureView<'a> {
    code: i32,
    description: &'static str,
    source: FailureSource<'a>,
}

#[derive(Serialize, Debug)]
struct FailureSource<'a> {
    name: &'a str,
    code: &'a str,
}

/// Shows a message.
///
/// # Errors
/// 500 when a stored body is not JSON.
pub(crate) fn view(message: &Message) -> Result<MessageView<'_>, ApiError> {
    let (connector, own) = &message.connector;
    Ok(MessageView {
        id: message.id.0,
        channel_id: message.channel.0,
        sender: Sender { connector: Connector { id: *connector, identifier_value: own.e164() } },
        receiver: Receiver { contacts: message.recipient.as_ref().map(contact).into_iter().collect() },
        body: Some(stored_json(&message.body)?).filter(|body| body.get() != "null"),
        template: message.template.as_deref().map(stored_json).transpose()?,
        meta: stored_json(&message.meta)?,
        reference: &message.reference,
        parts: message.platform_references.iter().map(|reference| PartView { platform_reference: reference }).collect(),
        status: message.status.as_str(),
        reason: &message.reason,
        details: details(message),
        failure: message.failure.as_ref().map(failure),
        direction: message.direction.as_str(),
        tags: &message.tags,
        chargeable_units: 1,
        batch_id: message.batch,
        reply_to: message.options.reply_to.as_ref(),
        short_links: message.options.short_links_domain.as_deref().map(|domain| ShortLinks { domain }),
        scheduled_for: message.scheduled_for.map(instant),
        replay_of: message.replay_of.map(|id| id.0),
        replayed_as: message.replayed_as.map(|id| id.0),
        last_status_at: instant(message.last_status_at),
        created_at: instant(message.created_at),
        updated_at: instant(message.updated_at),
    })
}

impl MessageView<'_> {
    /// Tells of a message that was just accepted what it waits behind, if nothing else keeps it for now.
    pub(crate) fn behind(mut self, outlook: Option<&Outlook>, may_go_at: Timestamp) -> Self {
        self.details = behind(&self.details, outlook, may_go_at);
        self
    }
}

impl MessageView<'_> {
    /// Tells of a message that waits why nothing is sent at all, if that is so.
    pub(crate) fn stopped(mut self, stops: &[Stop]) -> Self {
        let waits = ["accepted", "scheduled", "processing"].contains(&self.status);
        if let Some(stop) = stops.first().filter(|_| waits) {
            self.details = stopped(&self.details, *stop);
        }
        self
    }
}

/// The details of a message that waits, with why nothing is sent at all.
pub(crate) fn stopped(details: &str, stop: Stop) -> String {
    if details.is_empty() { stop.to_string() } else { format!("{stop}; {details}") }
}

/// The details of a message that was just accepted, with what it waits behind.
pub(crate) fn behind(details: &str, outlook: Option<&Outlook>, may_go_at: Timestamp) -> String {
    let told = outlook.filter(|outlook| outlook.waits(may_go_at)).map(|outlook| {
        format!("behind {} others, goes about {}", grouped(outlook.others), instant_to_second(outlook.goes_at))
    });
    match (told, details.is_empty()) {
        (None, _) => details.to_owned(),
        (Some(told), true) => told,
        (Some(told), false) => format!("{told}; {details}"),
    }
}

/// `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// What is about right is not told to the millisecond.
fn instant_to_second(at: Timestamp) -> String {
    at.round(TimestampRound::new().smallest(Unit::Second)).unwrap_or(at).to_string()
}

fn contact((id, number): &(ContactId, PhoneNumber)) -> Contact<'_> {
    Contact {
        id: id.0,
        identifier_key: "phonenumber",
        identifier_value: number.e164(),
        country_code: number.country_code(),
        platform_address: number.e164(),
        platform_address_selector: "identifiers.phonenumber",
        annotations: Annotations { name: "" },
    }
}

/// Text that was JSON when it was stored; shown as it stands.
fn stored_json(text: &str) -> Result<&RawValue, ApiError> {
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "a stored body is not JSON");
        ApiError::Internal
    })
}

/// RFC 3339 in UTC with at most three fraction digits, trailing zeros dropped (Channels API, conventions). Cut, not rounded
/// up, like the instants in message ids: the list that starts at the instant shown for a message has that message.
pub(crate) fn instant(at: Timestamp) -> String {
    at.round(TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Floor)).unwrap_or(at).to_string()
}

pub(crate) fn failure((code, source, source_code): &(FailureCode, String, String)) -> FailureView<'_> {
    let (code, description, _) = code.row();
    FailureView { code, description, source: FailureSource { name: source, code: source_code } }
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
        (Some(waiting), Status::Scheduled) if waiting.reason == DueReason::Requested && pause_of(waiting).is_none() => {
            format!("scheduled for {}", instant(waiting.due_at))
        }
        (Some(waiting), _) => waiting_details(waiting),
        (None, _) => {
            message.failure.as_ref().map(|(code, _, _)| ended_details(*code, &message.reason)).unwrap_or_default()
        }
    }
}

/// Why a message ended; where it was known beforehand that it would be too late, until when it would have waited.
fn ended_details(code: FailureCode, reason: &str) -> String {
    if code == FailureCode::ValidityExpired && !reason.is_empty() { reason.to_owned() } else { code.row().1.to_owned() }
}

fn waiting_details(waiting: &Waiting) -> String {
    if let Some(pause) = pause_of(waiting) {
        let until = pause.until.map(|until| format!(" until {}", instant(until))).unwrap_or_default();
        return format!("held by a pause{until}: {}", pause.reason);
    }
    if let Some((reason, until)) = waiting.gate.filter(|(_, until)| !is_held_past(waiting, *until)) {
        let what = match reason {
            GateReason::Credentials => "held because the provider refuses the channel's key; next probe",
            GateReason::RateLimit => "held because the provider asked to slow down; goes on",
            GateReason::Breaker => "held because the provider cannot be reached or fails; next probe",
        };
        return format!("{what} at {}", instant(until));
    }
    match waiting.reason {
        // What a pause held that is over goes as soon as the owner of the channel knows.
        DueReason::Requested | DueReason::Gate | DueReason::Paused => String::new(),
        DueReason::BackOff if waiting.maybe_sent => {
            format!(
                "try {} failed, outcome unknown: perhaps sent; repeated under the same id at {}",
                waiting.tries,
                instant(waiting.due_at)
            )
        }
        DueReason::BackOff => format!("try {} failed; next try at {}", waiting.tries, instant(waiting.due_at)),
        DueReason::QuietHours => format!("held by quiet hours until {}", instant(waiting.due_at)),
        DueReason::Released => {
            format!("released after quiet hours, waits for its turn until {}", instant(waiting.due_at))
        }
        DueReason::Held => "held until it is released".to_owned(),
        DueReason::Unknown => format!("outcome unknown: held for proof until {}", instant(waiting.due_at)),
        DueReason::Recipient => format!("the recipient's next turn is at {}", instant(waiting.due_at)),
        DueReason::Order => format!("waits for an earlier message to the recipient until {}", instant(waiting.due_at)),
        DueReason::Claimed => "being sent".to_owned(),
    }
}

/// The pause that covers a waiting message, if nothing else holds it for longer.
fn pause_of(waiting: &Waiting) -> Option<&Pause> {
    let gate_until = waiting.gate.map_or(waiting.due_at, |(_, until)| until);
    match waiting.reason {
        // It goes on being held, or sent, whatever becomes of the pause.
        DueReason::Held | DueReason::Unknown | DueReason::Claimed => None,
        DueReason::Requested
        | DueReason::BackOff
        | DueReason::QuietHours
        | DueReason::Released
        | DueReason::Paused
        | DueReason::Gate
        | DueReason::Recipient
        | DueReason::Order => waiting.pause.as_ref().filter(|pause| pause.over_at() >= waiting.due_at.max(gate_until)),
    }
}

/// Whether an operator, quiet hours or doubt hold a message for longer than the channel's gate does.
fn is_held_past(waiting: &Waiting, gate_until: Timestamp) -> bool {
    let is_held =
        matches!(waiting.reason, DueReason::Held | DueReason::Unknown | DueReason::QuietHours | DueReason::Released);
    is_held && waiting.due_at > gate_until
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_behind_others_says_how_many_and_about_when_it_goes() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let goes_at = at("2026-11-20T12:00:50.7Z");
        let outlook = |others| Outlook { goes_at, others };
        for (details, outlook, may_go_at, expected) in [
            ("", Some(outlook(4000)), "2026-11-20T12:00:00Z", "behind 4,000 others, goes about 2026-11-20T12:00:51Z"),
            ("x", Some(outlook(7)), "2026-11-20T12:00:49Z", "behind 7 others, goes about 2026-11-20T12:00:51Z; x"),
            ("x", Some(outlook(7)), "2026-11-20T12:00:50Z", "x"),
            ("", None, "2026-11-20T12:00:00Z", ""),
        ] {
            assert_eq!(behind(details, outlook.as_ref(), at(may_go_at)), expected);
        }
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
