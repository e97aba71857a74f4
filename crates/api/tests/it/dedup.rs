//! Deduplication as clients meet it: repeat what you like, it is sent once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Answer, Harness, message, text};

const KEY: &str = "Idempotency-Key";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_equal_requests_at_once_one_is_stored() {
    let harness = Arc::new(Harness::start().await);
    let mut sending = JoinSet::new();
    for _ in 0..100 {
        let harness = harness.clone();
        sending.spawn(async move { harness.send(&under_key("order-1")).await });
    }
    let answers = sending.join_all().await;
    let first = text(&answers[0].expect(202), "id");
    assert!(answers.iter().all(|answer| text(&answer.expect(202), "id") == first));
    assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
    for table in ["messages", "outbox", "message_keys", "contacts"] {
        assert_eq!(harness.rows(table).await, 1, "{table}");
    }
    assert_eq!(harness.hints.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_repetition_is_known_even_where_the_request_would_be_refused_now() {
    let harness = Harness::start().await;
    let first = text(&harness.send(&under_key("k")).await.expect(202), "id");
    let channel = format!("/workspaces/{}/channels/{}", harness.tenant.workspace, harness.tenant.channel.id);
    harness.admin(Method::PATCH, &channel, Some(json!({ "status": "inactive" }))).await.expect(200);
    let again = harness.send(&under_key("k")).await;
    assert_eq!(text(&again.expect(202), "id"), first);
    assert!(is_replay(&again));
    let mut other = under_key("k");
    other["reference"] = json!("another");
    harness.send(&other).await.expect(422);
    harness.send(&under_key("l")).await.expect(422);
    harness.stop().await;
}

#[tokio::test]
async fn order_of_properties_white_space_and_escapes_make_no_other_request() {
    let harness = Harness::start().await;
    let first = r#"{"messageId":"k","receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"+254712345678"}]},"body":{"type":"text","text":{"text":"Hé"}}}"#;
    let same = r#" { "body" : { "text" : { "text" : "H\u00e9" }, "type" : "text" },
        "receiver" : { "contacts" : [ { "identifierValue" : "+254712345678", "identifierKey" : "phonenumber" } ] }, "messageId" : "k" } "#;
    let id = text(&harness.send_text(first.to_owned(), &[]).await.expect(202), "id");
    let again = harness.send_text(same.to_owned(), &[]).await;
    assert_eq!(text(&again.expect(202), "id"), id);
    assert!(is_replay(&again));
    harness.stop().await;
}

#[tokio::test]
async fn another_request_under_the_same_key_conflicts_whatever_differs() {
    let harness = Harness::start().await;
    let first = harness.send(&under_key("k")).await;
    assert!(!is_replay(&first));
    first.expect(202);
    for (pointer, value) in [
        ("/body/text/text", json!("Jambo")),
        ("/receiver/contacts/0/identifierValue", json!("+254712345679")),
        ("/reference", json!("order-2")),
        ("/tags", json!(["vip"])),
        ("/validity", json!(600)),
        ("/meta", json!({ "extraInformation": { "a": 1 } })),
    ] {
        let mut other = under_key("k");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        other.pointer_mut(parent).unwrap()[name.to_owned()] = value;
        let refused = harness.send(&other).await;
        assert_eq!(refused.code(409), "MessageIdConflict", "{pointer}");
        assert!(!is_replay(&refused));
        assert_eq!(refused.json().get("details"), None);
    }
    assert_eq!(harness.rows("messages").await, 1);
    harness.stop().await;
}

#[tokio::test]
async fn the_header_is_the_same_key_as_the_property() {
    let harness = Harness::start().await;
    let by_header = harness.send_text(message().to_string(), &[(KEY, "k")]).await;
    let id = text(&by_header.expect(202), "id");
    let by_property = harness.send(&under_key("k")).await;
    let by_both = harness.send_text(under_key("k").to_string(), &[(KEY, "k")]).await;
    for again in [by_property, by_both] {
        assert_eq!(text(&again.expect(202), "id"), id);
        assert!(is_replay(&again));
    }
    let other = harness.send_text(message().to_string(), &[(KEY, "K")]).await;
    assert_ne!(text(&other.expect(202), "id"), id);
    harness.stop().await;
}

#[tokio::test]
async fn without_a_key_equal_requests_are_two_messages() {
    let harness = Harness::start().await;
    let first = text(&harness.send(&message()).await.expect(202), "id");
    let second = harness.send(&message()).await;
    assert!(!is_replay(&second));
    assert_ne!(text(&second.expect(202), "id"), first);
    harness.stop().await;
}

#[tokio::test]
async fn a_key_belongs_to_its_workspace_and_not_to_its_channel() {
    let harness = Harness::start().await;
    let id = text(&harness.send(&under_key("k")).await.expect(202), "id");
    let key = format!("AccessKey {}", harness.other.access_key);
    let path = harness.other.messages_path();
    let theirs =
        harness.request(Method::POST, &path, &[("Authorization", &key)], Some(under_key("k").to_string())).await;
    assert_ne!(text(&theirs.expect(202), "id"), id);
    assert!(!is_replay(&theirs));
    let tenant = &harness.tenant;
    let second =
        testkit::Tenant::create_channel(&harness.database.store, tenant.workspace, &tenant.channel.settings, "k").await;
    let path = format!("/workspaces/{}/channels/{}/messages", tenant.workspace, second.id);
    let elsewhere = harness
        .request(Method::POST, &path, &[("Authorization", &harness.access_key())], Some(under_key("k").to_string()))
        .await;
    assert_eq!(elsewhere.code(409), "MessageIdConflict");
    harness.stop().await;
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_key() {
    let harness = Harness::start().await;
    let mut bad = under_key("k");
    bad["validity"] = json!(0);
    assert_eq!(harness.send(&bad).await.code(422), "InvalidPayload");
    let sent = harness.send(&under_key("k")).await;
    assert!(!is_replay(&sent));
    sent.expect(202);
    harness.stop().await;
}

#[tokio::test]
async fn a_replay_shows_the_message_as_it_stands_now() {
    let harness = Harness::start().await;
    let first = harness.send(&under_key("k")).await.expect(202);
    assert_eq!(first["status"], "accepted");
    harness
        .database
        .execute("DELETE FROM outbox; UPDATE messages SET status = 'sent', platform_references = '{wamid.1}'")
        .await;
    let now = harness.send(&under_key("k")).await.expect(202);
    assert_eq!((&now["id"], &now["status"]), (&first["id"], &json!("sent")));
    assert_eq!(now["parts"], json!([{ "platformReference": "wamid.1" }]));
    assert_eq!(harness.rows("outbox").await, 0);
    harness.stop().await;
}

fn under_key(key: &str) -> Value {
    let mut message = message();
    message["messageId"] = json!(key);
    message
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}
