//! Sending and reading messages of a channel.

use actix_web::http::header::HeaderName;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::content::Part;
use domain::id::{ContactId, MessageId, PartId};
use domain::lifecycle::Status;
use domain::schedule;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::accept::{Accepted, Fingerprint, NewMessage};
use store::channel::{Channel, ChannelStatus};
use store::message::Message;
use uuid::Uuid;

use crate::access::Scope;
use crate::app::Api;
use crate::body::{MESSAGE_BYTES_MAX, read_json};
use crate::cursor::{self, List};
use crate::errors::ApiError;
use crate::json::write_canonical;
use crate::wire::query::{read_none, read_page};
use crate::wire::request::{self, HeaderKey, MessageRequest};
use crate::wire::response::view;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// `POST /workspaces/{workspace}/channels/{channel}/messages`
pub(crate) async fn send_message(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesWrite).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let body = read_json(&request, payload, MESSAGE_BYTES_MAX).await?;
    let now = api.store.now();
    let header_key = header_key(&request);
    let read = request::read(&body, header_key, now).map_err(ApiError::InvalidPayload)?;
    if channel.settings.status == ChannelStatus::Inactive {
        return Err(ApiError::violation(".channel", "the channel is inactive"));
    }
    let message = new_message(&channel, read, fingerprint(&channel, &body), now);
    let shown = as_accepted(&channel, &message, now);
    let is_due = message.due_at <= now;
    let accepted = api.writer.accept(vec![message]).await?;
    match accepted.first() {
        Some(Accepted::New) => {
            api.metrics.accepted.inc();
            if is_due {
                (api.due)(channel.id);
            }
            Ok(HttpResponse::Accepted().json(view(&shown)?))
        }
        Some(Accepted::Replayed(first)) => {
            api.metrics.replayed.inc();
            let first = api.store.message(workspace, *first).await?.ok_or(ApiError::Unavailable)?;
            Ok(HttpResponse::Accepted().insert_header((IDEMPOTENT_REPLAYED, "true")).json(view(&first)?))
        }
        Some(Accepted::Conflict(_)) => Err(ApiError::MessageIdConflict),
        None => Err(ApiError::Internal),
    }
}

/// `GET /workspaces/{workspace}/channels/{channel}/messages/{message}`
pub(crate) async fn get_message(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesRead).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let id: Option<MessageId> = request.match_info().get("message").and_then(|text| text.parse().ok());
    let id = id.ok_or(ApiError::NotFound("message"))?;
    let message = api.store.message(workspace, id).await?.filter(|message| message.channel == channel.id);
    Ok(HttpResponse::Ok().json(view(&message.ok_or(ApiError::NotFound("message"))?)?))
}

/// `GET /workspaces/{workspace}/channels/{channel}/messages`
pub(crate) async fn list_messages(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesRead).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    let page = read_page(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let list = List { workspace, channel: channel.id, order: page.order };
    let beyond = match &page.token {
        Some(token) => Some(
            cursor::decode(&api.cursor_key, list, token)
                .ok_or_else(|| ApiError::violation(".pageToken", "is not a token of this list"))?,
        ),
        None => None,
    };
    // One more than asked for tells whether there is a next page.
    let mut messages = api.store.list_messages(workspace, channel.id, page.order, beyond, page.limit + 1).await?;
    let asked = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = messages.len() > asked;
    messages.truncate(asked);
    let next = messages.last().filter(|_| has_more).map(|last| cursor::encode(&api.cursor_key, list, last.id));
    let results: Vec<_> = messages.iter().map(view).collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(json!({ "results": results, "nextPageToken": next.unwrap_or_default() })))
}

fn header_key(request: &HttpRequest) -> HeaderKey<'_> {
    let mut given = request.headers().get_all(IDEMPOTENCY_KEY);
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().map(Some).map_err(|_| "must be ASCII text"),
        (Some(_), Some(_)) => Err("is given more than once"),
    }
}

/// What makes two requests the same: channel and content, without the key and without white space and order.
fn fingerprint(channel: &Channel, body: &Value) -> Fingerprint {
    let mut bytes = channel.id.0.as_bytes().to_vec();
    let mut content = body.clone();
    if let Value::Object(properties) = &mut content {
        properties.remove("messageId");
    }
    write_canonical(&content, &mut bytes);
    Sha256::digest(&bytes).into()
}

fn new_message(channel: &Channel, request: MessageRequest, fingerprint: Fingerprint, now: Timestamp) -> NewMessage {
    let message_type = channel.settings.message_type;
    let validity = request.validity_seconds.unwrap_or(message_type.validity_seconds_default());
    NewMessage {
        id: MessageId(time_ordered_id(now)),
        workspace: channel.workspace,
        channel: channel.id,
        contact: ContactId::of_number(channel.workspace, request.recipient.e164()),
        recipient: request.recipient,
        key: request.key,
        fingerprint,
        body: request.body.to_string(),
        parts: request.contents.into_iter().map(|content| Part { id: PartId(Uuid::new_v4()), content }).collect(),
        reference: request.reference,
        tags: request.tags,
        meta: request.meta.to_string(),
        scheduled_for: request.scheduled_for,
        expires_at: schedule::expires_at(now, request.scheduled_for, validity),
        due_at: schedule::first_due(now, request.scheduled_for),
        lane: message_type.lane(),
        created_at: now,
    }
}

/// The message as its 202 shows it: nothing has happened to it yet.
fn as_accepted(channel: &Channel, message: &NewMessage, now: Timestamp) -> Message {
    let is_scheduled = message.due_at > now;
    Message {
        id: message.id,
        channel: channel.id,
        connector: (channel.connector, channel.settings.number.clone()),
        contact: message.contact,
        recipient: message.recipient.clone(),
        body: message.body.clone(),
        meta: message.meta.clone(),
        reference: message.reference.clone(),
        tags: message.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        status: if is_scheduled { Status::Scheduled } else { Status::Accepted },
        waiting: Some(store::message::Waiting {
            due_at: message.due_at,
            reason: schedule::DueReason::Requested,
            tries: 0,
            maybe_sent: false,
            gate: None,
        }),
        reason: String::new(),
        failure: None,
        platform_references: Vec::new(),
        scheduled_for: message.scheduled_for,
        expires_at: message.expires_at,
        created_at: now,
        updated_at: now,
        last_status_at: now,
    }
}

/// A UUID of version 7 from the database's clock: ids of all replicas sort by time of acceptance.
fn time_ordered_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds))
}
