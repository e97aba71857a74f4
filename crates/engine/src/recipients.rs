//! What holds a message back on account of its recipient: an earlier message of its lane, or the recipient's own pace.
//!
//! One message of a lane to one recipient is under way at a time, so they arrive in order. A message whose turn has not
//! come is set aside here for a moment, or goes back to the outbox until its time; others pass it. An earlier message that
//! waits for its next try holds later ones for a bounded time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::id::MessageId;
use domain::message::Lane;
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use domain::spacing::{RecipientRate, Spacing, Turn};
use jiff::{SignedDuration, Timestamp};

use crate::attempt::Ready;

/// An earlier message that waits for longer than this holds nobody.
const HELD_MAX: SignedDuration = SignedDuration::from_secs(60);
/// A message that goes on so late is not waited for any more.
const LATE_MAX: SignedDuration = SignedDuration::from_secs(5);
/// What is so near is waited for here.
const NEAR: SignedDuration = SignedDuration::from_secs(1);

/// What is to become of a message that is about to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Clearance {
    /// Goes.
    Go,
    /// An earlier one is under way.
    SetAside,
    /// Waits until an instant.
    Wait(Timestamp, DueReason),
    /// Its turn comes after its validity.
    Never,
}

/// Who goes in which order.
type Key = (Lane, PhoneNumber);

/// Recipients of a channel.
#[derive(Debug)]
pub(crate) struct Recipients {
    spacing: Spacing,
    first: HashMap<Key, First>,
    set_aside: HashMap<Key, VecDeque<Ready>>,
}

/// The message that the others to its recipient wait for.
#[derive(Clone, Copy, Debug)]
struct First {
    message: MessageId,
    since: Timestamp,
    /// `None` while it is under way.
    goes_on_at: Option<Timestamp>,
}

impl First {
    /// Whether others wait for it: also a little longer than until it should have gone on. A call always ends, unless it
    /// broke down.
    fn holds(&self, now: Timestamp) -> bool {
        let broken = now.duration_since(self.since) >= HELD_MAX;
        self.goes_on_at.map_or(!broken, |at| now.duration_since(at) < LATE_MAX)
    }
}

impl Recipients {
    pub(crate) fn new(rate: RecipientRate) -> Self {
        Self { spacing: Spacing::new(rate), first: HashMap::new(), set_aside: HashMap::new() }
    }

    /// Whether a message may go. One that may has its recipient's turn.
    pub(crate) fn clear(&mut self, ready: &mut Ready, now: Timestamp) -> Clearance {
        let message = &ready.message;
        let key = (message.lane, message.recipient.clone());
        if let Some(first) = self.first.get(&key).filter(|first| first.message != message.id) {
            match first.goes_on_at {
                Some(at) if at.duration_since(now) > NEAR => return Clearance::Wait(at, DueReason::Order),
                _ if first.holds(now) => return Clearance::SetAside,
                _ => {}
            }
        }
        if !ready.has_turn {
            match self.spacing.take(&message.recipient, now, message.expires_at) {
                Turn::Now => ready.has_turn = true,
                Turn::At(at) => return Clearance::Wait(at, DueReason::Recipient),
                Turn::Never => return Clearance::Never,
            }
        }
        Clearance::Go
    }

    /// A message waits here until those before it have gone.
    pub(crate) fn set_aside(&mut self, ready: Ready) {
        let key = (ready.message.lane, ready.message.recipient.clone());
        self.set_aside.entry(key).or_default().push_back(ready);
    }

    /// Messages that wait here.
    pub(crate) fn aside(&self) -> usize {
        self.set_aside.values().map(VecDeque::len).sum()
    }

    /// A message is under way.
    pub(crate) fn begin(&mut self, ready: &Ready, now: Timestamp) {
        let key = (ready.message.lane, ready.message.recipient.clone());
        self.first.insert(key, First { message: ready.message.id, since: now, goes_on_at: None });
    }

    /// A message is under way no more. One that goes on later holds the others until then; answers those that may be looked
    /// at again, in order.
    pub(crate) fn end(&mut self, ready: &Ready, goes_on_at: Option<Timestamp>, now: Timestamp) -> VecDeque<Ready> {
        let key = (ready.message.lane, ready.message.recipient.clone());
        match goes_on_at.filter(|at| at.duration_since(now) <= HELD_MAX) {
            Some(at) => drop(
                self.first.insert(key.clone(), First { message: ready.message.id, since: now, goes_on_at: Some(at) }),
            ),
            None => drop(self.first.remove(&key)),
        }
        self.set_aside.remove(&key).unwrap_or_default()
    }

    /// Takes out what has waited for too long, and forgets what nobody waits for any more.
    pub(crate) fn clear_up(&mut self, now: Timestamp, fresh: Duration) -> Vec<Ready> {
        self.first.retain(|_, first| first.holds(now));
        let is_stale = |ready: &Ready| ready.claimed_at.elapsed() > fresh;
        let stale: Vec<Key> =
            self.set_aside.iter().filter(|(_, queue)| queue.iter().any(is_stale)).map(|(key, _)| key.clone()).collect();
        stale.iter().filter_map(|key| self.set_aside.remove(key)).flatten().collect()
    }

    /// Takes out all that waits here.
    pub(crate) fn take_all(&mut self) -> Vec<Ready> {
        self.set_aside.drain().flat_map(|(_, queue)| queue).collect()
    }
}
