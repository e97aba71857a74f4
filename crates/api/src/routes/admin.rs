//! The admin API: workspaces, channels, access keys, erasures, the hold of sending. Opened by the installation's admin token.

pub(crate) mod access_keys;

pub(crate) mod channels;

pub(crate) mod erasures;

pub(crate) mod sending;

pub(crate) mod workspaces;

use std::str::FromStr;

use actix_web::HttpRequest;
use domain::id::WorkspaceId;
use domain::violation::Violations;
use store::audit::Act;
use uuid::Uuid;

use crate::app::Api;
use crate::errors::ApiError;
use crate::wire::query::{Page, read_page};

/// Bodies of the admin API.
const ADMIN_BYTES_MAX: usize = 16 * 1024;
/// Names of things, characters.
pub(crate) const NAME_CHARS_MAX: usize = 100;

/// An act done with the admin token.
fn act(name: &'static str) -> Act<'static> {
    Act { actor: "admin-token", name }
}

/// An id of the path, or 404.
fn path_id<T: FromStr>(request: &HttpRequest, segment: &str, what: &'static str) -> Result<T, ApiError> {
    request.match_info().get(segment).and_then(|text| text.parse().ok()).ok_or(ApiError::NotFound(what))
}

/// The workspace of the path, which must be there.
async fn path_workspace(api: &Api, request: &HttpRequest) -> Result<WorkspaceId, ApiError> {
    let id = path_id(request, "workspaceId", "workspace")?;
    api.store.workspace(id).await?.map(|workspace| workspace.id).ok_or(ApiError::NotFound("workspace"))
}

/// Checks a name given by an operator.
fn check_name(name: &str) -> Result<String, String> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(format!("must be 1 to {NAME_CHARS_MAX} characters without control characters"));
    }
    Ok(name.to_owned())
}

/// The page asked for, and the id it starts after. Lists of the admin API are in order of id.
fn page_after(request: &HttpRequest) -> Result<(Page, Uuid), ApiError> {
    let page = read_page(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let after = page.beyond(|token| Uuid::try_parse(token).ok())?.unwrap_or(Uuid::nil());
    Ok((page, after))
}

/// Cuts what was read of one item more than asked for, and names the next page.
fn cut<T>(items: &mut Vec<T>, page: &Page, id: impl Fn(&T) -> Uuid) -> String {
    page.cut(items).map(|last| id(last).to_string()).unwrap_or_default()
}

/// Violations, if there are any.
fn refuse(violations: Violations) -> ApiError {
    ApiError::InvalidPayload(violations)
}
