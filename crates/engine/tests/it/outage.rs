//! The database away: nothing is lost, nothing is delivered twice, nothing stays stuck.

use std::time::Duration;

use engine::Settings;
use serde_json::json;
use store::accept::NewMessage;
use store::connect::Database;

use crate::forwarder::{Forwarder, Wire};
use crate::rig::{Node, Rig, fast};
use crate::wait::{until, until_within};

const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// Claims that were lost with an answer fall due again after the longest use, and ten seconds.
fn short_claims() -> Settings {
    Settings { call_timeout: Duration::from_secs(1), claim_fresh: Duration::from_secs(1), ..fast() }
}

/// Waits until all are sent, with time for claims to lapse.
async fn all_sent_at_last(rig: &Rig, messages: &[NewMessage]) {
    let patience = Duration::from_secs(50);
    until_within(patience, "the outbox is empty", async || rig.number("SELECT count(*) FROM outbox").await == 0).await;
    rig.all_sent(messages).await;
}

#[tokio::test]
async fn connections_that_are_ended_again_and_again_lose_nothing() {
    let rig = Rig::scripted(json!({ "latencyMillis": 20 })).await.at_rate(200).await;
    let messages = rig.put_texts(300).await;
    let node = rig.node(short_claims()).await;
    for step in 1..=8 {
        rig.sandbox.wait_for(step * 30).await;
        assert!(rig.number(TERMINATE).await > 0);
    }
    all_sent_at_last(&rig, &messages).await;
    rig.assert_delivered_once(&messages);
    until("results can be written", async || node.metrics.recording.get() == 1).await;
    node.running.stop().await;
}

#[tokio::test]
async fn answers_that_are_lost_after_the_commit_lose_nothing() {
    let rig = Rig::scripted(json!({ "latencyMillis": 20 })).await.at_rate(200).await;
    let messages = rig.put_texts(300).await;
    let wire = Forwarder::start(&rig.database.url).await;
    let node = Node::start(&wire.url(&rig.database.url), &rig.sandbox.url(), short_claims()).await;
    for step in 1..=5 {
        rig.sandbox.wait_for(step * 30).await;
        let harm = wire.harm();
        wire.set(Wire::Mute);
        until("answers are lost", async || wire.harm() >= harm + 2).await;
        wire.set(Wire::Cut);
        let harm = wire.harm();
        until("connections are refused", async || wire.harm() > harm).await;
        wire.set(Wire::Whole);
    }
    all_sent_at_last(&rig, &messages).await;
    rig.assert_delivered_once(&messages);
    rig.assert_no_overlap(Duration::from_millis(20));
    let twice = "SELECT count(*) FROM messages WHERE cardinality(platform_references) <> 1";
    assert_eq!(rig.number(twice).await, 0);
    node.running.stop().await;
}

#[tokio::test]
async fn nothing_new_is_sent_while_results_cannot_be_written() {
    let rig = Rig::scripted(json!({ "latencyMillis": 200 })).await.at_rate(50).await;
    let messages = rig.put_texts(100).await;
    let wire = Forwarder::start(&rig.database.url).await;
    let node = Node::start(&wire.url(&rig.database.url), &rig.sandbox.url(), fast()).await;
    rig.sandbox.wait_for(10).await;
    wire.set(Wire::Cut);
    until("the engine notices", async || node.metrics.recording.get() == 0).await;
    until("calls end", async || node.metrics.calls_in_flight.get() == 0).await;
    let calls = rig.sandbox.ledger().len();
    let harm = wire.harm();
    until("it tries to write again", async || wire.harm() >= harm + 5).await;
    assert_eq!(rig.sandbox.ledger().len(), calls);
    wire.set(Wire::Whole);
    all_sent_at_last(&rig, &messages).await;
    assert_eq!(rig.sandbox.ledger().len(), messages.len(), "what was sent and kept in memory is not sent again");
    node.running.stop().await;
}

#[tokio::test]
async fn little_is_sent_while_a_result_takes_long_to_write() {
    let rig = Rig::scripted(json!({ "latencyMillis": 20 })).await.at_rate(50).await;
    let messages = rig.put_texts(300).await;
    let node = rig.node(fast()).await;
    rig.sandbox.wait_for(20).await;
    // Results wait behind the lock; claims do not need it.
    let database = Database::parse(&rig.database.url).expect("our own address");
    let holder = database.connect().await.expect("the cluster runs");
    holder.batch_execute("BEGIN; LOCK TABLE attempts").await.expect("locked");
    let calls = rig.sandbox.ledger().len();
    until("the engine notices by itself", async || node.metrics.recording.get() == 0).await;
    // Until then there were five seconds.
    let during = rig.sandbox.ledger().len() - calls;
    assert!(during <= 125, "{during} calls");
    holder.batch_execute("ROLLBACK").await.expect("unlocked");
    all_sent_at_last(&rig, &messages).await;
    assert_eq!(rig.sandbox.ledger().len(), messages.len());
    node.running.stop().await;
}
