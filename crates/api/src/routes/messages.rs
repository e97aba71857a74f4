//! Sending and reading messages of a channel.

use std::sync::Arc;

use actix_web::http::header::HeaderName;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::id::MessageId;
use domain::message::MessageKey;
use domain::violation::Violations;
use jiff::Timestamp;
use serde_json::Value;
use store::accept::Accepted;
use store::channel::{Channel, ChannelStatus};
use store::workspace::Workspace;

use super::dry_run::plan;
use crate::access::Scope;
use crate::admission::{as_stored, ended_by, fingerprint, look_up, new_message, outlooks, replays};
use crate::app::Api;
use crate::body::{MESSAGE_BYTES_MAX, read_json};
use crate::errors::ApiError;
use crate::openapi::errors::{ReadErrors, WriteErrors};
use crate::openapi::message::Message as MessageAnswer;
use crate::openapi::message_request::MessageRequest as MessageRequestBody;
use crate::openapi::parameters::{ChannelPath, DryRunQuery, IdempotencyKey, MessagePath};
use crate::openapi::plan::Plan;
use crate::patience::Patience;
use crate::wire::mentions::Mentions;
use crate::wire::query::{DryRun, read_dry_run, read_none};
use crate::wire::request::{self, Context, HeaderKey, MessageRequest};
use crate::wire::response::view;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// `POST /workspaces/{workspaceId}/channels/{channelId}/messages`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages",
    operation_id = "sendMessage",
    tag = "Messages",
    summary = "Send a message",
    description = "Accepts a message to one recipient; it is stored when the answer comes. With `dryRun=true` nothing \
                   is stored, and the answer tells what would happen.",
    params(ChannelPath, DryRunQuery, IdempotencyKey),
    request_body = MessageRequestBody,
    responses(
        (status = 202, description = "Accepted.", body = MessageAnswer, headers(
            ("idempotent-replayed" = String, description = "`true` when an earlier request with the same \
            deduplication key had made the message.")
        )),
        (status = 200, description = "What would happen: the answer of a dry run.", body = Plan),
        WriteErrors,
    )
)]
pub(crate) async fn send_message(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let mut patience = Patience::new();
    let channel = patience.wait(ApiError::Unavailable, sender(api.clone(), request.clone())).await?;
    let dry_run = read_dry_run(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let body = read_json(&request, payload, MESSAGE_BYTES_MAX).await?;
    patience.wait(ApiError::OutcomeUnknown, take(api, request, channel, dry_run, body)).await
}

/// The channel of a request that may send by it.
pub(crate) async fn sender(api: Data<Api>, request: HttpRequest) -> Result<Arc<Channel>, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesWrite).await?;
    api.access.channel(&api.store, &request, workspace).await
}

async fn take(
    api: Data<Api>,
    request: HttpRequest,
    channel: Arc<Channel>,
    dry_run: Option<DryRun>,
    body: Value,
) -> Result<HttpResponse, ApiError> {
    let (workspace, channel) = (channel.workspace, &*channel);
    let settings = api.access.settings(&api.store, workspace).await?;
    let mut mentions = Mentions::default();
    mentions.add(&body);
    let known = look_up(&api.store, workspace, &mentions).await?;
    let context = Context {
        now: dry_run.and_then(|dry_run| dry_run.at).unwrap_or_else(|| api.store.now()),
        header_key: header_key(&request),
        sender: &channel.settings.number,
        known: &known,
        link_parameters: &settings.link_parameters,
    };
    let read = read(&body, channel, context);
    match (dry_run, read) {
        (Some(DryRun { .. }), read) => {
            Ok(HttpResponse::Ok().json(plan(&api, channel, &settings, read, context.now).await?))
        }
        (None, Ok(read)) => accept(&api, channel, &settings, read, &body, context.now).await,
        (None, Err(violations)) => {
            let key = request::key_of(&body, context.header_key);
            replay_or(&api, channel, key, &body, ApiError::InvalidPayload(violations)).await
        }
    }
}

/// What is refused is answered with its first message if it was accepted before.
async fn replay_or(
    api: &Api,
    channel: &Channel,
    key: Option<MessageKey>,
    body: &Value,
    refusal: ApiError,
) -> Result<HttpResponse, ApiError> {
    let under_key = key.map(|key| (key, body));
    match replays(&api.store, channel, under_key.as_slice()).await?.pop().flatten() {
        Some(first) => replay(api, channel, first).await,
        None => Err(refusal),
    }
}

/// Reads a request for a channel.
pub(crate) fn read(body: &Value, channel: &Channel, context: Context<'_>) -> Result<MessageRequest, Violations> {
    let read = request::read(body, context);
    if channel.settings.status == ChannelStatus::Active {
        return read;
    }
    let mut violations = read.err().unwrap_or_default();
    violations.add(".channel", "the channel is inactive");
    Err(violations)
}

async fn accept(
    api: &Api,
    channel: &Channel,
    settings: &Workspace,
    read: MessageRequest,
    body: &Value,
    now: Timestamp,
) -> Result<HttpResponse, ApiError> {
    let message = new_message(channel, settings, read, fingerprint(channel, body), now);
    let outlook = match outlooks(api, channel, std::iter::once(Some(&message)), now).await {
        Ok(outlooks) => outlooks.first().copied().flatten(),
        Err(full) => {
            let refused = replay_or(api, channel, message.key.clone(), body, full.into()).await;
            api.metrics.queue_full.inc_by(u64::from(refused.is_err()));
            return refused;
        }
    };
    let stored = as_stored(channel, settings, &message, Accepted::New);
    let (due_at, lane, waits) = (message.due_at, message.lane, message.rejected.is_none());
    let accepted = api.writer.accept(vec![message]).await?;
    match accepted.first() {
        Some(Accepted::New) => {
            api.metrics.accepted.inc();
            if waits {
                api.backlogs.note(channel.id, lane, due_at, now);
            }
            if due_at <= now {
                (api.due)(channel.id, lane, due_at);
            }
            Ok(HttpResponse::Accepted()
                .json(view(&stored)?.behind(outlook.as_ref(), due_at).stopped(&api.store.stops())))
        }
        Some(&ended @ (Accepted::Capped | Accepted::Collapsed)) => {
            api.metrics.accepted.inc();
            Ok(HttpResponse::Accepted().json(view(&ended_by(ended, stored))?))
        }
        Some(Accepted::Replayed(first)) => replay(api, channel, *first).await,
        Some(Accepted::Conflict(_)) => Err(ApiError::MessageIdConflict),
        None => Err(ApiError::Internal),
    }
}

/// The first message under a deduplication key, as it stands now. It is stored: when it cannot be read, nobody may hear that it is not.
async fn replay(api: &Api, channel: &Channel, first: MessageId) -> Result<HttpResponse, ApiError> {
    api.metrics.replayed.inc();
    let found = api.store.message(channel.workspace, first).await.map_err(ApiError::from);
    let first = found.map_err(ApiError::once_stored)?.ok_or(ApiError::OutcomeUnknown)?;
    Ok(HttpResponse::Accepted()
        .insert_header((IDEMPOTENT_REPLAYED, "true"))
        .json(view(&first)?.stopped(&api.store.stops())))
}

/// `GET /workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}",
    operation_id = "getMessage",
    tag = "Messages",
    summary = "Get a message",
    description = "The message as it stands now.",
    params(MessagePath),
    responses((status = 200, description = "The message.", body = MessageAnswer), ReadErrors)
)]
pub(crate) async fn get_message(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesRead).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let id: Option<MessageId> = request.match_info().get("messageId").and_then(|text| text.parse().ok());
    let id = id.ok_or(ApiError::NotFound("message"))?;
    let message = api.store.message(workspace, id).await?.filter(|message| message.channel == channel.id);
    Ok(HttpResponse::Ok().json(view(&message.ok_or(ApiError::NotFound("message"))?)?.stopped(&api.store.stops())))
}

fn header_key(request: &HttpRequest) -> HeaderKey<'_> {
    let mut given = request.headers().get_all(IDEMPOTENCY_KEY);
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().map(Some).map_err(|_| "must be ASCII text"),
        (Some(_), Some(_)) => Err("is given more than once"),
    }
}
