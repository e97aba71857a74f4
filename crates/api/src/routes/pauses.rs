//! Pauses of a workspace: while one holds, the messages that it covers are accepted and not sent.
//!
//! What is answered is what is stored. Who made a pause reads it back at once on every replica, and the owners of the channels
//! that it concerns are told.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::id::{ChannelId, PauseId};
use domain::limits::PAUSES_MAX;
use domain::message::Lane;
use domain::pause::Pause;
use serde_json::{Value, json};
use store::audit::Act;
use store::message::new_id_at;
use store::pause::{Creation, PauseRecord};

use crate::access::{Caller, Scope};
use crate::app::Api;
use crate::body::{read_empty, read_json};
use crate::errors::ApiError;
use crate::openapi::errors::{ReadErrors, RemoveErrors, WriteErrors};
use crate::openapi::parameters::{PausePath, WorkspacePath};
use crate::openapi::pause::{Pause as PauseAnswer, PauseRequest, Pauses};
use crate::wire::pause::{NOT_OURS, channel_of, read, view};
use crate::wire::query::read_none;

/// Bodies: five short properties.
const PAUSE_BYTES_MAX: usize = 4 * 1000;

/// `GET /workspaces/{workspaceId}/pauses`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/pauses",
    operation_id = "listPauses",
    tag = "Pauses",
    summary = "List the open pauses of a workspace",
    description = "The newest first, all at once: no more than 1000 are open. Needs the scope `channels:read`.",
    params(WorkspacePath),
    responses((status = 200, description = "The open pauses.", body = Pauses), ReadErrors)
)]
pub(crate) async fn list_pauses(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::ChannelsRead).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let open = api.store.open_pauses(workspace).await?;
    let results: Vec<Value> = open.into_iter().map(|pause| view(&open_record(pause))).collect();
    Ok(HttpResponse::Ok().json(json!({ "results": results })))
}

/// `POST /workspaces/{workspaceId}/pauses`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/pauses",
    operation_id = "createPause",
    tag = "Pauses",
    summary = "Pause a workspace, a channel or a tag",
    description = "Messages that it covers are accepted and not sent until it is ended, or until its own instant; their \
                   `details` say so. Their validity goes on. What is being sent at this moment goes out. Needs the scope \
                   `settings:write`.",
    params(WorkspacePath),
    request_body = PauseRequest,
    responses((status = 201, description = "The pause.", body = PauseAnswer), WriteErrors)
)]
pub(crate) async fn create_pause(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let Caller { workspace, actor } = api.access.caller(&api.store, &request, Scope::SettingsWrite).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let body = read_json(&request, payload, PAUSE_BYTES_MAX).await?;
    let known = match channel_of(&body) {
        Some(named) => api.store.channel(workspace, named).await?.map(|channel| channel.id),
        None => None,
    };
    let now = api.store.now();
    let asked = read(&body, known, now).map_err(ApiError::InvalidPayload)?;
    let (id, act) = (PauseId(new_id_at(now).0), Act { actor: &actor, name: "pause.create" });
    let (scope, reason, until) = (asked.scope, asked.reason, asked.until);
    let pause = Pause { id, scope, reason, actor: actor.clone(), until, created_at: now };
    let created = api.store.create_pause(workspace, &pause, &act).await?;
    api.access.forget_workspace(workspace);
    match created {
        Creation::Made(channels) => {
            tell(&api, channels);
            Ok(HttpResponse::Created().json(view(&open_record(pause))))
        }
        Creation::NoChannel => Err(ApiError::violation(".channelId", NOT_OURS)),
        Creation::TooMany => Err(ApiError::violation(".", format!("{PAUSES_MAX} pauses are open: end some first"))),
    }
}

/// `GET /workspaces/{workspaceId}/pauses/{pauseId}`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/pauses/{pauseId}",
    operation_id = "getPause",
    tag = "Pauses",
    summary = "Get a pause",
    description = "Also one that is over. Needs the scope `channels:read`.",
    params(PausePath),
    responses((status = 200, description = "The pause.", body = PauseAnswer), ReadErrors)
)]
pub(crate) async fn get_pause(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::ChannelsRead).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let found = api.store.pause(workspace, path_id(&request)?).await?;
    Ok(HttpResponse::Ok().json(view(&found.ok_or(ApiError::NotFound("pause"))?)))
}

/// `DELETE /workspaces/{workspaceId}/pauses/{pauseId}`
#[utoipa::path(
    delete,
    path = "/workspaces/{workspaceId}/pauses/{pauseId}",
    operation_id = "endPause",
    tag = "Pauses",
    summary = "End a pause",
    description = "What it held goes on as usual. One that is over already stays as it is. Needs the scope \
                   `settings:write`.",
    params(PausePath),
    responses((status = 200, description = "The pause as it stands now.", body = PauseAnswer), RemoveErrors)
)]
pub(crate) async fn end_pause(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let Caller { workspace, actor } = api.access.caller(&api.store, &request, Scope::SettingsWrite).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    read_empty(&request, payload).await?;
    let act = Act { actor: &actor, name: "pause.end" };
    let ending = api.store.end_pause(workspace, path_id(&request)?, &act).await?;
    api.access.forget_workspace(workspace);
    let ending = ending.ok_or(ApiError::NotFound("pause"))?;
    tell(&api, ending.channels);
    Ok(HttpResponse::Ok().json(view(&ending.record)))
}

fn path_id(request: &HttpRequest) -> Result<PauseId, ApiError> {
    request.match_info().get("pauseId").and_then(|text| text.parse().ok()).ok_or(ApiError::NotFound("pause"))
}

fn open_record(pause: Pause) -> PauseRecord {
    PauseRecord { pause, ended_at: None, ended_by: None }
}

/// Tells the owners of channels, who would find out by themselves some seconds later. Which lane is named does not matter: an
/// owner that is told of work looks at its channels.
fn tell(api: &Api, channels: Vec<ChannelId>) {
    let now = api.store.now();
    for channel in channels {
        (api.due)(channel, Lane::Normal, now);
    }
}
