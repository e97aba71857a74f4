//! What would become of a request: the plan of a message that is not stored.

use domain::content::Part;
use domain::id::PartId;
use domain::message::Lane;
use domain::pause;
use domain::schedule::Fit;
use domain::violation::Violations;
use jiff::Timestamp;
use store::channel::{Channel, ChannelSettings};
use store::workspace::Workspace;
use uuid::Uuid;

use crate::app::Api;
use crate::backlog::Seen;
use crate::errors::ApiError;
use crate::outlook::{Waiter, rate_thousandths};
use crate::prospect::{BacklogState, Hold, Kind, Prospect, Share};
use crate::timing::Timing;
use crate::wire::gates;
use crate::wire::plan::{self, PlanView};
use crate::wire::request::MessageRequest;

/// The plan of a request as of an instant.
///
/// # Errors
/// When the database cannot be used.
pub(crate) async fn plan(
    api: &Api,
    channel: &Channel,
    workspace: &Workspace,
    read: Result<MessageRequest, Violations>,
    now: Timestamp,
) -> Result<PlanView, ApiError> {
    let request = match read {
        Ok(request) => request,
        Err(violations) => return Ok(plan::refused(&violations)),
    };
    let settings = &channel.settings;
    let timing = Timing::of(channel, workspace, &request, now);
    let lane = Lane::of(request.meta.use_case.as_deref(), settings.message_type);
    let pause = pause::covering(&workspace.pauses, channel.id, &request.tags, timing.asked_at);
    let gate = api.store.channel_gate(channel.workspace, channel.id).await?;
    let seen = api.backlogs.of(&api.store, channel).await;
    let due_at = if let Fit::At(at, _) = timing.fit { Some(at) } else { None };
    let waiter = due_at.map(|due_at| Waiter { lane, due_at, expires_at: timing.expires_at });
    let expires_at = timing.expires_at;
    let prospect = Prospect {
        now,
        timing,
        scheduled_for: request.scheduled_for,
        settings,
        lane,
        kind: if request.template.is_some() { Kind::Template } else { Kind::FreeForm },
        hold: api.store.stops().first().copied().map(Hold::from).or(pause.map(Hold::from)),
        stopped_until: stopped_until(channel, workspace, now),
        gate: gate.map(|gate| (gate.reason, gate.until)),
        wait: None,
        place: None,
        queue: seen.as_ref().map(|seen| seen.queue(settings)),
        share: share(settings, seen.as_ref(), workspace.weight),
        backlog: backlog(settings, seen.as_ref(), waiter.as_ref(), now),
    };
    let validity = gates::validity(request.validity_seconds, settings.message_type);
    let gates = gates::of(&prospect, validity);
    if matches!(prospect.backlog, BacklogState::Full(_)) {
        return Ok(plan::full(expires_at, gates));
    }
    let send_at = prospect.goes_at();
    let parts = request.contents.into_iter().map(|content| Part { id: PartId(Uuid::new_v4()), content });
    let preview = |part| api.preview.preview(&part, &settings.number, &request.recipient, settings.longitude_spelling);
    let calls = if due_at.is_some() { parts.map(preview).collect() } else { Vec::new() };
    Ok(plan::accepted(send_at, expires_at, gates, calls))
}

/// Until when a pause holds all messages of a channel, if one does that names its end.
pub(crate) fn stopped_until(channel: &Channel, workspace: &Workspace, now: Timestamp) -> Option<Timestamp> {
    // Pauses of tags cover nothing that has none.
    pause::covering(&workspace.pauses, channel.id, &[""; 0], now)?.until
}

/// The channel's part of its account's limit, as far as it is known.
pub(crate) fn share(settings: &ChannelSettings, seen: Option<&Seen>, weight: u32) -> Share {
    let limit = seen.and_then(|seen| seen.limit.as_deref());
    let is_narrower = limit.is_some() && rate_thousandths(settings, limit) < rate_thousandths(settings, None);
    let per_second = |limit: &store::backlog::SharedLimit| limit.rate_thousandths / domain::forecast::THOUSAND;
    Share { limit: limit.map(per_second), is_narrower, weight }
}

/// Whether a message would be taken; one that ends at once waits for nothing.
fn backlog(settings: &ChannelSettings, seen: Option<&Seen>, waiter: Option<&Waiter>, now: Timestamp) -> BacklogState {
    let Some(seen) = seen else { return BacklogState::Unknown };
    match waiter.map(|waiter| seen.admit(settings, waiter, now)) {
        Some(Err(_)) => BacklogState::Full(seen.waiting()),
        Some(Ok(_)) | None => BacklogState::Room(seen.waiting()),
    }
}
