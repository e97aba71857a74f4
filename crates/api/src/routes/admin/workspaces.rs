//! Workspaces.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::fairness::WEIGHT_MAX;
use domain::id::WorkspaceId;
use domain::limits::{BODY_RETENTION_DAYS_MAX, FREQUENCY_CAP_DAYS_MAX, FREQUENCY_CAP_MESSAGES_MAX};
use domain::links::LinkParameters;
use domain::options::FrequencyCap;
use domain::violation::Violations;
use serde_json::{Value, json};
use store::workspace::{RequestLimits, Workspace, WorkspaceChange};
use uuid::Uuid;

use super::{ADMIN_BYTES_MAX, act, check_name, cut, page_after, path_id, refuse};
use crate::access::admin;
use crate::app::Api;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::openapi::admin::{
    Workspace as WorkspaceAnswer, WorkspaceChange as WorkspaceChangeBody, WorkspaceList, WorkspaceRequest,
};
use crate::openapi::errors::{AdminReadErrors, AdminWriteErrors};
use crate::openapi::parameters::{PageQuery, WorkspacePath};
use crate::reader::Fields;
use crate::wire::response::instant;

/// Highest request limit that can be set.
const REQUESTS_PER_SECOND_MAX: u32 = 100_000;

/// `POST /admin/workspaces`
#[utoipa::path(
    post,
    path = "/admin/workspaces",
    operation_id = "createWorkspace",
    tag = "Admin",
    summary = "Make a workspace",
    description = "Names need not be unique.",
    security(("adminToken" = [])),
    request_body = WorkspaceRequest,
    responses((status = 201, description = "The workspace.", body = WorkspaceAnswer), AdminWriteErrors)
)]
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

/// `PATCH /admin/workspaces/{workspaceId}`
#[utoipa::path(
    patch,
    path = "/admin/workspaces/{workspaceId}",
    operation_id = "updateWorkspace",
    tag = "Admin",
    summary = "Change a workspace",
    description = "What is absent stays as it is. A change holds everywhere within 5 seconds.",
    security(("adminToken" = [])),
    params(WorkspacePath),
    request_body = WorkspaceChangeBody,
    responses((status = 200, description = "The workspace.", body = WorkspaceAnswer), AdminWriteErrors)
)]
pub(crate) async fn update_workspace(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let id = path_id(&request, "workspaceId", "workspace")?;
    let change = read_change(&read_json(&request, payload, ADMIN_BYTES_MAX).await?)?;
    let changed = api.store.update_workspace(id, &change, &act("workspace.update")).await?;
    api.access.forget_workspace(id);
    Ok(HttpResponse::Ok().json(view(&changed.ok_or(ApiError::NotFound("workspace"))?)))
}

/// `GET /admin/workspaces/{workspaceId}`
#[utoipa::path(
    get,
    path = "/admin/workspaces/{workspaceId}",
    operation_id = "getWorkspace",
    tag = "Admin",
    summary = "Get a workspace",
    description = "The workspace as it stands now.",
    security(("adminToken" = [])),
    params(WorkspacePath),
    responses((status = 200, description = "The workspace.", body = WorkspaceAnswer), AdminReadErrors)
)]
pub(crate) async fn get_workspace(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let found = api.store.workspace(path_id(&request, "workspaceId", "workspace")?).await?;
    Ok(HttpResponse::Ok().json(view(&found.ok_or(ApiError::NotFound("workspace"))?)))
}

/// `GET /admin/workspaces`
#[utoipa::path(
    get,
    path = "/admin/workspaces",
    operation_id = "listWorkspaces",
    tag = "Admin",
    summary = "List the workspaces",
    description = "In order of id.",
    security(("adminToken" = [])),
    params(PageQuery),
    responses((status = 200, description = "A page of workspaces.", body = WorkspaceList), AdminReadErrors)
)]
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

fn read_change(body: &Value) -> Result<WorkspaceChange, ApiError> {
    let mut violations = Violations::default();
    let change = Fields::of(body, "", &mut violations).map(|mut fields| {
        let notes = &mut violations;
        let name = fields.text("name", notes).and_then(|name| fields.keep("name", check_name(name), notes));
        let change = WorkspaceChange {
            name,
            frequency_cap: frequency_cap(&mut fields, notes),
            link_parameters: link_parameters(&mut fields, notes),
            request_limits: request_limits(&mut fields, notes),
            body_retention_days: optional_number(&mut fields, "bodyRetentionDays", BODY_RETENTION_DAYS_MAX, notes),
            weight: optional_number(&mut fields, "weight", WEIGHT_MAX, notes),
        };
        fields.finish(notes);
        change
    });
    change.filter(|_| violations.is_empty()).ok_or_else(|| refuse(violations))
}

fn frequency_cap(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<FrequencyCap> {
    let mut cap = fields.object("frequencyCap", violations)?;
    let messages = number(&mut cap, "messages", FREQUENCY_CAP_MESSAGES_MAX, violations);
    let days = number(&mut cap, "days", FREQUENCY_CAP_DAYS_MAX, violations);
    cap.finish(violations);
    Some(FrequencyCap { messages: messages?, days: days? })
}

fn request_limits(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<RequestLimits> {
    let mut limits = fields.object("requestLimits", violations)?;
    let posts_per_second = number(&mut limits, "postsPerSecond", REQUESTS_PER_SECOND_MAX, violations);
    let gets_per_second = number(&mut limits, "getsPerSecond", REQUESTS_PER_SECOND_MAX, violations);
    limits.finish(violations);
    Some(RequestLimits { posts_per_second: posts_per_second?, gets_per_second: gets_per_second? })
}

fn link_parameters(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<LinkParameters> {
    let value = fields.optional("linkParameters")?;
    let texts = value.as_object().and_then(|object| {
        object.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect::<Option<_>>()
    });
    let parameters = texts.ok_or("must be an object of strings".to_owned()).and_then(LinkParameters::new);
    fields.keep("linkParameters", parameters, violations)
}

/// A number from 1, if there is one.
fn optional_number(fields: &mut Fields<'_>, name: &'static str, most: u32, violations: &mut Violations) -> Option<u32> {
    fields.optional(name)?;
    number(fields, name, most, violations)
}

/// A number from 1 that must be there.
fn number(fields: &mut Fields<'_>, name: &'static str, most: u32, violations: &mut Violations) -> Option<u32> {
    let value = fields.required(name, violations)?;
    let legal =
        value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| (1..=most).contains(number));
    fields.keep(name, legal.ok_or(format!("must be an integer from 1 to {most}")), violations)
}

fn view(workspace: &Workspace) -> Value {
    json!({
        "id": workspace.id.to_string(),
        "organizationId": workspace.organization.to_string(),
        "name": workspace.name,
        "frequencyCap": { "messages": workspace.frequency_cap.messages, "days": workspace.frequency_cap.days },
        "linkParameters": workspace.link_parameters.by_name(),
        "requestLimits": {
            "postsPerSecond": workspace.request_limits.posts_per_second,
            "getsPerSecond": workspace.request_limits.gets_per_second
        },
        "bodyRetentionDays": workspace.body_retention_days,
        "weight": workspace.weight,
        "createdAt": instant(workspace.created_at),
        "updatedAt": instant(workspace.updated_at)
    })
}
