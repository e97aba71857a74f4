//! Channels of a workspace. The provider key goes in and never comes out.

use std::ops::RangeInclusive;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::content::LongitudeSpelling;
use domain::id::ChannelId;
use domain::limits::{BACKLOG_DEFAULT, BACKLOG_MAX, MESSAGES_PER_SECOND_DEFAULT, MESSAGES_PER_SECOND_MAX};
use domain::message::MessageType;
use domain::outcome::OnUnknown;
use domain::phone::PhoneNumber;
use domain::spacing::{RECIPIENT_BURST_MAX, RECIPIENT_INTERVAL_SECONDS_MAX, RecipientRate};
use domain::violation::Violations;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::channel::{Channel, ChannelSettings, ChannelStatus};
use store::probe::Probed;
use uuid::Uuid;

use super::{ADMIN_BYTES_MAX, act, check_name, cut, page_after, path_id, path_workspace, refuse};
use crate::access::admin;
use crate::app::Api;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::openapi::admin::{ChannelChange, NewChannel, OperatedChannel, OperatedChannelList};
use crate::openapi::errors::{AdminReadErrors, AdminWriteErrors};
use crate::openapi::parameters::{ChannelPath, PageQuery, WorkspacePath};
use crate::reader::Fields;
use crate::wire::response::instant;

/// Longest provider key, bytes: it travels in a header.
const PROVIDER_KEY_BYTES_MAX: usize = 1024;

/// What a request says of a channel.
#[derive(Default)]
struct ChannelRequest {
    name: Option<String>,
    number: Option<PhoneNumber>,
    message_type: Option<MessageType>,
    messages_per_second: Option<u32>,
    status: Option<ChannelStatus>,
    longitude_spelling: Option<LongitudeSpelling>,
    provider_key: Option<SecretString>,
    account_limit: AccountLimit,
    recipient_rate: Option<RecipientRate>,
    backlog_max: Option<u32>,
    on_unknown: Option<OnUnknown>,
}

/// What a request says of the rate of all channels with the same provider key.
#[derive(Clone, Copy, Default)]
enum AccountLimit {
    /// Nothing.
    #[default]
    Unsaid,
    /// The channel names none.
    Removed,
    /// Messages a second.
    Set(u32),
}

impl AccountLimit {
    /// The limit, where one stood before.
    fn over(self, before: Option<u32>) -> Option<u32> {
        match self {
            Self::Unsaid => before,
            Self::Removed => None,
            Self::Set(rate) => Some(rate),
        }
    }
}

/// `POST /admin/workspaces/{workspaceId}/channels`
#[utoipa::path(
    post,
    path = "/admin/workspaces/{workspaceId}/channels",
    operation_id = "createChannel",
    tag = "Admin",
    summary = "Make a channel",
    description = "The provider key goes in and is never shown again.",
    security(("adminToken" = [])),
    params(WorkspacePath),
    request_body = NewChannel,
    responses((status = 201, description = "The channel.", body = OperatedChannel), AdminWriteErrors)
)]
pub(crate) async fn create_channel(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let workspace = path_workspace(&api, &request).await?;
    let body = read_json(&request, payload, ADMIN_BYTES_MAX).await?;
    let mut violations = Violations::default();
    let read = read(&body, &mut violations);
    for name in ["name", "number", "providerKey"] {
        if body.is_object() && body.get(name).is_none_or(Value::is_null) {
            violations.add(format!(".{name}"), "is required");
        }
    }
    let (Some(name), Some(number), Some(key), true) =
        (read.name, read.number, read.provider_key, violations.is_empty())
    else {
        return Err(refuse(violations));
    };
    let settings = ChannelSettings {
        name,
        number,
        message_type: read.message_type.unwrap_or(MessageType::Transactional),
        messages_per_second: read.messages_per_second.unwrap_or(MESSAGES_PER_SECOND_DEFAULT),
        status: read.status.unwrap_or(ChannelStatus::Active),
        longitude_spelling: read.longitude_spelling.unwrap_or_default(),
        account_messages_per_second: read.account_limit.over(None),
        recipient_rate: read.recipient_rate.unwrap_or_default(),
        backlog_max: read.backlog_max.unwrap_or(BACKLOG_DEFAULT),
        on_unknown: read.on_unknown.unwrap_or_default(),
    };
    let (id, connector) = (ChannelId(Uuid::new_v4()), Uuid::new_v4());
    let made = api.store.create_channel(workspace, id, connector, &settings, &key, &act("channel.create")).await?;
    Ok(HttpResponse::Created().json(view(&made, None)))
}

/// `PATCH /admin/workspaces/{workspaceId}/channels/{channelId}`
#[utoipa::path(
    patch,
    path = "/admin/workspaces/{workspaceId}/channels/{channelId}",
    operation_id = "updateChannel",
    tag = "Admin",
    summary = "Change a channel",
    description = "What is not given stays as it is.",
    security(("adminToken" = [])),
    params(ChannelPath),
    request_body = ChannelChange,
    responses((status = 200, description = "The channel.", body = OperatedChannel), AdminWriteErrors)
)]
pub(crate) async fn update_channel(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let before = find(&api, &request).await?;
    let body = read_json(&request, payload, ADMIN_BYTES_MAX).await?;
    let mut violations = Violations::default();
    let read = read(&body, &mut violations);
    if !violations.is_empty() {
        return Err(refuse(violations));
    }
    let now = &before.settings;
    let settings = ChannelSettings {
        name: read.name.unwrap_or_else(|| now.name.clone()),
        number: read.number.unwrap_or_else(|| now.number.clone()),
        message_type: read.message_type.unwrap_or(now.message_type),
        messages_per_second: read.messages_per_second.unwrap_or(now.messages_per_second),
        status: read.status.unwrap_or(now.status),
        longitude_spelling: read.longitude_spelling.unwrap_or(now.longitude_spelling),
        account_messages_per_second: read.account_limit.over(now.account_messages_per_second),
        recipient_rate: read.recipient_rate.unwrap_or(now.recipient_rate),
        backlog_max: read.backlog_max.unwrap_or(now.backlog_max),
        on_unknown: read.on_unknown.unwrap_or(now.on_unknown),
    };
    if settings == before.settings && read.provider_key.is_none() {
        // Nothing changes, so whoever sends for the channel is not disturbed.
        return Ok(HttpResponse::Ok().json(shown(&api, &before).await?));
    }
    let changed =
        api.store.update_channel(&before, &settings, read.provider_key.as_ref(), &act("channel.update")).await?;
    api.access.forget_channel(before.workspace, before.id);
    let changed =
        changed.ok_or(ApiError::ResourceAlreadyExists("The channel was changed meanwhile; read it and try again"))?;
    Ok(HttpResponse::Ok().json(shown(&api, &changed).await?))
}

/// `GET /admin/workspaces/{workspaceId}/channels/{channelId}`
#[utoipa::path(
    get,
    path = "/admin/workspaces/{workspaceId}/channels/{channelId}",
    operation_id = "getOperatedChannel",
    tag = "Admin",
    summary = "Get a channel with its settings",
    description = "The channel as its operator sees it.",
    security(("adminToken" = [])),
    params(ChannelPath),
    responses((status = 200, description = "The channel.", body = OperatedChannel), AdminReadErrors)
)]
pub(crate) async fn get_channel(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    Ok(HttpResponse::Ok().json(shown(&api, &find(&api, &request).await?).await?))
}

/// `GET /admin/workspaces/{workspaceId}/channels`
#[utoipa::path(
    get,
    path = "/admin/workspaces/{workspaceId}/channels",
    operation_id = "listOperatedChannels",
    tag = "Admin",
    summary = "List the channels of a workspace with their settings",
    description = "In order of id.",
    security(("adminToken" = [])),
    params(WorkspacePath, PageQuery),
    responses((status = 200, description = "A page of channels.", body = OperatedChannelList), AdminReadErrors)
)]
pub(crate) async fn list_channels(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    admin(&request, &api.admin_token)?;
    let workspace = path_workspace(&api, &request).await?;
    let (page, after) = page_after(&request)?;
    let mut found = api.store.channels(workspace, None, ChannelId(after), page.limit + 1).await?;
    let next = cut(&mut found, &page, |channel| channel.id.0);
    let ids: Vec<ChannelId> = found.iter().map(|channel| channel.id).collect();
    let probed = api.store.probed(workspace, &ids).await?;
    let results: Vec<Value> = found.iter().map(|channel| view(channel, probed.get(&channel.id))).collect();
    Ok(HttpResponse::Ok().json(json!({ "results": results, "nextPageToken": next })))
}

async fn find(api: &Api, request: &HttpRequest) -> Result<Channel, ApiError> {
    let workspace = path_id(request, "workspaceId", "workspace")?;
    let channel = path_id(request, "channelId", "channel")?;
    api.store.channel(workspace, channel).await?.ok_or(ApiError::NotFound("channel"))
}

fn read(body: &Value, violations: &mut Violations) -> ChannelRequest {
    let Some(mut fields) = Fields::of(body, "", violations) else { return ChannelRequest::default() };
    let name = fields.text("name", violations).and_then(|name| fields.keep("name", check_name(name), violations));
    let phone_number = fields.text("number", violations).and_then(|text| {
        fields.keep("number", PhoneNumber::parse(text).map_err(|error| error.to_string()), violations)
    });
    let message_type = fields.text("messageType", violations).and_then(|word| {
        let known = MessageType::from_word(word);
        fields.keep(
            "messageType",
            known.ok_or("must be one of promotional, conversational, transactional, 2fa".to_owned()),
            violations,
        )
    });
    let messages_per_second = number(&mut fields, "messagesPerSecond", 1..=MESSAGES_PER_SECOND_MAX, violations);
    let status = fields.text("status", violations).and_then(|word| {
        let known = ChannelStatus::from_word(word);
        fields.keep("status", known.ok_or("must be active or inactive".to_owned()), violations)
    });
    let longitude_spelling = fields.text("longitudeSpelling", violations).and_then(|word| {
        let known = LongitudeSpelling::from_word(word);
        fields.keep("longitudeSpelling", known.ok_or("must be both, longitude or longtitude".to_owned()), violations)
    });
    let provider_key = fields.text("providerKey", violations).and_then(|key| {
        let legal =
            !key.is_empty() && key.len() <= PROVIDER_KEY_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_graphic());
        let why = format!("must be 1 to {PROVIDER_KEY_BYTES_MAX} printable ASCII characters without spaces");
        fields.keep("providerKey", legal.then(|| SecretString::from(key)).ok_or(why), violations)
    });
    let account_limit = account_limit(&mut fields, violations);
    let recipient_rate = recipient_rate(&mut fields, violations);
    let backlog_max = number(&mut fields, "backlogMax", 1..=BACKLOG_MAX, violations);
    let on_unknown = fields.text("onUnknown", violations).and_then(|word| {
        fields.keep("onUnknown", OnUnknown::from_word(word).ok_or("must be repeat or hold".to_owned()), violations)
    });
    fields.finish(violations);
    ChannelRequest {
        name,
        number: phone_number,
        message_type,
        messages_per_second,
        status,
        longitude_spelling,
        provider_key,
        account_limit,
        recipient_rate,
        backlog_max,
        on_unknown,
    }
}

fn account_limit(fields: &mut Fields<'_>, violations: &mut Violations) -> AccountLimit {
    let name = "accountMessagesPerSecond";
    if fields.is_null(name) {
        return AccountLimit::Removed;
    }
    number(fields, name, 1..=MESSAGES_PER_SECOND_MAX, violations).map_or(AccountLimit::Unsaid, AccountLimit::Set)
}

fn recipient_rate(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<RecipientRate> {
    let is_null = fields.is_null("recipientRate");
    let Some(mut rate) = fields.object("recipientRate", violations) else {
        return is_null.then(RecipientRate::default);
    };
    let interval_seconds =
        required_number(&mut rate, "intervalSeconds", 0..=RECIPIENT_INTERVAL_SECONDS_MAX, violations);
    let burst = required_number(&mut rate, "burst", 1..=RECIPIENT_BURST_MAX, violations);
    rate.finish(violations);
    Some(RecipientRate { interval_seconds: interval_seconds?, burst: burst? })
}

fn required_number(
    fields: &mut Fields<'_>,
    name: &'static str,
    legal: RangeInclusive<u32>,
    violations: &mut Violations,
) -> Option<u32> {
    fields.required(name, violations)?;
    number(fields, name, legal, violations)
}

fn number(
    fields: &mut Fields<'_>,
    name: &'static str,
    legal: RangeInclusive<u32>,
    violations: &mut Violations,
) -> Option<u32> {
    let given = fields.integer(name, violations)?;
    let number = u32::try_from(given).ok().filter(|number| legal.contains(number));
    fields.keep(name, number.ok_or(format!("must be {} to {}", legal.start(), legal.end())), violations)
}

/// Shows one channel, with what a probe found.
async fn shown(api: &Api, channel: &Channel) -> Result<Value, ApiError> {
    let probed = api.store.probed(channel.workspace, &[channel.id]).await?;
    Ok(view(channel, probed.get(&channel.id)))
}

fn view(channel: &Channel, probed: Option<&Probed>) -> Value {
    let settings = &channel.settings;
    json!({
        "id": channel.id.to_string(),
        "workspaceId": channel.workspace.to_string(),
        "connectorId": channel.connector.to_string(),
        "name": settings.name,
        "number": settings.number.e164(),
        "messageType": settings.message_type.as_str(),
        "messagesPerSecond": settings.messages_per_second,
        "status": settings.status.as_str(),
        "longitudeSpelling": settings.longitude_spelling.as_str(),
        "accountMessagesPerSecond": settings.account_messages_per_second,
        "recipientRate": {
            "intervalSeconds": settings.recipient_rate.interval_seconds,
            "burst": settings.recipient_rate.burst
        },
        "backlogMax": settings.backlog_max,
        "onUnknown": settings.on_unknown.as_str(),
        "duplicates": probed.map(|probed| probed.duplicates.as_str()),
        "duplicatesProbedAt": probed.map(|probed| instant(probed.at)),
        "createdAt": instant(channel.created_at),
        "updatedAt": instant(channel.updated_at)
    })
}
