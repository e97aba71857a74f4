//! Acts on one message: another time, cancelling, holding, releasing, sending again.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::again::{Again, Kept};
use domain::id::MessageId;
use domain::message::Lane;
use domain::replay::Refusal;
use domain::schedule::{DueReason, Fit, check_scheduled_for};
use domain::violation::Violations;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::audit::Act;
use store::channel::{Channel, ChannelStatus};
use store::replay::Replayed;
use store::steer::{NewTime, Place, Steered, Unsent};
use store::workspace::Workspace;

use crate::access::{Caller, Scope};
use crate::app::Api;
use crate::body::{read_empty, read_json};
use crate::errors::ApiError;
use crate::openapi::act::MessageChange;
use crate::openapi::errors::WriteErrors;
use crate::openapi::message::Message as MessageAnswer;
use crate::openapi::parameters::MessagePath;
use crate::outlook::Waiter;
use crate::reader::Fields;
use crate::wire::query::read_none;
use crate::wire::request::instant as read_instant;
use crate::wire::response::{instant, view};

/// A body holds one instant.
const CHANGE_BYTES_MAX: usize = 10_000;
/// Looks for another time for a message that changes meanwhile: more would mean that it never rests.
const LOOKS_MAX: usize = 5;

/// Why a message is not sent again that might be at another time.
const CHANGED: &str =
    "The message changes, its recipient is being erased, or a newer message waits under its collapse key";

/// A message that is acted on, and who does it.
struct Target {
    caller: Caller,
    channel: std::sync::Arc<Channel>,
    place: Place,
}

impl Target {
    /// The message of the path; whether it is there is the act's to see.
    async fn of(api: &Api, request: &HttpRequest) -> Result<Self, ApiError> {
        let caller = api.access.caller(&api.store, request, Scope::MessagesWrite).await?;
        let channel = api.access.channel(&api.store, request, caller.workspace).await?;
        read_none(request.query_string()).map_err(ApiError::InvalidPayload)?;
        let id: Option<MessageId> = request.match_info().get("messageId").and_then(|text| text.parse().ok());
        let message = id.ok_or(ApiError::NotFound("message"))?;
        let place = Place { workspace: caller.workspace, channel: channel.id, message };
        Ok(Self { caller, channel, place })
    }

    fn act<'a>(&'a self, name: &'a str) -> Act<'a> {
        Act { actor: &self.caller.actor, name }
    }

    /// The answer to an act.
    async fn answer(&self, api: &Api, steered: Steered) -> Result<HttpResponse, ApiError> {
        match steered {
            Steered::Done(due) => {
                if let Some((lane, due_at)) = due {
                    hint(api, &self.channel, lane, due_at);
                }
                let message = message(api, self.place).await?;
                Ok(HttpResponse::Ok().json(view(&message)?))
            }
            Steered::TooLate => Err(ApiError::AlreadySent),
            Steered::NotFound => Err(ApiError::NotFound("message")),
        }
    }
}

/// `PATCH /workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}`
#[utoipa::path(
    patch,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}",
    operation_id = "rescheduleMessage",
    tag = "Messages",
    summary = "Give a message another time",
    description = "While nothing of it has been sent, else `AlreadySent`. It stays valid for as long as before, counted from \
                   the new time; quiet hours are asked again. One that is held stays held.",
    params(MessagePath),
    request_body = MessageChange,
    responses((status = 200, description = "The message.", body = MessageAnswer), WriteErrors)
)]
pub(crate) async fn reschedule_message(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let target = Target::of(&api, &request).await?;
    let body = read_json(&request, payload, CHANGE_BYTES_MAX).await?;
    let now = api.store.now();
    let at = read_time(&body, now).map_err(ApiError::InvalidPayload)?;
    let settings = api.access.settings(&api.store, target.caller.workspace).await?;
    let detail = json!({ "scheduledFor": instant(at) }).to_string();
    for _ in 0..LOOKS_MAX {
        let seen = match api.store.unsent(target.place).await? {
            Ok(seen) => seen,
            Err(steered) => return target.answer(&api, steered).await,
        };
        let time = new_time(&target.channel, &settings, &seen, at)?;
        let act = target.act("message.reschedule");
        if api.store.reschedule(target.place, &seen, &time, &act, &detail).await? {
            return target.answer(&api, Steered::Done(Some((seen.lane, time.due_at)))).await;
        }
    }
    Err(ApiError::Unavailable)
}

/// The instant of a request, which is not past.
fn read_time(body: &Value, now: Timestamp) -> Result<Timestamp, Violations> {
    let mut violations = Violations::default();
    let at = Fields::of(body, "", &mut violations).and_then(|mut fields| {
        let notes = &mut violations;
        // At once is said, not left out.
        let at = if fields.is_null("scheduledFor") {
            Some(now)
        } else {
            let at = fields.required_text("scheduledFor", notes).map(read_instant);
            let at = at.and_then(|at| fields.keep("scheduledFor", at, notes));
            at.and_then(|at| fields.keep("scheduledFor", check_scheduled_for(now, at).map(|()| at), notes))
        };
        fields.finish(notes);
        at
    });
    at.filter(|_| violations.is_empty()).map(|at| at.max(now)).ok_or(violations)
}

/// The time that a message gets.
fn new_time(channel: &Channel, settings: &Workspace, seen: &Unsent, at: Timestamp) -> Result<NewTime, ApiError> {
    let kept = Kept {
        recipient: &seen.recipient,
        use_case: seen.use_case.as_deref(),
        ignores_quiet_hours: seen.ignores_quiet_hours,
        message_type: channel.settings.message_type,
        validity_seconds: seen.validity_seconds,
    };
    let timing = kept.timing(at, channel.quiet_hours.as_ref().or(settings.quiet_hours.as_ref()));
    let Fit::At(due_at, reason) = timing.fit else {
        return Err(ApiError::violation(".scheduledFor", too_late(&timing)));
    };
    let expires_at = timing.expires_at;
    let (due_at, reason) = if seen.reason == DueReason::Held { (expires_at, seen.reason) } else { (due_at, reason) };
    Ok(NewTime { scheduled_for: at, expires_at, due_at, reason })
}

fn too_late(timing: &Again) -> String {
    let held = timing.closed_until.map(|until| format!("held by quiet hours until {}, but ", instant(until)));
    format!("{}valid only until {}", held.unwrap_or_default(), instant(timing.expires_at))
}

/// `DELETE /workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}`
#[utoipa::path(
    delete,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}",
    operation_id = "cancelMessage",
    tag = "Messages",
    summary = "Cancel a message",
    description = "While nothing of it has been sent, else `AlreadySent`; its status is then `deleted`. May be repeated.",
    params(MessagePath),
    responses((status = 200, description = "The message.", body = MessageAnswer), WriteErrors)
)]
pub(crate) async fn cancel_message(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let target = Target::of(&api, &request).await?;
    read_empty(&request, payload).await?;
    let steered = api.store.cancel(target.place, &target.act("message.cancel")).await?;
    target.answer(&api, steered).await
}

/// `POST /workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/hold`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/hold",
    operation_id = "holdMessage",
    tag = "Messages",
    summary = "Hold a message",
    description = "It, or what has not been sent of it, waits until it is released or its validity ends. `AlreadySent` while \
                   it is being sent, and when it has ended. May be repeated.",
    params(MessagePath),
    responses((status = 200, description = "The message.", body = MessageAnswer), WriteErrors)
)]
pub(crate) async fn hold_message(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let target = Target::of(&api, &request).await?;
    read_empty(&request, payload).await?;
    let steered = api.store.hold(target.place, &target.act("message.hold")).await?;
    target.answer(&api, steered).await
}

/// `POST /workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/release`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/release",
    operation_id = "releaseMessage",
    tag = "Messages",
    summary = "Release a held message",
    description = "It goes at its own time, and outside of quiet hours. One whose outcome is unknown and that is held for \
                   proof is repeated, under the same id. Nothing happens to one that waits and is not held. \
                   `AlreadySent` when it has ended. May be repeated.",
    params(MessagePath),
    responses((status = 200, description = "The message.", body = MessageAnswer), WriteErrors)
)]
pub(crate) async fn release_message(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let target = Target::of(&api, &request).await?;
    read_empty(&request, payload).await?;
    let steered = api.store.release(target.place, &target.act("message.release")).await?;
    target.answer(&api, steered).await
}

/// `POST /workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/replay`
#[utoipa::path(
    post,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/replay",
    operation_id = "replayMessage",
    tag = "Messages",
    summary = "Send a message again",
    description = "One that ended without delivery is sent again by a new message with the same content, which names it in \
                   `replayOf`; its validity is as long, counted from now. Parts that the provider has accepted are not sent \
                   again, unless the platform reports that they were not delivered. `NotReplayable` for one that waits, was \
                   sent, could not be read, whose content is no longer kept, or under whose collapse key a newer one waits. May be repeated: the answer is then the message \
                   that sends it again. `QueueFull` as for a message that is sent.",
    params(MessagePath),
    responses(
        (status = 202, description = "The new message.", body = MessageAnswer),
        (status = 200, description = "The message that had sent it again before.", body = MessageAnswer),
        WriteErrors,
    )
)]
pub(crate) async fn replay_message(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let target = Target::of(&api, &request).await?;
    read_empty(&request, payload).await?;
    let settings = api.access.settings(&api.store, target.caller.workspace).await?;
    let channel = &target.channel;
    refuse_inactive(channel)?;
    let hours = channel.quiet_hours.as_ref().or(settings.quiet_hours.as_ref());
    let act = target.act("message.replay");
    let seen = api.backlogs.of(&api.store, channel).await;
    let now = api.store.now();
    let admit = |lane, due_at, expires_at| match &seen {
        Some(seen) => seen.admit(&channel.settings, &Waiter { lane, due_at, expires_at }, now).map(drop),
        None => Ok(()),
    };
    let replayed = api.store.replay_admitted(channel, hours, target.place.message, &act, admit).await?;
    api.metrics.queue_full.inc_by(u64::from(replayed.is_err()));
    let (new, mut answer) = match replayed? {
        Replayed::New(new, lane, due_at) => {
            api.metrics.accepted.inc();
            api.backlogs.note(channel.id, lane, due_at, now);
            hint(&api, channel, lane, due_at);
            (new, HttpResponse::Accepted())
        }
        Replayed::Before(new) => (new, HttpResponse::Ok()),
        Replayed::Refused(refusal) => return Err(ApiError::NotReplayable(why(refusal).to_owned())),
        Replayed::TooLate(timing) => {
            return Err(ApiError::NotReplayable(format!("The message would be {}", too_late(&timing))));
        }
        Replayed::Changed => {
            return Err(ApiError::NotReplayable(CHANGED.to_owned()));
        }
        Replayed::NotFound => return Err(ApiError::NotFound("message")),
    };
    let new = message(&api, Place { message: new, ..target.place }).await?;
    Ok(answer.json(view(&new)?))
}

fn why(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotFailed => "The message waits, or was sent",
        Refusal::Unreadable => "The message could not be read when it came: there is nothing to send",
        Refusal::ContentGone => "The content of the message is no longer kept",
    }
}

/// Refuses to make messages for a channel that takes none.
pub(super) fn refuse_inactive(channel: &Channel) -> Result<(), ApiError> {
    if channel.settings.status == ChannelStatus::Active {
        return Ok(());
    }
    Err(ApiError::violation(".channel", "the channel is inactive"))
}

/// Tells the engine of what may go now.
pub(super) fn hint(api: &Api, channel: &Channel, lane: Lane, due_at: Timestamp) {
    if due_at <= api.store.now() {
        (api.due)(channel.id, lane, due_at);
    }
}

async fn message(api: &Api, place: Place) -> Result<store::message::Message, ApiError> {
    api.store.message(place.workspace, place.message).await?.ok_or(ApiError::Unavailable)
}
