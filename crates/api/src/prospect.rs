//! What stands between a message and its call, as of an instant: of one that is asked about and of one that waits alike.
//!
//! The instants are those of `domain::schedule`, `domain::spread` and `domain::forecast`; what the gates are called and how they
//! are shown is none of its business.

use domain::forecast::{Place, Queue};
use domain::gate::GateReason;
use domain::message::Lane;
use domain::pause::Pause;
use domain::schedule::{DueReason, Fit};
use jiff::Timestamp;
use store::channel::ChannelSettings;
use store::stop::Stop;

use crate::outlook::WAIT_TOLD;
use crate::timing::Timing;

/// A message and all that is known to stand before it.
#[derive(Clone, Debug)]
pub(crate) struct Prospect<'a> {
    pub(crate) now: Timestamp,
    pub(crate) timing: Timing<'a>,
    pub(crate) scheduled_for: Option<Timestamp>,
    pub(crate) settings: &'a ChannelSettings,
    pub(crate) lane: Lane,
    pub(crate) kind: Kind,
    /// A pause, or an operator, that holds it.
    pub(crate) hold: Option<Hold>,
    /// Until when a pause holds all messages of the channel, as far as it has an end.
    pub(crate) stopped_until: Option<Timestamp>,
    /// The channel's gate, when it is closed.
    pub(crate) gate: Option<(GateReason, Timestamp)>,
    /// What it waits for, if it is stored.
    pub(crate) wait: Option<OwnWait>,
    /// Its place in the time over which quiet hours let go, where it is known.
    pub(crate) place: Option<Timestamp>,
    /// What goes before it; `None` when that is not known, or when it goes no more.
    pub(crate) queue: Option<Queue>,
    pub(crate) share: Share,
    pub(crate) backlog: BacklogState,
}

/// What a message is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Template,
    FreeForm,
}

/// What holds a message, besides quiet hours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hold {
    /// What, for people.
    pub(crate) text: String,
    /// `None` when nobody has said when it ends.
    pub(crate) until: Option<Timestamp>,
}

impl From<Stop> for Hold {
    fn from(stop: Stop) -> Self {
        Self { text: stop.to_string(), until: None }
    }
}

impl From<&Pause> for Hold {
    fn from(pause: &Pause) -> Self {
        Self { text: pause.to_string(), until: pause.until }
    }
}

/// What a stored message waits for by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OwnWait {
    pub(crate) reason: DueReason,
    pub(crate) due_at: Timestamp,
    pub(crate) tries: u16,
}

/// The channel's part of what its provider account may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Share {
    /// Messages a second of the account, if there is a limit.
    pub(crate) limit: Option<u64>,
    /// Whether the channel has less of it than it could send.
    pub(crate) is_narrower: bool,
    /// The workspace's weight.
    pub(crate) weight: u32,
}

/// How full the channel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BacklogState {
    /// It could not be counted.
    Unknown,
    /// So many wait, and it is taken.
    Room(u64),
    /// So many wait, and it is not.
    Full(u64),
}

impl Prospect<'_> {
    /// When it goes; `None` when it does not, or nobody has said when what holds it ends.
    pub(crate) fn goes_at(&self) -> Option<Timestamp> {
        let is_full = matches!(self.backlog, BacklogState::Full(_));
        let at = self.turn().filter(|_| !is_full)?;
        (at < self.timing.expires_at).then_some(at)
    }

    /// When others let it go, whether in time or not.
    pub(crate) fn turn(&self) -> Option<Timestamp> {
        let earliest = self.may_go_at()?;
        let Some(queue) = &self.queue else { return Some(earliest) };
        // Nothing goes while the gate is closed or all is paused.
        let stops = [self.closed_until(), self.stopped_until].into_iter().flatten();
        let seen_at = stops.fold(queue.seen_at.min(self.now), Timestamp::max);
        let queue = Queue { seen_at, ..queue.clone() };
        let ahead = queue.due[self.lane.index()];
        Some(queue.turn(&Place { lane: self.lane, ahead, earliest }))
    }

    /// When others let it go, if they keep it for long enough to tell.
    pub(crate) fn turn_told(&self) -> Option<Timestamp> {
        let (turn, earliest) = (self.turn()?, self.may_go_at()?);
        (turn.duration_since(earliest) >= WAIT_TOLD).then_some(turn)
    }

    /// When it may go, were it alone.
    fn may_go_at(&self) -> Option<Timestamp> {
        let Fit::At(fit, _) = self.timing.fit else { return None };
        let held_until = match &self.hold {
            Some(hold) => Some(hold.until?),
            None => None,
        };
        let earliest = [self.place, held_until, self.closed_until()].into_iter().flatten().fold(fit, Timestamp::max);
        // A pause may end in quiet hours.
        Some(self.timing.fit_from(earliest))
    }

    /// Until when the channel's gate is closed, if it is.
    pub(crate) fn closed_until(&self) -> Option<Timestamp> {
        self.gate.map(|(_, until)| until).filter(|until| *until > self.now)
    }

    /// Until when the channel's gate is closed for a reason, if it is.
    pub(crate) fn closed_for(&self, reason: GateReason) -> Option<Timestamp> {
        self.gate.filter(|(closed_for, _)| *closed_for == reason).and(self.closed_until())
    }

    /// Until when it waits by itself for a reason that this holds of.
    pub(crate) fn waits_until(&self, is_it: impl Fn(DueReason) -> bool) -> Option<Timestamp> {
        self.wait.filter(|wait| is_it(wait.reason) && wait.due_at > self.now).map(|wait| wait.due_at)
    }
}
