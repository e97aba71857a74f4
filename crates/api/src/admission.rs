//! From a request to the message that is stored, and from there to the answer.

use domain::content::Part;
use domain::failure::FailureCode;
use domain::id::{ContactId, MessageId, PartId, WorkspaceId};
use domain::lifecycle::Status;
use domain::limits::REFERENCE_CHARS_MAX;
use domain::message::{Lane, MessageKey};
use domain::options::Options;
use domain::pause;
use domain::phone::PhoneNumber;
use domain::schedule::{DueReason, Fit};
use domain::violation::Violations;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Store;
use store::accept::{Accepted, Fingerprint, NewMessage, Rejection};
use store::channel::Channel;
use store::message::{Direction, Message, Waiting, new_id_at};
use store::workspace::Workspace;
use uuid::Uuid;

use crate::app::Api;
use crate::errors::ApiError;
use crate::json::write_canonical;
use crate::outlook::{Full, Outlook};
use crate::timing::Timing;
use crate::wire::mentions::{Known, Mentions};
use crate::wire::request::MessageRequest;
use crate::wire::response::instant;

/// What is wrong with a rejected item, characters kept of it.
const REASON_CHARS_MAX: usize = 2000;

/// Where failures come from that are decided here.
const TUMA: &str = "tuma";

/// Looks up what requests mention.
///
/// # Errors
/// When the database cannot be used.
pub(crate) async fn look_up(store: &Store, workspace: WorkspaceId, mentions: &Mentions) -> Result<Known, ApiError> {
    Ok(Known {
        contacts: store.contact_numbers(workspace, &mentions.contacts).await?.into_iter().collect(),
        received: store.received(workspace, &mentions.received).await?.into_iter().collect(),
    })
}

/// What makes two requests the same: channel and content, without the key and without white space and order.
pub(crate) fn fingerprint(channel: &Channel, request: &Value) -> Fingerprint {
    let mut bytes = channel.id.0.as_bytes().to_vec();
    write_canonical(request, "messageId", &mut bytes);
    Sha256::digest(&bytes).into()
}

/// For each request under its key: its first message, if the same was accepted before. It is answered again also where the
/// request would be refused now, since the channel may have been switched off, or a setting changed.
///
/// # Errors
/// When the database cannot be used.
pub(crate) async fn replays(
    store: &Store,
    channel: &Channel,
    requests: &[(MessageKey, &Value)],
) -> Result<Vec<Option<MessageId>>, ApiError> {
    let keys: Vec<MessageKey> = requests.iter().map(|(key, _)| key.clone()).collect();
    let firsts = store.firsts(channel.workspace, &keys).await?;
    let first_of = |(key, request): &(MessageKey, &Value)| {
        let first = firsts.iter().find(|first| first.key == key.as_str())?;
        (first.fingerprint == fingerprint(channel, request)).then_some(first.message)
    };
    Ok(requests.iter().map(first_of).collect())
}

/// The message of a request.
pub(crate) fn new_message(
    channel: &Channel,
    workspace: &Workspace,
    request: MessageRequest,
    fingerprint: Fingerprint,
    now: Timestamp,
) -> NewMessage {
    let timing = Timing::of(channel, workspace, &request, now);
    let expires_at = timing.expires_at;
    let (due_at, due_reason, rejected) = match timing.fit {
        Fit::At(at, reason) => (at, reason, None),
        Fit::Never => (expires_at, DueReason::Requested, Some(too_late(&timing))),
    };
    let contact = ContactId::of_number(channel.workspace, request.recipient.e164());
    let lane = Lane::of(request.meta.use_case.as_deref(), channel.settings.message_type);
    // Who gets nothing is not counted.
    let is_capped = request.options.cap_frequency && rejected.is_none();
    NewMessage {
        id: new_id_at(now),
        workspace: channel.workspace,
        channel: channel.id,
        recipient: Some((contact, request.recipient)),
        key: request.key,
        fingerprint,
        body: request.body.unwrap_or_default().to_string(),
        template: request.template.map(|template| template.to_string()),
        parts: request.contents.into_iter().map(|content| Part { id: PartId(Uuid::new_v4()), content }).collect(),
        reference: request.reference,
        tags: request.tags,
        meta: request.meta.value.to_string(),
        use_case: request.meta.use_case,
        frequency_cap: is_capped.then_some(workspace.frequency_cap),
        options: request.options,
        batch: None,
        scheduled_for: request.scheduled_for,
        expires_at,
        due_at,
        due_reason,
        lane,
        rejected,
        created_at: now,
    }
}

/// What is to be expected for each of several new messages; `None` for those that wait for nothing, and where what waits is
/// not known.
///
/// # Errors
/// Why so many are not taken.
pub(crate) async fn outlooks<'a>(
    api: &Api,
    channel: &Channel,
    messages: impl Iterator<Item = Option<&'a NewMessage>>,
    now: Timestamp,
) -> Result<Vec<Option<Outlook>>, Full> {
    match api.backlogs.known(&api.store, channel).await {
        Some(seen) => seen.admit_all(&channel.settings, messages, now),
        None => Ok(messages.map(|_| None).collect()),
    }
}

/// A message that cannot go in time: it ends at once, under its key.
fn too_late(timing: &Timing<'_>) -> Rejection {
    let held = timing.closed().map(|closed| format!("held by quiet hours until {}, but ", instant(closed.until)));
    let reason = format!("{}valid only until {}", held.unwrap_or_default(), instant(timing.expires_at));
    Rejection { code: FailureCode::ValidityExpired, reason }
}

/// An item of a batch that cannot be sent, with what can be read of it. It keeps no deduplication key: once mended, the
/// same item may come again under its own.
pub(crate) fn rejected(channel: &Channel, request: &Value, violations: &Violations, now: Timestamp) -> NewMessage {
    let value = request.pointer("/receiver/contacts/0/identifierValue").and_then(Value::as_str);
    let number = value.and_then(|text| PhoneNumber::parse(text).ok());
    let recipient = number.map(|number| (ContactId::of_number(channel.workspace, number.e164()), number));
    let object = |name: &str| request.get(name).filter(|value| value.is_object()).map(Value::to_string);
    let reference = request.get("reference").and_then(Value::as_str).unwrap_or_default();
    NewMessage {
        id: new_id_at(now),
        workspace: channel.workspace,
        channel: channel.id,
        recipient,
        key: None,
        fingerprint: Fingerprint::default(),
        body: object("body").unwrap_or_else(|| Value::Null.to_string()),
        template: object("template"),
        parts: Vec::new(),
        reference: reference.chars().take(REFERENCE_CHARS_MAX).collect(),
        tags: Vec::new(),
        meta: "{}".to_owned(),
        use_case: None,
        options: Options::default(),
        frequency_cap: None,
        batch: None,
        scheduled_for: None,
        expires_at: now,
        due_at: now,
        due_reason: DueReason::Requested,
        lane: channel.settings.message_type.lane(),
        rejected: Some(Rejection { code: FailureCode::InvalidInput, reason: in_one_line(violations) }),
        created_at: now,
    }
}

fn in_one_line(violations: &Violations) -> String {
    let each =
        violations.by_path().iter().flat_map(|(path, texts)| texts.iter().map(move |text| format!("{path}: {text}")));
    each.collect::<Vec<_>>().join("; ").chars().take(REASON_CHARS_MAX).collect()
}

/// A message as it was just stored: nothing has happened to it since.
pub(crate) fn as_stored(channel: &Channel, workspace: &Workspace, message: &NewMessage, accepted: Accepted) -> Message {
    ended_by(accepted, stored(channel, workspace, message))
}

/// The message when accepting it has ended it.
pub(crate) fn ended_by(accepted: Accepted, message: Message) -> Message {
    let code = match accepted {
        Accepted::Capped => FailureCode::FrequencyCapped,
        Accepted::Collapsed => FailureCode::Collapsed,
        Accepted::New | Accepted::Replayed(_) | Accepted::Conflict(_) => return message,
    };
    let failure = Some((code, TUMA.to_owned(), String::new()));
    Message { status: code.row().2, waiting: None, failure, ..message }
}

fn stored(channel: &Channel, workspace: &Workspace, message: &NewMessage) -> Message {
    let ended = message.rejected.as_ref();
    let pause = pause::covering(&workspace.pauses, channel.id, &message.tags, message.created_at).cloned();
    let (due_at, reason) = (message.due_at, message.due_reason);
    let waiting = Waiting { due_at, reason, tries: 0, maybe_sent: false, gate: None, pause };
    let status = match ended {
        Some(rejection) => rejection.code.row().2,
        None if message.scheduled_for.is_some_and(|at| at > message.created_at) => Status::Scheduled,
        None => Status::Accepted,
    };
    Message {
        id: message.id,
        channel: channel.id,
        connector: (channel.connector, channel.settings.number.clone()),
        recipient: message.recipient.clone(),
        direction: Direction::Outgoing,
        body: message.body.clone(),
        template: message.template.clone(),
        options: message.options.clone(),
        batch: message.batch,
        meta: message.meta.clone(),
        reference: message.reference.clone(),
        tags: message.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        status,
        waiting: ended.is_none().then_some(waiting),
        reason: ended.map(|rejection| rejection.reason.clone()).unwrap_or_default(),
        failure: ended.map(|rejection| (rejection.code, TUMA.to_owned(), String::new())),
        platform_references: Vec::new(),
        scheduled_for: message.scheduled_for,
        expires_at: message.expires_at,
        replayed_as: None,
        replay_of: None,
        created_at: message.created_at,
        updated_at: message.created_at,
        last_status_at: message.created_at,
    }
}
