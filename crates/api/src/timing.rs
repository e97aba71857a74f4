//! When a message goes: its own time, what quiet hours and pauses make of it, and the end of its validity.
//!
//! What is accepted and what a dry run shows are decided here alike. The instants are `domain::schedule`'s; this module must
//! not know how they are stored or shown.

use domain::pause::{self, Pause};
use domain::quiet_hours::{Closed, QuietHours, Zone, use_case};
use domain::schedule::{self, DueReason, Fit, Quiet};
use jiff::Timestamp;
use store::channel::Channel;
use store::workspace::Workspace;

use crate::wire::request::MessageRequest;

/// When a message goes, and what decides that.
#[derive(Clone, Debug)]
pub(crate) struct Timing<'a> {
    /// Its own time: `scheduledFor`, or now.
    pub(crate) asked_at: Timestamp,
    /// End of validity.
    pub(crate) expires_at: Timestamp,
    /// The first instant at which it may go, if one is in time; pauses aside, which may be ended at any time.
    pub(crate) fit: Fit,
    /// Of the pauses that cover it at its own time the one that holds for longest.
    pub(crate) pause: Option<&'a Pause>,
    /// The quiet hours it is under.
    pub(crate) rule: QuietRule<'a>,
}

/// Which quiet hours hold for a message, or why none do.
#[derive(Clone, Debug)]
pub(crate) enum QuietRule<'a> {
    /// Neither its channel nor its workspace has any.
    Unset,
    /// It ignores them.
    Ignored,
    /// They are switched off.
    SwitchedOff(Owner),
    /// They are for other use cases than its own.
    OtherUseCases(Owner, String),
    /// These, in these zones.
    Holding(Owner, &'a QuietHours, Vec<Zone>),
}

/// Whose setting it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    Workspace,
    Channel,
}

impl<'a> Timing<'a> {
    /// The timing of a request that comes now.
    pub(crate) fn of(channel: &'a Channel, workspace: &'a Workspace, request: &MessageRequest, now: Timestamp) -> Self {
        let default = channel.settings.message_type.validity_seconds_default();
        let validity_seconds = request.validity_seconds.unwrap_or(default);
        let asked_at = schedule::first_due(now, request.scheduled_for);
        let expires_at = schedule::expires_at(now, request.scheduled_for, validity_seconds);
        let rule = QuietRule::of(channel, workspace, request);
        let fit = schedule::fit(asked_at, DueReason::Requested, expires_at, rule.quiet());
        let pause = pause::covering(&workspace.pauses, channel.id, &request.tags, asked_at);
        Self { asked_at, expires_at, fit, pause, rule }
    }

    /// When it would be sent at the earliest; `None` when it would not be in time, or not before a pause that names no end.
    pub(crate) fn send_at(&self) -> Option<Timestamp> {
        let Fit::At(at, _) = self.fit else { return None };
        let Some(pause) = self.pause else { return Some(at) };
        match schedule::fit(pause.until?.max(at), DueReason::Paused, self.expires_at, self.rule.quiet()) {
            Fit::At(at, _) => Some(at),
            Fit::Never => None,
        }
    }

    /// Which closed time its own time falls into, and when that ends, also past its validity.
    pub(crate) fn closed(&self) -> Option<Closed> {
        let Quiet { hours, zones } = self.rule.quiet()?;
        hours.closed_at(zones, self.asked_at, Timestamp::MAX)
    }
}

impl<'a> QuietRule<'a> {
    /// A channel's setting replaces the workspace's as a whole.
    fn of(channel: &'a Channel, workspace: &'a Workspace, request: &MessageRequest) -> Self {
        let own = channel.quiet_hours.as_ref().map(|hours| (Owner::Channel, hours));
        let shared = || workspace.quiet_hours.as_ref().map(|hours| (Owner::Workspace, hours));
        let Some((owner, hours)) = own.or_else(shared) else { return Self::Unset };
        if request.options.ignore_quiet_hours {
            return Self::Ignored;
        }
        if !hours.enabled() {
            return Self::SwitchedOff(owner);
        }
        let use_case = use_case(request.meta.use_case.as_deref(), channel.settings.message_type);
        if !hours.applies_to(&use_case) {
            return Self::OtherUseCases(owner, use_case.into_owned());
        }
        Self::Holding(owner, hours, hours.zones_for(&request.recipient))
    }

    fn quiet(&self) -> Option<Quiet<'_>> {
        match self {
            Self::Unset | Self::Ignored | Self::SwitchedOff(_) | Self::OtherUseCases(..) => None,
            Self::Holding(_, hours, zones) => Some(Quiet { hours, zones }),
        }
    }
}
