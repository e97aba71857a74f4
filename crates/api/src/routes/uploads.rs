//! Presigned uploads: refused, since Lipachat fetches files from where they are. The paths are there so that a client
//! is told what to do instead.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::access::Scope;
use crate::app::Api;
use crate::body::{MESSAGE_BYTES_MAX, read_json};
use crate::errors::ApiError;
use crate::openapi::channel::UploadRequest;
use crate::openapi::errors::WriteErrors;
use crate::openapi::parameters::{ChannelPath, WorkspacePath};
use crate::wire::query::read_none;

const NO_UPLOADS: &str = "files cannot be uploaded: Lipachat takes URLs only. Put the file at a public https address and give it as mediaUrl";

/// `POST /workspaces/{workspaceId}/channels/{channelId}/presigned-upload`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/channels/{channelId}/presigned-upload",
    operation_id = "presignChannelUpload",
    tag = "Channels",
    summary = "Ask for a place to upload a file to",
    description = "Always refused: Lipachat takes addresses of files only.",
    params(ChannelPath),
    request_body = UploadRequest,
    responses(WriteErrors)
)]
pub(crate) async fn refuse_channel_upload(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesWrite).await?;
    api.access.channel(&api.store, &request, workspace).await?;
    refuse(&request, payload).await
}

/// `POST /workspaces/{workspaceId}/channel-media/presigned-upload`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/channel-media/presigned-upload",
    operation_id = "presignUpload",
    tag = "Channels",
    summary = "Ask for a place to upload a file to",
    description = "Always refused: Lipachat takes addresses of files only.",
    params(WorkspacePath),
    request_body = UploadRequest,
    responses(WriteErrors)
)]
pub(crate) async fn refuse_workspace_upload(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    api.access.workspace(&api.store, &request, Scope::MessagesWrite).await?;
    refuse(&request, payload).await
}

async fn refuse(request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let body = read_json(request, payload, MESSAGE_BYTES_MAX).await?;
    let path = if body.get("contentType").is_some() { ".contentType" } else { "." };
    Err(ApiError::violation(path, NO_UPLOADS))
}
