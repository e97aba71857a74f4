//! Erasing a recipient.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::id::{ContactId, WorkspaceId};
use domain::phone::PhoneNumber;
use domain::violation::Violations;
use serde_json::{Value, json};
use store::erasure::Erased;

use super::{ADMIN_BYTES_MAX, act, path_workspace, refuse};
use crate::access::admin;
use crate::app::Api;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::openapi::admin::{Erasure, ErasureRequest};
use crate::openapi::errors::AdminWriteErrors;
use crate::openapi::parameters::WorkspacePath;
use crate::reader::Fields;

/// Messages of one statement.
const BATCH_MESSAGES: i64 = 200;
/// Statements of one request; the engine goes on with what is left.
const BATCHES_MAX: usize = 10;

/// `POST /admin/workspaces/{workspaceId}/erasures`
#[utoipa::path(
    post,
    path = "/admin/workspaces/{workspaceId}/erasures",
    operation_id = "eraseRecipient",
    tag = "Admin",
    summary = "Erase a recipient",
    description = "Removes the number of a contact, and from its messages the number, `body`, `template`, `meta`, \
                   `reference`, the options, and what the provider answered. Messages that have not begun to be sent are \
                   cancelled first; those being sent follow when they have ended. Status, times, tags and the \
                   deduplication key stay. May be repeated; it concerns what was accepted up to then.",
    security(("adminToken" = [])),
    params(WorkspacePath),
    request_body = ErasureRequest,
    responses((status = 202, description = "What was erased.", body = Erasure), AdminWriteErrors)
)]
pub(crate) async fn erase_recipient(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let workspace = path_workspace(&api, &request).await?;
    let contact = read_contact(&read_json(&request, payload, ADMIN_BYTES_MAX).await?, workspace)?;
    let (store, now) = (&api.store, api.store.now());
    if !store.request_erasure(workspace, contact, now, &act("erasure.request")).await? {
        return Err(ApiError::NotFound("workspace"));
    }
    let mut sum = Erased::default();
    for _ in 0..BATCHES_MAX {
        let step = store.erase(workspace, contact, store.now(), BATCH_MESSAGES).await?;
        sum = Erased { erased: sum.erased + step.erased, cancelled: sum.cancelled + step.cancelled, ..step };
        if sum.is_end {
            break;
        }
    }
    Ok(HttpResponse::Accepted().json(json!({
        "contactId": contact.to_string(),
        "erasedMessages": sum.erased,
        "cancelledMessages": sum.cancelled,
        "messagesUnderWay": sum.under_way,
        "isComplete": sum.is_end && sum.under_way == 0
    })))
}

/// The contact, named in one of two ways.
fn read_contact(body: &Value, workspace: WorkspaceId) -> Result<ContactId, ApiError> {
    let mut violations = Violations::default();
    let contact = Fields::of(body, "", &mut violations).and_then(|mut fields| {
        let notes = &mut violations;
        let number = fields.text("identifierValue", notes).and_then(|text| {
            fields.keep("identifierValue", PhoneNumber::parse(text).map_err(|error| error.to_string()), notes)
        });
        let id = fields.text("contactId", notes).and_then(|text| {
            fields.keep("contactId", text.parse::<ContactId>().map_err(|error| error.to_string()), notes)
        });
        match (fields.optional("identifierValue"), fields.optional("contactId")) {
            (None, None) => notes.add(fields.path_of("identifierValue"), "is required, or contactId"),
            (Some(_), Some(_)) => notes.add(fields.path_of("contactId"), "must be absent beside identifierValue"),
            (Some(_), None) | (None, Some(_)) => {}
        }
        fields.finish(notes);
        id.or(number.map(|number| ContactId::of_number(workspace, number.e164())))
    });
    contact.filter(|_| violations.is_empty()).ok_or_else(|| refuse(violations))
}
