//! Quiet hours of an owned channel: what they hold, and how they let go.
//!
//! Asked at the moment of sending, whatever was planned before. A message that they hold goes back to the outbox until they
//! end; then each has a place of its own in the time over which they are spread.

use std::collections::HashMap;

use domain::decision::Step;
use domain::message::{Lane, MessageType};
use domain::phone::PhoneNumber;
use domain::quiet_hours::{QuietHours, use_case};
use domain::schedule::DueReason;
use domain::spread::Spread;
use jiff::{SignedDuration, Timestamp};
use store::Store;
use store::holds::HeldMessage;
use store::outbox::Claimed;
use store::owned::OwnedChannel;

/// Instants whose messages have places at a time; more let their messages go at once.
const SPREADS_MAX: usize = 1_000;
/// Messages of one instant that are counted: some 40 ms, for which the lane waits. What is beyond has the last place.
const COUNTED_MAX: i64 = 200_000;
/// After a count that failed, before the next: a lane that waited for one a message would send nothing else.
const COUNT_REST: SignedDuration = SignedDuration::from_secs(5);

/// What keeps a message from being sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    /// It waits until an instant.
    Until(Timestamp, DueReason),
    /// Its validity ends before it may go.
    Never,
}

/// Quiet hours of a channel.
#[derive(Debug)]
pub(crate) struct Quiet {
    hours: Option<QuietHours>,
    message_type: MessageType,
    /// Places of what fell due in a lane at an instant.
    spreads: HashMap<(Lane, Timestamp), (Spread, Timestamp)>,
    /// Before this instant nothing is counted again: the last count failed.
    counts_at: Timestamp,
}

impl Quiet {
    pub(crate) fn new(owned: &OwnedChannel) -> Self {
        Self {
            hours: owned.quiet_hours.clone(),
            message_type: owned.channel.settings.message_type,
            spreads: HashMap::new(),
            counts_at: Timestamp::MIN,
        }
    }

    /// What keeps a message from being sent now.
    pub(crate) async fn hold(&mut self, store: &Store, message: &mut Claimed, now: Timestamp) -> Option<Hold> {
        let hours = self.hours_of(message)?;
        let expires_at = message.expires_at;
        if let Some(until) = closed_until(hours, &message.recipient, now, expires_at) {
            return Some(if until >= expires_at { Hold::Never } else { Hold::Until(until, DueReason::QuietHours) });
        }
        let spread = SignedDuration::from_secs(hours.spread_seconds().into());
        let until = message.due_at.saturating_add(spread).unwrap_or(Timestamp::MAX);
        if message.waited_for != DueReason::QuietHours || now >= until {
            return None;
        }
        let place = self.place(store, message, now, until).await?;
        // It is its own, also if it is not the channel's turn yet.
        message.waited_for = DueReason::Released;
        (place > now).then_some(Hold::Until(place, DueReason::Released))
    }

    /// The quiet hours that a message is held by.
    fn hours_of(&self, message: &Claimed) -> Option<&QuietHours> {
        self.hours_for(message.use_case.as_deref()).filter(|_| !message.ignores_quiet_hours)
    }

    fn hours_for(&self, meta_use_case: Option<&str>) -> Option<&QuietHours> {
        self.hours.as_ref().filter(|hours| hours.applies_to(&use_case(meta_use_case, self.message_type)))
    }

    /// The place of a message that was just let go.
    async fn place(&mut self, store: &Store, message: &Claimed, now: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let key = (message.lane, message.due_at);
        if !self.spreads.contains_key(&key) {
            self.spreads.retain(|_, (_, until)| *until > now);
            if self.spreads.len() >= SPREADS_MAX || now < self.counts_at {
                return None;
            }
            match store.let_go(message.channel, message.lane, message.due_at, until, COUNTED_MAX).await {
                Ok(let_go) => {
                    let from = let_go.last.map_or(message.due_at, |last| last.max(message.due_at));
                    self.spreads.insert(key, (Spread::new(from, until, let_go.messages), until));
                }
                Err(error) => {
                    tracing::warn!(%error, channel = %message.channel, "what quiet hours let go cannot be counted, and goes at once");
                    self.counts_at = now.saturating_add(COUNT_REST).unwrap_or(Timestamp::MAX);
                    return None;
                }
            }
        }
        self.spreads.get_mut(&key).map(|(spread, _)| spread.take(now, message.expires_at))
    }

    /// Until when a held message is held from an instant on, if it is; also past the end of its validity.
    pub(crate) fn closed_for(&self, held: &HeldMessage, at: Timestamp) -> Option<Timestamp> {
        let hours = self.hours_for(held.use_case.as_deref()).filter(|_| !held.ignores_quiet_hours)?;
        closed_until(hours, &held.recipient, at, held.expires_at)
    }

    /// The step of a message whose next try falls into quiet hours, if there is to be one; `None` when it could not be tried within its validity.
    pub(crate) fn fit(&self, message: &Claimed, step: Step) -> Option<Step> {
        let Step::Wait { due_at, counted, maybe_sent, reason } = &step else { return Some(step) };
        if *reason == DueReason::Unknown {
            return Some(step);
        }
        let hours = self.hours_of(message);
        match hours.and_then(|hours| closed_until(hours, &message.recipient, *due_at, message.expires_at)) {
            None => Some(step),
            Some(until) if until >= message.expires_at => None,
            Some(until) => {
                let (reason, counted, maybe_sent) = (DueReason::QuietHours, *counted, *maybe_sent);
                Some(Step::Wait { due_at: until, reason, counted, maybe_sent })
            }
        }
    }
}

/// Until when an instant is closed, if it is; not looked for past the end of validity.
fn closed_until(
    hours: &QuietHours,
    recipient: &PhoneNumber,
    at: Timestamp,
    expires_at: Timestamp,
) -> Option<Timestamp> {
    hours.closed_at(&hours.zones_for(recipient), at, expires_at).map(|closed| closed.until)
}
