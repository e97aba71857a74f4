//! The gates of a plan: what a message must pass before it is sent, in the order of the contract's section 6.
//!
//! The service window and templates are not known yet.

use domain::gate::GateReason;
use domain::quiet_hours::Closed;
use domain::schedule::DueReason;
use jiff::Timestamp;
use serde::Serialize;

use super::response::instant;
use crate::prospect::{BacklogState, Hold, Kind, Prospect};
use crate::timing::{Owner, QuietRule, Timing};

/// A gate, and whether a message passes it.
#[derive(Serialize, Debug)]
pub(crate) struct GateView {
    gate: &'static str,
    verdict: &'static str,
    until: Option<String>,
    setting: String,
}

/// All gates of a message; what decided its validity is told as it was set.
pub(crate) fn of(prospect: &Prospect<'_>, validity: String) -> Vec<GateView> {
    let (window, template) = template(prospect.kind);
    vec![
        schedule(prospect),
        quiet_hours(prospect),
        GateView { gate: "validity", verdict: verdict(is_too_late(prospect)), until: None, setting: validity },
        hold(prospect.hold.as_ref()),
        window,
        template,
        channel_gate("breaker", prospect, GateReason::Breaker, "channel gate: the provider cannot be reached or fails"),
        channel_gate("credentials", prospect, GateReason::Credentials, "channel gate: the provider refuses the key"),
        channel_rate(prospect),
        workspace_share(prospect),
        recipient_rate(prospect),
        backlog(prospect),
    ]
}

/// What the validity of a request is set by: where it names none, the kind of its channel decides.
pub(crate) fn validity(seconds: Option<i64>, message_type: domain::message::MessageType) -> String {
    match seconds {
        Some(seconds) => format!("validity={seconds}"),
        None => {
            let seconds = message_type.validity_seconds_default();
            format!("channel.messageType={}, validity={seconds}", message_type.as_str())
        }
    }
}

/// A gate that is closed until an instant, or open.
fn until(gate: &'static str, closed_until: Option<Timestamp>, setting: String) -> GateView {
    GateView { gate, verdict: verdict(closed_until.is_some()), until: closed_until.map(instant), setting }
}

/// The channel's gate, as far as it is closed for a reason.
fn channel_gate(gate: &'static str, prospect: &Prospect<'_>, reason: GateReason, setting: &str) -> GateView {
    until(gate, prospect.closed_for(reason), probed(prospect, reason, setting.to_owned()))
}

/// What is told besides where the gate's time has passed, and nothing has shown yet that it may open.
fn probed(prospect: &Prospect<'_>, reason: GateReason, setting: String) -> String {
    let is_due = prospect.gate.is_some_and(|(closed_for, until)| closed_for == reason && until <= prospect.now);
    if is_due { format!("{setting}; the next message goes alone, as a probe") } else { setting }
}

fn verdict(is_closed: bool) -> &'static str {
    if is_closed { "closed" } else { "open" }
}

/// A gate that says nothing about the message, or of which nothing is known.
fn plain(gate: &'static str, verdict: &'static str, setting: &str) -> GateView {
    GateView { gate, verdict, until: None, setting: setting.to_owned() }
}

/// Its own time, or the one before its next try.
fn schedule(prospect: &Prospect<'_>) -> GateView {
    let scheduled = prospect.scheduled_for.filter(|at| *at > prospect.now);
    let tried_again = prospect.waits_until(|reason| reason == DueReason::BackOff);
    match (scheduled, tried_again, prospect.wait) {
        (None, Some(next), Some(wait)) => until(
            "schedule",
            Some(next),
            format!("pause after try {}, and the channel's budget of repetitions", wait.tries),
        ),
        (scheduled, _, _) => until("schedule", scheduled, "scheduledFor".to_owned()),
    }
}

/// The time that a message asks for, else the place that it has after them.
fn quiet_hours(prospect: &Prospect<'_>) -> GateView {
    let Timing { rule, .. } = &prospect.timing;
    let closed = prospect.timing.closed();
    let released = prospect.waits_until(|reason| reason == DueReason::Released);
    match (&closed, released, rule) {
        (None, Some(place), QuietRule::Holding(owner, ..)) => {
            let setting = format!("{} spreadSeconds={}", setting_of(*owner), rule.spread_seconds());
            until("quietHours", Some(place), setting)
        }
        (None, _, QuietRule::NoRecipient(owner)) => {
            plain("quietHours", "unknown", &format!("{}: the recipient was erased", setting_of(*owner)))
        }
        (closed, _, rule) => {
            until("quietHours", closed.as_ref().map(|closed| closed.until), quiet_setting(rule, closed.as_ref()))
        }
    }
}

/// `workspace.quietHours windows[0], zone Africa/Nairobi`: the setting that decides.
fn quiet_setting(rule: &QuietRule<'_>, closed: Option<&Closed>) -> String {
    match (rule, closed) {
        (QuietRule::Unset, _) => "quietHours are not set".to_owned(),
        (QuietRule::Ignored, _) => "ignoreQuietHours=true".to_owned(),
        (QuietRule::SwitchedOff(owner), _) => format!("{} enabled=false", setting_of(*owner)),
        (QuietRule::OtherUseCases(owner, use_case), _) => {
            format!("{} appliesTo is without {use_case}", setting_of(*owner))
        }
        (QuietRule::NoRecipient(owner), _) => setting_of(*owner).to_owned(),
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

/// Closed where it cannot go in time: not before its end, or not before others.
fn is_too_late(prospect: &Prospect<'_>) -> bool {
    let expires_at = prospect.timing.expires_at;
    let never = prospect.timing.fit == domain::schedule::Fit::Never;
    never || prospect.turn().is_some_and(|turn| turn >= expires_at)
}

/// Pauses, and operators who hold it.
fn hold(hold: Option<&Hold>) -> GateView {
    match hold {
        Some(Hold { text, until }) => {
            GateView { gate: "hold", verdict: "closed", until: until.map(instant), setting: text.clone() }
        }
        None => plain("hold", "open", "no pause"),
    }
}

/// The gates that depend on what the provider has told of recipients and templates.
fn template(kind: Kind) -> (GateView, GateView) {
    match kind {
        Kind::Template => (
            plain("serviceWindow", "open", "not needed: a template"),
            plain("template", "unknown", "templates are not known yet"),
        ),
        Kind::FreeForm => (
            plain("serviceWindow", "unknown", "received messages are not taken yet"),
            plain("template", "open", "not a template"),
        ),
    }
}

/// The channel's own pace, and the provider's wish.
fn channel_rate(prospect: &Prospect<'_>) -> GateView {
    let closed_until = prospect.closed_for(GateReason::RateLimit).max(prospect.turn_told());
    let setting = format!("channel.messagesPerSecond={}", prospect.settings.messages_per_second);
    until("channelRate", closed_until, probed(prospect, GateReason::RateLimit, setting))
}

/// The channel's part of its account's limit.
fn workspace_share(prospect: &Prospect<'_>) -> GateView {
    let share = &prospect.share;
    match share.limit {
        None => plain("workspaceShare", "open", "no account limit"),
        Some(limit) => {
            let closed_until = prospect.turn_told().filter(|_| share.is_narrower);
            let setting = format!("channel.accountMessagesPerSecond={limit}, workspace.weight={}", share.weight);
            until("workspaceShare", closed_until, setting)
        }
    }
}

fn recipient_rate(prospect: &Prospect<'_>) -> GateView {
    let rate = prospect.settings.recipient_rate;
    let setting = match rate.interval_seconds {
        0 => "channel.recipientRate: no spacing".to_owned(),
        seconds => format!("channel.recipientRate=1 per {seconds} s, burst {}", rate.burst),
    };
    let closed_until = prospect.waits_until(|reason| matches!(reason, DueReason::Recipient | DueReason::Order));
    until("recipientRate", closed_until, setting)
}

fn backlog(prospect: &Prospect<'_>) -> GateView {
    let setting = format!("channel.backlogMax={}", prospect.settings.backlog_max);
    match prospect.backlog {
        BacklogState::Unknown => plain("backlog", "unknown", &setting),
        BacklogState::Room(waiting) => plain("backlog", "open", &format!("{setting}, {waiting} waiting")),
        BacklogState::Full(waiting) => plain("backlog", "closed", &format!("{setting}, {waiting} waiting")),
    }
}
