//! Trying again: what is repeated, how often, and how it ends.

use std::time::Duration;

use domain::budget::BudgetPolicy;
use domain::decision::RetryPolicy;
use domain::gate::GatePolicy;
use domain::lifecycle::Status;
use engine::Settings;
use serde_json::json;
use store::accept::NewMessage;

use crate::messages::{after, part_ids};
use crate::rig::{Rig, fast};

/// Settings with few tries, and without a breaker.
fn few_tries() -> Settings {
    Settings {
        retry: RetryPolicy { tries_max: 3, ..fast().retry },
        gate: GatePolicy { troubles_max: 1_000, ..fast().gate },
        ..fast()
    }
}

/// Attempts with an outcome.
fn attempts(outcome: &str) -> String {
    format!("SELECT count(*) FROM attempts WHERE outcome = '{outcome}'")
}

#[tokio::test]
async fn a_failing_provider_that_mends_is_tried_until_then() {
    let rig = Rig::scripted(json!({ "rules": [{ "times": 4, "answer": { "kind": "framework" } }] })).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    assert_eq!(rig.sandbox.ledger().len(), 5);
    assert_eq!((rig.number(&attempts("try_again")).await, rig.number(&attempts("sent")).await), (4, 1));
    node.running.stop().await;
}

#[tokio::test]
async fn many_messages_outlive_a_failing_provider() {
    let rig = Rig::scripted(json!({ "rules": [{ "times": 60, "answer": { "kind": "html" } }] })).await;
    let messages = rig.put_texts(100).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    assert_eq!(rig.sandbox.ledger().len(), 160);
    rig.until_number("SELECT count(*) FROM channel_gates", 0).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_provider_that_always_fails_is_called_as_often_as_allowed() {
    for settings in [few_tries(), Settings { gate: fast().gate, ..few_tries() }] {
        let rig = Rig::scripted(json!({ "rules": [{ "answer": { "kind": "framework" } }] })).await;
        let messages = rig.put_texts(4).await;
        let node = rig.node(settings).await;
        for message in &messages {
            assert_eq!(rig.ended(message).await, (Status::SendingFailed, Some(12001)));
        }
        assert_eq!(rig.sandbox.ledger().len(), 12);
        assert_eq!(rig.number(&attempts("try_again")).await, 12);
        assert_eq!(node.metrics.settled.with_label_values(&["sending_failed", "12001"]).get(), 4);
        node.running.stop().await;
    }
}

#[tokio::test]
async fn what_the_provider_refuses_is_not_tried_again() {
    let rig = Rig::scripted(json!({ "rules": [{ "answer": { "kind": "framework", "status": 400 } }] })).await;
    let messages = rig.put_texts(10).await;
    let node = rig.node(fast()).await;
    for message in &messages {
        assert_eq!(rig.ended(message).await, (Status::SendingFailed, Some(12006)));
    }
    assert_eq!(rig.sandbox.ledger().len(), 10);
    assert_eq!(rig.number("SELECT count(*) FROM channel_gates").await, 0);
    node.running.stop().await;
}

#[tokio::test]
async fn of_a_provider_that_fails_by_half_a_tenth_is_repeated_and_the_others_wait() {
    let failing = json!({ "probability": 0.5, "seed": 7, "answer": { "kind": "framework" } });
    let rig = Rig::scripted(json!({ "rules": [failing] })).await;
    let budget = BudgetPolicy { percent: 10, floor: 15, every: Duration::from_secs(600) };
    let messages = rig.put_texts(200).await;
    let node = rig.node(Settings { retry_budget: budget, ..few_tries() }).await;
    let tried = "SELECT count(DISTINCT message_id) FROM attempts";
    rig.until_number(tried, 200).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_at < clock_timestamp() + interval '5 seconds'", 0).await;
    node.ticks(5).await;
    let calls = rig.sandbox.ledger().len();
    // A full budget earns nothing, and that is how it begins.
    assert!((215..=235).contains(&calls), "{calls} calls of 200 messages");
    let waiting =
        rig.number("SELECT count(*) FROM outbox WHERE due_reason = 'back_off' AND tries BETWEEN 1 AND 2").await;
    let sent = rig.statuses(&messages).await.get(Status::Sent.as_str()).copied().unwrap_or_default();
    let failed = rig.statuses(&messages).await.get(Status::SendingFailed.as_str()).copied().unwrap_or_default();
    assert_eq!(waiting, i64::try_from(200 - sent - failed).expect("small"), "none is lost by waiting");
    assert!(node.metrics.restraint.retries_put_off.get() >= u64::try_from(waiting).expect("a count"));
    node.running.stop().await;
}

#[tokio::test]
async fn a_repetition_that_has_no_budget_goes_in_the_last_moments_of_its_validity() {
    let rig = Rig::scripted(json!({ "rules": [{ "times": 1, "answer": { "kind": "framework" } }] })).await;
    let budget = BudgetPolicy { percent: 0, floor: 0, every: Duration::from_secs(600) };
    // Half a minute before the end it waits no longer.
    let message = NewMessage { expires_at: after(rig.store().now(), 33_000), ..rig.message("text") };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(Settings { retry_budget: budget, ..fast() }).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_at > clock_timestamp() + interval '1 second'", 1).await;
    rig.all_sent(&[message]).await;
    node.running.stop().await;
}

#[tokio::test]
async fn an_unknown_outcome_is_repeated_under_the_same_id() {
    for kind in ["reset", "close", "halfClose", "cutJson", "garbage", "hang"] {
        let rig = Rig::scripted(json!({ "rules": [{ "times": 1, "answer": { "kind": kind } }] })).await;
        let messages = rig.put_texts(1).await;
        let node = rig.node(Settings { call_timeout: Duration::from_millis(500), ..fast() }).await;
        rig.all_sent(&messages).await;
        rig.assert_delivered_once(&messages);
        let ids: Vec<_> = rig.sandbox.ledger().into_iter().filter_map(|entry| entry.message_id).collect();
        assert_eq!(ids, [part_ids(&messages[0]), part_ids(&messages[0])].concat(), "{kind}");
        assert_eq!((rig.number(&attempts("unknown")).await, rig.number(&attempts("sent")).await), (1, 1), "{kind}");
        let in_order = "SELECT count(*) FROM attempts a JOIN attempts b USING (message_id) \
            WHERE a.outcome = 'unknown' AND b.outcome = 'sent' AND a.finished_at <= b.started_at AND a.claim < b.claim";
        assert_eq!(rig.number(in_order).await, 1, "{kind}");
        node.running.stop().await;
    }
}

#[tokio::test]
async fn an_unknown_outcome_whose_repetition_is_a_duplicate_ends_unknown() {
    let script = json!({ "duplicates": "error", "rules": [{ "times": 1, "answer": { "kind": "reset" } }] });
    let rig = Rig::scripted(script).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(fast()).await;
    assert_eq!(rig.ended(&messages[0]).await, (Status::SendingFailed, Some(16002)));
    rig.assert_delivered_once(&messages);
    assert_eq!(rig.sandbox.ledger().len(), 2);
    assert_eq!((rig.number(&attempts("unknown")).await, rig.number(&attempts("duplicate")).await), (1, 1));
    node.running.stop().await;
}

#[tokio::test]
async fn what_is_always_cut_ends_unknown() {
    let rig = Rig::scripted(json!({ "rules": [{ "answer": { "kind": "reset" } }] })).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(few_tries()).await;
    assert_eq!(rig.ended(&messages[0]).await, (Status::SendingFailed, Some(16002)));
    assert_eq!(rig.sandbox.ledger().len(), 3);
    rig.assert_delivered_once(&messages);
    node.running.stop().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_does_not_stop_the_others() {
    let body = r#"{"data":{"messageId":"m","waId":"wamid.\u0000"},"status":"success"}"#;
    let answer = json!({ "kind": "status", "status": 200, "body": body });
    let rig = Rig::scripted(json!({ "rules": [{ "match": { "textContains": "poison" }, "answer": answer }] })).await;
    let poison = rig.message("poison");
    rig.put(&[poison]).await;
    let node = rig.node(fast()).await;
    rig.sandbox.wait_for(1).await;
    node.ticks(2).await;
    let messages = rig.put_texts(10).await;
    rig.all_sent(&messages).await;
    node.running.stop().await;
}

#[tokio::test]
async fn claims_that_nobody_settled_use_up_the_tries() {
    let rig = Rig::scripted(json!({})).await;
    let messages = rig.put_texts(2).await;
    rig.database.execute("UPDATE outbox SET tries = 10, claim = 10, due_reason = 'claimed'").await;
    let first = messages[0].id;
    rig.database.execute(&format!("UPDATE outbox SET tries = 9 WHERE message_id = '{first}'")).await;
    let node = rig.node(fast()).await;
    assert_eq!(rig.ended(&messages[0]).await, (Status::Sent, None));
    // Each lapsed claim may have been sent.
    assert_eq!(rig.ended(&messages[1]).await, (Status::SendingFailed, Some(16002)));
    assert_eq!(rig.sandbox.ledger().len(), 1);
    node.running.stop().await;
}
