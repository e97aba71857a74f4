//! Channels of a workspace, as its keys see them.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::id::ChannelId;
use serde_json::{Value, json};
use store::channel::{Channel, ChannelStatus};
use uuid::Uuid;

use crate::access::Scope;
use crate::app::Api;
use crate::cursor::List;
use crate::errors::ApiError;
use crate::openapi::channel::{Channel as ChannelAnswer, ChannelList};
use crate::openapi::errors::ReadErrors;
use crate::openapi::parameters::{ChannelFilter, ChannelPath, PageQuery, PlatformFilter, WorkspacePath};
use crate::wire::channel_query;
use crate::wire::platforms::WHATSAPP;
use crate::wire::query::read_none;
use crate::wire::response::instant;

/// `GET /workspaces/{workspaceId}/channels`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels",
    operation_id = "listChannels",
    tag = "Channels",
    summary = "List the channels of a workspace",
    description = "In order of id.",
    params(WorkspacePath, PageQuery, PlatformFilter, ChannelFilter),
    responses((status = 200, description = "A page of channels.", body = ChannelList), ReadErrors)
)]
pub(crate) async fn list_channels(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::ChannelsRead).await?;
    let query = channel_query::read(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let page = &query.page;
    let filters = [
        ("platform", query.platforms.to_string()),
        ("status", query.status.map(ChannelStatus::as_str).unwrap_or_default().to_owned()),
    ];
    let list = List::new(workspace, "channels", page.is_reversed, &filters);
    let beyond = page.beyond(|token| list.id(&api.cursor_key, token))?;
    let mut found = if !query.platforms.has_whatsapp() {
        Vec::new()
    } else if page.is_reversed {
        let before = ChannelId(beyond.unwrap_or(Uuid::max()));
        api.store.channels_backwards(workspace, query.status, before, page.limit + 1).await?
    } else {
        let after = ChannelId(beyond.unwrap_or(Uuid::nil()));
        api.store.channels(workspace, query.status, after, page.limit + 1).await?
    };
    let last = page.cut(&mut found).map(|last| last.id.0);
    let next = last.map(|id| list.token(&api.cursor_key, id.as_bytes())).unwrap_or_default();
    let results: Vec<Value> = found.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({ "results": results, "nextPageToken": next })))
}

/// `GET /workspaces/{workspaceId}/channels/{channelId}`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels/{channelId}",
    operation_id = "getChannel",
    tag = "Channels",
    summary = "Get a channel",
    description = "The channel as it stands now.",
    params(ChannelPath),
    responses((status = 200, description = "The channel.", body = ChannelAnswer), ReadErrors)
)]
pub(crate) async fn get_channel(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::ChannelsRead).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    Ok(HttpResponse::Ok().json(view(&channel)))
}

fn view(channel: &Channel) -> Value {
    let settings = &channel.settings;
    json!({
        "id": channel.id.to_string(),
        "platformId": WHATSAPP,
        "name": settings.name,
        "connectorId": channel.connector.to_string(),
        "identifier": settings.number.e164(),
        "status": settings.status.as_str(),
        "channelMessageType": settings.message_type.as_str(),
        "createdAt": instant(channel.created_at),
        "updatedAt": instant(channel.updated_at)
    })
}
