//! When a message goes: its own time, what quiet hours make of it, and the end of its validity.
//!
//! What is accepted and what a dry run shows are decided here alike. The instants are `domain::schedule`'s; this module must
//! not know how they are stored or shown.

use domain::phone::PhoneNumber;
use domain::quiet_hours::{Closed, QuietHours, Zone, use_case};
use domain::schedule::{self, DueReason, Fit, Quiet};
use jiff::Timestamp;
use store::channel::Channel;
use store::workspace::Workspace;

use crate::wire::request::MessageRequest;

/// When a message goes, and what decides that.
#[derive(Clone, Debug)]
pub(crate) struct Timing<'a> {
    /// Its own time: `scheduledFor`, or now; of one that is stored, when it may go.
    pub(crate) asked_at: Timestamp,
    /// End of validity.
    pub(crate) expires_at: Timestamp,
    /// The first instant at which it may go, if one is in time; pauses aside, which may be ended at any time.
    pub(crate) fit: Fit,
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
    /// Whom the message is for is not known any more.
    NoRecipient(Owner),
    /// These, in these zones.
    Holding(Owner, &'a QuietHours, Vec<Zone>),
}

/// Whose setting it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    Workspace,
    Channel,
}

/// What of a message decides about quiet hours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// None after an erasure.
    pub(crate) recipient: Option<&'a PhoneNumber>,
    /// As the caller says.
    pub(crate) use_case: Option<&'a str>,
    pub(crate) ignores_quiet_hours: bool,
}

impl<'a> Timing<'a> {
    /// The timing of a request that comes now.
    pub(crate) fn of(channel: &'a Channel, workspace: &'a Workspace, request: &MessageRequest, now: Timestamp) -> Self {
        let default = channel.settings.message_type.validity_seconds_default();
        let validity_seconds = request.validity_seconds.unwrap_or(default);
        let asked_at = schedule::first_due(now, request.scheduled_for);
        let expires_at = schedule::expires_at(now, request.scheduled_for, validity_seconds);
        let subject = Subject {
            recipient: Some(&request.recipient),
            use_case: request.meta.use_case.as_deref(),
            ignores_quiet_hours: request.options.ignore_quiet_hours,
        };
        Self::from(channel, workspace, &subject, asked_at, expires_at)
    }

    /// The timing of a message that may go from an instant on.
    pub(crate) fn from(
        channel: &'a Channel,
        workspace: &'a Workspace,
        subject: &Subject<'_>,
        asked_at: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        let rule = QuietRule::of(channel, workspace, subject);
        let fit = schedule::fit(asked_at, DueReason::Requested, expires_at, rule.quiet());
        Self { asked_at, expires_at, fit, rule }
    }

    /// The first instant from a later one on at which quiet hours let it go; that one where its validity is over before.
    pub(crate) fn fit_from(&self, at: Timestamp) -> Timestamp {
        match schedule::fit(at, DueReason::Requested, self.expires_at, self.rule.quiet()) {
            Fit::At(fit, _) => fit,
            Fit::Never => at.max(self.expires_at),
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
    fn of(channel: &'a Channel, workspace: &'a Workspace, subject: &Subject<'_>) -> Self {
        let own = channel.quiet_hours.as_ref().map(|hours| (Owner::Channel, hours));
        let shared = || workspace.quiet_hours.as_ref().map(|hours| (Owner::Workspace, hours));
        let Some((owner, hours)) = own.or_else(shared) else { return Self::Unset };
        if subject.ignores_quiet_hours {
            return Self::Ignored;
        }
        if !hours.enabled() {
            return Self::SwitchedOff(owner);
        }
        let use_case = use_case(subject.use_case, channel.settings.message_type);
        if !hours.applies_to(&use_case) {
            return Self::OtherUseCases(owner, use_case.into_owned());
        }
        match subject.recipient {
            Some(recipient) => Self::Holding(owner, hours, hours.zones_for(recipient)),
            None => Self::NoRecipient(owner),
        }
    }

    /// Seconds over which what they held is let go; none where they hold nothing.
    pub(crate) fn spread_seconds(&self) -> u32 {
        self.quiet().map_or(0, |quiet| quiet.hours.spread_seconds())
    }

    fn quiet(&self) -> Option<Quiet<'_>> {
        match self {
            Self::Unset | Self::Ignored | Self::SwitchedOff(_) | Self::OtherUseCases(..) | Self::NoRecipient(_) => None,
            Self::Holding(_, hours, zones) => Some(Quiet { hours, zones }),
        }
    }
}
