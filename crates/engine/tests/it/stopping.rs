//! Stopping: what is under way ends and is written, the rest is given back, nothing hangs.

use std::time::Duration;

use serde_json::json;

use crate::forwarder::{Forwarder, Wire};
use crate::rig::{Node, Rig, fast};
use crate::wait::until;

const LEASED: &str = "SELECT count(*) FROM channel_leases WHERE replica_id IS NOT NULL";
const REPLICAS: &str = "SELECT count(*) FROM replicas";

#[tokio::test]
async fn a_graceful_stop_settles_what_is_under_way_and_gives_the_rest_back() {
    let rig = Rig::scripted(json!({ "latencyMillis": 300 })).await.at_rate(40).await;
    rig.put_texts(100).await;
    let node = rig.node(fast()).await;
    rig.sandbox.wait_for(10).await;
    assert!(rig.number("SELECT count(*) FROM outbox WHERE due_reason = 'claimed'").await > 0);
    node.running.stop().await;
    let calls = rig.sandbox.ledger();
    let sent = i64::try_from(calls.len()).expect("few");
    assert!((10..100).contains(&sent), "{sent}");
    assert_eq!(node.metrics.calls_in_flight.get(), 0);
    assert_eq!(rig.number("SELECT count(*) FROM messages WHERE status = 'sent'").await, sent);
    assert_eq!(rig.number("SELECT count(*) FROM attempts WHERE outcome = 'sent'").await, sent);
    let untouched = "SELECT count(*) FROM outbox WHERE tries = 0 AND due_reason = 'requested' AND NOT maybe_sent";
    assert_eq!(rig.number(untouched).await, 100 - sent);
    assert_eq!(rig.number("SELECT count(*) FROM outbox WHERE due_at > clock_timestamp()").await, 0);
    assert_eq!((rig.number(LEASED).await, rig.number(REPLICAS).await), (0, 0));
}

#[tokio::test]
async fn an_idle_engine_stops_at_once() {
    let rig = Rig::scripted(json!({})).await;
    let node = rig.node(fast()).await;
    node.owns(1).await;
    tokio::time::timeout(Duration::from_secs(2), node.running.stop()).await.expect("nothing is waited for");
    assert_eq!((rig.number(LEASED).await, rig.number(REPLICAS).await), (0, 0));
}

#[tokio::test]
async fn a_handle_that_is_dropped_stops_the_engine_too() {
    let rig = Rig::scripted(json!({})).await;
    let node = rig.node(fast()).await;
    node.owns(1).await;
    drop(node);
    rig.until_number(LEASED, 0).await;
    rig.until_number(REPLICAS, 0).await;
}

#[tokio::test]
async fn a_stop_while_a_gate_is_closed_does_not_wait_for_it() {
    let rig = Rig::with_key("a-wrong-key", json!({})).await;
    rig.put_texts(20).await;
    let gate = domain::gate::GatePolicy { credentials_probe: Duration::from_secs(600), ..fast().gate };
    let node = rig.node(engine::Settings { gate, ..fast() }).await;
    rig.until_number("SELECT count(*) FROM channel_gates", 1).await;
    tokio::time::timeout(Duration::from_secs(2), node.running.stop()).await.expect("nothing is waited for");
    assert_eq!(rig.number("SELECT count(*) FROM outbox WHERE tries = 0 AND due_reason <> 'claimed'").await, 20);
    assert_eq!(node.metrics.gates_closed.with_label_values(&["credentials"]).get(), 0);
}

#[tokio::test]
async fn a_stop_without_a_database_is_bounded() {
    let rig = Rig::scripted(json!({ "latencyMillis": 200 })).await.at_rate(50).await;
    rig.put_texts(100).await;
    let wire = Forwarder::start(&rig.database.url).await;
    let node = Node::start(&wire.url(&rig.database.url), &rig.sandbox.url(), fast()).await;
    rig.sandbox.wait_for(10).await;
    wire.set(Wire::Cut);
    until("the engine notices", async || node.metrics.recording.get() == 0).await;
    // The longest call and the engine's margin.
    let patience = fast().call_timeout + Duration::from_secs(6);
    tokio::time::timeout(patience, node.running.stop()).await.expect("a bounded stop");
    let calls = rig.sandbox.ledger().len();
    assert!(calls < 100, "{calls}");
}
