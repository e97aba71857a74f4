//! Nothing to do: the engine waits and does not spin.

use std::time::Duration;

use domain::gate::GatePolicy;
use engine::Settings;
use serde_json::json;

use crate::rig::{Node, Rig, fast};

/// Looks and renewals in a second with these settings are about thirty statements; a busy loop makes thousands.
const STATEMENTS_MAX: u64 = 100;
/// Ticks in about a second.
const SECOND_TICKS: u64 = 10;

async fn assert_calm(node: &Node) {
    let before = node.statements(None);
    node.ticks(SECOND_TICKS).await;
    let statements = node.statements(None) - before;
    assert!(statements <= STATEMENTS_MAX, "{statements} statements");
}

fn closed_for_long() -> Settings {
    let long = Duration::from_secs(600);
    let gate = GatePolicy { credentials_probe: long, ..fast().gate };
    Settings { gate, call_timeout: Duration::from_secs(15), ..fast() }
}

#[tokio::test]
async fn an_engine_with_nothing_to_do_is_calm() {
    let rig = Rig::scripted(json!({})).await;
    let node = rig.node(fast()).await;
    node.owns(1).await;
    assert_calm(&node).await;
    let messages = rig.put_texts(10).await;
    rig.all_sent(&messages).await;
    assert_calm(&node).await;
    node.running.stop().await;
}

#[tokio::test]
async fn an_engine_behind_a_closed_gate_is_calm() {
    let rig = Rig::with_key("a-wrong-key", json!({})).await;
    rig.put_texts(100).await;
    let node = rig.node(closed_for_long()).await;
    rig.until_number("SELECT count(*) FROM channel_gates", 1).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_reason = 'claimed'", 0).await;
    assert_calm(&node).await;
    node.running.stop().await;
}

#[tokio::test]
async fn an_engine_whose_channel_is_paused_is_calm() {
    let rig = Rig::scripted(json!({})).await;
    rig.pause(rig.channel(), None).await;
    rig.put_texts(100).await;
    let node = rig.node(fast()).await;
    node.owns(1).await;
    assert_calm(&node).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    node.running.stop().await;
}

#[tokio::test]
async fn an_engine_whose_probe_hangs_is_calm() {
    let rules = json!([{ "times": 1, "answer": { "kind": "normal" } }, { "answer": { "kind": "hang" } }]);
    let rig = Rig::with_key("a-wrong-key", json!({ "rules": rules })).await;
    rig.put_texts(1).await;
    let node = rig.node(Settings { gate: fast().gate, ..closed_for_long() }).await;
    rig.sandbox.wait_for(2).await;
    rig.put_texts(100).await;
    assert_calm(&node).await;
    assert_eq!(rig.sandbox.ledger().len(), 2, "one probe at a time");
    drop(node);
}

#[tokio::test]
async fn an_engine_whose_calls_all_hang_is_calm() {
    let rig = Rig::scripted(json!({ "rules": [{ "answer": { "kind": "hang" } }] })).await;
    rig.put_texts(200).await;
    let node = rig.node(Settings { channel_calls_max: 10, ..closed_for_long() }).await;
    rig.sandbox.wait_for(10).await;
    assert_calm(&node).await;
    assert_eq!(rig.sandbox.ledger().len(), 10);
    drop(node);
}

#[tokio::test]
async fn an_engine_whose_message_expired_under_way_is_calm() {
    let rig = Rig::scripted(json!({ "rules": [{ "answer": { "kind": "hang" } }] })).await;
    rig.put_texts(1).await;
    let node = rig.node(closed_for_long()).await;
    rig.sandbox.wait_for(1).await;
    rig.database.execute("UPDATE outbox SET expires_at = clock_timestamp()").await;
    assert_calm(&node).await;
    drop(node);
}
