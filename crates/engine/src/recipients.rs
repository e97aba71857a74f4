//! What holds a message back on account of its recipient: an earlier message of its lane, or the recipient's own pace.
//!
//! One message of a lane to one recipient is under way at a time, so they arrive in order. A message whose turn has not
//! come is set aside here for a moment, or goes back to the outbox until its time; others pass it. An earlier message that
//! waits for its next try holds later ones for a bounded time.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
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
/// A message that was given back is waited for so long: longer than it may then wait for its turn.
const AWAY_MAX: SignedDuration = SignedDuration::from_secs(10);
/// What is so near is waited for here.
const NEAR: SignedDuration = SignedDuration::from_secs(1);
/// Messages to one recipient that wait here; later ones wait in the outbox, each a call longer.
const ASIDE_EACH_MAX: usize = 32;
/// Messages that wait here before nothing more is taken.
pub(crate) const ASIDE_MAX: usize = 256;
/// Messages sent back that are remembered; the order of more is not kept.
const SENT_BACK_MAX: usize = 10_000;
/// They are remembered for so long past their time: a lane may be late, and a message may have been cancelled.
const SENT_BACK_FOR: SignedDuration = SignedDuration::from_mins(60);
/// How long a call takes until some have been made, and at the least.
const CALL_TIME_FIRST: SignedDuration = SignedDuration::from_millis(100);
const CALL_TIME_LEAST: SignedDuration = SignedDuration::from_millis(5);
/// Calls whose time counts as much as that of the last one and all before.
const CALL_TIME_SHARE: i32 = 8;

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
/// The order in which messages are taken.
type Place = (Timestamp, MessageId);

fn key(ready: &Ready) -> Key {
    (ready.message.lane, ready.message.recipient.clone())
}

fn place(ready: &Ready) -> Place {
    (ready.message.due_at, ready.message.id)
}

/// Recipients of a channel.
#[derive(Debug)]
pub(crate) struct Recipients {
    spacing: Spacing,
    first: HashMap<Key, First>,
    set_aside: HashMap<Key, VecDeque<Ready>>,
    /// Given back, since when, and not seen again: what was taken before that comes must not pass them.
    away: HashMap<Key, BTreeMap<Place, Timestamp>>,
    /// Sent back until their time, and not seen again: who comes anew goes behind the last one.
    sent_back: HashMap<Key, SentBack>,
    sent_back_count: usize,
    /// How long a call takes, about.
    call_time: SignedDuration,
}

/// Messages to a recipient that were sent back.
#[derive(Debug)]
struct SentBack {
    ids: HashSet<MessageId>,
    /// When the last of them comes again.
    last: Timestamp,
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
        Self {
            spacing: Spacing::new(rate),
            first: HashMap::new(),
            set_aside: HashMap::new(),
            away: HashMap::new(),
            sent_back: HashMap::new(),
            sent_back_count: 0,
            call_time: CALL_TIME_FIRST,
        }
    }

    /// Whether a message may go. One that may has its recipient's turn.
    pub(crate) fn clear(&mut self, ready: &mut Ready, now: Timestamp) -> Clearance {
        let key = key(ready);
        let clearance = self.clear_of(&key, ready, now);
        if let Clearance::Wait(at, _) = clearance {
            self.remember(key, ready.message.id, at);
        }
        clearance
    }

    fn clear_of(&mut self, key: &Key, ready: &mut Ready, now: Timestamp) -> Clearance {
        let was_away = self.away.get_mut(key).and_then(|away| away.remove(&place(ready))).is_some();
        let was_sent_back = self.sent_back.get_mut(key).is_some_and(|back| back.ids.remove(&ready.message.id));
        self.sent_back_count -= usize::from(was_sent_back);
        if !ready.is_checked {
            ready.is_checked = true;
            // A turn that it comes too late for was not kept: many such turns would be used at once.
            let waited_for_turn = ready.message.waited_for == DueReason::Recipient;
            ready.has_turn &= !(waited_for_turn && self.spacing.is_over(ready.message.due_at, now));
        }
        let message = &ready.message;
        let is_first = self.first.get(key).is_some_and(|first| first.message == message.id);
        let first = self.first.get(key).filter(|_| !is_first);
        if let Some(at) = first.and_then(|first| first.goes_on_at).filter(|at| at.duration_since(now) > NEAR) {
            return Clearance::Wait(at, DueReason::Order);
        }
        let must_wait = first.is_some_and(|first| first.holds(now)) || self.is_preceded(key, &place(ready), now);
        // Who waited before comes in order, and before those who come anew.
        let is_anew = matches!(
            message.waited_for,
            DueReason::Requested | DueReason::QuietHours | DueReason::Paused | DueReason::Held
        ) && message.part == 0;
        let has_waited = was_away || was_sent_back || ready.was_aside || is_first || !is_anew;
        let aside = self.set_aside.get(key).map_or(0, VecDeque::len);
        if !has_waited && self.is_put_off(key, must_wait && aside >= ASIDE_EACH_MAX, now) {
            return Clearance::Wait(self.put_off(key, aside, now), DueReason::Order);
        }
        if !ready.has_turn {
            match self.spacing.take(&message.recipient, now, message.expires_at) {
                Turn::Now => ready.has_turn = true,
                Turn::At(at) => return Clearance::Wait(at, DueReason::Recipient),
                Turn::Never => return Clearance::Never,
            }
        }
        if must_wait { Clearance::SetAside } else { Clearance::Go }
    }

    /// Whether a message that comes anew goes back at once: behind those that were sent back, or behind a long queue. If its
    /// recipient's next turn is later still, that turn is what it waits for.
    fn is_put_off(&self, key: &Key, is_queue_long: bool, now: Timestamp) -> bool {
        let last = self.sent_back.get(key).filter(|back| !back.ids.is_empty()).map(|back| back.last);
        let turn_at = self.spacing.next(&key.1, now);
        match last {
            Some(last) => turn_at <= last.max(now),
            None => is_queue_long && turn_at <= now,
        }
    }

    /// When a message may come back that comes behind others: right behind those that were sent back, or when a long queue
    /// is about to have gone, each a call later.
    fn put_off(&self, key: &Key, aside: usize, now: Timestamp) -> Timestamp {
        let after = |at: Timestamp, pause| at.saturating_add(pause).unwrap_or(Timestamp::MAX);
        match self.sent_back.get(key).map(|back| back.last) {
            Some(last) if last > now => after(last, self.call_time),
            Some(last) => after(last, SignedDuration::from_micros(1)),
            None => after(now, self.call_time.saturating_mul(i32::try_from(aside + 1).unwrap_or(i32::MAX))),
        }
    }

    /// A message was sent back to the outbox until an instant.
    fn remember(&mut self, key: Key, message: MessageId, at: Timestamp) {
        if self.sent_back_count < SENT_BACK_MAX {
            let back = self.sent_back.entry(key).or_insert_with(|| SentBack { ids: HashSet::new(), last: at });
            self.sent_back_count += usize::from(back.ids.insert(message));
            back.last = back.last.max(at);
        }
    }

    /// Whether an earlier message is away.
    fn is_preceded(&self, key: &Key, place: &Place, now: Timestamp) -> bool {
        let mut earlier = self.away.get(key).into_iter().flat_map(|away| away.range(..place));
        earlier.any(|(_, since)| now.duration_since(*since) < AWAY_MAX)
    }

    /// A message waits here until those before it have gone.
    pub(crate) fn set_aside(&mut self, mut ready: Ready) {
        ready.was_aside = true;
        let queue = self.set_aside.entry(key(&ready)).or_default();
        let at = queue.partition_point(|other| place(other) < place(&ready));
        queue.insert(at, ready);
    }

    /// A message goes back to the outbox, and is soon taken again.
    pub(crate) fn give_back(&mut self, ready: &Ready, now: Timestamp) {
        self.away.entry(key(ready)).or_default().insert(place(ready), now);
    }

    /// Messages that wait here.
    pub(crate) fn aside(&self) -> usize {
        self.set_aside.values().map(VecDeque::len).sum()
    }

    /// Those of a lane.
    pub(crate) fn aside_of(&self, lane: Lane) -> usize {
        self.set_aside.iter().filter(|((of, _), _)| *of == lane).map(|(_, queue)| queue.len()).sum()
    }

    /// A message is under way.
    pub(crate) fn begin(&mut self, ready: &Ready, now: Timestamp) {
        self.first.insert(key(ready), First { message: ready.message.id, since: now, goes_on_at: None });
    }

    /// A message is under way no more. One that goes on later holds the others until then; answers those that may be looked
    /// at again, in order.
    pub(crate) fn end(&mut self, ready: &Ready, goes_on_at: Option<Timestamp>, now: Timestamp) -> VecDeque<Ready> {
        let key = key(ready);
        if let Some(first) = self.first.get(&key) {
            let others = self.call_time.saturating_mul(CALL_TIME_SHARE - 1);
            let all = others.checked_add(now.duration_since(first.since)).unwrap_or(others);
            self.call_time = (all / CALL_TIME_SHARE).max(CALL_TIME_LEAST);
        }
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
        self.sent_back.retain(|_, back| !back.ids.is_empty() && now.duration_since(back.last) < SENT_BACK_FOR);
        self.sent_back_count = self.sent_back.values().map(|back| back.ids.len()).sum();
        self.away.retain(|_, away| {
            away.retain(|_, since| now.duration_since(*since) < AWAY_MAX);
            !away.is_empty()
        });
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

#[cfg(test)]
mod tests {
    use domain::id::{ChannelId, WorkspaceId};
    use store::outbox::Claimed;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;

    const UNSPACED: RecipientRate = RecipientRate { interval_seconds: 0, burst: 1 };

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_680_000 + second).expect("an instant")
    }

    /// A message to a recipient, later than those with a lower number.
    fn ready(number: u128, recipient: u32) -> Ready {
        let message = Claimed {
            id: MessageId(Uuid::from_u128(number)),
            workspace: WorkspaceId(Uuid::nil()),
            channel: ChannelId(Uuid::nil()),
            lane: Lane::Normal,
            waited_for: DueReason::Requested,
            claim: 1,
            recipient: PhoneNumber::parse(&format!("+25471000000{recipient}")).expect("a number"),
            parts: Vec::new(),
            part: 0,
            tries: 1,
            maybe_sent: false,
            may_repeat: false,
            expires_at: second(3600),
            due_at: second(0),
            use_case: None,
            ignores_quiet_hours: false,
            paused_until: None,
        };
        Ready::new(message, Instant::now(), false)
    }

    /// A message that was sent back until an instant, claimed again.
    fn returned(ready: Ready, due_at: Timestamp, waited_for: DueReason) -> Ready {
        Ready::new(Claimed { waited_for, due_at, ..ready.message }, Instant::now(), false)
    }

    fn numbers(messages: impl IntoIterator<Item = Ready>) -> Vec<u128> {
        messages.into_iter().map(|ready| ready.message.id.0.as_u128()).collect()
    }

    /// Begins the first message to a recipient.
    fn with_first(rate: RecipientRate) -> (Recipients, Ready) {
        let (mut recipients, mut first) = (Recipients::new(rate), ready(1, 1));
        assert_eq!(recipients.clear(&mut first, second(0)), Clearance::Go);
        recipients.begin(&first, second(0));
        (recipients, first)
    }

    #[test]
    fn later_ones_wait_for_the_one_under_way_and_come_back_in_order() {
        let (mut recipients, first) = with_first(UNSPACED);
        for number in [4, 2, 3] {
            let mut later = ready(number, 1);
            assert_eq!(recipients.clear(&mut later, second(0)), Clearance::SetAside);
            recipients.set_aside(later);
        }
        assert_eq!(recipients.clear(&mut ready(5, 2), second(0)), Clearance::Go, "another recipient");
        let urgent = ready(6, 1);
        let urgent = Claimed { lane: Lane::Urgent, ..urgent.message };
        let mut urgent = Ready::new(urgent, Instant::now(), false);
        assert_eq!(recipients.clear(&mut urgent, second(0)), Clearance::Go, "another lane");
        assert_eq!(recipients.aside(), 3);
        assert_eq!(numbers(recipients.end(&first, None, second(1))), [2, 3, 4]);
        assert_eq!(recipients.aside(), 0);
    }

    #[test]
    fn one_that_is_tried_again_holds_later_ones_for_a_bounded_time() {
        let (mut recipients, mut first) = with_first(UNSPACED);
        recipients.end(&first, Some(second(30)), second(0));
        let wait = Clearance::Wait(second(30), DueReason::Order);
        assert_eq!(recipients.clear(&mut ready(2, 1), second(0)), wait);
        assert_eq!(recipients.clear(&mut first, second(30)), Clearance::Go, "the one they wait for");
        // It should have gone on by now, and a little more.
        assert_eq!(recipients.clear(&mut ready(2, 1), second(34)), Clearance::SetAside);
        assert_eq!(recipients.clear(&mut ready(2, 1), second(35)), Clearance::Go);
        recipients.end(&first, Some(second(300)), second(40));
        assert_eq!(recipients.clear(&mut ready(2, 1), second(40)), Clearance::Go, "it waits for too long");
    }

    #[test]
    fn a_call_that_broke_down_does_not_hold_for_ever() {
        let (mut recipients, _) = with_first(UNSPACED);
        assert_eq!(recipients.clear(&mut ready(2, 1), second(59)), Clearance::SetAside);
        assert_eq!(recipients.clear(&mut ready(2, 1), second(60)), Clearance::Go);
    }

    #[test]
    fn a_turn_is_taken_once_and_kept() {
        let (mut recipients, first) = with_first(RecipientRate { interval_seconds: 6, burst: 1 });
        recipients.end(&first, None, second(1));
        let mut later = ready(2, 1);
        let turn = Clearance::Wait(second(6), DueReason::Recipient);
        assert_eq!(recipients.clear(&mut later, second(1)), turn);
        // When it comes back it has its turn, and keeps it for another look.
        later = returned(later, second(6), DueReason::Recipient);
        assert_eq!(recipients.clear(&mut later, second(6)), Clearance::Go);
        assert_eq!(recipients.clear(&mut later, second(6)), Clearance::Go);
        let mut last = ready(3, 1);
        last.message.expires_at = second(12);
        assert_eq!(recipients.clear(&mut last, second(6)), Clearance::Never);
    }

    #[test]
    fn who_comes_anew_goes_behind_those_that_were_sent_back_however_late_they_come() {
        let (mut recipients, first) = with_first(RecipientRate { interval_seconds: 6, burst: 1 });
        recipients.end(&first, None, second(1));
        let mut second_one = ready(2, 1);
        assert_eq!(recipients.clear(&mut second_one, second(1)), Clearance::Wait(second(6), DueReason::Recipient));
        // The lane is late: the second one stands behind others in the outbox, and a third one is claimed before it.
        let mut third = ready(3, 1);
        let behind = second(6) + SignedDuration::from_micros(1);
        assert_eq!(recipients.clear(&mut third, second(600)), Clearance::Wait(behind, DueReason::Order));
        let mut second_one = returned(second_one, second(6), DueReason::Recipient);
        // Its turn is long over, so it takes another one.
        assert_eq!(recipients.clear(&mut second_one, second(601)), Clearance::Go);
        let mut third = returned(third, behind, DueReason::Order);
        assert_eq!(recipients.clear(&mut third, second(602)), Clearance::Wait(second(607), DueReason::Recipient));
    }

    #[test]
    fn what_was_given_back_is_not_passed_until_it_is_seen_again() {
        let (mut recipients, first) = with_first(UNSPACED);
        let (mut second_one, mut fourth) = (ready(2, 1), ready(4, 1));
        recipients.give_back(&second_one, second(1));
        recipients.give_back(&ready(3, 1), second(1));
        recipients.end(&first, None, second(2));
        assert_eq!(recipients.clear(&mut fourth, second(2)), Clearance::SetAside);
        assert_eq!(recipients.clear(&mut ready(1, 1), second(2)), Clearance::Go, "an earlier one");
        assert_eq!(recipients.clear(&mut second_one, second(3)), Clearance::Go);
        assert_eq!(recipients.clear(&mut fourth, second(3)), Clearance::SetAside, "the third is still away");
        assert_eq!(recipients.clear(&mut fourth, second(11)), Clearance::Go, "it does not come any more");
        recipients.clear_up(second(11), Duration::MAX);
        assert!(recipients.away.is_empty() && recipients.first.is_empty());
    }

    #[test]
    fn what_has_waited_for_too_long_is_given_back_with_those_behind_it() {
        let (mut recipients, _) = with_first(UNSPACED);
        for number in 2..5 {
            recipients.set_aside(ready(number, 1));
        }
        assert!(recipients.clear_up(second(1), Duration::MAX).is_empty());
        assert_eq!(numbers(recipients.clear_up(second(1), Duration::ZERO)), [2, 3, 4]);
        recipients.set_aside(ready(5, 1));
        assert_eq!(numbers(recipients.take_all()), [5]);
        assert_eq!(recipients.aside(), 0);
    }
}
