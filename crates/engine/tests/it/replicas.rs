//! Several replicas on one database: one owner at a time, and the next one goes on where it ended.

use std::time::Duration;

use domain::decision::RetryPolicy;
use engine::Settings;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::rig::{Node, Rig, fast};
use crate::wait::{until, until_within};

/// A node that can be killed: on a runtime of its own.
struct Process {
    node: Node,
    runtime: Runtime,
}

impl Process {
    async fn start(rig: &Rig, settings: Settings) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let (database, provider) = (rig.database.url.clone(), rig.sandbox.url());
        let starting = runtime.spawn(async move { Node::start(&database, &provider, settings).await });
        Self { node: starting.await.expect("it starts"), runtime }
    }

    /// Ends it in the middle of everything: tasks vanish, connections drop.
    fn kill(self) {
        std::mem::forget(self.node.running);
        self.runtime.shutdown_background();
    }
}

/// Settings whose leases outlast the test, so that only presence tells that an owner is gone.
fn long_leases() -> Settings {
    let second = Duration::from_secs(1);
    Settings { lease: Duration::from_secs(600), call_timeout: second, claim_fresh: second, ..fast() }
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
    // An owner that looks at its leases once and then never again, as one that was paused.
    let long = Duration::from_secs(600);
    let paused = Settings { tick: long, idle_tick: long, lease: long, ..fast() };
    let node = rig.node(paused).await;
    node.owns(1).await;
    let taken = "UPDATE channel_leases SET replica_id = gen_random_uuid(), epoch = epoch + 1";
    rig.database.execute(taken).await;
    rig.put_texts(5).await;
    let claims = node.statements(Some("store.outbox.claim"));
    until("it tries to claim", async || node.statements(Some("store.outbox.claim")) > claims + 2).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    assert_eq!(rig.number("SELECT count(*) FROM outbox WHERE claim = 0").await, 5);
    node.running.stop().await;
}

#[tokio::test]
async fn one_channel_of_many_is_owned_by_one_replica_each() {
    let rig = Rig::scripted(json!({})).await;
    let mut messages = rig.put_texts(5).await;
    for _ in 0..20 {
        let settings = rig.tenant.channel.settings.clone();
        let channel =
            testkit::Tenant::create_channel(rig.store(), rig.tenant.workspace, &settings, crate::rig::KEY).await;
        let message = store::accept::NewMessage { channel: channel.id, ..rig.message("text") };
        rig.put(std::slice::from_ref(&message)).await;
        messages.push(message);
    }
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
