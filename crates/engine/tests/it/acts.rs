//! Acts on what waits, with an engine that sends: cancelled is never sent, held is not, released is, and what failed goes
//! again under the ids it had.

use std::time::Duration;

use domain::action::ActionKind;
use domain::id::ActionId;
use domain::lifecycle::Status;
use domain::message::Tag;
use engine::Settings;
use engine::chores::Chores;
use engine::metrics::Metrics;
use jiff::SignedDuration;
use prometheus::Registry;
use serde_json::json;
use store::accept::NewMessage;
use store::action::{Action, Selector};
use store::audit::Act;
use store::replay::Replayed;
use store::steer::{Place, Steered};
use uuid::Uuid;

use crate::messages::{after, of_parts, part_ids};
use crate::rig::{Rig, fast};
use crate::wait::until;

const ACT: Act<'_> = Act { actor: "test", name: "test" };

fn place(message: &NewMessage) -> Place {
    Place { workspace: message.workspace, channel: message.channel, message: message.id }
}

impl Rig {
    async fn hold(&self, message: &NewMessage) {
        assert_eq!(self.store().hold(place(message), &ACT).await.expect("asked"), Steered::Done(None));
    }

    /// Releases a message, and tells nobody.
    async fn release(&self, message: &NewMessage) {
        let released = self.store().release(place(message), &ACT).await.expect("asked");
        assert!(matches!(released, Steered::Done(Some(_))), "{released:?}");
    }

    /// Sends a message again; the new one.
    async fn replay(&self, message: &NewMessage) -> NewMessage {
        let replayed = self.store().replay(&self.tenant.channel, None, message.id, &ACT).await.expect("asked");
        assert!(matches!(replayed, Replayed::New(..)), "{replayed:?}");
        let id = self.read(message).await.replayed_as.expect("it is sent again");
        NewMessage { id, ..message.clone() }
    }

    fn arrived(&self) -> Vec<String> {
        self.sandbox.ledger().into_iter().filter_map(|entry| entry.message_id).collect()
    }
}

#[tokio::test]
async fn a_cancelled_message_is_never_sent() {
    let rig = Rig::scripted(json!({})).await;
    let node = rig.node(fast()).await;
    let mut cancelled = Vec::new();
    let mut sent = rig.put_texts(1).await;
    for round in 0..30 {
        let messages: Vec<NewMessage> = (0..10).map(|n| rig.message(&format!("{round} {n}"))).collect();
        rig.put(&messages).await;
        // From the end, while the engine takes them from the start.
        for message in messages.into_iter().rev() {
            match rig.store().cancel(place(&message), &ACT).await.expect("asked") {
                Steered::Done(_) => cancelled.push(message),
                Steered::TooLate => sent.push(message),
                Steered::NotFound => panic!("{} is not there", message.id),
            }
        }
    }
    rig.all_sent(&sent).await;
    node.ticks(5).await;
    let arrived = rig.arrived();
    assert!(cancelled.iter().flat_map(part_ids).all(|id| !arrived.contains(&id)));
    rig.assert_delivered_once(&sent);
    assert_eq!(rig.number("SELECT count(*) FROM outbox").await, 0);
    assert_eq!(rig.statuses(&cancelled).await.keys().copied().collect::<Vec<_>>(), ["deleted"]);
    node.running.stop().await;
}

#[tokio::test]
async fn what_is_held_stays_so_over_a_restart_and_goes_when_it_is_released() {
    let rig = Rig::scripted(json!({})).await;
    let (held, other) = (rig.message("held"), rig.message("another"));
    rig.put(std::slice::from_ref(&held)).await;
    rig.hold(&held).await;
    for _ in 0..2 {
        let node = rig.node(fast()).await;
        let passing = NewMessage { id: domain::id::MessageId(Uuid::now_v7()), ..rig.message("passing") };
        rig.put(std::slice::from_ref(&passing)).await;
        rig.all_sent(std::slice::from_ref(&passing)).await;
        node.running.stop().await;
    }
    let node = rig.node(fast()).await;
    rig.put(std::slice::from_ref(&other)).await;
    rig.all_sent(std::slice::from_ref(&other)).await;
    assert!(!rig.arrived().contains(&part_ids(&held)[0]));
    rig.release(&held).await;
    rig.all_sent(std::slice::from_ref(&held)).await;
    assert_eq!(rig.arrived().iter().filter(|id| **id == part_ids(&held)[0]).count(), 1);
    node.running.stop().await;
}

#[tokio::test]
async fn what_is_held_past_its_validity_has_expired_whatever_the_provider_does() {
    for key in [crate::rig::KEY, "a-wrong-key"] {
        let rig = Rig::with_key(key, json!({})).await;
        let message = rig.message("held");
        let message = NewMessage { expires_at: after(message.created_at, 1_500), ..message };
        rig.put(std::slice::from_ref(&message)).await;
        rig.hold(&message).await;
        let node = rig.node(fast()).await;
        // It closes the gate where the key is wrong.
        rig.put(&[rig.message("another")]).await;
        assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16001)), "{key}");
        assert!(rig.read(&message).await.updated_at >= message.expires_at);
        assert!(!rig.arrived().contains(&part_ids(&message)[0]));
        node.running.stop().await;
    }
}

#[tokio::test]
async fn the_rest_of_a_message_may_be_held_between_its_parts() {
    let rule =
        json!({ "match": { "textContains": "two" }, "times": 1, "answer": { "kind": "framework", "status": 503 } });
    let rig = Rig::scripted(json!({ "rules": [rule] })).await;
    let message = of_parts(&rig.tenant, rig.store().now(), &["one", "two", "three"]);
    rig.put(std::slice::from_ref(&message)).await;
    let mut settings = fast();
    settings.retry.back_off.first = Duration::from_secs(1000);
    settings.retry.back_off.longest = Duration::from_secs(1000);
    let node = rig.node(settings).await;
    until("the second part waits", async || {
        rig.read(&message).await.waiting.is_some_and(|waiting| waiting.reason == domain::schedule::DueReason::BackOff)
    })
    .await;
    rig.hold(&message).await;
    assert_eq!(rig.store().cancel(place(&message), &ACT).await.expect("asked"), Steered::TooLate);
    rig.release(&message).await;
    rig.all_sent(std::slice::from_ref(&message)).await;
    rig.assert_delivered_once(std::slice::from_ref(&message));
    node.running.stop().await;
}

#[tokio::test]
async fn an_unknown_outcome_is_sent_again_under_the_same_id() {
    let rig = Rig::scripted(json!({ "rules": [{ "answer": { "kind": "hang" } }] })).await;
    let message = rig.message("unknown");
    let message = NewMessage { expires_at: after(message.created_at, 1_000), ..message };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(Settings { call_timeout: Duration::from_secs(20), ..fast() }).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16002)));
    rig.script(json!({}));
    // It is valid for as long as before, which a busy machine may not make.
    rig.database.execute("UPDATE messages SET expires_at = expires_at + interval '10 minutes'").await;
    let again = rig.replay(&message).await;
    rig.all_sent(std::slice::from_ref(&again)).await;
    let ids = part_ids(&message);
    assert_eq!(rig.arrived(), [ids[0].clone(), ids[0].clone()]);
    assert_eq!(rig.read(&message).await.status, Status::SendingFailed);
    node.running.stop().await;
}

#[tokio::test]
async fn of_a_partly_sent_message_only_the_rest_is_sent_again() {
    let refused = json!({ "match": { "textContains": "two" }, "answer": { "kind": "framework", "status": 503 } });
    let rig = Rig::scripted(json!({ "rules": [refused] })).await;
    let message = of_parts(&rig.tenant, rig.store().now(), &["one", "two", "three"]);
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(12001)));
    let tried = rig.arrived().len();
    rig.script(json!({}));
    let again = rig.replay(&message).await;
    rig.all_sent(std::slice::from_ref(&again)).await;
    let ids = part_ids(&message);
    assert_eq!(rig.arrived()[tried..], ids[1..], "the first part was accepted");
    rig.assert_delivered_once(std::slice::from_ref(&message));
    let references = rig.read(&again).await.platform_references;
    assert_eq!((references.len(), &references[0]), (3, &rig.read(&message).await.platform_references[0]));
    node.running.stop().await;
}

/// A cancellation of what has a tag, confirmed, with nobody at it.
async fn confirmed(rig: &Rig, tag: Tag) -> Action {
    let selector = Selector { tags: vec![tag], ..Selector::default() };
    let channel = &rig.tenant.channel;
    let counted = rig.store().count_action(channel, ActionKind::Cancel, &selector, 1).await.expect("counted");
    let (counted, now) = (counted.expect("few"), rig.store().now());
    let action = Action {
        id: ActionId(Uuid::new_v4()),
        workspace: channel.workspace,
        channel: channel.id,
        kind: ActionKind::Cancel,
        selector,
        below: counted.below,
        counted: counted.count,
        actor: "test".to_owned(),
        created_at: now,
        expires_at: after(now, 900_000),
        confirmed_at: None,
        reached: counted.above,
        acted: 0,
        passed: 0,
        finished_at: None,
    };
    assert!(rig.store().create_action(&action).await.expect("kept"));
    assert!(rig.store().confirm_action(&action, "test").await.expect("confirmed"));
    action
}

#[tokio::test]
async fn an_act_whose_process_died_is_finished_by_a_chore() {
    let rig = Rig::scripted(json!({})).await;
    let tag = Tag::new("spring").expect("a tag");
    let messages: Vec<NewMessage> =
        (0..700).map(|n| NewMessage { tags: vec![tag.clone()], ..rig.message(&format!("text {n}")) }).collect();
    rig.put(&messages).await;
    let action = confirmed(&rig, tag).await;
    // One page, and the process dies.
    rig.store().work_on_action(&action).await.expect("worked").expect("a page");
    let metrics = Metrics::register(&Registry::new()).expect("fresh names");
    let chores = Chores::new(rig.store().clone(), metrics);
    let at = |seconds| rig.store().now().checked_add(SignedDuration::from_secs(seconds)).expect("in range");
    while chores.run_once_at(at(30)).await.is_some() {}
    assert_eq!(rig.number("SELECT count(*) FROM outbox").await, 200, "its process may be at it");
    while chores.run_once_at(at(120)).await.is_some() {}
    assert_eq!(rig.number("SELECT count(*) FROM outbox").await, 0);
    let done = rig.store().action(action.workspace, action.id).await.expect("read").expect("it is there");
    assert_eq!((done.acted, done.passed, done.finished_at.is_some()), (700, 0, true));
}

#[tokio::test]
async fn an_act_that_fails_again_and_again_keeps_no_other_from_its_end() {
    let rig = Rig::scripted(json!({})).await;
    let mut actions = Vec::new();
    for word in ["first", "second"] {
        let tag = Tag::new(word).expect("a tag");
        rig.put(&[NewMessage { tags: vec![tag.clone()], ..rig.message(word) }]).await;
        actions.push(confirmed(&rig, tag).await);
    }
    // As if each of its pages met a deadlock.
    rig.database
        .execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$;
            CREATE TRIGGER fail BEFORE UPDATE ON messages FOR EACH ROW WHEN ('first' = ANY (OLD.tags)) EXECUTE FUNCTION fail()",
        )
        .await;
    let metrics = Metrics::register(&Registry::new()).expect("fresh names");
    let chores = Chores::new(rig.store().clone(), metrics.clone());
    let at = |seconds| rig.store().now().checked_add(SignedDuration::from_secs(seconds)).expect("in range");
    while chores.run_once_at(at(120)).await.is_some() {}
    let finished = "SELECT count(*) FROM actions WHERE finished_at IS NOT NULL";
    assert_eq!((rig.number("SELECT count(*) FROM outbox").await, rig.number(finished).await), (1, 1));
    assert_eq!(metrics.chores.failures.with_label_values(&["actions"]).get(), 1, "and it is told");
    let last = rig.store().open_actions(at(1_000), 10).await.expect("read");
    assert_eq!(last.iter().map(|action| action.id).collect::<Vec<_>>(), [actions[0].id]);
    let since = rig.store().open_actions(at(60), 10).await.expect("read");
    assert!(since.is_empty(), "it comes behind those that nobody has tried since");
}

#[tokio::test]
async fn acts_that_lapsed_are_forgotten_however_many_there_are() {
    let rig = Rig::scripted(json!({})).await;
    rig.database
        .execute(&format!(
            "INSERT INTO actions (workspace_id, action_id, channel_id, action, selector, below, counted, actor, created_at, expires_at)
            SELECT '{}', gen_random_uuid(), '{}', 'hold', '{{}}', gen_random_uuid(), 0, 'test', now(), now()
            FROM generate_series(1, 2500)",
            rig.tenant.workspace, rig.tenant.channel.id
        ))
        .await;
    let metrics = Metrics::register(&Registry::new()).expect("fresh names");
    let chores = Chores::new(rig.store().clone(), metrics);
    let two_days = rig.store().now().checked_add(SignedDuration::from_hours(48)).expect("in range");
    while chores.run_once_at(two_days).await.is_some() {}
    assert_eq!(rig.number("SELECT count(*) FROM actions").await, 0);
}
