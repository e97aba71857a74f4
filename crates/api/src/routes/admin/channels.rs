//! Channels of a workspace. The provider key goes in and never comes out.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::content::LongitudeSpelling;
use domain::id::ChannelId;
use domain::limits::{MESSAGES_PER_SECOND_DEFAULT, MESSAGES_PER_SECOND_MAX};
use domain::message::MessageType;
use domain::phone::PhoneNumber;
use domain::violation::Violations;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::channel::{Channel, ChannelSettings, ChannelStatus};
use uuid::Uuid;

use super::{ADMIN_BYTES_MAX, act, check_name, cut, page_after, path_id, path_workspace, refuse};
use crate::access::admin;
use crate::app::Api;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::openapi::admin::{ChannelChange, NewChannel, OperatedChannel, OperatedChannelList};
use crate::openapi::errors::{AdminReadErrors, AdminWriteErrors};
use crate::openapi::parameters::{ChannelPath, PageQuery, WorkspacePath};
use crate::reader::Fields;
use crate::wire::response::instant;

/// Longest provider key, bytes: it travels in a header.
const PROVIDER_KEY_BYTES_MAX: usize = 1024;

/// What a request says of a channel.
#[derive(Default)]
struct ChannelRequest {
    name: Option<String>,
    number: Option<PhoneNumber>,
    message_type: Option<MessageType>,
    messages_per_second: Option<u32>,
    status: Option<ChannelStatus>,
    longitude_spelling: Option<LongitudeSpelling>,
    provider_key: Option<SecretString>,
}

/// `POST /admin/workspaces/{workspaceId}/channels`
#[utoipa::path(
    post,
    path = "/admin/workspaces/{workspaceId}/channels",
    operation_id = "createChannel",
    tag = "Admin",
    summary = "Make a channel",
    description = "The provider key goes in and is never shown again.",
    security(("adminToken" = [])),
    params(WorkspacePath),
    request_body = NewChannel,
    responses((status = 201, description = "The channel.", body = OperatedChannel), AdminWriteErrors)
)]
pub(crate) async fn create_channel(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let workspace = path_workspace(&api, &request).await?;
    let body = read_json(&request, payload, ADMIN_BYTES_MAX).await?;
    let mut violations = Violations::default();
    let read = read(&body, &mut violations);
    for name in ["name", "number", "providerKey"] {
        if body.is_object() && body.get(name).is_none_or(Value::is_null) {
            violations.add(format!(".{name}"), "is required");
        }
    }
    let (Some(name), Some(number), Some(key), true) =
        (read.name, read.number, read.provider_key, violations.is_empty())
    else {
        return Err(refuse(violations));
    };
    let settings = ChannelSettings {
        name,
        number,
        message_type: read.message_type.unwrap_or(MessageType::Transactional),
        messages_per_second: read.messages_per_second.unwrap_or(MESSAGES_PER_SECOND_DEFAULT),
        status: read.status.unwrap_or(ChannelStatus::Active),
        longitude_spelling: read.longitude_spelling.unwrap_or_default(),
    };
    let (id, connector) = (ChannelId(Uuid::new_v4()), Uuid::new_v4());
    let made = api.store.create_channel(workspace, id, connector, &settings, &key, &act("channel.create")).await?;
    Ok(HttpResponse::Created().json(view(&made)))
}

/// `PATCH /admin/workspaces/{workspaceId}/channels/{channelId}`
#[utoipa::path(
    patch,
    path = "/admin/workspaces/{workspaceId}/channels/{channelId}",
    operation_id = "updateChannel",
    tag = "Admin",
    summary = "Change a channel",
    description = "What is not given stays as it is.",
    security(("adminToken" = [])),
    params(ChannelPath),
    request_body = ChannelChange,
    responses((status = 200, description = "The channel.", body = OperatedChannel), AdminWriteErrors)
)]
pub(crate) async fn update_channel(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let before = find(&api, &request).await?;
    let body = read_json(&request, payload, ADMIN_BYTES_MAX).await?;
    let mut violations = Violations::default();
    let read = read(&body, &mut violations);
    if !violations.is_empty() {
        return Err(refuse(violations));
    }
    let now = &before.settings;
    let settings = ChannelSettings {
        name: read.name.unwrap_or_else(|| now.name.clone()),
        number: read.number.unwrap_or_else(|| now.number.clone()),
        message_type: read.message_type.unwrap_or(now.message_type),
        messages_per_second: read.messages_per_second.unwrap_or(now.messages_per_second),
        status: read.status.unwrap_or(now.status),
        longitude_spelling: read.longitude_spelling.unwrap_or(now.longitude_spelling),
    };
    if settings == before.settings && read.provider_key.is_none() {
        // Nothing changes, so whoever sends for the channel is not disturbed.
        return Ok(HttpResponse::Ok().json(view(&before)));
    }
    let changed =
        api.store.update_channel(&before, &settings, read.provider_key.as_ref(), &act("channel.update")).await?;
    api.access.forget_channel(before.workspace, before.id);
    let changed =
        changed.ok_or(ApiError::ResourceAlreadyExists("The channel was changed meanwhile; read it and try again"))?;
    Ok(HttpResponse::Ok().json(view(&changed)))
}

/// `GET /admin/workspaces/{workspaceId}/channels/{channelId}`
#[utoipa::path(
    get,
    path = "/admin/workspaces/{workspaceId}/channels/{channelId}",
    operation_id = "getOperatedChannel",
    tag = "Admin",
    summary = "Get a channel with its settings",
    description = "The channel as its operator sees it.",
    security(("adminToken" = [])),
    params(ChannelPath),
    responses((status = 200, description = "The channel.", body = OperatedChannel), AdminReadErrors)
)]
pub(crate) async fn get_channel(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    Ok(HttpResponse::Ok().json(view(&find(&api, &request).await?)))
}

/// `GET /admin/workspaces/{workspaceId}/channels`
#[utoipa::path(
    get,
    path = "/admin/workspaces/{workspaceId}/channels",
    operation_id = "listOperatedChannels",
    tag = "Admin",
    summary = "List the channels of a workspace with their settings",
    description = "In order of id.",
    security(("adminToken" = [])),
    params(WorkspacePath, PageQuery),
    responses((status = 200, description = "A page of channels.", body = OperatedChannelList), AdminReadErrors)
)]
pub(crate) async fn list_channels(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let workspace = path_workspace(&api, &request).await?;
    let (page, after) = page_after(&request)?;
    let mut found = api.store.channels(workspace, None, ChannelId(after), page.limit + 1).await?;
    let next = cut(&mut found, &page, |channel| channel.id.0);
    let results: Vec<Value> = found.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({ "results": results, "nextPageToken": next })))
}

async fn find(api: &Api, request: &HttpRequest) -> Result<Channel, ApiError> {
    let workspace = path_id(request, "workspaceId", "workspace")?;
    let channel = path_id(request, "channelId", "channel")?;
    api.store.channel(workspace, channel).await?.ok_or(ApiError::NotFound("channel"))
}

fn read(body: &Value, violations: &mut Violations) -> ChannelRequest {
    let Some(mut fields) = Fields::of(body, "", violations) else { return ChannelRequest::default() };
    let name = fields.text("name", violations).and_then(|name| fields.keep("name", check_name(name), violations));
    let number = fields.text("number", violations);
    let number = number.and_then(|text| {
        fields.keep("number", PhoneNumber::parse(text).map_err(|error| error.to_string()), violations)
    });
    let message_type = fields.text("messageType", violations).and_then(|word| {
        let known = MessageType::from_word(word);
        fields.keep(
            "messageType",
            known.ok_or("must be one of promotional, conversational, transactional, 2fa".to_owned()),
            violations,
        )
    });
    let rate = fields.integer("messagesPerSecond", violations).and_then(|rate| {
        let legal = u32::try_from(rate).ok().filter(|rate| (1..=MESSAGES_PER_SECOND_MAX).contains(rate));
        fields.keep("messagesPerSecond", legal.ok_or(format!("must be 1 to {MESSAGES_PER_SECOND_MAX}")), violations)
    });
    let status = fields.text("status", violations).and_then(|word| {
        let known = ChannelStatus::from_word(word);
        fields.keep("status", known.ok_or("must be active or inactive".to_owned()), violations)
    });
    let longitude_spelling = fields.text("longitudeSpelling", violations).and_then(|word| {
        let known = LongitudeSpelling::from_word(word);
        fields.keep("longitudeSpelling", known.ok_or("must be both, longitude or longtitude".to_owned()), violations)
    });
    let provider_key = fields.text("providerKey", violations).and_then(|key| {
        let legal =
            !key.is_empty() && key.len() <= PROVIDER_KEY_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_graphic());
        let why = format!("must be 1 to {PROVIDER_KEY_BYTES_MAX} printable ASCII characters without spaces");
        fields.keep("providerKey", legal.then(|| SecretString::from(key)).ok_or(why), violations)
    });
    fields.finish(violations);
    ChannelRequest { name, number, message_type, messages_per_second: rate, status, longitude_spelling, provider_key }
}

fn view(channel: &Channel) -> Value {
    let settings = &channel.settings;
    json!({
        "id": channel.id.to_string(),
        "workspaceId": channel.workspace.to_string(),
        "connectorId": channel.connector.to_string(),
        "name": settings.name,
        "number": settings.number.e164(),
        "messageType": settings.message_type.as_str(),
        "messagesPerSecond": settings.messages_per_second,
        "status": settings.status.as_str(),
        "longitudeSpelling": settings.longitude_spelling.as_str(),
        "createdAt": instant(channel.created_at),
        "updatedAt": instant(channel.updated_at)
    })
}
