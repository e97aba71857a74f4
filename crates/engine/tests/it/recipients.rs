//! Messages to one recipient: in order, one at a time, spaced; and others pass them.

use std::time::Duration;

use domain::gate::GatePolicy;
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::spacing::RecipientRate;
use engine::Settings;
use serde_json::json;
use store::accept::NewMessage;
use store::channel::ChannelSettings;

use crate::messages::{after, part_ids, to};
use crate::rig::{Rig, fast};
use crate::wait::until;

/// The one that many messages go to.
const RECIPIENT: &str = "+254799999999";
const WAITING: &str = "SELECT count(*) FROM outbox WHERE due_reason = 'recipient'";
/// A turn is given a little before its call arrives, and not always as much.
const LATENESS_MICROS: u64 = 200_000;

fn to_one(rig: &Rig, texts: &[&str]) -> NewMessage {
    to(&rig.tenant, rig.store().now(), RECIPIENT, texts)
}

fn many_to_one(rig: &Rig, count: usize) -> Vec<NewMessage> {
    (0..count).map(|_| to_one(rig, &["to one"])).collect()
}

fn to_others(rig: &Rig, count: usize) -> Vec<NewMessage> {
    (0..count).map(|_| rig.message("to another")).collect()
}

/// A rig whose channel spaces messages to a recipient.
async fn spaced(interval_seconds: u32, burst: u32) -> Rig {
    let mut rig = Rig::scripted(json!({})).await;
    let recipient_rate = RecipientRate { interval_seconds, burst };
    let settings = ChannelSettings { recipient_rate, ..rig.tenant.channel.settings.clone() };
    rig.change_channel(&settings, None).await;
    rig
}

/// Instants of arrival.
fn instants(arrivals: &[(String, u64)]) -> Vec<u64> {
    arrivals.iter().map(|(_, at)| *at).collect()
}

/// Checks that some arrived before the last of others did.
fn assert_passed(rig: &Rig, passing: &[NewMessage], passed: &[NewMessage]) {
    let last = |messages| instants(&rig.arrivals(messages)).into_iter().max().expect("they arrived");
    assert!(last(passing) < last(passed), "{} is not before {}", last(passing), last(passed));
}

#[tokio::test]
async fn they_arrive_in_order_one_at_a_time_while_others_pass() {
    let rig = Rig::scripted(json!({ "latencyMillis": 50 })).await;
    let (to_one, others) = (many_to_one(&rig, 30), to_others(&rig, 30));
    rig.put(&[to_one.clone(), others.clone()].concat()).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&to_one).await;
    rig.all_sent(&others).await;
    rig.assert_delivered_once(&[to_one.clone(), others.clone()].concat());
    rig.assert_in_order(&to_one);
    for pair in instants(&rig.arrivals(&to_one)).windows(2) {
        assert!(pair[1] - pair[0] >= 50_000, "two calls at a time: {pair:?}");
    }
    assert_passed(&rig, &others, &to_one);
    node.running.stop().await;
}

#[tokio::test]
async fn a_message_that_is_tried_again_goes_before_later_ones_and_holds_no_others() {
    let answer = json!({ "kind": "framework", "status": 503 });
    let rule = json!({ "match": { "textContains": "first" }, "times": 4, "answer": answer });
    let rig = Rig::scripted(json!({ "latencyMillis": 20, "rules": [rule] })).await;
    let mut of_one = vec![to_one(&rig, &["first"])];
    of_one.extend(many_to_one(&rig, 5));
    let others = to_others(&rig, 20);
    rig.put(&[of_one.clone(), others.clone()].concat()).await;
    let gate = GatePolicy { troubles_max: 1_000, ..fast().gate };
    let node = rig.node(Settings { gate, ..fast() }).await;
    rig.all_sent(&of_one).await;
    rig.all_sent(&others).await;
    let ids: Vec<String> = rig.arrivals(&of_one).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids[..5], vec![part_ids(&of_one[0])[0].clone(); 5]);
    rig.assert_in_order(&of_one);
    assert_passed(&rig, &others, &of_one);
    assert_eq!(rig.sandbox.ledger().len(), 30);
    node.running.stop().await;
}

#[tokio::test]
async fn parts_of_a_message_go_before_a_later_message() {
    let rig = Rig::scripted(json!({ "latencyMillis": 30 })).await;
    let messages = [
        to_one(&rig, &["one", "two", "three"]),
        to_one(&rig, &["four"]),
        to_one(&rig, &["five", "six"]),
        to_one(&rig, &["seven"]),
    ];
    rig.put(&messages).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    rig.assert_in_order(&messages);
    rig.assert_delivered_once(&messages);
    node.running.stop().await;
}

#[tokio::test]
async fn past_the_burst_they_are_spaced_while_others_go() {
    let rig = spaced(1, 2).await;
    let node = rig.node(fast()).await;
    // The first call of all makes the connection.
    let warm = rig.put_texts(1).await;
    rig.all_sent(&warm).await;
    let (to_one, others) = (many_to_one(&rig, 5), to_others(&rig, 30));
    rig.put(&[to_one.clone(), others.clone()].concat()).await;
    until("one waits for its turn", async || rig.number(WAITING).await > 0).await;
    rig.all_sent(&others).await;
    rig.all_sent(&to_one).await;
    rig.assert_in_order(&to_one);
    let arrivals = instants(&rig.arrivals(&to_one));
    for (first, last) in [(0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (2, 4)] {
        let seconds = u64::try_from(last - first - 1).expect("small");
        let gap = arrivals[last] - arrivals[first];
        assert!(gap + LATENESS_MICROS >= seconds * 1_000_000, "{first} and {last} are too near: {arrivals:?}");
    }
    assert_passed(&rig, &others, &to_one);
    assert_eq!(node.metrics.held_back.with_label_values(&["recipient"]).get(), 3);
    node.running.stop().await;
}

#[tokio::test]
async fn one_whose_turn_comes_after_its_validity_ends_without_a_call() {
    let rig = spaced(600, 1).await;
    let late = |message: NewMessage| NewMessage { expires_at: after(message.created_at, 30_000), ..message };
    let messages: Vec<NewMessage> = many_to_one(&rig, 2).into_iter().map(late).collect();
    rig.put(&messages).await;
    let node = rig.node(fast()).await;
    assert_eq!(rig.ended(&messages[1]).await, (Status::SendingFailed, Some(16001)));
    assert!(rig.read(&messages[1]).await.updated_at < messages[1].expires_at, "nobody waits for what is known");
    assert_eq!(rig.ended(&messages[0]).await, (Status::Sent, None));
    assert_eq!(rig.sandbox.ledger().len(), 1);
    assert_eq!(rig.number("SELECT count(*) FROM attempts").await, 1);
    node.running.stop().await;
}

#[tokio::test]
async fn an_urgent_one_does_not_wait_for_bulk_to_the_same_recipient() {
    let slow = json!({ "match": { "textContains": "to one" }, "answer": { "kind": "normal", "delayMillis": 800 } });
    let rig = Rig::scripted(json!({ "rules": [slow] })).await;
    let bulk: Vec<NewMessage> =
        many_to_one(&rig, 5).into_iter().map(|message| NewMessage { lane: Lane::Bulk, ..message }).collect();
    rig.put(&bulk).await;
    let node = rig.node(fast()).await;
    rig.sandbox.wait_for(1).await;
    let urgent = [NewMessage { lane: Lane::Urgent, ..to_one(&rig, &["urgent"]) }];
    rig.put(&urgent).await;
    node.wake.due(rig.tenant.channel.id, Lane::Urgent, urgent[0].due_at);
    rig.all_sent(&urgent).await;
    rig.all_sent(&bulk).await;
    let place = rig.first_arrivals().iter().position(|id| *id == part_ids(&urgent[0])[0]).expect("arrived");
    assert!(place <= 2, "behind {place} bulk messages");
    rig.assert_in_order(&bulk);
    node.running.stop().await;
}

#[tokio::test]
async fn order_outlives_a_stop_and_a_start() {
    let rig = Rig::scripted(json!({ "latencyMillis": 20 })).await;
    let messages = many_to_one(&rig, 40);
    rig.put(&messages).await;
    let first = rig.node(fast()).await;
    rig.sandbox.wait_for(10).await;
    first.running.stop().await;
    assert!(rig.sandbox.ledger().len() < 40);
    let second = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    rig.assert_in_order(&messages);
    rig.assert_delivered_once(&messages);
    second.running.stop().await;
}

#[tokio::test]
async fn order_outlives_claims_that_grow_old_behind_a_slow_provider() {
    let rig = Rig::scripted(json!({ "latencyMillis": 700 })).await;
    // One is taken now and then, also while the former ones are given back and taken again.
    let node = rig.node(Settings { claim_fresh: Duration::from_millis(400), ..fast() }).await;
    let mut messages = many_to_one(&rig, 5);
    rig.put(&messages).await;
    for arrived in 1..8 {
        rig.sandbox.wait_for(arrived).await;
        for _ in 0..3 {
            let further = to_one(&rig, &["further"]);
            rig.put(std::slice::from_ref(&further)).await;
            node.wake.due(rig.tenant.channel.id, Lane::Normal, further.due_at);
            messages.push(further);
            node.ticks(1).await;
        }
    }
    rig.all_sent(&messages).await;
    rig.assert_in_order(&messages);
    rig.assert_delivered_once(&messages);
    node.running.stop().await;
}

#[tokio::test]
async fn a_long_queue_keeps_its_order_though_claims_grow_old() {
    let rig = Rig::scripted(json!({ "latencyMillis": 50 })).await.at_rate(80).await;
    let messages = many_to_one(&rig, 150);
    rig.put(&messages).await;
    let node = rig.node(Settings { claim_fresh: Duration::from_secs(1), ..fast() }).await;
    rig.all_sent(&messages).await;
    rig.assert_in_order(&messages);
    rig.assert_delivered_once(&messages);
    node.running.stop().await;
}

#[tokio::test]
async fn a_long_queue_to_one_recipient_does_not_hold_up_others() {
    let rig = Rig::scripted(json!({ "latencyMillis": 50 })).await.at_rate(80).await;
    let queue = many_to_one(&rig, 200);
    rig.put(&queue).await;
    let others = rig.put_texts(20).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&others).await;
    let arrivals = rig.first_arrivals();
    let last = others.iter().map(|message| arrivals.iter().position(|id| *id == part_ids(message)[0]));
    let last = last.max().flatten().expect("arrived");
    assert!(last < 60, "behind {last} others");
    rig.all_sent(&queue).await;
    rig.assert_in_order(&queue);
    node.running.stop().await;
}
