//! Pauses: what they hold, what they let pass, and how it goes on when they are over.

use std::time::Duration;

use domain::id::PauseId;
use domain::lifecycle::Status;
use domain::message::{Lane, Tag};
use domain::options::Options;
use domain::pause::{Pause, PauseScope};
use domain::schedule::DueReason;
use engine::Settings;
use jiff::Timestamp;
use serde_json::json;
use store::accept::NewMessage;
use store::audit::Act;
use store::pause::Creation;
use uuid::Uuid;

use crate::messages::after;
use crate::quiet_hours;
use crate::rig::{Node, Rig, fast};
use crate::wait::until;

const ACT: Act<'_> = Act { actor: "test", name: "test" };
const PAUSED: &str = "SELECT count(*) FROM outbox WHERE due_reason = 'paused' AND tries = 0 AND NOT maybe_sent";
/// Calls that were made before a pause was over.
const TOO_EARLY: &str = "SELECT count(*) FROM attempts WHERE started_at < (SELECT max(until) FROM pauses)";

fn tag(name: &str) -> Tag {
    Tag::new(name).expect("a tag")
}

impl Rig {
    /// Makes a pause.
    pub(crate) async fn pause(&self, scope: PauseScope, until: Option<Timestamp>) -> PauseId {
        let (id, reason, actor) = (PauseId(Uuid::now_v7()), "wrong price".to_owned(), ACT.actor.to_owned());
        let pause = Pause { id, scope, reason, actor, until, created_at: self.store().now() };
        let made = self.store().create_pause(self.tenant.workspace, &pause, &ACT).await.expect("the database runs");
        assert!(matches!(made, Creation::Made(_)), "{made:?}");
        id
    }

    async fn end(&self, pause: PauseId) {
        let ending = self.store().end_pause(self.tenant.workspace, pause, &ACT).await.expect("the database runs");
        assert_ne!(ending.expect("it is there").channels, []);
    }

    /// What a pause of the channel covers.
    pub(crate) fn channel(&self) -> PauseScope {
        PauseScope::Channel(self.tenant.channel.id)
    }

    /// A message with a tag.
    fn tagged(&self, name: &str) -> NewMessage {
        NewMessage { tags: vec![tag("others"), tag(name)], ..self.message(name) }
    }
}

/// Waits until a node knows that so many of its channels are paused.
async fn knows(node: &Node, channels: i64) {
    until("the owner knows of the pause", async || node.metrics.channels_paused.get() == channels).await;
}

#[tokio::test]
async fn a_paused_channel_sends_nothing_and_goes_on_when_the_pause_is_ended() {
    let rig = Rig::scripted(json!({})).await;
    let pause = rig.pause(rig.channel(), None).await;
    let messages = rig.put_texts(20).await;
    let node = rig.node(fast()).await;
    knows(&node, 1).await;
    node.ticks(5).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    let waiting = rig.read(&messages[0]).await.waiting.expect("it waits");
    assert_eq!((waiting.pause.map(|pause| pause.id), waiting.tries), (Some(pause), 0));
    rig.end(pause).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    knows(&node, 0).await;
    node.running.stop().await;
}

#[tokio::test]
async fn what_is_accepted_after_a_pause_is_not_sent_before_the_owner_knows_of_it() {
    let rig = Rig::scripted(json!({})).await;
    let node = rig.node(fast()).await;
    node.owns(1).await;
    let mut untagged = Vec::new();
    for round in 0..5 {
        // A lane that has just been made anew knows what was paused then, and nothing of what comes.
        rig.pause(PauseScope::Tag(tag(&format!("round-{round}"))), None).await;
        let pair = [rig.tagged(&format!("round-{round}")), rig.tagged("open")];
        rig.put(&pair).await;
        node.wake.due(rig.tenant.channel.id, Lane::Normal, pair[0].due_at);
        untagged.push(pair[1].clone());
        rig.all_sent(&untagged).await;
    }
    rig.until_number(PAUSED, 5).await;
    rig.assert_delivered_once(&untagged);
    node.running.stop().await;
}

#[tokio::test]
async fn a_pause_of_the_workspace_is_over_when_its_time_has_come() {
    let rig = Rig::scripted(json!({})).await;
    rig.pause(PauseScope::Workspace, Some(after(rig.store().now(), 2_000))).await;
    let messages = rig.put_texts(5).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    assert_eq!(rig.number(TOO_EARLY).await, 0);
    knows(&node, 0).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_pause_of_another_channel_holds_nothing() {
    let rig = Rig::scripted(json!({})).await;
    let settings = &rig.tenant.channel.settings;
    let second = testkit::Tenant::create_channel(rig.store(), rig.tenant.workspace, settings, crate::rig::KEY).await;
    rig.pause(PauseScope::Channel(second.id), None).await;
    let messages = rig.put_texts(5).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    knows(&node, 1).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_pause_of_a_tag_holds_its_messages_and_lets_the_others_pass() {
    let rig = Rig::scripted(json!({})).await;
    let pause = rig.pause(PauseScope::Tag(tag("promo")), None).await;
    let paused: Vec<NewMessage> = (0..10).map(|_| rig.tagged("promo")).collect();
    let others: Vec<NewMessage> = (0..10).map(|_| rig.tagged("orders")).collect();
    rig.put(&paused).await;
    rig.put(&others).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&others).await;
    rig.until_number(PAUSED, 10).await;
    rig.assert_delivered_once(&others);
    let waiting = rig.read(&paused[0]).await.waiting.expect("it waits");
    assert_eq!(waiting.due_at.as_millisecond(), paused[0].expires_at.as_millisecond(), "it names no end");
    assert_eq!(node.metrics.held_back.with_label_values(&["paused"]).get(), 10);
    assert_eq!(node.metrics.channels_paused.get(), 0);
    rig.end(pause).await;
    rig.all_sent(&paused).await;
    rig.assert_delivered_once(&[paused, others].concat());
    node.running.stop().await;
}

#[tokio::test]
async fn what_a_pause_of_a_tag_held_falls_due_by_itself_when_its_time_has_come() {
    let rig = Rig::scripted(json!({})).await;
    let until = after(rig.store().now(), 3_000);
    rig.pause(PauseScope::Tag(tag("promo")), Some(until)).await;
    let messages = [rig.tagged("promo"), rig.tagged("promo")];
    rig.put(&messages).await;
    let node = rig.node(fast()).await;
    rig.until_number(PAUSED, 2).await;
    let waiting = rig.read(&messages[0]).await.waiting.expect("it waits");
    assert_eq!(waiting.due_at.as_millisecond(), until.as_millisecond());
    rig.all_sent(&messages).await;
    assert_eq!(rig.number(TOO_EARLY).await, 0);
    node.running.stop().await;
}

#[tokio::test]
async fn what_is_held_by_a_tag_is_held_until_the_last_of_its_pauses_is_over() {
    let rig = Rig::scripted(json!({})).await;
    let short = rig.pause(PauseScope::Tag(tag("promo")), Some(after(rig.store().now(), 600_000))).await;
    let messages = [rig.tagged("promo"), rig.tagged("promo")];
    rig.put(&messages).await;
    let node = rig.node(fast()).await;
    rig.until_number(PAUSED, 2).await;
    let later = after(rig.store().now(), 1_200_000);
    let long = rig.pause(PauseScope::Tag(tag("others")), Some(later)).await;
    let at = |until: Timestamp| format!("{PAUSED} AND due_at = timestamptz '{until}'");
    let later = Timestamp::from_microsecond(later.as_microsecond()).expect("in range");
    rig.until_number(&at(later), 2).await;
    rig.end(short).await;
    node.ticks(5).await;
    assert_eq!((rig.number(&at(later)).await, rig.sandbox.ledger().len()), (2, 0));
    rig.end(long).await;
    rig.all_sent(&messages).await;
    node.running.stop().await;
}

#[tokio::test]
async fn what_an_operator_holds_is_not_let_go_by_the_end_of_a_pause() {
    let rig = Rig::scripted(json!({})).await;
    let pause = rig.pause(PauseScope::Tag(tag("promo")), None).await;
    let messages = [rig.tagged("promo"), rig.tagged("promo")];
    rig.put(&messages).await;
    let held =
        format!("UPDATE outbox SET due_reason = 'held', due_at = expires_at WHERE message_id = '{}'", messages[0].id);
    rig.database.execute(&held).await;
    let node = rig.node(fast()).await;
    rig.until_number(PAUSED, 1).await;
    rig.end(pause).await;
    rig.all_sent(&messages[1..]).await;
    node.ticks(5).await;
    assert_eq!(rig.read(&messages[0]).await.waiting.expect("it waits").reason, DueReason::Held);
    node.running.stop().await;
}

#[tokio::test]
async fn a_pause_outlives_its_owner() {
    let rig = Rig::scripted(json!({})).await;
    let pauses = [rig.pause(rig.channel(), None).await, rig.pause(PauseScope::Tag(tag("promo")), None).await];
    let messages = [rig.message("of the channel"), rig.tagged("promo")];
    rig.put(&messages).await;
    let first = rig.node(fast()).await;
    knows(&first, 1).await;
    first.running.stop().await;
    let second = rig.node(fast()).await;
    knows(&second, 1).await;
    second.ticks(15).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    rig.end(pauses[0]).await;
    rig.all_sent(&messages[..1]).await;
    rig.until_number(PAUSED, 1).await;
    second.running.stop().await;
    let third = rig.node(fast()).await;
    third.owns(1).await;
    third.ticks(5).await;
    rig.assert_delivered_once(&messages[..1]);
    rig.end(pauses[1]).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    third.running.stop().await;
}

#[tokio::test]
async fn what_is_not_valid_until_the_end_of_a_pause_expires_in_time() {
    // By its tag it is taken and held back once.
    for (scope, held_back) in [(PauseScope::Workspace, 0), (PauseScope::Tag(tag("promo")), 1)] {
        let rig = Rig::scripted(json!({})).await;
        rig.pause(scope.clone(), None).await;
        let message = rig.tagged("promo");
        let message = NewMessage { expires_at: after(message.created_at, 2_000), ..message };
        rig.put(std::slice::from_ref(&message)).await;
        let node = rig.node(fast()).await;
        assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16001)), "{scope}");
        assert!(rig.read(&message).await.updated_at >= message.expires_at, "{scope}");
        assert_eq!(rig.sandbox.ledger().len(), 0, "{scope}");
        assert_eq!(node.metrics.held_back.with_label_values(&["paused"]).get(), held_back, "{scope}");
        node.running.stop().await;
    }
}

#[tokio::test]
async fn what_was_claimed_before_a_pause_is_not_sent_once_the_owner_knows_of_it() {
    let rig = Rig::scripted(json!({})).await.at_rate(20).await;
    let messages = rig.put_texts(100).await;
    let node = rig.node(fast()).await;
    rig.sandbox.wait_for(5).await;
    let pause = rig.pause(PauseScope::Workspace, None).await;
    knows(&node, 1).await;
    let sent = rig.sandbox.ledger().len();
    assert!(sent < 100, "{sent} were sent before the pause");
    rig.until_number("SELECT count(*) FROM outbox WHERE claimed_until IS NULL AND tries = 0", 100 - sent as i64).await;
    node.ticks(5).await;
    assert_eq!(rig.sandbox.ledger().len(), sent);
    rig.end(pause).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    node.running.stop().await;
}

#[tokio::test]
async fn a_pause_of_a_tag_that_is_made_while_its_messages_are_claimed_holds_the_rest() {
    let rig = Rig::scripted(json!({})).await.at_rate(20).await;
    let messages: Vec<NewMessage> = (0..100).map(|_| rig.tagged("promo")).collect();
    rig.put(&messages).await;
    let node = rig.node(fast()).await;
    rig.sandbox.wait_for(5).await;
    let pause = rig.pause(PauseScope::Tag(tag("promo")), None).await;
    until("nothing is claimed or due", async || {
        rig.number("SELECT count(*) FROM outbox").await == rig.number(PAUSED).await
    })
    .await;
    let sent = rig.sandbox.ledger().len();
    assert!(sent < 100, "{sent} were sent before the pause");
    node.ticks(5).await;
    assert_eq!(rig.sandbox.ledger().len(), sent);
    rig.end(pause).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    node.running.stop().await;
}

#[tokio::test]
async fn after_a_pause_quiet_hours_hold_as_ever() {
    let rig = Rig::scripted(json!({})).await;
    let pause = rig.pause(PauseScope::Tag(tag("promo")), None).await;
    let message = rig.tagged("promo");
    let message = NewMessage { expires_at: after(message.created_at, 86_400_000), ..message };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    rig.until_number(PAUSED, 1).await;
    quiet_hours::set(&rig, &quiet_hours::hours(rig.store().now(), -60, 60, 0)).await;
    rig.end(pause).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_reason = 'quiet_hours' AND tries = 0", 1).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    node.running.stop().await;
}

#[tokio::test]
async fn what_ignores_quiet_hours_goes_in_them_when_a_pause_is_ended() {
    let rig = Rig::scripted(json!({})).await;
    let pause = rig.pause(PauseScope::Tag(tag("promo")), None).await;
    let message = rig.tagged("promo");
    let options = Options { ignore_quiet_hours: true, ..Options::default() };
    let message = NewMessage { expires_at: after(message.created_at, 86_400_000), options, ..message };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    rig.until_number(PAUSED, 1).await;
    quiet_hours::set(&rig, &quiet_hours::hours(rig.store().now(), -60, 60, 0)).await;
    rig.end(pause).await;
    rig.all_sent(&[message]).await;
    node.running.stop().await;
}

#[tokio::test]
async fn an_owner_without_work_learns_of_a_pause_by_a_hint() {
    let rig = Rig::scripted(json!({})).await;
    let (second, long) = (Duration::from_secs(1), Duration::from_secs(600));
    let node = rig.node(Settings { idle_tick: long, lease: long, idle_after: second, ..fast() }).await;
    node.owns(1).await;
    let (mut renewals, mut looks) = (0, 0);
    until("the owner rests", async || {
        let before = std::mem::replace(&mut renewals, node.statements(Some("store.lease.hold")));
        looks = if renewals == before { looks + 1 } else { 0 };
        looks > 25
    })
    .await;
    let pause = rig.pause(rig.channel(), None).await;
    node.wake.due(rig.tenant.channel.id, Lane::Normal, rig.store().now());
    knows(&node, 1).await;
    rig.end(pause).await;
    node.wake.due(rig.tenant.channel.id, Lane::Normal, rig.store().now());
    knows(&node, 0).await;
    node.running.stop().await;
}
