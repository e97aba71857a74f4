//! Acts on all messages that a selector names: counted by a first call, done by a second one with its token.
//!
//! The work goes on in a task of its own, whether or not the caller waits, and is finished by the engine's chores when this
//! process is stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::action::ActionKind;
use domain::id::ActionId;
use jiff::{SignedDuration, Timestamp};
use store::action::{Action, OPEN_COUNTS_MAX, Selector};
use store::channel::Channel;
use uuid::Uuid;

use super::acts::{hint, refuse_inactive};
use crate::access::{Caller, Scope};
use crate::app::Api;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::openapi::act::{ActionAnswer, ActionRequest, ActionState};
use crate::openapi::errors::{ReadErrors, WriteErrors};
use crate::openapi::parameters::{ActionPath, ChannelPath};
use crate::wire::act::{self, Asked, CountedView, state_view};
use crate::wire::query::read_none;

/// Ten tags, a number and a few instants fit many times.
const ACTION_BYTES_MAX: usize = 10_000;
const CONFIRM_SOME: &str = "confirm some first, or wait until they lapse";
/// Messages shown of those that are counted.
const SAMPLE_MAX: usize = 10;
/// For so long a count may be confirmed: what it counted soon changes.
const CONFIRMABLE: SignedDuration = SignedDuration::from_mins(15);
/// A caller that waits longer hears that the work goes on; proxies give up after half a minute.
const WAIT: Duration = Duration::from_secs(25);
/// Actions at work in a process; more are left to the chore. Each keeps a connection busy half of the time.
pub(crate) const WORKERS_MAX: usize = 4;
/// Pages of one action, of 500 rows each: more than an outbox holds.
const PAGES_MAX: usize = 100_000;
/// Pages that fail one after the other before the rest is left to the chore.
const FAILURES_MAX: u32 = 5;
/// Longest pause between two pages. It is as long as the page took, so that sending and accepting have as much time.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// `POST /workspaces/{workspaceId}/channels/{channelId}/messages/actions`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/actions",
    operation_id = "actOnMessages",
    tag = "Messages",
    summary = "Hold, release, cancel or replay many messages",
    description = "Two calls. The first one, with `action` and `selector`, counts the messages, shows some, and answers a token; \
                   nothing is changed. The second one, with the token, acts on the messages accepted up to the count, each as \
                   the act on one message would; those being sent are left. It may be repeated, and then tells how far the act \
                   is. `ActionExpired` 15 minutes after the count.",
    params(ChannelPath),
    request_body = ActionRequest,
    responses(
        (status = 200, description = "What was counted; or what was done.", body = ActionAnswer),
        (status = 202, description = "It is being done.", body = ActionState),
        WriteErrors,
    )
)]
pub(crate) async fn act_on_messages(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = api.access.caller(&api.store, &request, Scope::MessagesWrite).await?;
    let channel = api.access.channel(&api.store, &request, caller.workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let body = read_json(&request, payload, ACTION_BYTES_MAX).await?;
    match act::read(&body, caller.workspace).map_err(ApiError::InvalidPayload)? {
        Asked::Count(kind, selector) => count(&api, &channel, &caller, kind, selector).await,
        Asked::Act(token) => confirm(&api, channel, &caller, &token).await,
    }
}

async fn count(
    api: &Api,
    channel: &Channel,
    caller: &Caller,
    kind: ActionKind,
    selector: Selector,
) -> Result<HttpResponse, ApiError> {
    refuse_replays_of_inactive(channel, kind)?;
    let turn = api.backlogs.turn().await?;
    let Some(counted) = api.store.count_action(channel, kind, &selector, SAMPLE_MAX).await? else {
        return Err(ApiError::violation(".selector", "looks over too many messages: narrow it by startAt and endAt"));
    };
    drop(turn);
    let now = api.store.now();
    let action = Action {
        id: ActionId(Uuid::new_v4()),
        workspace: caller.workspace,
        channel: channel.id,
        kind,
        selector,
        below: counted.below,
        counted: counted.count,
        actor: caller.actor.clone(),
        created_at: now,
        expires_at: now.saturating_add(CONFIRMABLE).unwrap_or(Timestamp::MAX),
        confirmed_at: None,
        reached: counted.above,
        acted: 0,
        passed: 0,
        finished_at: None,
    };
    if !api.store.create_action(&action).await? {
        return Err(ApiError::violation(".", format!("{OPEN_COUNTS_MAX} counts wait to be confirmed: {CONFIRM_SOME}")));
    }
    let sample = api.store.messages(caller.workspace, &counted.sample).await?;
    Ok(HttpResponse::Ok().json(CountedView::of(&action, &sample)?))
}

async fn confirm(
    api: &Data<Api>,
    channel: Arc<Channel>,
    caller: &Caller,
    token: &str,
) -> Result<HttpResponse, ApiError> {
    let action = find(api, caller, &channel, token.parse().ok()).await?;
    refuse_replays_of_inactive(&channel, action.kind)?;
    if !api.store.confirm_action(&action, &caller.actor).await? {
        let action = find(api, caller, &channel, Some(action.id)).await?;
        return if action.confirmed_at.is_none() { Err(ApiError::ActionExpired) } else { answer(api, &action) };
    }
    let action = find(api, caller, &channel, Some(action.id)).await?;
    let worker = tokio::spawn(work(api.clone(), channel.clone(), action.clone()));
    // It goes on when nobody waits any more.
    if let Ok(Err(error)) = tokio::time::timeout(WAIT, worker).await {
        tracing::error!(%error, action = %action.id, "the work on an action broke down; the chore goes on with it");
    }
    answer(api, &find(api, caller, &channel, Some(action.id)).await?)
}

/// Does a confirmed action to its end, or as far as it goes: what is left is the chore's.
async fn work(api: Data<Api>, channel: Arc<Channel>, mut action: Action) {
    let Ok(_turn) = api.workers.try_acquire() else { return };
    let mut failures = 0;
    for _ in 0..PAGES_MAX {
        let began = Instant::now();
        match api.store.work_on_action(&action).await {
            Ok(None) => break,
            Ok(Some(progress)) => {
                failures = 0;
                if action.kind == ActionKind::Replay {
                    let made = progress.action.acted - action.acted;
                    api.metrics.accepted.inc_by(u64::try_from(made).unwrap_or_default());
                }
                let now = api.store.now();
                for (lane, due_at) in progress.made {
                    api.backlogs.note(channel.id, lane, due_at, now);
                }
                for (lane, due_at) in progress.due {
                    hint(&api, &channel, lane, due_at);
                }
                action = progress.action;
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, action = %action.id, failures, "a page of an action failed");
                // Perhaps it was done, and only its answer is lost.
                if let Ok(Some(again)) = api.store.action(action.workspace, action.id).await {
                    action = again;
                }
            }
        }
        if action.finished_at.is_some() || failures >= FAILURES_MAX {
            break;
        }
        tokio::time::sleep(began.elapsed().min(PAUSE_MAX)).await;
    }
}

/// `GET /workspaces/{workspaceId}/channels/{channelId}/messages/actions/{actionId}`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/actions/{actionId}",
    operation_id = "getAction",
    tag = "Messages",
    summary = "Get how far an act on many messages is",
    description = "Kept for 30 days after its end.",
    params(ActionPath),
    responses((status = 200, description = "The act as it stands.", body = ActionState), ReadErrors)
)]
pub(crate) async fn get_action(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = api.access.caller(&api.store, &request, Scope::MessagesRead).await?;
    let channel = api.access.channel(&api.store, &request, caller.workspace).await?;
    read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let id = request.match_info().get("actionId").and_then(|text| text.parse().ok());
    let action = find(&api, &caller, &channel, id).await?;
    Ok(HttpResponse::Ok().json(state_view(&action, api.store.now())))
}

/// An action of the channel.
async fn find(api: &Api, caller: &Caller, channel: &Channel, id: Option<ActionId>) -> Result<Action, ApiError> {
    let id = id.ok_or(ApiError::NotFound("action"))?;
    let action = api.store.action(caller.workspace, id).await?;
    action.filter(|action| action.channel == channel.id).ok_or(ApiError::NotFound("action"))
}

fn answer(api: &Api, action: &Action) -> Result<HttpResponse, ApiError> {
    let mut response = if action.finished_at.is_some() { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    Ok(response.json(state_view(action, api.store.now())))
}

fn refuse_replays_of_inactive(channel: &Channel, kind: ActionKind) -> Result<(), ApiError> {
    match kind {
        ActionKind::Replay => refuse_inactive(channel),
        ActionKind::Hold | ActionKind::Release | ActionKind::Cancel => Ok(()),
    }
}
