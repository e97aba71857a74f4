//! The end of validity: what a message that was not sent in time ends with.

use std::time::Duration;

use domain::gate::GatePolicy;
use domain::lifecycle::Status;
use engine::Settings;
use serde_json::json;
use store::accept::NewMessage;

use crate::messages::after;
use crate::rig::{Node, Rig, fast};

/// A message that is valid for a second.
fn short_lived(rig: &Rig) -> NewMessage {
    let message = rig.message("short-lived");
    NewMessage { expires_at: after(message.created_at, 1_000), ..message }
}

#[tokio::test]
async fn behind_a_refused_key_it_ends_with_the_key() {
    let rig = Rig::with_key("a-wrong-key", json!({})).await;
    let message = short_lived(&rig);
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16003)));
    assert!(rig.read(&message).await.updated_at >= message.expires_at);
    node.running.stop().await;
}

#[tokio::test]
async fn behind_a_gate_that_is_closed_for_long_it_ends_in_time_all_the_same() {
    let rig = Rig::with_key("a-wrong-key", json!({})).await;
    let message = short_lived(&rig);
    rig.put(std::slice::from_ref(&message)).await;
    let gate = GatePolicy { credentials_probe: Duration::from_secs(600), ..fast().gate };
    let node = rig.node(Settings { gate, ..fast() }).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16003)));
    assert_eq!(rig.sandbox.ledger().len(), 1);
    node.running.stop().await;
}

#[tokio::test]
async fn behind_an_outage_it_ends_with_the_provider() {
    let rig = Rig::scripted(json!({})).await;
    let message = short_lived(&rig);
    rig.put(std::slice::from_ref(&message)).await;
    let node = Node::start(&rig.database.url, "http://127.0.0.1:1", fast()).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(12001)));
    node.running.stop().await;
}

#[tokio::test]
async fn what_nobody_tried_in_time_has_expired() {
    let rig = Rig::scripted(json!({})).await;
    let messages = rig.put_texts(600).await;
    rig.database.execute("UPDATE outbox SET expires_at = clock_timestamp() - interval '1 second'").await;
    let node = rig.node(fast()).await;
    for message in [&messages[0], &messages[599]] {
        assert_eq!(rig.ended(message).await, (Status::SendingFailed, Some(16001)));
    }
    rig.until_number("SELECT count(*) FROM messages WHERE status = 'sending_failed' AND failure_code = 16001", 600)
        .await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    assert_eq!(rig.number("SELECT count(*) FROM attempts").await, 0);
    node.running.stop().await;
}

#[tokio::test]
async fn a_scheduled_message_ends_when_it_expires_before_it_is_due() {
    let rig = Rig::scripted(json!({})).await;
    let message = short_lived(&rig);
    let message = NewMessage { due_at: after(message.created_at, 3_600_000), ..message };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16001)));
    assert_eq!(rig.sandbox.ledger().len(), 0);
    node.running.stop().await;
}

#[tokio::test]
async fn a_call_that_is_cut_by_the_end_of_validity_ends_unknown() {
    let rig = Rig::scripted(json!({ "rules": [{ "answer": { "kind": "hang" } }] })).await;
    let message = short_lived(&rig);
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(Settings { call_timeout: Duration::from_secs(20), ..fast() }).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16002)));
    assert_eq!(rig.sandbox.ledger().len(), 1);
    node.running.stop().await;
}
