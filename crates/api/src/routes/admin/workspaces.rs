//! Workspaces.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::id::WorkspaceId;
use domain::violation::Violations;
use serde_json::{Value, json};
use store::workspace::Workspace;
use uuid::Uuid;

use super::{ADMIN_BYTES_MAX, act, check_name, cut, page_after, path_id, refuse};
use crate::access::admin;
use crate::app::Api;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::reader::Fields;
use crate::wire::response::instant;

/// `POST /admin/workspaces`
pub(crate) async fn create_workspace(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let name = read_name(&read_json(&request, payload, ADMIN_BYTES_MAX).await?)?;
    let made = api.store.create_workspace(WorkspaceId(Uuid::new_v4()), &name, &act("workspace.create")).await?;
    Ok(HttpResponse::Created().json(view(&made)))
}

/// `PATCH /admin/workspaces/{workspace}`
pub(crate) async fn update_workspace(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let id = path_id(&request, "workspace", "workspace")?;
    let name = read_name(&read_json(&request, payload, ADMIN_BYTES_MAX).await?)?;
    let changed = api.store.rename_workspace(id, &name, &act("workspace.update")).await?;
    Ok(HttpResponse::Ok().json(view(&changed.ok_or(ApiError::NotFound("workspace"))?)))
}

/// `GET /admin/workspaces/{workspace}`
pub(crate) async fn get_workspace(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let found = api.store.workspace(path_id(&request, "workspace", "workspace")?).await?;
    Ok(HttpResponse::Ok().json(view(&found.ok_or(ApiError::NotFound("workspace"))?)))
}

/// `GET /admin/workspaces`
pub(crate) async fn list_workspaces(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let (page, after) = page_after(&request)?;
    let mut found = api.store.workspaces(WorkspaceId(after), page.limit + 1).await?;
    let next = cut(&mut found, &page, |workspace| workspace.id.0);
    let results: Vec<Value> = found.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({ "results": results, "nextPageToken": next })))
}

fn read_name(body: &Value) -> Result<String, ApiError> {
    let mut violations = Violations::default();
    let name = Fields::of(body, "", &mut violations).and_then(|mut fields| {
        let name = fields.required_text("name", &mut violations);
        let name = name.and_then(|name| fields.keep("name", check_name(name), &mut violations));
        fields.finish(&mut violations);
        name
    });
    name.filter(|_| violations.is_empty()).ok_or_else(|| refuse(violations))
}

fn view(workspace: &Workspace) -> Value {
    json!({
        "id": workspace.id.to_string(),
        "organizationId": workspace.organization.to_string(),
        "name": workspace.name,
        "createdAt": instant(workspace.created_at),
        "updatedAt": instant(workspace.updated_at)
    })
}
