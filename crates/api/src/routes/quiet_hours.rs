//! Quiet hours of a workspace and of its channels.
//!
//! A channel's setting replaces the workspace's as a whole. What is answered is what is stored, not what is remembered: who
//! has just set it through another replica reads it back.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::quiet_hours::QuietHours;
use serde::Serialize;
use store::audit::Act;

use crate::access::{Caller, Scope};
use crate::app::Api;
use crate::body::{read_empty, read_json};
use crate::errors::ApiError;
use crate::openapi::errors::{ReadErrors, RemoveErrors, WriteErrors};
use crate::openapi::parameters::{ChannelPath, WorkspacePath};
use crate::openapi::quiet_hours::{ChannelQuietHours, QuietHours as QuietHoursAnswer, QuietHoursRequest};
use crate::wire::query::read_none;
use crate::wire::quiet_hours::read;

/// Bodies: a year of holidays and windows for each day fit many times.
const QUIET_HOURS_BYTES_MAX: usize = 64 * 1000;

/// What holds for a channel.
#[derive(Serialize)]
struct OfChannel<'a> {
    #[serde(flatten)]
    quiet_hours: &'a QuietHours,
    inherited: bool,
}

/// `GET /workspaces/{workspaceId}/quiet-hours`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/quiet-hours",
    operation_id = "getQuietHours",
    tag = "Quiet hours",
    summary = "Get the quiet hours of a workspace",
    description = "404 where none were ever set. Needs the scope `channels:read`.",
    params(WorkspacePath),
    responses((status = 200, description = "The quiet hours.", body = QuietHoursAnswer), ReadErrors)
)]
pub(crate) async fn get_quiet_hours(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::ChannelsRead).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let found = api.store.workspace(workspace).await?.and_then(|workspace| workspace.quiet_hours);
    Ok(HttpResponse::Ok().json(found.ok_or(ApiError::NotFound("quiet hours"))?))
}

/// `PUT /workspaces/{workspaceId}/quiet-hours`
#[utoipa::path(
    put,
    path = "/workspaces/{workspaceId}/quiet-hours",
    operation_id = "putQuietHours",
    tag = "Quiet hours",
    summary = "Set the quiet hours of a workspace",
    description = "They hold for all its channels that have none of their own, also for messages that wait already. What \
                   is absent takes its default. A change holds everywhere within 5 seconds. Needs the scope \
                   `settings:write`.",
    params(WorkspacePath),
    request_body = QuietHoursRequest,
    responses((status = 200, description = "The quiet hours.", body = QuietHoursAnswer), WriteErrors)
)]
pub(crate) async fn put_quiet_hours(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let Caller { workspace, actor } = api.access.caller(&api.store, &request, Scope::SettingsWrite).await?;
    let quiet_hours = read_body(&request, payload).await?;
    let is_done = api
        .store
        .put_workspace_quiet_hours(workspace, &quiet_hours, &Act { actor: &actor, name: "workspace.quiet_hours" })
        .await?;
    api.access.forget_workspace(workspace);
    if is_done { Ok(HttpResponse::Ok().json(quiet_hours)) } else { Err(ApiError::NotFound("workspace")) }
}

/// `GET /workspaces/{workspaceId}/channels/{channelId}/quiet-hours`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels/{channelId}/quiet-hours",
    operation_id = "getChannelQuietHours",
    tag = "Quiet hours",
    summary = "Get the quiet hours that hold for a channel",
    description = "Its own, else the workspace's: `inherited` tells which. 404 where neither were ever set. Needs the \
                   scope `channels:read`.",
    params(ChannelPath),
    responses((status = 200, description = "The quiet hours.", body = ChannelQuietHours), ReadErrors)
)]
pub(crate) async fn get_channel_quiet_hours(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::ChannelsRead).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let own = api.store.channel(workspace, channel.id).await?.and_then(|channel| channel.quiet_hours);
    let inherited = own.is_none();
    let found = match own {
        Some(own) => Some(own),
        None => api.store.workspace(workspace).await?.and_then(|workspace| workspace.quiet_hours),
    };
    let quiet_hours = &found.ok_or(ApiError::NotFound("quiet hours"))?;
    Ok(HttpResponse::Ok().json(OfChannel { quiet_hours, inherited }))
}

/// `PUT /workspaces/{workspaceId}/channels/{channelId}/quiet-hours`
#[utoipa::path(
    put,
    path = "/workspaces/{workspaceId}/channels/{channelId}/quiet-hours",
    operation_id = "putChannelQuietHours",
    tag = "Quiet hours",
    summary = "Set quiet hours of a channel",
    description = "They replace the workspace's as a whole: with `enabled` false the channel has none. Otherwise as for \
                   the workspace.",
    params(ChannelPath),
    request_body = QuietHoursRequest,
    responses((status = 200, description = "The quiet hours.", body = ChannelQuietHours), WriteErrors)
)]
pub(crate) async fn put_channel_quiet_hours(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let Caller { workspace, actor } = api.access.caller(&api.store, &request, Scope::SettingsWrite).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    let quiet_hours = &read_body(&request, payload).await?;
    let act = Act { actor: &actor, name: "channel.quiet_hours" };
    let is_done = api.store.put_channel_quiet_hours(workspace, channel.id, Some(quiet_hours), &act).await?;
    api.access.forget_channel(workspace, channel.id);
    let answer = OfChannel { quiet_hours, inherited: false };
    if is_done { Ok(HttpResponse::Ok().json(answer)) } else { Err(ApiError::NotFound("channel")) }
}

/// `DELETE /workspaces/{workspaceId}/channels/{channelId}/quiet-hours`
#[utoipa::path(
    delete,
    path = "/workspaces/{workspaceId}/channels/{channelId}/quiet-hours",
    operation_id = "deleteChannelQuietHours",
    tag = "Quiet hours",
    summary = "Return a channel to the workspace's quiet hours",
    description = "Also where it has none of its own. A change holds everywhere within 5 seconds. Needs the scope \
                   `settings:write`.",
    params(ChannelPath),
    responses((status = 204, description = "The workspace's hold."), RemoveErrors)
)]
pub(crate) async fn delete_channel_quiet_hours(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let Caller { workspace, actor } = api.access.caller(&api.store, &request, Scope::SettingsWrite).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    read_empty(&request, payload).await?;
    let act = Act { actor: &actor, name: "channel.quiet_hours" };
    let is_done = api.store.put_channel_quiet_hours(workspace, channel.id, None, &act).await?;
    api.access.forget_channel(workspace, channel.id);
    if is_done { Ok(HttpResponse::NoContent().finish()) } else { Err(ApiError::NotFound("channel")) }
}

/// The quiet hours of a request.
async fn read_body(request: &HttpRequest, payload: Payload) -> Result<QuietHours, ApiError> {
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let body = read_json(request, payload, QUIET_HOURS_BYTES_MAX).await?;
    read(&body).map_err(ApiError::InvalidPayload)
}
