//! Sending up to a hundred messages at once: all that are well-formed in one commit, each of the others as a rejected
//! message that says what is wrong with it.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::failure::FailureCode;
use domain::id::MessageId;
use domain::message::Lane;
use domain::violation::Violations;
use serde::Serialize;
use serde_json::{Value, json};
use store::accept::{Accepted, NewMessage};
use store::channel::Channel;
use store::message::Message;
use uuid::Uuid;

use super::messages::{IDEMPOTENCY_KEY, read};
use crate::access::Scope;
use crate::admission::{as_stored, fingerprint, look_up, new_message, rejected};
use crate::app::Api;
use crate::body::{MESSAGE_BYTES_MAX, read_json};
use crate::errors::ApiError;
use crate::openapi::errors::WriteErrors;
use crate::openapi::message::Batch;
use crate::openapi::message_request::BatchRequest;
use crate::openapi::parameters::ChannelPath;
use crate::wire::batch;
use crate::wire::mentions::Mentions;
use crate::wire::query::read_none;
use crate::wire::request::Context;
use crate::wire::response::{failure, status_details};

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
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesWrite).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let body = read_json(&request, payload, BATCH_BYTES_MAX).await?;
    if request.headers().contains_key(IDEMPOTENCY_KEY) {
        let text = "is for one message: give each message of a batch a messageId";
        return Err(ApiError::violation("Idempotency-Key", text));
    }
    let items = batch::read(&body).map_err(ApiError::InvalidPayload)?;
    let batch = Uuid::new_v4();
    let messages = read_items(&api, &channel, items, batch).await?;
    let outcomes = store(&api, &channel, items, messages, batch).await?;
    let ids: Vec<Uuid> = outcomes.iter().map(|outcome| outcome.id).collect();
    Ok(HttpResponse::Accepted().json(json!({ "batchId": batch, "messageIds": ids, "results": outcomes })))
}

/// The message of each item; of one that cannot be sent, a rejected message.
async fn read_items(api: &Api, channel: &Channel, items: &[Value], batch: Uuid) -> Result<Vec<NewMessage>, ApiError> {
    let settings = api.access.settings(&api.store, channel.workspace).await?;
    let mut mentions = Mentions::default();
    items.iter().for_each(|item| mentions.add(item));
    let known = look_up(&api.store, channel.workspace, &mentions).await?;
    let now = api.store.now();
    let context = Context {
        now,
        header_key: Ok(None),
        sender: &channel.settings.number,
        known: &known,
        link_parameters: &settings.link_parameters,
    };
    let message = |item: &Value| {
        if item.to_string().len() > MESSAGE_BYTES_MAX {
            let text = format!("must not be larger than {MESSAGE_BYTES_MAX} bytes");
            return rejected(channel, &Value::Null, &violation(".", text), now);
        }
        match read(item, channel, context) {
            Ok(read) => new_message(channel, &settings, read, fingerprint(channel, item), now),
            Err(violations) => rejected(channel, item, &violations, now),
        }
    };
    Ok(items.iter().map(message).map(|message| NewMessage { batch: Some(batch), ..message }).collect())
}

/// Stores the messages; an item whose deduplication key belongs to another request ends as a rejected message, too.
async fn store(
    api: &Api,
    channel: &Channel,
    items: &[Value],
    messages: Vec<NewMessage>,
    batch: Uuid,
) -> Result<Vec<Outcome>, ApiError> {
    let accepted = api.writer.accept(messages.clone()).await?;
    let mut conflicts = Vec::new();
    let mut replayed: Vec<MessageId> = Vec::new();
    for (item, accepted) in items.iter().zip(&accepted) {
        match accepted {
            Accepted::New | Accepted::Capped | Accepted::Collapsed => {}
            Accepted::Replayed(first) => replayed.push(*first),
            Accepted::Conflict(_) => {
                let conflict = violation(".messageId", "another request was accepted under this messageId");
                let message = rejected(channel, item, &conflict, api.store.now());
                conflicts.push(NewMessage { batch: Some(batch), ..message });
            }
        }
    }
    count(api, channel, &messages, &accepted);
    // From here on the others are stored: no answer may say that nothing is.
    if !conflicts.is_empty() && api.writer.accept(conflicts.clone()).await.is_err() {
        tracing::warn!(conflicts = conflicts.len(), "rejected items of a batch are told of, but not kept");
    }
    let firsts = api.store.messages(channel.workspace, &replayed).await.map_err(|_| ApiError::OutcomeUnknown)?;
    let mut conflicts = conflicts.iter();
    let outcome = |(message, accepted): (&NewMessage, &Accepted)| match accepted {
        Accepted::New | Accepted::Capped | Accepted::Collapsed => {
            Some(outcome(&as_stored(channel, message, *accepted), false))
        }
        Accepted::Replayed(id) => firsts.iter().find(|first| first.id == *id).map(|first| outcome(first, true)),
        Accepted::Conflict(_) => {
            conflicts.next().map(|message| outcome(&as_stored(channel, message, Accepted::New), false))
        }
    };
    messages.iter().zip(&accepted).map(outcome).collect::<Option<_>>().ok_or(ApiError::OutcomeUnknown)
}

/// Tells metrics and engine of what was stored.
fn count(api: &Api, channel: &Channel, messages: &[NewMessage], accepted: &[Accepted]) {
    let mut due: [bool; Lane::ALL.len()] = Default::default();
    for (message, accepted) in messages.iter().zip(accepted) {
        match accepted {
            Accepted::New => {
                api.metrics.accepted.inc();
                due[message.lane.index()] |= message.rejected.is_none() && message.due_at <= message.created_at;
            }
            Accepted::Capped | Accepted::Collapsed => api.metrics.accepted.inc(),
            Accepted::Replayed(_) => api.metrics.replayed.inc(),
            Accepted::Conflict(_) => {}
        }
    }
    for lane in Lane::ALL.into_iter().filter(|lane| due[lane.index()]) {
        (api.due)(channel.id, lane);
    }
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

fn violation(path: &str, text: impl Into<String>) -> Violations {
    let mut violations = Violations::default();
    violations.add(path, text);
    violations
}
