//! What a channel knows of a contact: whether a free-form message may be sent.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::id::ContactId;
use domain::phone::PhoneNumber;
use domain::violation::Violations;
use serde_json::json;

use crate::access::Scope;
use crate::app::Api;
use crate::errors::ApiError;
use crate::openapi::channel::ChannelContact;
use crate::openapi::errors::ReadErrors;
use crate::openapi::parameters::{ContactPath, ContactQuery};
use crate::wire::query::Parameters;

/// `GET /workspaces/{workspaceId}/channels/{channelId}/contacts/{contactId}`
///
/// No message is received yet, so no contact has opened a service window: `serviceWindowExpireAt` is always null.
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels/{channelId}/contacts/{contactId}",
    operation_id = "getChannelContact",
    tag = "Channels",
    summary = "Get what a channel knows of a contact",
    description = "Above all, until when free-form messages reach them.",
    params(ContactPath, ContactQuery),
    responses((status = 200, description = "What the channel knows.", body = ChannelContact), ReadErrors)
)]
pub(crate) async fn get_contact(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    const UNKNOWN: ApiError = ApiError::NotFound("contact");
    let workspace = api.access.workspace(&api.store, &request, Scope::ChannelsRead).await?;
    api.access.channel(&api.store, &request, workspace).await?;
    let asked = read(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let id: Option<ContactId> = request.match_info().get("contactId").and_then(|text| text.parse().ok());
    let found = api.store.contact_numbers(workspace, &[id.ok_or(UNKNOWN)?]).await?.pop();
    let (_, number) = found.ok_or(UNKNOWN)?;
    if asked.is_some_and(|asked| asked != number) {
        return Err(UNKNOWN);
    }
    Ok(HttpResponse::Ok().json(json!({ "serviceWindowExpireAt": null, "isPermanentSession": false, "metadata": {} })))
}

/// Reads `contactIdentifierValue`, which may be empty.
fn read(query: &str) -> Result<Option<PhoneNumber>, Violations> {
    const NAME: &str = "contactIdentifierValue";
    let mut parameters = Parameters::of(query);
    let text = parameters.one(NAME).filter(|text| !text.is_empty());
    let number =
        text.and_then(|text| parameters.keep(NAME, PhoneNumber::parse(&text).map_err(|error| error.to_string())));
    parameters.finish(number)
}
