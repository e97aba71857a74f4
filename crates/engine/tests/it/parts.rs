//! Messages of several parts: in order, each once, through faults between them.

use engine::Settings;
use serde_json::json;
use store::accept::NewMessage;

use crate::messages::{of_parts, part_ids};
use crate::rig::{Rig, fast};

fn three_parts(rig: &Rig) -> NewMessage {
    of_parts(&rig.tenant, rig.store().now(), &["one", "two", "three"])
}

#[tokio::test]
async fn parts_are_sent_in_order_and_each_leaves_its_reference() {
    let rig = Rig::scripted(json!({})).await;
    let messages: Vec<NewMessage> = (0..20).map(|_| three_parts(&rig)).collect();
    rig.put(&messages).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    let ledger = rig.sandbox.ledger();
    for message in &messages {
        let of_message =
            || ledger.iter().filter(|entry| part_ids(message).contains(&entry.message_id.clone().unwrap_or_default()));
        let arrived: Vec<String> = of_message().filter_map(|entry| entry.message_id.clone()).collect();
        let references: Vec<String> = of_message().filter_map(|entry| entry.wa_id.clone()).collect();
        assert_eq!(arrived, part_ids(message));
        assert_eq!(rig.read(message).await.platform_references, references);
    }
    node.running.stop().await;
}

#[tokio::test]
async fn a_fault_between_parts_is_resumed_at_its_part() {
    for kind in ["reset", "framework", "hang"] {
        let rule = json!({ "match": { "textContains": "two" }, "times": 1, "answer": { "kind": kind } });
        let rig = Rig::scripted(json!({ "rules": [rule] })).await;
        let message = three_parts(&rig);
        rig.put(std::slice::from_ref(&message)).await;
        let node = rig.node(Settings { call_timeout: std::time::Duration::from_millis(500), ..fast() }).await;
        rig.all_sent(std::slice::from_ref(&message)).await;
        rig.assert_delivered_once(std::slice::from_ref(&message));
        let [one, two, three] = &part_ids(&message)[..] else { panic!("three parts") };
        let arrived: Vec<_> = rig.sandbox.ledger().into_iter().filter_map(|entry| entry.message_id).collect();
        assert_eq!(arrived, [one, two, two, three].map(Clone::clone), "{kind}");
        assert_eq!(rig.read(&message).await.platform_references.len(), 3, "{kind}");
        node.running.stop().await;
    }
}

#[tokio::test]
async fn a_refused_part_ends_the_message_with_what_was_sent_on_record() {
    let rule = json!({ "match": { "textContains": "two" }, "answer": { "kind": "framework", "status": 400 } });
    let rig = Rig::scripted(json!({ "rules": [rule] })).await;
    let message = three_parts(&rig);
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    assert_eq!(rig.ended(&message).await.1, Some(12006));
    assert_eq!(rig.read(&message).await.platform_references.len(), 1);
    assert_eq!(rig.sandbox.ledger().len(), 2);
    node.running.stop().await;
}

#[tokio::test]
async fn tries_count_for_each_part_anew() {
    let failing = |text| json!({ "match": { "textContains": text }, "times": 2, "answer": { "kind": "framework" } });
    let rig = Rig::scripted(json!({ "rules": [failing("one"), failing("two"), failing("three")] })).await;
    let message = three_parts(&rig);
    rig.put(std::slice::from_ref(&message)).await;
    let retry = domain::decision::RetryPolicy { tries_max: 3, ..fast().retry };
    let node = rig.node(Settings { retry, ..fast() }).await;
    rig.all_sent(std::slice::from_ref(&message)).await;
    assert_eq!(rig.sandbox.ledger().len(), 9);
    node.running.stop().await;
}
