//! Tags of a workspace, with how many messages were accepted under each.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use store::tag::TagUse;

use crate::access::Scope;
use crate::app::Api;
use crate::cursor::List;
use crate::errors::ApiError;
use crate::openapi::channel::TagList;
use crate::openapi::errors::ReadErrors;
use crate::openapi::parameters::{PageQuery, WorkspacePath};
use crate::wire::query::read_page;
use crate::wire::response::instant;

/// `GET /workspaces/{workspaceId}/tags`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/tags",
    operation_id = "listTags",
    tag = "Channels",
    summary = "List the tags of a workspace",
    description = "Each with how many messages were accepted with it.",
    params(WorkspacePath, PageQuery),
    responses((status = 200, description = "A page of tags.", body = TagList), ReadErrors)
)]
pub(crate) async fn list_tags(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesRead).await?;
    let page = read_page(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let list = List::new(workspace, "tags", page.is_reversed, &[]);
    let beyond = page.beyond(|token| list.text(&api.cursor_key, token))?;
    let mut found = if page.is_reversed {
        api.store.tags_backwards(workspace, beyond.as_deref(), page.limit + 1).await?
    } else {
        api.store.tags(workspace, beyond.as_deref(), page.limit + 1).await?
    };
    let last = page.cut(&mut found).map(|last| last.tag.as_bytes());
    let next = last.map(|tag| list.token(&api.cursor_key, tag)).unwrap_or_default();
    let results: Vec<Value> = found.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({ "results": results, "nextPageToken": next })))
}

fn view(tag: &TagUse) -> Value {
    json!({
        "tag": tag.tag,
        "messages": tag.messages,
        "createdAt": instant(tag.created_at),
        "lastUsedAt": instant(tag.last_used_at)
    })
}
