//! When and why: the plan of a stored message, what happened to it, and what its time was spent for.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::id::MessageId;
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::schedule::{self, DueReason, Fit};
use domain::spread;
use domain::timeline::{Story, Wait};
use jiff::{SignedDuration, Timestamp};
use store::channel::Channel;
use store::explain::{Asked, Inside, Standing, Told};
use store::message::{Direction, Message};
use store::workspace::Workspace;

use super::dry_run::{share, stopped_until};
use crate::access::Scope;
use crate::app::Api;
use crate::errors::ApiError;
use crate::openapi::errors::ReadErrors;
use crate::openapi::explanation::Explanation;
use crate::openapi::parameters::{AtQuery, MessagePath};
use crate::outlook::{queue, rate_thousandths};
use crate::prospect::{BacklogState, Hold, Kind, OwnWait, Prospect};
use crate::timing::{Subject, Timing};
use crate::wire::explanation;
use crate::wire::gates;
use crate::wire::plan;
use crate::wire::query::read_at;

/// Rows of a lane that are counted before a message: 41 minutes at 80 a second. What is beyond makes it later than is told.
const COUNTED_MAX: u64 = 200_000;
/// The outcome of a call that was accepted, as it is stored.
const ACCEPTED: &str = "sent";

/// `GET /workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/explain`
#[utoipa::path(
    get,
    path = "/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/explain",
    operation_id = "explainMessage",
    tag = "Messages",
    summary = "Explain a message",
    description = "When it goes and what stands before it, or when it went; what happened to it, and what its time was spent \
                   for.",
    params(MessagePath, AtQuery),
    responses((status = 200, description = "The message explained.", body = Explanation), ReadErrors)
)]
pub(crate) async fn explain_message(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = api.access.workspace(&api.store, &request, Scope::MessagesRead).await?;
    let channel = api.access.channel(&api.store, &request, workspace).await?;
    let at = read_at(request.query_string()).map_err(ApiError::InvalidPayload)?;
    let id: Option<MessageId> = request.match_info().get("messageId").and_then(|text| text.parse().ok());
    let id = id.ok_or(ApiError::NotFound("message"))?;
    let settings = api.access.settings(&api.store, workspace).await?;
    // What is not shown comes first: a message that ends in between has ended.
    let inside = api.store.inside(workspace, id).await?.ok_or(ApiError::NotFound("message"))?;
    let is_own = |message: &Message| message.channel == channel.id && message.direction == Direction::Outgoing;
    let message = api.store.message(workspace, id).await?.filter(is_own).ok_or(ApiError::NotFound("message"))?;
    let subject = Explained {
        standing: inside.standing.filter(|_| message.waiting.is_some()),
        now: at.unwrap_or_else(|| api.store.now()),
        channel: &channel,
        workspace: &settings,
        message: &message,
        inside: &inside,
    };
    let story = subject.story(&api).await?;
    let prospect = subject.prospect(&api).await?;
    let seconds = message.expires_at.duration_since(schedule::first_due(message.created_at, message.scheduled_for));
    let gates = gates::of(&prospect, format!("validity={}", seconds.as_secs()));
    let send_at = match message.status {
        Status::Accepted | Status::Scheduled | Status::Processing => prospect.goes_at(),
        Status::Sent | Status::Delivered | Status::DeliveryFailed => Some(story.ends_at),
        Status::SendingFailed | Status::Rejected | Status::Skipped | Status::Deleted => None,
    };
    let plan = plan::accepted(send_at, message.expires_at, gates, subject.calls(&api));
    Ok(HttpResponse::Ok().json(explanation::view(plan, &message, &story)))
}

/// A stored message, as of an instant.
struct Explained<'a> {
    now: Timestamp,
    channel: &'a Channel,
    workspace: &'a Workspace,
    message: &'a Message,
    inside: &'a Inside,
    /// Where it waits, while it does.
    standing: Option<Standing>,
}

impl<'a> Explained<'a> {
    /// What happened to it until now, or until it ended: when its last accepted call did, if it was sent.
    async fn story(&self, api: &Api) -> Result<Story, ApiError> {
        let Message { created_at, last_status_at, .. } = *self.message;
        let until = if self.message.status.is_waiting() { self.now.max(created_at) } else { last_status_at };
        let asked = Asked {
            workspace: self.channel.workspace,
            channel: self.channel.id,
            message: self.message.id,
            tags: &self.message.tags,
            from: created_at,
            until,
        };
        let Told { attempts, events, closed } = api.store.told(&asked).await?;
        let accepted = attempts.iter().rev().find(|attempt| attempt.outcome == ACCEPTED);
        let ends_at = match self.message.status {
            Status::Sent | Status::Delivered | Status::DeliveryFailed => {
                accepted.map_or(last_status_at, |attempt| attempt.finished_at)
            }
            Status::Accepted
            | Status::Scheduled
            | Status::Processing
            | Status::SendingFailed
            | Status::Rejected
            | Status::Skipped
            | Status::Deleted => until,
        };
        let began = events.last().and_then(|event| event.waits);
        let waits = self.standing.map(|standing| self.wait_of(&standing, began));
        Ok(Story { accepted_at: created_at, ends_at, attempts, events, waits, closed })
    }

    /// What it waits for. While it is being sent its row does not say; then what it began to wait for last, or at first.
    fn wait_of(&self, standing: &Standing, began: Option<Wait>) -> Wait {
        let until = standing.due_at;
        match (standing.reason, began) {
            (DueReason::Claimed, Some(began)) => began,
            (DueReason::Claimed, None) if self.message.scheduled_for.is_none() => {
                Wait { reason: DueReason::QuietHours, until }
            }
            (reason, _) => Wait { reason, until },
        }
    }

    /// What stands before it.
    async fn prospect(&self, api: &Api) -> Result<Prospect<'a>, ApiError> {
        let scheduled_for = self.message.scheduled_for;
        let settings = &self.channel.settings;
        let timing = self.timing();
        let seen = api.backlogs.of(&api.store, self.channel).await;
        let rate = rate_thousandths(settings, seen.as_ref().and_then(|seen| seen.limit.as_deref()));
        let stop = api.store.stops().first().copied().filter(|_| self.message.status.is_waiting());
        let hold = stop.map(Hold::from).or_else(|| self.hold(timing.asked_at));
        let is_held = hold.as_ref().is_some_and(|hold| hold.until.is_none());
        let queue = match self.standing.filter(|standing| standing.reason != DueReason::Claimed && !is_held) {
            Some(Standing { lane, due_at, .. }) => {
                let _turn = api.backlogs.turn().await?;
                let before = (due_at, self.message.id);
                let counted = api.store.backlog_before(self.channel.id, lane, before, COUNTED_MAX).await?;
                Some(queue(&counted, rate))
            }
            None => None,
        };
        let place = self.place(api, &timing).await?;
        let waiting = self.message.waiting.as_ref();
        Ok(Prospect {
            now: self.now,
            timing,
            scheduled_for,
            settings,
            lane: self.standing.map_or(Lane::Normal, |standing| standing.lane),
            kind: if self.message.template.is_some() { Kind::Template } else { Kind::FreeForm },
            hold,
            stopped_until: stopped_until(self.channel, self.workspace, self.now),
            gate: waiting.and_then(|waiting| waiting.gate),
            wait: waiting.map(|waiting| OwnWait {
                reason: waiting.reason,
                due_at: waiting.due_at,
                tries: waiting.tries,
            }),
            place,
            queue,
            share: share(settings, seen.as_ref(), self.workspace.weight),
            // It has been taken.
            backlog: seen.map_or(BacklogState::Unknown, |seen| BacklogState::Room(seen.waiting())),
        })
    }

    /// What holds it at its time: an operator, doubt, or a pause.
    fn hold(&self, at: Timestamp) -> Option<Hold> {
        let held_by = match self.standing?.reason {
            DueReason::Held => Some("held by operator"),
            DueReason::Unknown => Some("outcome unknown: held for proof or release"),
            DueReason::Requested
            | DueReason::BackOff
            | DueReason::QuietHours
            | DueReason::Released
            | DueReason::Paused
            | DueReason::Gate
            | DueReason::Recipient
            | DueReason::Order
            | DueReason::Claimed => None,
        };
        if let Some(text) = held_by {
            return Some(Hold { text: text.to_owned(), until: None });
        }
        let pause = self.message.waiting.as_ref()?.pause.as_ref();
        pause.filter(|pause| pause.holds_at(at)).map(Hold::from)
    }

    /// When it may go for itself. What is let go by quiet hours may be so earlier or later than planned, if they were changed.
    fn timing(&self) -> Timing<'a> {
        let subject = Subject {
            recipient: self.message.recipient.as_ref().map(|(_, number)| number),
            use_case: self.inside.use_case.as_deref(),
            ignores_quiet_hours: self.message.options.ignore_quiet_hours,
        };
        let own_time = schedule::first_due(self.now, self.message.scheduled_for);
        let asked_at = match self.standing {
            None => own_time,
            Some(standing) => match standing.reason {
                DueReason::QuietHours
                | DueReason::Held
                | DueReason::Unknown
                | DueReason::Paused
                | DueReason::Claimed => own_time,
                DueReason::Requested
                | DueReason::BackOff
                | DueReason::Released
                | DueReason::Gate
                | DueReason::Recipient
                | DueReason::Order => standing.due_at.max(self.now),
            },
        };
        Timing::from(self.channel, self.workspace, &subject, asked_at, self.message.expires_at)
    }

    /// Its place in the time over which quiet hours let go, if they hold it and let it go when they were to.
    async fn place(&self, api: &Api, timing: &Timing<'_>) -> Result<Option<Timestamp>, ApiError> {
        let seconds = timing.rule.spread_seconds();
        let held = self.standing.filter(|standing| standing.reason == DueReason::QuietHours);
        let (Some(standing), Fit::At(end, _)) = (held, timing.fit) else { return Ok(None) };
        if seconds == 0 || end != standing.due_at {
            return Ok(None);
        }
        let limit = i64::try_from(COUNTED_MAX).unwrap_or(i64::MAX);
        let together = api.store.let_go_together(self.channel.id, &standing, self.message.id, limit).await?;
        let until = end.saturating_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX);
        let expires_at = self.message.expires_at;
        Ok(Some(spread::place(end, until, together.messages, together.before, self.now, expires_at)))
    }

    /// The calls that it was made into; none when its texts or its recipient are no longer kept.
    fn calls(&self, api: &Api) -> Vec<domain::provider::PreviewedCall> {
        let settings = &self.channel.settings;
        let Some((_, recipient)) = &self.message.recipient else { return Vec::new() };
        let preview = |part| api.preview.preview(part, &settings.number, recipient, settings.longitude_spelling);
        self.inside.parts.iter().map(preview).collect()
    }
}
