//! What is stored of a message's time: waits, calls, events, gates and pauses.

use domain::decision::Step;
use domain::event::Event;
use domain::gate::{Gate, GateReason};
use domain::id::MessageId;
use domain::message::{Lane, Tag};
use domain::outcome::Outcome;
use domain::schedule::DueReason;
use domain::timeline::{Cause, Closed, Wait};
use jiff::Timestamp;
use store::accept::NewMessage;
use store::explain::{Asked, Standing, Told};
use store::outbox::Claimed;
use store::settle::Settlement;
use testkit::Tenant;

use crate::fixtures::{Fixture, later, replica, result, sent};

impl Fixture {
    async fn told(&self, message: MessageId, until: Timestamp) -> Told {
        let (workspace, channel) = (self.tenant.workspace, self.tenant.channel.id);
        let tags = ["orders".to_owned()];
        let from = later(self.store.now(), -3600);
        let asked = Asked { workspace, channel, message, tags: &tags, from, until };
        self.store.told(&asked).await.expect("read")
    }
}

fn wait(due_at: Timestamp, reason: DueReason) -> Step {
    Step::Wait { due_at, reason, counted: false, maybe_sent: false }
}

/// As the database keeps it.
fn kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).expect("in range")
}

#[tokio::test]
async fn a_call_is_recorded_with_the_wait_that_it_ended() {
    let f = Fixture::new().await;
    let replica = replica();
    let due_at = later(f.store.now(), -5);
    let message = NewMessage { due_at, due_reason: DueReason::QuietHours, ..f.message() };
    f.accept_one(&message).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    let next_at = later(due_at, 1);
    assert_eq!(f.settle(replica, &[result(&claimed, wait(next_at, DueReason::BackOff), Outcome::TryAgain)]).await, 1);
    let claimed = f.claim_one(&lease, replica).await;
    assert_eq!(f.settle(replica, &[result(&claimed, Step::Sent, sent("wamid.1"))]).await, 1);
    let told = f.told(message.id, f.store.now()).await;
    let waits: Vec<_> = told.attempts.iter().map(|attempt| (attempt.outcome.as_str(), attempt.waited)).collect();
    assert_eq!(
        waits,
        [
            ("try_again", Some(Wait { reason: DueReason::QuietHours, until: kept(due_at) })),
            ("sent", Some(Wait { reason: DueReason::BackOff, until: kept(next_at) })),
        ]
    );
    assert_eq!(told.events, []);
}

/// What is noted of a claim that is given back without a call.
async fn check(waited_for: DueReason, due_in: i64, reason: DueReason, is_noted: bool) {
    let f = Fixture::new().await;
    let replica = replica();
    let due_at = later(f.store.now(), -5);
    let message = NewMessage { due_at, due_reason: waited_for, ..f.message() };
    f.accept_one(&message).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    let until = later(claimed.due_at, due_in);
    let settlement = Settlement::of(&claimed, wait(until, reason), None);
    assert_eq!(f.settle(replica, std::slice::from_ref(&settlement)).await, 1);
    assert_eq!(f.settle(replica, &[settlement]).await, 0, "it is settled already");
    let told = f.told(message.id, f.store.now()).await;
    let events: Vec<_> = told.events.iter().map(|event| (event.event, event.waited, event.waits)).collect();
    let waited = Some(Wait { reason: waited_for, until: claimed.due_at });
    let noted = (Event::PutOff, waited, Some(Wait { reason, until }));
    let expected = if is_noted { vec![noted] } else { Vec::new() };
    assert_eq!(events, expected, "{waited_for:?} and then {reason:?}");
    assert_eq!(told.attempts, []);
}

#[tokio::test]
async fn what_puts_a_message_off_is_noted_and_a_claim_given_back_is_not() {
    for (waited_for, due_in, reason, is_noted) in [
        (DueReason::Requested, 60, DueReason::QuietHours, true),
        (DueReason::QuietHours, 60, DueReason::Released, true),
        (DueReason::Requested, 60, DueReason::Recipient, true),
        (DueReason::Requested, 0, DueReason::Requested, false),
        (DueReason::Requested, 0, DueReason::Gate, false),
        (DueReason::Gate, 0, DueReason::Requested, false),
        (DueReason::Recipient, 0, DueReason::Recipient, false),
        // The row says no more that it waited for this.
        (DueReason::QuietHours, 0, DueReason::Requested, true),
        (DueReason::BackOff, 0, DueReason::Gate, true),
    ] {
        check(waited_for, due_in, reason, is_noted).await;
    }
}

#[tokio::test]
async fn a_result_under_a_superseded_claim_notes_nothing() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    let late = Claimed { claim: claimed.claim + 1, ..claimed };
    let late = Settlement::of(&late, wait(later(f.store.now(), 60), DueReason::Recipient), None);
    assert_eq!(f.settle(replica, &[late]).await, 0);
    assert_eq!(f.rows("message_events").await, 0);
}

#[tokio::test]
async fn gates_are_kept_by_the_reason_they_were_closed_for() {
    let f = Fixture::new().await;
    let lease = f.lease(replica()).await;
    let message = f.queue(Lane::Normal).await;
    let set = async |gate| f.store.set_gate(&lease, gate).await.expect("written");
    let since = kept(later(f.store.now(), -60));
    let breaker = Gate { reason: GateReason::Breaker, since, until: later(since, 1), closings: 1 };
    set(Some(breaker)).await;
    set(Some(Gate { until: later(since, 5), closings: 2, ..breaker })).await;
    assert_eq!(f.rows("gate_history").await, 0, "it is closed for longer");
    set(Some(Gate { reason: GateReason::Credentials, until: later(since, 600), closings: 3, ..breaker })).await;
    let until = later(f.store.now(), 60);
    let told = f.told(message.id, until).await.closed;
    let [credentials, breaker] = told[..] else { panic!("{told:?}") };
    assert_eq!((breaker.cause, breaker.from), (Cause::Breaker, since));
    assert_eq!((credentials.cause, credentials.from), (Cause::Credentials, breaker.until));
    assert_eq!(credentials.until, kept(until), "it is closed still");
    set(None).await;
    let told = f.told(message.id, until).await.closed;
    assert!(told.len() == 2 && told[0].until < until, "{told:?}");
    // One that closed again before its opening was recorded.
    let again = Gate { reason: GateReason::RateLimit, since, until, closings: 1 };
    set(Some(again)).await;
    set(Some(Gate { since: later(since, 30), ..again })).await;
    let rows = format!(
        "SELECT count(*) FROM gate_history WHERE reason = 'rateLimit' AND since = '{since}' AND opened_at = '{}'",
        later(since, 30)
    );
    assert_eq!(f.database.number(&rows).await, 1);
    assert_eq!(f.store.forget_gates(later(since, 31), 10).await.expect("forgotten"), 1);
    assert_eq!(f.rows("gate_history").await, 2);
}

#[tokio::test]
async fn pauses_count_that_were_for_the_message_in_its_time() {
    let f = Fixture::new().await;
    let tags = vec![Tag::new("orders").expect("a tag")];
    let message = NewMessage { tags, ..f.message() };
    f.accept_one(&message).await;
    let now = kept(f.store.now());
    let pause = async |scope: &str, channel: Option<&str>, tag: &str, from: i64, until: &str, ended: &str| {
        let channel = channel.map_or("NULL".to_owned(), |channel| format!("'{channel}'"));
        let sql = format!(
            "INSERT INTO pauses (workspace_id, pause_id, scope, channel_id, tag, reason, actor, until, created_at, ended_at)
            VALUES ('{}', gen_random_uuid(), '{scope}', {channel}, {tag}, 'test', 'test', {until}, '{}', {ended})",
            f.tenant.workspace,
            later(now, from)
        );
        f.database.execute(&sql).await;
    };
    let own = f.tenant.channel.id.to_string();
    let at = |seconds| format!("'{}'", later(now, seconds));
    pause("workspace", None, "NULL", -10, "NULL", "NULL").await;
    pause("channel", Some(&own), "NULL", -20, &at(-15), "NULL").await;
    pause("tag", None, "'orders'", -30, &at(500), &at(-25)).await;
    pause("tag", None, "'others'", -30, "NULL", "NULL").await;
    pause("channel", Some("2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11"), "NULL", -30, "NULL", "NULL").await;
    pause("workspace", None, "NULL", -9000, "NULL", &at(-8000)).await;
    let told = f.told(message.id, now).await.closed;
    let hold = |from, until| Closed { cause: Cause::Hold, from: later(now, from), until: later(now, until) };
    assert_eq!(told, [hold(-10, 0), hold(-20, -15), hold(-30, -25)]);
}

#[tokio::test]
async fn what_falls_due_together_is_counted_in_order_of_acceptance() {
    let f = Fixture::new().await;
    let due_at = later(f.store.now(), 600);
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(f.queue_at(Lane::Normal, due_at).await);
    }
    f.queue_at(Lane::Normal, later(due_at, 1)).await;
    f.queue_at(Lane::Bulk, due_at).await;
    for (place, message) in messages.iter().enumerate() {
        let inside = f.store.inside(message.workspace, message.id).await.expect("read").expect("there");
        let standing = inside.standing.expect("it waits");
        assert_eq!(standing, Standing { lane: Lane::Normal, due_at: kept(due_at), reason: DueReason::Requested });
        let together = f.store.let_go_together(message.channel, &standing, message.id, 100).await.expect("counted");
        assert_eq!((together.messages, together.before), (4, place as u64));
    }
}

#[tokio::test]
async fn nothing_is_told_of_another_workspaces_message() {
    let f = Fixture::new().await;
    let replica = replica();
    let message = f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    assert_eq!(f.settle(replica, &[result(&claimed, Step::Sent, sent("wamid.1"))]).await, 1);
    let stranger = Tenant::create(&f.store, "another-key").await.workspace;
    assert_eq!(f.store.inside(stranger, message.id).await.expect("read"), None);
    let (from, until) = (Timestamp::UNIX_EPOCH, later(f.store.now(), 1));
    let (channel, message) = (f.tenant.channel.id, message.id);
    let asked = Asked { workspace: stranger, channel, message, tags: &[], from, until };
    let told = f.store.told(&asked).await.expect("read");
    assert_eq!(told, Told { attempts: Vec::new(), events: Vec::new(), closed: Vec::new() });
    assert_eq!(f.told(message, until).await.attempts.len(), 1);
}
