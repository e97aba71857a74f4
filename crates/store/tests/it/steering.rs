//! Each act on one message against each state that the message may be in.

use domain::decision::Step;
use domain::event::Event;
use domain::id::{ChannelId, MessageId};
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::outcome::Outcome;
use domain::schedule::DueReason;
use jiff::Timestamp;
use store::accept::NewMessage;
use store::audit::Act;
use store::message::Message;
use store::steer::{NewTime, Place, Steered};
use uuid::Uuid;

use crate::fixtures::{Fixture, later, replica, result, sent};

pub(crate) const ACT: Act<'_> = Act { actor: "access-key 7", name: "message.act" };

/// A state that a message may be in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    BetweenTries,
    Held,
    Claimed,
    Lapsed,
    PartSent,
    MaybeSent,
    Sent,
    Deleted,
}

impl State {
    const ALL: [Self; 9] = [
        Self::Waiting,
        Self::BetweenTries,
        Self::Held,
        Self::Claimed,
        Self::Lapsed,
        Self::PartSent,
        Self::MaybeSent,
        Self::Sent,
        Self::Deleted,
    ];
}

/// A message of two parts in a state, on a database of its own.
async fn in_state(state: State) -> (Fixture, Place) {
    let f = Fixture::new().await;
    let mut message = f.message();
    message.parts.extend(f.message().parts);
    f.accept_one(&message).await;
    let place = place(&f, message.id);
    let replica = replica();
    let lease = f.lease(replica).await;
    let waits = |maybe_sent| Step::Wait {
        due_at: later(f.store.now(), 60),
        reason: DueReason::BackOff,
        counted: true,
        maybe_sent,
    };
    match state {
        State::Waiting => {}
        State::Held => assert_eq!(f.store.hold(place, &ACT).await.expect("held"), Steered::Done(None)),
        State::Deleted => assert_eq!(f.store.cancel(place, &ACT).await.expect("cancelled"), Steered::Done(None)),
        State::Claimed | State::Lapsed | State::BetweenTries | State::PartSent | State::MaybeSent | State::Sent => {
            let claimed = f.claim_one(&lease, replica).await;
            let settled = match state {
                State::BetweenTries => Some(result(&claimed, waits(false), Outcome::TryAgain)),
                State::PartSent => Some(result(&claimed, Step::NextPart, sent("wamid.1"))),
                State::MaybeSent => Some(result(&claimed, waits(true), Outcome::Unknown)),
                State::Sent => Some(result(&claimed, Step::Sent, sent("wamid.1"))),
                State::Waiting | State::Held | State::Claimed | State::Lapsed | State::Deleted => None,
            };
            if let Some(settled) = settled {
                f.settle(replica, &[settled]).await;
            }
            if state == State::Lapsed {
                f.let_claims_lapse().await;
            }
        }
    }
    (f, place)
}

pub(crate) fn place(f: &Fixture, message: MessageId) -> Place {
    Place { workspace: f.tenant.workspace, channel: f.tenant.channel.id, message }
}

async fn read(f: &Fixture, place: Place) -> Message {
    f.store.message(place.workspace, place.message).await.expect("read").expect("it is there")
}

/// Events of a word, and rows of the audit for the tests' act.
async fn noted(f: &Fixture, event: Event) -> (i64, i64) {
    let events = format!("message_events WHERE event = '{}' AND actor = '{}'", event.as_str(), ACT.actor);
    let audit = format!("audit WHERE act = '{}' AND actor = '{}' AND subject <> ''", ACT.name, ACT.actor);
    (f.rows(&events).await, f.rows(&audit).await)
}

#[tokio::test]
async fn a_message_is_cancelled_only_while_nothing_of_it_has_been_sent() {
    for state in State::ALL {
        let (f, place) = in_state(state).await;
        let before = read(&f, place).await;
        let expected = match state {
            State::Waiting | State::BetweenTries | State::Held | State::Deleted => Steered::Done(None),
            State::Claimed | State::Lapsed | State::PartSent | State::MaybeSent | State::Sent => Steered::TooLate,
        };
        for time in ["first", "second"] {
            assert_eq!(f.store.cancel(place, &ACT).await.expect("asked"), expected, "{state:?}, the {time} time");
        }
        let after = read(&f, place).await;
        if expected == Steered::TooLate {
            assert_eq!(after, before, "{state:?}");
            assert_eq!(noted(&f, Event::Cancelled).await, (0, 0), "{state:?}");
        } else {
            assert_eq!((after.status, after.waiting), (Status::Deleted, None), "{state:?}");
            assert_eq!(f.rows("outbox").await, 0);
            assert_eq!(noted(&f, Event::Cancelled).await.0, 1, "{state:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_being_sent_is_held_until_its_validity_ends() {
    for state in State::ALL {
        let (f, place) = in_state(state).await;
        let before = read(&f, place).await;
        let expected = match state {
            State::Waiting | State::BetweenTries | State::Held | State::PartSent | State::MaybeSent => {
                Steered::Done(None)
            }
            State::Claimed | State::Lapsed | State::Sent | State::Deleted => Steered::TooLate,
        };
        for time in ["first", "second"] {
            assert_eq!(f.store.hold(place, &ACT).await.expect("asked"), expected, "{state:?}, the {time} time");
        }
        let after = read(&f, place).await;
        if expected == Steered::TooLate {
            assert_eq!(after, before, "{state:?}");
        } else {
            let waiting = after.waiting.expect("it waits");
            assert_eq!((waiting.reason, waiting.due_at), (DueReason::Held, after.expires_at), "{state:?}");
            assert_eq!(after.status, before.status, "{state:?}: being held is no status");
            assert_eq!(noted(&f, Event::Held).await, (1, 1), "{state:?}");
            let waited = before.waiting.expect("it waited");
            let of = if state == State::Held { DueReason::Requested } else { waited.reason };
            let events = format!(
                "message_events WHERE waited_for = '{}' AND reason = 'held' AND until = '{}'",
                of.as_str(),
                after.expires_at
            );
            assert_eq!(f.rows(&events).await, 1, "{state:?}");
        }
    }
}

#[tokio::test]
async fn only_what_is_held_is_released() {
    for state in State::ALL {
        let (f, place) = in_state(state).await;
        let before = read(&f, place).await;
        let released = f.store.release(place, &ACT).await.expect("asked");
        let after = read(&f, place).await;
        match state {
            State::Held => {
                let waiting = after.waiting.expect("it waits");
                assert_eq!(released, Steered::Done(Some((Lane::Normal, waiting.due_at))));
                assert_eq!(waiting.reason, DueReason::Requested);
                assert!(waiting.due_at <= f.store.now() && after.status == Status::Accepted);
                assert_eq!(noted(&f, Event::Released).await, (1, 2));
                assert_eq!(f.store.release(place, &ACT).await.expect("asked"), Steered::Done(None));
                assert_eq!(noted(&f, Event::Released).await, (1, 2));
            }
            State::Sent | State::Deleted => assert_eq!(released, Steered::TooLate, "{state:?}"),
            State::Waiting
            | State::BetweenTries
            | State::Claimed
            | State::Lapsed
            | State::PartSent
            | State::MaybeSent => assert_eq!((released, after), (Steered::Done(None), before), "{state:?}"),
        }
    }
}

#[tokio::test]
async fn a_released_message_waits_for_its_own_time() {
    let f = Fixture::new().await;
    let at = later(f.store.now(), 600);
    let message = NewMessage { scheduled_for: Some(at), due_at: at, ..f.message() };
    f.accept_one(&message).await;
    let place = place(&f, message.id);
    f.store.hold(place, &ACT).await.expect("held");
    let shown = read(&f, place).await;
    assert_eq!((shown.status, shown.waiting.expect("it waits").reason), (Status::Scheduled, DueReason::Held));
    assert_eq!(f.store.release(place, &ACT).await.expect("released"), Steered::Done(Some((Lane::Normal, at))));
    assert_eq!(read(&f, place).await.waiting.expect("it waits").due_at, at);
}

#[tokio::test]
async fn another_time_is_for_what_nothing_has_been_sent_of_and_for_what_was_seen() {
    for state in State::ALL {
        let (f, place) = in_state(state).await;
        let seen = f.store.unsent(place).await.expect("read");
        let seen = match state {
            State::Waiting | State::BetweenTries | State::Held => seen.expect("it waits"),
            State::Claimed | State::Lapsed | State::PartSent | State::MaybeSent | State::Sent | State::Deleted => {
                assert_eq!(seen, Err(Steered::TooLate), "{state:?}");
                continue;
            }
        };
        let at = later(f.store.now(), 900);
        let time = NewTime { scheduled_for: at, expires_at: later(at, 3600), due_at: at, reason: DueReason::Requested };
        assert_eq!(seen.validity_seconds, 3600);
        assert!(f.store.reschedule(place, &seen, &time, &ACT, "detail").await.expect("asked"), "{state:?}");
        assert!(
            !f.store.reschedule(place, &seen, &time, &ACT, "detail").await.expect("asked"),
            "it is as it was seen no more"
        );
        let after = read(&f, place).await;
        let waiting = after.waiting.expect("it waits");
        assert_eq!((after.scheduled_for, after.expires_at), (Some(at), time.expires_at));
        assert_eq!((waiting.due_at, waiting.reason), (at, DueReason::Requested));
        let of_outbox = format!("outbox WHERE expires_at = '{}' AND due_at = '{at}'", time.expires_at);
        assert_eq!(f.rows(&of_outbox).await, 1, "{state:?}");
        assert_eq!(noted(&f, Event::Rescheduled).await.0, 1);
        assert_eq!(f.rows("audit WHERE detail = 'detail'").await, 1);
    }
}

#[tokio::test]
async fn another_time_is_not_given_to_what_was_claimed_or_moved_meanwhile() {
    let f = Fixture::new().await;
    let (one, other) = (f.queue(Lane::Normal).await, f.queue(Lane::Normal).await);
    let at = later(f.store.now(), 900);
    let time = NewTime { scheduled_for: at, expires_at: later(at, 3600), due_at: at, reason: DueReason::Requested };
    let (one, other) = (place(&f, one.id), place(&f, other.id));
    let seen_of_one = f.store.unsent(one).await.expect("read").expect("it waits");
    let seen_of_other = f.store.unsent(other).await.expect("read").expect("it waits");
    f.store.hold(other, &ACT).await.expect("held");
    let replica = replica();
    let lease = f.lease(replica).await;
    assert_eq!(f.claim_one(&lease, replica).await.id, one.message);
    for (place, seen) in [(one, seen_of_one), (other, seen_of_other)] {
        assert!(!f.store.reschedule(place, &seen, &time, &ACT, "").await.expect("asked"));
    }
    assert_eq!(f.rows("messages WHERE scheduled_for IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_message_of_another_channel_or_workspace_is_not_there() {
    let f = Fixture::new().await;
    let message = f.queue(Lane::Normal).await;
    let own = place(&f, message.id);
    let other = testkit::Tenant::create(&f.store, "another-key").await;
    for place in [
        Place { channel: ChannelId(Uuid::new_v4()), ..own },
        Place { workspace: other.workspace, ..own },
        Place { workspace: other.workspace, channel: other.channel.id, ..own },
        Place { message: MessageId(Uuid::now_v7()), ..own },
    ] {
        for steered in [
            f.store.cancel(place, &ACT).await.expect("asked"),
            f.store.hold(place, &ACT).await.expect("asked"),
            f.store.release(place, &ACT).await.expect("asked"),
            f.store.unsent(place).await.expect("asked").expect_err("not there"),
        ] {
            assert_eq!(steered, Steered::NotFound, "{place:?}");
        }
    }
    assert_eq!(f.rows("message_events").await, 0);
    assert_eq!(read(&f, own).await.status, Status::Accepted);
}

#[tokio::test]
async fn what_is_held_is_taken_only_when_its_validity_is_over_and_then_to_be_ended() {
    let f = Fixture::new().await;
    let message = f.queue(Lane::Normal).await;
    f.store.hold(place(&f, message.id), &ACT).await.expect("held");
    let replica = replica();
    let lease = f.lease(replica).await;
    assert_eq!(f.claim(&lease, replica).await, []);
    let claim_expired =
        async || f.store.claim_expired(&lease, replica, 10, crate::fixtures::LONG).await.expect("claimed");
    assert_eq!(claim_expired().await, []);
    let past: Timestamp = later(f.store.now(), -1);
    f.database.execute(&format!("UPDATE outbox SET expires_at = '{past}', due_at = '{past}'")).await;
    let claimed = claim_expired().await;
    assert_eq!((claimed.len(), claimed[0].waited_for), (1, DueReason::Held));
}
