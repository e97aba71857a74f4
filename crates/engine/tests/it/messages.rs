//! Messages as the API would have stored them.

use std::sync::atomic::{AtomicU32, Ordering};

use domain::content::{Content, Part, Text};
use domain::id::{ContactId, MessageId, PartId};
use domain::message::Lane;
use domain::options::Options;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::{SignedDuration, Timestamp};
use store::accept::NewMessage;
use testkit::Tenant;
use uuid::Uuid;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A text that is due now and valid for an hour.
pub(crate) fn text(tenant: &Tenant, now: Timestamp, text: &str) -> NewMessage {
    of_parts(tenant, now, &[text])
}

/// A message of several parts that is due now and valid for an hour, to a recipient of its own.
pub(crate) fn of_parts(tenant: &Tenant, now: Timestamp, texts: &[&str]) -> NewMessage {
    // Messages to one recipient go one after the other.
    let number = 10_000_000 + NUMBER.fetch_add(1, Ordering::Relaxed);
    to(tenant, now, &format!("+2547{number}"), texts)
}

/// The same to a recipient.
pub(crate) fn to(tenant: &Tenant, now: Timestamp, recipient: &str, texts: &[&str]) -> NewMessage {
    let recipient = PhoneNumber::parse(recipient).expect("a number");
    NewMessage {
        id: MessageId(Uuid::now_v7()),
        workspace: tenant.workspace,
        channel: tenant.channel.id,
        recipient: Some((ContactId::of_number(tenant.workspace, recipient.e164()), recipient)),
        key: None,
        fingerprint: [0; 32],
        body: "{}".to_owned(),
        template: None,
        parts: texts.iter().map(|text| part(text)).collect(),
        reference: String::new(),
        tags: Vec::new(),
        meta: "{}".to_owned(),
        use_case: None,
        options: Options::default(),
        frequency_cap: None,
        batch: None,
        scheduled_for: None,
        expires_at: after(now, 3_600_000),
        due_at: now,
        due_reason: DueReason::Requested,
        lane: Lane::Normal,
        rejected: None,
        created_at: now,
    }
}

/// Milliseconds after an instant.
pub(crate) fn after(now: Timestamp, milliseconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_millis(milliseconds)).expect("in range")
}

/// The ids that go out for a message, in order.
pub(crate) fn part_ids(message: &NewMessage) -> Vec<String> {
    message.parts.iter().map(|part| part.id.to_string()).collect()
}

fn part(text: &str) -> Part {
    Part { id: PartId(Uuid::new_v4()), content: Content::Text(Text::new(text).expect("a text")) }
}
