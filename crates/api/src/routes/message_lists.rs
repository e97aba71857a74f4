//! Lists of messages, of a channel or of a whole workspace.
//!
//! A page shows up to `limit` messages. One that would have to look through too many messages that do not fit (50,000,
//! `store::list::ROUNDS`) ends there: it is short, perhaps empty, and its token goes on behind what was looked at. Only
//! an empty `nextPageToken` is the end of a list.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::id::{MessageId, WorkspaceId};
use jiff::Timestamp;
use serde::Serialize;
use store::list::{Filter, MessagePage, ROUNDS};

use crate::access::Scope;
use crate::app::Api;
use crate::cursor::List;
use crate::errors::ApiError;
use crate::openapi::errors::ReadErrors;
use crate::openapi::message::MessageList;
use crate::openapi::parameters::{ChannelPath, MessageFilter, PageQuery, PlatformFilter, WorkspacePath};
use crate::wire::message_query::{self, MessageQuery};
use crate::wire::response::{MessageView, instant, view};

/// A page of messages, with the window of time that was asked for.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct MessagesView<'a> {
    results: Vec<MessageView<'a>>,
    next_page_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_at: Option<String>,
}

/// `GET /workspaces/{workspaceId}/channels/{channelId}/messages`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages",
    operation_id = "listMessages",
    tag = "Messages",
    summary = "List the messages of a channel",
    description = "Newest first, unless `reverse=true`. A page may be short, even empty, and have a next one: only an empty \
                   `nextPageToken` is the end.",
    params(ChannelPath, PageQuery, MessageFilter),
    responses((status = 200, description = "A page of messages.", body = MessageList), ReadErrors)
)]
pub(crate) async fn list_channel_messages(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesRead).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    let mut query = message_query::read(request.query_string(), workspace).map_err(ApiError::InvalidPayload)?;
    query.filter = Filter { channel: Some(channel.id), ..query.filter };
    list(&api, workspace, &query).await
}

/// `GET /workspaces/{workspaceId}/channels/messages`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels/messages",
    operation_id = "listWorkspaceMessages",
    tag = "Messages",
    summary = "List the messages of all channels",
    description = "Newest first, unless `reverse=true`. A page may be short, even empty, and have a next one: only an empty \
                   `nextPageToken` is the end.",
    params(WorkspacePath, PageQuery, MessageFilter, PlatformFilter),
    responses((status = 200, description = "A page of messages.", body = MessageList), ReadErrors)
)]
pub(crate) async fn list_workspace_messages(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesRead).await?;
    let query = message_query::read_with_platforms(request.query_string(), workspace);
    list(&api, workspace, &query.map_err(ApiError::InvalidPayload)?).await
}

async fn list(api: &Api, workspace: WorkspaceId, query: &MessageQuery) -> Result<HttpResponse, ApiError> {
    let page = &query.page;
    let list = List::new(workspace, "messages", page.is_reversed, &query.canonical());
    let beyond = page.beyond(|token| list.id(&api.cursor_key, token))?.map(MessageId);
    let MessagePage { messages, next } = if query.platforms.has_whatsapp() {
        api.store.list_messages(workspace, &query.filter, page.order(), beyond, page.limit, ROUNDS).await?
    } else {
        MessagePage { messages: Vec::new(), next: None }
    };
    let shown = |at: Option<Timestamp>| at.map(instant);
    Ok(HttpResponse::Ok().json(MessagesView {
        results: messages.iter().map(view).collect::<Result<_, _>>()?,
        next_page_token: next.map(|last| list.token(&api.cursor_key, last.0.as_bytes())).unwrap_or_default(),
        start_at: shown(query.start_at),
        end_at: shown(query.end_at),
    }))
}
