//! Sending up to a hundred messages at once: all that are well-formed in one commit, each of the others as a rejected
//! message that says what is wrong with it.

use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::failure::FailureCode;
use domain::id::MessageId;
use domain::message::Lane;
use domain::violation::Violations;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use store::accept::{Accepted, NewMessage};
use store::channel::Channel;
use store::message::Message;
use store::workspace::Workspace;
use uuid::Uuid;

use super::messages::{IDEMPOTENCY_KEY, read, sender};
use crate::admission::{as_stored, fingerprint, look_up, new_message, outlooks, rejected, replays};
use crate::app::Api;
use crate::body::{MESSAGE_BYTES_MAX, read_json};
use crate::errors::ApiError;
use crate::openapi::errors::WriteErrors;
use crate::openapi::message::Batch;
use crate::openapi::message_request::BatchRequest;
use crate::openapi::parameters::ChannelPath;
use crate::outlook::Outlook;
use crate::patience::Patience;
use crate::wire::batch;
use crate::wire::mentions::Mentions;
use crate::wire::query::read_none;
use crate::wire::request::{self, Context, MessageRequest};
use crate::wire::response::{behind, failure, status_details, stopped};

/// Body of a batch: 5 MB (contract, section 2).
const BATCH_BYTES_MAX: usize = 5 * 1000 * 1000;

/// What became of one item.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    id: Uuid,
    status: &'static str,
    idempotent_replayed: bool,
    failure: Option<Value>,
    details: String,
}

/// `POST /workspaces/{workspaceId}/channels/{channelId}/batch/messages`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/channels/{channelId}/batch/messages",
    operation_id = "sendBatch",
    tag = "Messages",
    summary = "Send up to 100 messages",
    description = "Each request is read on its own: one that is refused becomes a `rejected` message that says why, and \
                   the others go.",
    params(ChannelPath),
    request_body = BatchRequest,
    responses((status = 202, description = "Accepted.", body = Batch), WriteErrors)
)]
pub(crate) async fn send_batch(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let mut patience = Patience::new();
    let channel = patience.wait(ApiError::Unavailable, sender(api.clone(), request.clone())).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let body = read_json(&request, payload, BATCH_BYTES_MAX).await?;
    if request.headers().contains_key(IDEMPOTENCY_KEY) {
        let text = "is for one message: give each message of a batch a messageId";
        return Err(ApiError::violation("Idempotency-Key", text));
    }
    patience.wait(ApiError::OutcomeUnknown, take(api, channel, body)).await
}

async fn take(api: Data<Api>, channel: Arc<Channel>, body: Value) -> Result<HttpResponse, ApiError> {
    let (api, channel) = (&**api, &*channel);
    let values = batch::read(&body).map_err(ApiError::InvalidPayload)?;
    let batch = Uuid::new_v4();
    let settings = api.access.settings(&api.store, channel.workspace).await?;
    let (items, now) = read_items(api, channel, &settings, values, batch).await?;
    let (items, outlooks) = admit(api, channel, values, items, now).await?;
    let fates = store(api, channel, values, items, batch).await?;
    let outcomes = outcomes(api, channel, &settings, &fates, &outlooks).await?;
    let ids: Vec<Uuid> = outcomes.iter().map(|outcome| outcome.id).collect();
    Ok(HttpResponse::Accepted().json(json!({ "batchId": batch, "messageIds": ids, "results": outcomes })))
}

/// What an item is before anything is stored.
enum Item {
    /// A message to store, a rejected one where the item cannot be sent.
    Message(Box<NewMessage>),
    /// The same request was accepted before.
    Replay(MessageId),
}

/// What became of an item.
enum Fate {
    /// Stored.
    Stored(Box<NewMessage>, Accepted),
    /// The same request was accepted before.
    Replayed(MessageId),
}

/// Refuses the batch whole if there is no room for all of it. What was accepted before needs none.
async fn admit(
    api: &Api,
    channel: &Channel,
    values: &[Value],
    items: Vec<Item>,
    now: Timestamp,
) -> Result<(Vec<Item>, Vec<Option<Outlook>>), ApiError> {
    if let Ok(outlooks) = outlooks(api, channel, items.iter().map(message), now).await {
        return Ok((items, outlooks));
    }
    let key = |item: &Item| message(item)?.key.clone();
    let under_keys: Vec<_> = items.iter().zip(values).filter_map(|(item, value)| Some((key(item)?, value))).collect();
    let mut firsts = replays(&api.store, channel, &under_keys).await?.into_iter();
    let known = |item: Item| match key(&item).and_then(|_| firsts.next().flatten()) {
        Some(first) => Item::Replay(first),
        None => item,
    };
    let items: Vec<Item> = items.into_iter().map(known).collect();
    match outlooks(api, channel, items.iter().map(message), now).await {
        Ok(outlooks) => Ok((items, outlooks)),
        Err(full) => {
            api.metrics.queue_full.inc();
            Err(full.into())
        }
    }
}

/// The message that is to be stored of an item.
fn message(item: &Item) -> Option<&NewMessage> {
    match item {
        Item::Message(message) => Some(message),
        Item::Replay(_) => None,
    }
}

async fn read_items(
    api: &Api,
    channel: &Channel,
    settings: &Workspace,
    values: &[Value],
    batch: Uuid,
) -> Result<(Vec<Item>, Timestamp), ApiError> {
    let mut mentions = Mentions::default();
    values.iter().for_each(|value| mentions.add(value));
    let known = look_up(&api.store, channel.workspace, &mentions).await?;
    let now = api.store.now();
    let context = Context {
        now,
        header_key: Ok(None),
        sender: &channel.settings.number,
        known: &known,
        link_parameters: &settings.link_parameters,
    };
    let reads: Vec<_> = values.iter().map(|value| (value, read(value, channel, context))).collect();
    let refused = reads.iter().filter(|(_, read)| read.is_err());
    let under_keys: Vec<_> =
        refused.filter_map(|(value, _)| Some((request::key_of(value, Ok(None))?, *value))).collect();
    let replays = replays(&api.store, channel, &under_keys).await?;
    let replay_of = |value: &Value| {
        under_keys
            .iter()
            .zip(&replays)
            .find(|((_, known), _)| std::ptr::eq(*known, value))
            .and_then(|(_, first)| *first)
    };
    let item = |(value, read): (&Value, Result<MessageRequest, Violations>)| {
        let message = match read {
            Ok(read) => new_message(channel, settings, read, fingerprint(channel, value), now),
            Err(violations) => match replay_of(value) {
                Some(first) => return Item::Replay(first),
                None => rejected(channel, value, &violations, now),
            },
        };
        // Beyond what is taken of a single message, nothing of the item is kept.
        let is_small = value.to_string().len() <= MESSAGE_BYTES_MAX;
        let message = if is_small { message } else { rejected(channel, &Value::Null, &too_large(), now) };
        Item::Message(Box::new(NewMessage { batch: Some(batch), ..message }))
    };
    Ok((reads.into_iter().map(item).collect(), now))
}

/// Stores the messages; an item whose deduplication key belongs to another request ends as a rejected message, too.
async fn store(
    api: &Api,
    channel: &Channel,
    values: &[Value],
    items: Vec<Item>,
    batch: Uuid,
) -> Result<Vec<Fate>, ApiError> {
    let mut accepted = api.writer.accept(items.iter().filter_map(message).cloned().collect()).await?.into_iter();
    let mut conflicts = Vec::new();
    let mut fates = Vec::with_capacity(items.len());
    for (item, value) in items.into_iter().zip(values) {
        fates.push(match item {
            Item::Replay(first) => Fate::Replayed(first),
            Item::Message(message) => match accepted.next().ok_or(ApiError::OutcomeUnknown)? {
                accepted @ (Accepted::New | Accepted::Capped | Accepted::Collapsed) => Fate::Stored(message, accepted),
                Accepted::Replayed(first) => Fate::Replayed(first),
                Accepted::Conflict(_) => {
                    let message = rejected(channel, value, &taken_key(), api.store.now());
                    let message = NewMessage { batch: Some(batch), ..message };
                    conflicts.push(message.clone());
                    Fate::Stored(Box::new(message), Accepted::New)
                }
            },
        });
    }
    count(api, channel, &fates);
    // From here on the others are stored: no answer may say that nothing is.
    let kept = conflicts.len();
    if kept > 0 && api.writer.accept(conflicts).await.is_err() {
        tracing::warn!(conflicts = kept, "rejected items of a batch are told of, but not kept");
    }
    Ok(fates)
}

/// Tells metrics and engine of what was stored.
fn count(api: &Api, channel: &Channel, fates: &[Fate]) {
    let mut due: [Option<Timestamp>; Lane::ALL.len()] = Default::default();
    for fate in fates {
        match fate {
            Fate::Stored(message, _) if is_refused(message) => {}
            Fate::Stored(message, accepted) => {
                api.metrics.accepted.inc();
                let is_due = message.due_at <= message.created_at;
                if *accepted == Accepted::New && message.rejected.is_none() {
                    api.backlogs.note(channel.id, message.lane, message.due_at, message.created_at);
                }
                if *accepted == Accepted::New && is_due {
                    let earliest = &mut due[message.lane.index()];
                    *earliest = Some(earliest.map_or(message.due_at, |at| at.min(message.due_at)));
                }
            }
            Fate::Replayed(_) => api.metrics.replayed.inc(),
        }
    }
    for (lane, due_at) in Lane::ALL.into_iter().zip(due).filter_map(|(lane, at)| Some((lane, at?))) {
        (api.due)(channel.id, lane, due_at);
    }
}

/// Whether an item is no message: one that only comes too late is.
fn is_refused(message: &NewMessage) -> bool {
    message.rejected.as_ref().is_some_and(|rejection| rejection.code == FailureCode::InvalidInput)
}

async fn outcomes(
    api: &Api,
    channel: &Channel,
    settings: &Workspace,
    fates: &[Fate],
    outlooks: &[Option<Outlook>],
) -> Result<Vec<Outcome>, ApiError> {
    let replayed = |fate: &Fate| match fate {
        Fate::Stored(..) => None,
        Fate::Replayed(first) => Some(*first),
    };
    let firsts: Vec<MessageId> = fates.iter().filter_map(replayed).collect();
    let firsts = api.store.messages(channel.workspace, &firsts).await.map_err(|_| ApiError::OutcomeUnknown)?;
    let stops = api.store.stops();
    let outcome = |(fate, outlook): (&Fate, &Option<Outlook>)| match fate {
        Fate::Stored(message, accepted) => {
            let outcome = outcome(&as_stored(channel, settings, message, *accepted), false);
            let outlook = outlook.as_ref().filter(|_| *accepted == Accepted::New && message.rejected.is_none());
            let details = behind(&outcome.details, outlook, message.due_at);
            let details = match stops.first().filter(|_| message.rejected.is_none() && *accepted == Accepted::New) {
                Some(stop) => stopped(&details, *stop),
                None => details,
            };
            Some(Outcome { details, ..outcome })
        }
        Fate::Replayed(id) => firsts.iter().find(|first| first.id == *id).map(|first| outcome(first, true)),
    };
    fates.iter().zip(outlooks).map(outcome).collect::<Option<_>>().ok_or(ApiError::OutcomeUnknown)
}

fn outcome(message: &Message, is_replayed: bool) -> Outcome {
    let is_invalid = matches!(message.failure, Some((FailureCode::InvalidInput, _, _)));
    Outcome {
        id: message.id.0,
        status: message.status.as_str(),
        idempotent_replayed: is_replayed,
        failure: message.failure.as_ref().map(|ended| json!(failure(ended))),
        details: if is_invalid { message.reason.clone() } else { status_details(message) },
    }
}

fn too_large() -> Violations {
    violation(".", format!("must not be larger than {MESSAGE_BYTES_MAX} bytes"))
}

fn taken_key() -> Violations {
    violation(".messageId", "another request was accepted under this messageId")
}

fn violation(path: &str, text: impl Into<String>) -> Violations {
    let mut violations = Violations::default();
    violations.add(path, text);
    violations
}
