//! What happened to a message, in order, and what it waited for.
//!
//! The time from acceptance to the end is cut at every instant that is known of it, and each piece belongs to one cause. So
//! delays sum exactly to that time, whatever was stored. Counted in whole milliseconds, each instant cut as it is shown.
//!
//! Of causes at one time the first counts: a call; what a wait is recorded to be for, until it was to end; a pause or gate
//! that was closed; and else the queue.

use jiff::Timestamp;

use crate::event::Event;
use crate::gate::GateReason;
use crate::schedule::DueReason;

/// What time is spent for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// `scheduledFor`.
    Schedule,
    /// Quiet hours, and the time over which they let go.
    QuietHours,
    /// Pauses, operators who hold messages, and waiting for proof of what may have been sent.
    Hold,
    /// The pause after a try that failed.
    BackOff,
    /// The recipient's own pace.
    RecipientRate,
    /// The provider could not be reached, or failed.
    Breaker,
    /// The provider refused the channel's key.
    Credentials,
    /// The provider asked to slow down.
    RateLimit,
    /// The channel's rate, and others before it.
    Queue,
    /// Calls.
    Provider,
}

impl Cause {
    /// All, in the order they are shown.
    pub const ALL: [Self; 10] = [
        Self::Schedule,
        Self::QuietHours,
        Self::Hold,
        Self::BackOff,
        Self::RecipientRate,
        Self::Breaker,
        Self::Credentials,
        Self::RateLimit,
        Self::Queue,
        Self::Provider,
    ];

    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::QuietHours => "quietHours",
            Self::Hold => "hold",
            Self::BackOff => "backOff",
            Self::RecipientRate => "recipientRate",
            Self::Breaker => "breaker",
            Self::Credentials => "credentials",
            Self::RateLimit => "rateLimit",
            Self::Queue => "queue",
            Self::Provider => "provider",
        }
    }

    /// The cause of a wait that is recorded. What was given back unsent keeps the instant it waited for.
    #[must_use]
    pub fn of_wait(waited_for: DueReason) -> Self {
        match waited_for {
            DueReason::Requested | DueReason::Gate | DueReason::Claimed => Self::Schedule,
            DueReason::BackOff => Self::BackOff,
            DueReason::QuietHours | DueReason::Released => Self::QuietHours,
            DueReason::Paused | DueReason::Held | DueReason::Unknown => Self::Hold,
            DueReason::Recipient | DueReason::Order => Self::RecipientRate,
        }
    }

    /// The cause of a gate.
    #[must_use]
    pub fn of_gate(reason: GateReason) -> Self {
        match reason {
            GateReason::Credentials => Self::Credentials,
            GateReason::RateLimit => Self::RateLimit,
            GateReason::Breaker => Self::Breaker,
        }
    }
}

/// A wait: what for, and until when it was to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// What for.
    pub reason: DueReason,
    /// Until when; others before it may keep it for longer.
    pub until: Timestamp,
}

/// A call, and the wait that it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempted {
    /// The part, from 0.
    pub part: usize,
    /// Before the first byte.
    pub started_at: Timestamp,
    /// After the last.
    pub finished_at: Timestamp,
    /// What it came to, in a word.
    pub outcome: String,
    /// By which rule.
    pub rule: String,
    /// The answer's status, if there was one.
    pub http_status: Option<i32>,
    /// What it had waited for, if that was recorded.
    pub waited: Option<Wait>,
}

/// Something else that happened, with the wait that it ended and the one that began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// The wait that it ended.
    pub waited: Option<Wait>,
    /// The wait that began.
    pub waits: Option<Wait>,
    /// Who did it; empty for tuma itself.
    pub actor: String,
}

/// A time in which something was closed to the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed {
    /// What for.
    pub cause: Cause,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What is stored of a message's time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Story {
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it was sent or ended, or until when it is looked at.
    pub ends_at: Timestamp,
    /// Its calls.
    pub attempts: Vec<Attempted>,
    /// What else happened to it.
    pub events: Vec<Happened>,
    /// What it waits for at the end.
    pub waits: Option<Wait>,
    /// Pauses and gates.
    pub closed: Vec<Closed>,
}

/// One entry of a timeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry<'a> {
    /// It was called for.
    Attempted(&'a Attempted),
    /// Something else happened.
    Happened(&'a Happened),
}

impl Entry<'_> {
    /// When it happened, or began.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Attempted(attempted) => attempted.started_at,
            Self::Happened(happened) => happened.at,
        }
    }
}

/// Milliseconds by cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delays([i64; Cause::ALL.len()]);

impl Delays {
    /// Milliseconds for a cause.
    #[must_use]
    pub fn of(&self, cause: Cause) -> i64 {
        self.0[index(cause)]
    }

    /// Milliseconds in all.
    #[must_use]
    pub fn sum(&self) -> i64 {
        self.0.iter().sum()
    }
}

impl Story {
    /// Calls and all else, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let attempts = self.attempts.iter().map(Entry::Attempted);
        let mut entries: Vec<Entry<'_>> = attempts.chain(self.events.iter().map(Entry::Happened)).collect();
        entries.sort_by_key(Entry::at);
        entries
    }

    /// What the time from acceptance to the end was spent for.
    #[must_use]
    pub fn delays(&self) -> Delays {
        let (from, until) = (self.accepted_at.as_millisecond(), self.ends_at.as_millisecond());
        let pieces = self.pieces();
        let mut cuts: Vec<i64> = pieces.iter().flat_map(|piece| [piece.from, piece.until]).collect();
        cuts.extend([from, until]);
        cuts.retain(|cut| (from..=until).contains(cut));
        cuts.sort_unstable();
        cuts.dedup();
        let mut delays = Delays::default();
        for (start, end) in cuts.iter().zip(cuts.iter().skip(1)) {
            let covers = |piece: &&Piece| piece.from <= *start && piece.until >= *end;
            let cause = pieces.iter().find(covers).map_or(Cause::Queue, |piece| piece.cause);
            delays.0[index(cause)] += end - start;
        }
        delays
    }

    /// The times whose cause is known, the first that covers an instant counts.
    fn pieces(&self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for attempted in &self.attempts {
            pieces.push(Piece::new(Cause::Provider, attempted.started_at, attempted.finished_at));
        }
        let mut ends: Vec<(Timestamp, Timestamp, Option<Wait>)> = Vec::new();
        ends.extend(self.attempts.iter().map(|one| (one.started_at, one.finished_at, one.waited)));
        ends.extend(self.events.iter().map(|one| (one.at, one.at, one.waited)));
        ends.sort_by_key(|(ended_at, _, _)| *ended_at);
        ends.push((self.ends_at, self.ends_at, self.waits));
        let first_call = self.attempts.iter().map(|one| one.started_at).min();
        let mut since = self.accepted_at;
        for (ended_at, next_since, wait) in ends {
            // Once it was called for, its own time is over: the next part, or try, is due when the last one is written down.
            let is_of_its_own = first_call.is_none_or(|at| ended_at <= at);
            let cause = wait.map(|wait| (Cause::of_wait(wait.reason), wait.until));
            if let Some((cause, until)) = cause.filter(|(cause, _)| *cause != Cause::Schedule || is_of_its_own) {
                pieces.push(Piece::new(cause, since, until.min(ended_at)));
            }
            since = since.max(next_since);
        }
        pieces.extend(self.closed.iter().map(|closed| Piece::new(closed.cause, closed.from, closed.until)));
        pieces
    }
}

/// A time and what it is spent for.
struct Piece {
    cause: Cause,
    from: i64,
    until: i64,
}

impl Piece {
    fn new(cause: Cause, from: Timestamp, until: Timestamp) -> Self {
        Self { cause, from: from.as_millisecond(), until: until.as_millisecond() }
    }
}

fn index(cause: Cause) -> usize {
    match cause {
        Cause::Schedule => 0,
        Cause::QuietHours => 1,
        Cause::Hold => 2,
        Cause::BackOff => 3,
        Cause::RecipientRate => 4,
        Cause::Breaker => 5,
        Cause::Credentials => 6,
        Cause::RateLimit => 7,
        Cause::Queue => 8,
        Cause::Provider => 9,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("an instant")
    }

    fn wait(reason: DueReason, until: i64) -> Wait {
        Wait { reason, until: at(until) }
    }

    fn attempt(started: i64, finished: i64, waited: Option<Wait>) -> Attempted {
        Attempted {
            part: 0,
            started_at: at(started),
            finished_at: at(finished),
            outcome: "sent".to_owned(),
            rule: "rule".to_owned(),
            http_status: Some(200),
            waited,
        }
    }

    fn put_off(when: i64, waited: Wait, waits: Wait) -> Happened {
        let (waited, waits) = (Some(waited), Some(waits));
        Happened { at: at(when), event: Event::PutOff, waited, waits, actor: String::new() }
    }

    fn closed(cause: Cause, from: i64, until: i64) -> Closed {
        Closed { cause, from: at(from), until: at(until) }
    }

    /// A message that was accepted at 0.
    fn story(ends: i64, attempts: Vec<Attempted>, events: Vec<Happened>, closed: Vec<Closed>) -> Story {
        Story { accepted_at: at(0), ends_at: at(ends), attempts, events, waits: None, closed }
    }

    fn check(story: &Story, expected: &[(Cause, i64)]) {
        let delays = story.delays();
        let told: Vec<(Cause, i64)> =
            Cause::ALL.into_iter().map(|cause| (cause, delays.of(cause) / 1000)).filter(|(_, s)| *s != 0).collect();
        assert_eq!(told, expected, "{story:?}");
    }

    #[test]
    fn a_message_that_goes_at_once_waits_in_the_queue_and_for_its_call() {
        check(
            &story(3, vec![attempt(1, 3, Some(wait(DueReason::Requested, 0)))], vec![], vec![]),
            &[(Cause::Queue, 1), (Cause::Provider, 2)],
        );
        check(&story(0, vec![], vec![], vec![]), &[]);
    }

    #[test]
    fn a_wait_counts_for_its_cause_until_it_was_to_end_and_for_the_queue_after() {
        for (reason, cause) in [
            (DueReason::Requested, Cause::Schedule),
            (DueReason::QuietHours, Cause::QuietHours),
            (DueReason::Released, Cause::QuietHours),
            (DueReason::Paused, Cause::Hold),
            (DueReason::Held, Cause::Hold),
            (DueReason::Unknown, Cause::Hold),
            (DueReason::BackOff, Cause::BackOff),
            (DueReason::Recipient, Cause::RecipientRate),
            (DueReason::Order, Cause::RecipientRate),
        ] {
            let expected = [(cause, 10), (Cause::Queue, 5), (Cause::Provider, 2)];
            check(&story(17, vec![attempt(15, 17, Some(wait(reason, 10)))], vec![], vec![]), &expected);
            // Released before its time.
            let early = put_off(4, wait(reason, 10), wait(DueReason::Requested, 4));
            let attempts = vec![attempt(6, 7, Some(wait(DueReason::Requested, 4)))];
            check(&story(7, attempts, vec![early], vec![]), &[(cause, 4), (Cause::Queue, 2), (Cause::Provider, 1)]);
        }
    }

    #[test]
    fn what_is_closed_takes_what_no_wait_has() {
        let pieces =
            vec![closed(Cause::Breaker, 5, 20), closed(Cause::Credentials, 30, 99), closed(Cause::Hold, 22, 23)];
        let attempts = vec![attempt(25, 26, Some(wait(DueReason::QuietHours, 10)))];
        check(
            &story(26, attempts, vec![], pieces),
            &[(Cause::QuietHours, 10), (Cause::Hold, 1), (Cause::Breaker, 10), (Cause::Queue, 4), (Cause::Provider, 1)],
        );
    }

    #[test]
    fn each_wait_begins_where_the_last_call_or_event_ended() {
        let night = put_off(5, wait(DueReason::Requested, 0), wait(DueReason::QuietHours, 20));
        let place = put_off(21, wait(DueReason::QuietHours, 20), wait(DueReason::Released, 25));
        let attempts = vec![
            attempt(26, 28, Some(wait(DueReason::Released, 25))),
            attempt(40, 41, Some(wait(DueReason::BackOff, 38))),
        ];
        check(
            &story(41, attempts, vec![night, place], vec![]),
            &[(Cause::QuietHours, 15 + 4), (Cause::BackOff, 10), (Cause::Queue, 5 + 1 + 1 + 2), (Cause::Provider, 3)],
        );
    }

    #[test]
    fn what_is_due_at_once_after_a_call_waits_in_the_queue() {
        let attempts = vec![
            attempt(5, 6, Some(wait(DueReason::Requested, 4))),
            attempt(9, 10, Some(wait(DueReason::Requested, 8))),
            attempt(15, 16, Some(wait(DueReason::Gate, 12))),
        ];
        check(
            &story(16, attempts, vec![], vec![]),
            &[(Cause::Schedule, 4), (Cause::Queue, 1 + 3 + 5), (Cause::Provider, 3)],
        );
    }

    #[test]
    fn one_that_still_waits_counts_to_the_end() {
        let waiting = Story { waits: Some(wait(DueReason::QuietHours, 100)), ..story(30, vec![], vec![], vec![]) };
        check(&waiting, &[(Cause::QuietHours, 30)]);
    }

    #[test]
    fn entries_are_in_order() {
        let events = vec![put_off(5, wait(DueReason::Requested, 0), wait(DueReason::Recipient, 6))];
        let story = story(9, vec![attempt(7, 9, None), attempt(3, 4, None)], events, vec![]);
        let order: Vec<Timestamp> = story.entries().iter().map(Entry::at).collect();
        assert_eq!(order, [at(3), at(5), at(7)]);
    }

    #[test]
    fn every_cause_has_its_own_place_and_word() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(index(cause), place);
            assert_eq!(Cause::ALL.iter().filter(|other| other.as_str() == cause.as_str()).count(), 1);
        }
    }

    fn instants() -> impl Strategy<Value = Timestamp> {
        (-50_000_000_i64..150_000_000).prop_map(|micros| Timestamp::from_microsecond(micros).expect("an instant"))
    }

    fn waits() -> impl Strategy<Value = Option<Wait>> {
        let reason = (0..DueReason::ALL.len()).prop_map(|number| DueReason::ALL[number]);
        prop::option::of((reason, instants()).prop_map(|(reason, until)| Wait { reason, until }))
    }

    proptest! {
        #[test]
        fn delays_sum_exactly_to_the_time_whatever_is_stored(
            (accepted_at, ends_at) in (instants(), instants()),
            attempts in prop::collection::vec((instants(), instants(), waits()), 0..8),
            events in prop::collection::vec((instants(), waits()), 0..8),
            present in waits(),
            closed in prop::collection::vec((0..Cause::ALL.len(), instants(), instants()), 0..8),
        ) {
            let attempted = |(started_at, finished_at, waited)| {
                Attempted { started_at, finished_at, waited, ..attempt(0, 0, None) }
            };
            let happened = |(at, waited)| {
                Happened { at, event: Event::PutOff, waited, waits: None, actor: String::new() }
            };
            let closed = closed.into_iter().map(|(cause, from, until)| Closed { cause: Cause::ALL[cause], from, until });
            let story = Story {
                accepted_at,
                ends_at,
                attempts: attempts.into_iter().map(attempted).collect(),
                events: events.into_iter().map(happened).collect(),
                waits: present,
                closed: closed.collect(),
            };
            let time = (ends_at.as_millisecond() - accepted_at.as_millisecond()).max(0);
            prop_assert_eq!(story.delays().sum(), time);
            prop_assert!(Cause::ALL.into_iter().all(|cause| story.delays().of(cause) >= 0));
        }
    }
}
