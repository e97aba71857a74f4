//! Access keys of a workspace. The secret is in the answer that makes it, and nowhere else.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::id::AccessKeyId;
use domain::violation::Violations;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::access_key::{AccessKey, new_secret};
use uuid::Uuid;

use super::{ADMIN_BYTES_MAX, act, check_name, cut, page_after, path_id, path_workspace, refuse};
use crate::access::{Scope, admin, scopes as all_scopes};
use crate::app::Api;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::openapi::admin::{AccessKey as AccessKeyAnswer, AccessKeyList, AccessKeyRequest};
use crate::openapi::errors::{AdminReadErrors, AdminWriteErrors};
use crate::openapi::parameters::{AccessKeyPath, PageQuery, WorkspacePath};
use crate::reader::Fields;
use crate::wire::response::instant;

/// `POST /admin/workspaces/{workspaceId}/access-keys`
#[utoipa::path(
    post,
    path = "/admin/workspaces/{workspaceId}/access-keys",
    operation_id = "createAccessKey",
    tag = "Admin",
    summary = "Make an access key",
    description = "The secret is in this answer and nowhere else.",
    security(("adminToken" = [])),
    params(WorkspacePath),
    request_body = AccessKeyRequest,
    responses((status = 201, description = "The key with its secret.", body = AccessKeyAnswer), AdminWriteErrors)
)]
pub(crate) async fn create_access_key(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let workspace = path_workspace(&api, &request).await?;
    let (name, scopes) = read(&read_json(&request, payload, ADMIN_BYTES_MAX).await?)?;
    let (id, secret) = (AccessKeyId(Uuid::new_v4()), new_secret());
    let made = api.store.create_access_key(workspace, id, &name, &secret, &scopes, &act("access_key.create")).await?;
    let mut shown = view(&made);
    shown["accessKey"] = Value::String(secret.expose_secret().to_owned());
    Ok(HttpResponse::Created().json(shown))
}

/// `GET /admin/workspaces/{workspaceId}/access-keys`
#[utoipa::path(
    get,
    path = "/admin/workspaces/{workspaceId}/access-keys",
    operation_id = "listAccessKeys",
    tag = "Admin",
    summary = "List the access keys of a workspace",
    description = "In order of id, without their secrets.",
    security(("adminToken" = [])),
    params(WorkspacePath, PageQuery),
    responses((status = 200, description = "A page of access keys.", body = AccessKeyList), AdminReadErrors)
)]
pub(crate) async fn list_access_keys(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let workspace = path_workspace(&api, &request).await?;
    let (page, after) = page_after(&request)?;
    let mut found = api.store.access_keys(workspace, AccessKeyId(after), page.limit + 1).await?;
    let next = cut(&mut found, &page, |key| key.id.0);
    let results: Vec<Value> = found.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({ "results": results, "nextPageToken": next })))
}

/// `DELETE /admin/workspaces/{workspaceId}/access-keys/{accessKeyId}`: revokes it.
#[utoipa::path(
    delete,
    path = "/admin/workspaces/{workspaceId}/access-keys/{accessKeyId}",
    operation_id = "revokeAccessKey",
    tag = "Admin",
    summary = "Revoke an access key",
    description = "It is refused everywhere within five seconds. Again has no effect.",
    security(("adminToken" = [])),
    params(AccessKeyPath),
    responses((status = 200, description = "The key, revoked.", body = AccessKeyAnswer), AdminReadErrors)
)]
pub(crate) async fn revoke_access_key(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let workspace = path_id(&request, "workspaceId", "workspace")?;
    let id = path_id(&request, "accessKeyId", "access key")?;
    let revoked = api.store.revoke_access_key(workspace, id, &act("access_key.revoke")).await?;
    Ok(HttpResponse::Ok().json(view(&revoked.ok_or(ApiError::NotFound("access key"))?)))
}

fn read(body: &Value) -> Result<(String, Vec<String>), ApiError> {
    let mut violations = Violations::default();
    let Some(mut fields) = Fields::of(body, "", &mut violations) else { return Err(refuse(violations)) };
    let name = fields.required_text("name", &mut violations);
    let name = name.and_then(|name| fields.keep("name", check_name(name), &mut violations));
    let scopes = match fields.array("scopes", &mut violations) {
        Some(given) => scopes(given, &mut violations),
        None => all_scopes(),
    };
    fields.finish(&mut violations);
    match name {
        Some(name) if violations.is_empty() => Ok((name, scopes)),
        Some(_) | None => Err(refuse(violations)),
    }
}

fn scopes(given: &[Value], violations: &mut Violations) -> Vec<String> {
    if given.is_empty() {
        violations.add(".scopes", "must not be empty");
    }
    let mut scopes: Vec<String> = Vec::new();
    for (position, value) in given.iter().enumerate() {
        match Scope::ALL.iter().find(|scope| value.as_str() == Some(scope.as_str())) {
            Some(scope) if scopes.iter().any(|known| known == scope.as_str()) => {}
            Some(scope) => scopes.push(scope.as_str().to_owned()),
            None => violations.add(
                format!(".scopes[{position}]"),
                format!("must be one of {}", Scope::ALL.map(Scope::as_str).join(", ")),
            ),
        }
    }
    scopes
}

fn view(key: &AccessKey) -> Value {
    json!({
        "id": key.id.to_string(),
        "workspaceId": key.workspace.to_string(),
        "name": key.name,
        "scopes": key.scopes,
        "createdAt": instant(key.created_at),
        "revokedAt": key.revoked_at.map(instant)
    })
}
