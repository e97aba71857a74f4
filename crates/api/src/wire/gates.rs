//! The gates of a plan: what a message must pass before it is sent, in the order of the contract's section 6.
//!
//! The service window, templates, the channel's breaker and what contends with other messages come with later versions.

use domain::pause::Pause;
use domain::quiet_hours::Closed;
use domain::schedule::Fit;
use jiff::Timestamp;
use serde::Serialize;
use store::channel::ChannelSettings;

use super::request::MessageRequest;
use super::response::instant;
use crate::timing::{Owner, QuietRule, Timing};

/// A gate, and whether a message passes it.
#[derive(Serialize, Debug)]
pub(crate) struct GateView {
    gate: &'static str,
    verdict: &'static str,
    until: Option<String>,
    setting: String,
}

/// The gates of a message with a timing as of an instant.
pub(crate) fn of(
    timing: &Timing<'_>,
    request: &MessageRequest,
    settings: &ChannelSettings,
    now: Timestamp,
) -> Vec<GateView> {
    let scheduled = (timing.asked_at > now).then_some(timing.asked_at);
    let closed = timing.closed();
    let rate = format!("channel.messagesPerSecond={}", settings.messages_per_second);
    vec![
        until("schedule", scheduled, "scheduledFor".to_owned()),
        until("quietHours", closed.as_ref().map(|closed| closed.until), quiet_hours(&timing.rule, closed.as_ref())),
        GateView {
            gate: "validity",
            verdict: verdict(timing.fit == Fit::Never),
            until: None,
            setting: validity(request, settings),
        },
        hold(timing.pause),
        until("channelRate", None, rate),
    ]
}

/// A gate that is closed until an instant, or open.
fn until(gate: &'static str, closed_until: Option<Timestamp>, setting: String) -> GateView {
    GateView { gate, verdict: verdict(closed_until.is_some()), until: closed_until.map(instant), setting }
}

/// A pause that names no end is closed, too.
fn hold(pause: Option<&Pause>) -> GateView {
    GateView {
        gate: "hold",
        verdict: verdict(pause.is_some()),
        until: pause.and_then(|pause| pause.until).map(instant),
        setting: pause.map_or_else(|| "no pause".to_owned(), Pause::to_string),
    }
}

fn verdict(is_closed: bool) -> &'static str {
    if is_closed { "closed" } else { "open" }
}

/// `workspace.quietHours windows[0], zone Africa/Nairobi`: the setting that decides.
fn quiet_hours(rule: &QuietRule<'_>, closed: Option<&Closed>) -> String {
    match (rule, closed) {
        (QuietRule::Unset, _) => "quietHours are not set".to_owned(),
        (QuietRule::Ignored, _) => "ignoreQuietHours=true".to_owned(),
        (QuietRule::SwitchedOff(owner), _) => format!("{} enabled=false", setting_of(*owner)),
        (QuietRule::OtherUseCases(owner, use_case), _) => {
            format!("{} appliesTo is without {use_case}", setting_of(*owner))
        }
        (QuietRule::Holding(owner, ..), Some(closed)) => format!("{} {closed}", setting_of(*owner)),
        (QuietRule::Holding(owner, _, zones), None) => {
            let names: Vec<&str> = zones.iter().map(domain::quiet_hours::Zone::name).collect();
            format!("{}, zone {}", setting_of(*owner), names.join(" and "))
        }
    }
}

fn setting_of(owner: Owner) -> &'static str {
    match owner {
        Owner::Workspace => "workspace.quietHours",
        Owner::Channel => "channel.quietHours",
    }
}

/// Where the message names none, the kind of its channel decides.
fn validity(request: &MessageRequest, settings: &ChannelSettings) -> String {
    match request.validity_seconds {
        Some(seconds) => format!("validity={seconds}"),
        None => {
            let message_type = settings.message_type;
            let seconds = message_type.validity_seconds_default();
            format!("channel.messageType={}, validity={seconds}", message_type.as_str())
        }
    }
}
