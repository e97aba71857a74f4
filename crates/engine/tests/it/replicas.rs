//! Several replicas on one database: one owner at a time, and the next one goes on where it ended.

use std::time::Duration;

use domain::decision::RetryPolicy;
use domain::id::ChannelId;
use domain::message::Lane;
use engine::Settings;
use serde_json::json;
use store::accept::NewMessage;
use testkit::Tenant;

use crate::process::{Process, long_leases};
use crate::rig::{KEY, Rig, fast};
use crate::wait::{until, until_within};

/// Further channels, and the tenant's own.
async fn channels(rig: &Rig, further: usize) -> Vec<ChannelId> {
    let settings = rig.tenant.channel.settings.clone();
    let mut channels = vec![rig.tenant.channel.id];
    for _ in 0..further {
        channels.push(Tenant::create_channel(rig.store(), rig.tenant.workspace, &settings, KEY).await.id);
    }
    channels
}

/// Stores a message for each channel.
async fn to_each(rig: &Rig, channels: &[ChannelId]) -> Vec<NewMessage> {
    let messages: Vec<NewMessage> =
        channels.iter().map(|channel| NewMessage { channel: *channel, ..rig.message("text") }).collect();
    rig.put(&messages).await;
    messages
}

#[tokio::test]
async fn two_replicas_send_each_message_once() {
    let rig = Rig::scripted(json!({ "latencyMillis": 10 })).await;
    let (first, second) = (rig.node(fast()).await, rig.node(fast()).await);
    let messages = rig.put_texts(300).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    assert_eq!(rig.sandbox.ledger().len(), 300);
    assert_eq!(first.metrics.channels_owned.get() + second.metrics.channels_owned.get(), 1);
    first.running.stop().await;
    second.running.stop().await;
}

#[tokio::test]
async fn an_owner_that_stops_hands_over() {
    let rig = Rig::scripted(json!({ "latencyMillis": 10 })).await.at_rate(100).await;
    let messages = rig.put_texts(150).await;
    let first = rig.node(fast()).await;
    first.owns(1).await;
    let second = rig.node(fast()).await;
    rig.sandbox.wait_for(50).await;
    first.running.stop().await;
    let sent = rig.sandbox.ledger().len();
    second.owns(1).await;
    rig.all_sent(&messages).await;
    assert!(sent < 150);
    assert_eq!(rig.sandbox.ledger().len(), 150);
    rig.assert_delivered_once(&messages);
    second.running.stop().await;
}

#[tokio::test]
async fn an_owner_that_dies_is_followed_when_its_presence_ends() {
    let rig = Rig::scripted(json!({ "latencyMillis": 50 })).await.at_rate(100).await;
    let messages = rig.put_texts(120).await;
    let first = Process::start(&rig, long_leases()).await;
    first.node.owns(1).await;
    until("presence is shown", async || rig.number("SELECT count(*) FROM replicas WHERE has_presence").await == 1)
        .await;
    let second = rig.node(long_leases()).await;
    rig.sandbox.wait_for(40).await;
    first.kill();
    second.owns(1).await;
    // What the first one had claimed falls due when its claims lapse.
    let patience = Duration::from_secs(40);
    until_within(patience, "the outbox is empty", async || rig.number("SELECT count(*) FROM outbox").await == 0).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    rig.assert_no_overlap(Duration::from_millis(50));
    second.running.stop().await;
}

#[tokio::test]
async fn an_owner_that_dies_is_followed_when_its_lease_lapses() {
    let rig = Rig::scripted(json!({})).await;
    let first = Process::start(&rig, fast()).await;
    first.node.owns(1).await;
    let before = rig.put_texts(20).await;
    rig.all_sent(&before).await;
    let replica = first.node.replica;
    first.kill();
    // As behind a pooler, where presence cannot be shown.
    rig.database.execute(&format!("UPDATE replicas SET has_presence = false WHERE replica_id = '{replica}'")).await;
    let second = rig.node(fast()).await;
    let after = rig.put_texts(20).await;
    rig.all_sent(&after).await;
    rig.assert_delivered_once(&[before, after].concat());
    second.running.stop().await;
}

#[tokio::test]
async fn a_late_result_of_a_superseded_claim_changes_nothing() {
    let slow = json!({ "kind": "normal", "delayMillis": 700 });
    let rig = Rig::scripted(json!({ "rules": [{ "answer": slow }] })).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(fast()).await;
    rig.sandbox.wait_for(1).await;
    rig.database
        .execute("UPDATE outbox SET claim = claim + 1, claimed_until = claimed_until + interval '1 hour'")
        .await;
    until("the late result is counted", async || node.metrics.results_superseded.get() == 1).await;
    let message = rig.read(&messages[0]).await;
    assert_eq!((message.status.as_str(), message.platform_references.len()), ("processing", 0));
    assert_eq!(rig.number("SELECT count(*) FROM attempts").await, 0);
    assert_eq!(rig.number("SELECT claim FROM outbox WHERE due_reason = 'claimed'").await, 2);
    assert_eq!(node.metrics.settled.with_label_values(&["sent", "0"]).get(), 0, "it did not leave the outbox");
    node.running.stop().await;
}

#[tokio::test]
async fn an_owner_whose_lease_was_taken_claims_nothing_more() {
    let rig = Rig::scripted(json!({})).await;
    // An owner that looks at its leases when it starts and then never again, as one that was paused.
    let long = Duration::from_secs(600);
    let paused = Settings { tick: long, idle_tick: long, lease: long, ..fast() };
    let node = rig.node(paused).await;
    node.owns(1).await;
    // Once more when its presence shows.
    until("it has looked", async || node.statements(Some("store.lease.hold")) > 1).await;
    let taken = "UPDATE channel_leases SET replica_id = gen_random_uuid(), epoch = epoch + 1";
    rig.database.execute(taken).await;
    let messages = rig.put_texts(5).await;
    let claims = node.statements(Some("store.outbox.claim"));
    node.wake.due(rig.tenant.channel.id, Lane::Normal, messages[0].due_at);
    until("it tries to claim", async || node.statements(Some("store.outbox.claim")) > claims + 2).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    assert_eq!(rig.number("SELECT count(*) FROM outbox WHERE claim = 0").await, 5);
    node.running.stop().await;
}

#[tokio::test]
async fn one_channel_of_many_is_owned_by_one_replica_each() {
    let rig = Rig::scripted(json!({})).await;
    let mut messages = rig.put_texts(5).await;
    messages.extend(to_each(&rig, &channels(&rig, 20).await).await);
    let retry = RetryPolicy { tries_max: 3, ..fast().retry };
    let settings = Settings { retry, ..fast() };
    let (first, second) = (rig.node(settings).await, rig.node(settings).await);
    rig.all_sent(&messages).await;
    assert_eq!(rig.sandbox.ledger().len(), messages.len());
    until("all are owned", async || first.metrics.channels_owned.get() + second.metrics.channels_owned.get() == 21)
        .await;
    first.running.stop().await;
    second.owns(21).await;
    second.running.stop().await;
}

#[tokio::test]
async fn a_replica_that_joins_gets_its_share_and_nothing_is_sent_twice() {
    let rig = Rig::scripted(json!({ "latencyMillis": 10 })).await;
    let channels = channels(&rig, 20).await;
    let mut messages = to_each(&rig, &channels).await;
    let settings = Settings { idle_after: Duration::from_secs(1), ..fast() };
    let first = rig.node(settings).await;
    first.owns(21).await;
    let second = rig.node(settings).await;
    let owned = || [&first, &second].map(|node| node.metrics.channels_owned.get());
    // Of channels with work only those far beyond its share are given up, the others when they are calm.
    until("busy channels change hands", async || {
        messages.extend(to_each(&rig, &channels).await);
        owned()[1] >= 5
    })
    .await;
    messages.extend(to_each(&rig, &channels).await);
    rig.all_sent(&messages).await;
    until("channels are shared", async || matches!(owned(), [10, 11] | [11, 10])).await;
    messages.extend(to_each(&rig, &channels).await);
    first.running.stop().await;
    second.owns(21).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    assert_eq!(rig.sandbox.ledger().len(), messages.len());
    second.running.stop().await;
}

#[tokio::test]
async fn a_hint_reaches_the_owner_from_another_replica() {
    let rig = Rig::scripted(json!({})).await;
    let long = Duration::from_secs(600);
    // Neither looks by itself in the time of the test.
    let rare = Settings { poll: long, idle_tick: long, lease: long, ..fast() };
    let owner = rig.node(rare).await;
    owner.owns(1).await;
    until("it has looked once", async || owner.statements(Some("store.outbox.claim")) > 0).await;
    let other = rig.node(rare).await;
    rig.until_number("SELECT count(*) FROM replicas WHERE has_presence", 2).await;
    for _ in 0..3 {
        let messages = rig.put_texts(5).await;
        other.wake.due(rig.tenant.channel.id, Lane::Normal, messages[0].due_at);
        rig.all_sent(&messages).await;
    }
    assert_eq!((owner.metrics.channels_owned.get(), other.metrics.channels_owned.get()), (1, 0));
    other.running.stop().await;
    owner.running.stop().await;
}

#[tokio::test]
async fn a_paused_owner_begins_no_call_past_its_lease_for_what_it_had_claimed() {
    let rig = Rig::scripted(json!({})).await.at_rate(20).await;
    let messages = rig.put_texts(100).await;
    let (second, long) = (Duration::from_secs(1), Duration::from_secs(600));
    // It renews when it starts and when its presence shows, and never again; what it claimed stays usable.
    let paused = Settings { tick: long, idle_tick: long, lease: second, claim_fresh: Duration::from_secs(4), ..fast() };
    let first = rig.node(paused).await;
    rig.sandbox.wait_for(5).await;
    rig.until_number("SELECT count(*) FROM replicas WHERE lease_expires_at < clock_timestamp()", 1).await;
    let claimed = rig.number("SELECT count(*) FROM outbox WHERE due_reason = 'claimed'").await;
    assert!(claimed > 0, "it has nothing left to send");
    let other = rig.node(fast()).await;
    other.owns(1).await;
    // What the paused one had claimed it gives back in the end.
    rig.until_number("SELECT count(*) FROM outbox WHERE due_reason = 'claimed'", 0).await;
    let by_first = format!("FROM attempts a JOIN replicas USING (replica_id) WHERE replica_id = '{}'", first.replica);
    assert!(rig.number(&format!("SELECT count(*) {by_first}")).await >= 5);
    assert_eq!(rig.number(&format!("SELECT count(*) {by_first} AND a.started_at > lease_expires_at")).await, 0);
    other.running.stop().await;
    first.running.stop().await;
    let last = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    last.running.stop().await;
}
