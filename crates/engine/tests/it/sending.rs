//! The ordinary way: what is due goes out once, in order, within the rate, at its time.

use std::time::Duration;

use domain::message::Lane;
use engine::Settings;
use serde_json::json;
use store::accept::NewMessage;
use store::channel::{ChannelSettings, ChannelStatus};

use crate::messages::{after, part_ids};
use crate::rig::{Rig, fast};
use crate::wait::until_within;

#[tokio::test]
async fn a_due_message_is_sent_once_and_settled_with_its_wa_id() {
    let rig = Rig::scripted(json!({})).await;
    let node = rig.node(fast()).await;
    let messages = rig.put_texts(1).await;
    rig.all_sent(&messages).await;
    let [entry] = &rig.sandbox.ledger()[..] else { panic!("one request") };
    assert_eq!(entry.message_id.as_ref(), Some(&part_ids(&messages[0])[0]));
    let message = rig.read(&messages[0]).await;
    assert_eq!(Some(&message.platform_references[..]), entry.wa_id.as_ref().map(std::slice::from_ref));
    assert_eq!((message.failure, message.waiting), (None, None));
    assert_eq!(rig.number("SELECT count(*) FROM attempts WHERE outcome = 'sent' AND http_status = 200").await, 1);
    assert_eq!(node.metrics.settled.with_label_values(&["sent", "0"]).get(), 1);
    node.running.stop().await;
}

#[tokio::test]
async fn five_hundred_messages_are_sent_exactly_once_each() {
    let rig = Rig::scripted(json!({ "latencyMillis": 10 })).await;
    let node = rig.node(fast()).await;
    let messages = rig.put_texts(500).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    assert_eq!(rig.sandbox.ledger().len(), 500);
    assert_eq!(rig.number("SELECT count(*) FROM attempts").await, 500);
    assert_eq!(node.metrics.results_superseded.get(), 0);
    node.running.stop().await;
}

#[tokio::test]
async fn messages_go_in_the_order_of_acceptance_and_no_second_holds_more_than_the_rate() {
    let rig = Rig::scripted(json!({})).await.at_rate(50).await;
    let node = rig.node(fast()).await;
    let mut messages = rig.put_texts(150).await;
    messages.extend(rig.put_texts(150).await);
    rig.all_sent(&messages).await;
    Rig::assert_rising(&rig.places(&messages).await);
    rig.assert_rate(50);
    node.running.stop().await;
}

#[tokio::test]
async fn a_scheduled_message_is_not_sent_before_its_time() {
    let rig = Rig::scripted(json!({})).await;
    let node = rig.node(fast()).await;
    let due_at = after(rig.store().now(), 1_500);
    let scheduled = NewMessage { due_at, scheduled_for: Some(due_at), ..rig.message("later") };
    let messages = [scheduled, rig.message("now")];
    rig.put(&messages).await;
    rig.all_sent(&messages[1..]).await;
    assert_eq!(rig.read(&messages[0]).await.status.as_str(), "scheduled");
    rig.sandbox.wait_for(2).await;
    let arrival = rig.sandbox.ledger()[1].arrival;
    assert!(arrival >= due_at, "{arrival} is before {due_at}");
    rig.all_sent(&messages).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_hint_is_enough_where_looks_are_rare() {
    let rig = Rig::scripted(json!({})).await;
    let rare = Settings { poll: Duration::from_secs(600), ..fast() };
    let node = rig.node(rare).await;
    let first = rig.put_texts(1).await;
    rig.all_sent(&first).await;
    node.ticks(2).await;
    // The hint comes from the API of the same process, which shares the engine's clock.
    let second = [crate::messages::text(&rig.tenant, node.store.now(), "second")];
    rig.put(&second).await;
    node.wake.due(rig.tenant.channel.id, Lane::Normal, second[0].due_at);
    // Without a hint a lane looks after five seconds.
    until_within(Duration::from_secs(4), "a hint is followed", async || rig.sandbox.ledger().len() == 2).await;
    rig.all_sent(&second).await;
    node.running.stop().await;
}

#[tokio::test]
async fn the_most_urgent_go_first_and_no_lane_waits_for_another_to_end() {
    let rig = Rig::scripted(json!({})).await.at_rate(200).await;
    let of = |lane, text| NewMessage { lane, ..rig.message(text) };
    let messages: Vec<NewMessage> = (0..90).map(|n| of(Lane::ALL[n % 3], "text")).collect();
    rig.put(&messages).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    let places = rig.places(&messages).await;
    let places = |lane| -> Vec<usize> {
        messages.iter().zip(&places).filter(|(m, _)| m.lane == lane).map(|(_, p)| *p).collect()
    };
    for lane in Lane::ALL {
        Rig::assert_rising(&places(lane));
    }
    // While all three wait, of ten turns six are for the urgent, two for each of the others.
    let first_half = |lane| places(lane).into_iter().filter(|place| *place < 40).count();
    assert!((22..=27).contains(&first_half(Lane::Urgent)), "{}", first_half(Lane::Urgent));
    assert!((5..=10).contains(&first_half(Lane::Bulk)), "{}", first_half(Lane::Bulk));
    node.running.stop().await;
}

#[tokio::test]
async fn an_urgent_message_passes_a_backlog_that_is_taken_already() {
    let rig = Rig::scripted(json!({})).await.at_rate(20).await;
    let bulk: Vec<NewMessage> = (0..60).map(|_| NewMessage { lane: Lane::Bulk, ..rig.message("bulk") }).collect();
    rig.put(&bulk).await;
    let node = rig.node(fast()).await;
    rig.sandbox.wait_for(5).await;
    let urgent = NewMessage { lane: Lane::Urgent, ..rig.message("urgent") };
    rig.put(std::slice::from_ref(&urgent)).await;
    node.wake.due(rig.tenant.channel.id, Lane::Urgent, urgent.due_at);
    rig.all_sent(std::slice::from_ref(&urgent)).await;
    let arrivals = rig.first_arrivals();
    let place = arrivals.iter().position(|id| *id == part_ids(&urgent)[0]).expect("arrived");
    assert!(place < 20, "behind {place} others");
    node.running.stop().await;
}

#[tokio::test]
async fn an_inactive_channel_sends_nothing_until_it_is_active_again() {
    let mut rig = Rig::scripted(json!({})).await;
    let node = rig.node(fast()).await;
    node.owns(1).await;
    let active = rig.tenant.channel.settings.clone();
    rig.change_channel(&ChannelSettings { status: ChannelStatus::Inactive, ..active.clone() }, None).await;
    node.owns(0).await;
    let messages = rig.put_texts(5).await;
    node.ticks(3).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    rig.change_channel(&active, None).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    node.running.stop().await;
}

#[tokio::test]
async fn channels_do_not_wait_for_each_other() {
    let rig =
        Rig::scripted(json!({ "rules": [{ "match": { "textContains": "slow" }, "answer": { "kind": "hang" } }] }))
            .await;
    let settings = ChannelSettings { name: "other".to_owned(), ..rig.tenant.channel.settings.clone() };
    let other = testkit::Tenant::create_channel(rig.store(), rig.tenant.workspace, &settings, crate::rig::KEY).await;
    let slow: Vec<NewMessage> = (0..100).map(|_| rig.message("slow")).collect();
    let quick: Vec<NewMessage> = (0..100).map(|_| NewMessage { channel: other.id, ..rig.message("quick") }).collect();
    rig.put(&slow).await;
    let node = rig.node(Settings { calls_max: 80, call_timeout: Duration::from_secs(20), ..fast() }).await;
    rig.sandbox.wait_for(64).await;
    rig.put(&quick).await;
    let sent = std::collections::BTreeMap::from([("sent", 100)]);
    crate::wait::until("the quick ones are sent", async || rig.statuses(&quick).await == sent).await;
    drop(node);
}
