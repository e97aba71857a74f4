//! The hold of the whole installation, which follows a restored backup.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use store::stop::Stop;

use super::act;
use crate::access::admin;
use crate::app::Api;
use crate::errors::ApiError;
use crate::openapi::admin::SendingHold;
use crate::openapi::errors::AdminRootErrors;
use crate::wire::response::instant;

/// `GET /admin/sending-hold`
#[utoipa::path(
    get,
    path = "/admin/sending-hold",
    operation_id = "getSendingHold",
    tag = "Admin",
    summary = "Ask whether sending is held",
    description = "Sending is held for the whole installation when its database was put back in time, or moved to another \
                   server: messages are accepted and wait, so that nothing is sent again unseen.",
    security(("adminToken" = [])),
    responses((status = 200, description = "Whether it is held, and why.", body = SendingHold), AdminRootErrors)
)]
pub(crate) async fn get_hold(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    api.store.live().await?;
    Ok(HttpResponse::Ok().json(view(&api)))
}

/// `DELETE /admin/sending-hold`
#[utoipa::path(
    delete,
    path = "/admin/sending-hold",
    operation_id = "releaseSending",
    tag = "Admin",
    summary = "Let sending go on",
    description = "Ends the hold of the installation, and lets replicas go on that wait because the database's clock was set, \
                   within 20 seconds. Messages that were sent after the backup was made are sent again, under the same ids. \
                   Again has no effect.",
    security(("adminToken" = [])),
    responses((status = 200, description = "It is held no more.", body = SendingHold), AdminRootErrors)
)]
pub(crate) async fn release(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    api.store.release_sending(&act("sending.release")).await?;
    Ok(HttpResponse::Ok().json(view(&api)))
}

fn view(api: &Api) -> Value {
    let held = api.store.sending_hold();
    json!({
        "held": held.is_some(),
        "reason": held.map(|held| Stop::from(held.reason).as_str()),
        "since": held.map(|held| instant(held.since))
    })
}
