//! Batches: every item ends as a message, and one bad item takes no other with it.

use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, message, text};

impl Harness {
    fn batch_path(&self) -> String {
        self.tenant.messages_path().replace("/messages", "/batch/messages")
    }

    async fn batch(&self, body: &Value) -> Answer {
        self.request(Method::POST, &self.batch_path(), &[("Authorization", &self.access_key())], Some(body.to_string()))
            .await
    }
}

fn under_key(key: &str) -> Value {
    let mut item = message();
    item["messageId"] = json!(key);
    item
}

#[tokio::test]
async fn good_items_are_queued_and_bad_ones_become_rejected_messages() {
    let harness = Harness::start().await;
    let mut bad = message();
    bad["body"]["text"]["text"] = json!("");
    bad["extra"] = json!(1);
    bad["messageId"] = json!("bad");
    let answer = harness.batch(&json!({ "messageRequests": [message(), bad, 7, message()] })).await.expect(202);
    let statuses: Vec<&str> = (0..4).map(|n| answer["results"][n]["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["accepted", "rejected", "rejected", "accepted"]);
    assert_eq!((harness.rows("messages").await, harness.rows("outbox").await), (4, 2));
    assert_eq!(harness.rows("message_keys").await, 0, "a mended item may come again under its own key");
    assert_eq!(harness.hints.load(Ordering::Relaxed), 1);
    let ids: Vec<&Value> = answer["messageIds"].as_array().unwrap().iter().collect();
    for (place, id) in ids.iter().enumerate() {
        assert_eq!(**id, answer["results"][place]["id"]);
        let path = format!("{}/{}", harness.tenant.messages_path(), id.as_str().unwrap());
        let read = harness.get(&path).await.expect(200);
        assert_eq!((&read["status"], &read["batchId"]), (&answer["results"][place]["status"], &answer["batchId"]));
    }
    let rejected =
        harness.get(&format!("{}/{}", harness.tenant.messages_path(), ids[1].as_str().unwrap())).await.expect(200);
    assert_eq!(
        rejected["failure"],
        json!({ "code": 11002, "description": "INVALID_INPUT", "source": { "name": "tuma", "code": "" } })
    );
    let reason = ".body.text.text: must not be empty; .extra: property \"extra\" is unsupported";
    assert_eq!(rejected["reason"], reason);
    assert_eq!(answer["results"][1]["details"], reason);
    assert_eq!(rejected["receiver"]["contacts"][0]["identifierValue"], "+254712345678");
    let unread =
        harness.get(&format!("{}/{}", harness.tenant.messages_path(), ids[2].as_str().unwrap())).await.expect(200);
    assert_eq!(unread["receiver"], json!({ "contacts": [] }));
    assert_eq!(unread.get("body"), None);
}

#[tokio::test]
async fn a_repeated_batch_is_the_first_messages_again() {
    let harness = Harness::start().await;
    let batch = json!({ "messageRequests": [under_key("a"), under_key("b")] });
    let first = harness.batch(&batch).await.expect(202);
    let again = harness.batch(&batch).await.expect(202);
    assert_eq!(first["messageIds"], again["messageIds"]);
    assert_eq!(
        [&first["results"][0]["idempotentReplayed"], &again["results"][0]["idempotentReplayed"]],
        [&json!(false), &json!(true)]
    );
    assert_eq!(harness.rows("messages").await, 2);
    // The same request under the same key within one batch is one message.
    let twice = harness.batch(&json!({ "messageRequests": [under_key("c"), under_key("c")] })).await.expect(202);
    assert_eq!(twice["messageIds"][0], twice["messageIds"][1]);
    assert_eq!(harness.rows("outbox").await, 3);
}

#[tokio::test]
async fn an_item_whose_key_belongs_to_another_request_is_rejected_and_the_others_go() {
    let harness = Harness::start().await;
    harness.send(&under_key("a")).await.expect(202);
    let mut other = under_key("a");
    other["reference"] = json!("another");
    let answer = harness.batch(&json!({ "messageRequests": [other, under_key("b")] })).await.expect(202);
    assert_eq!([&answer["results"][0]["status"], &answer["results"][1]["status"]], ["rejected", "accepted"]);
    assert_eq!(answer["results"][0]["details"], ".messageId: another request was accepted under this messageId");
    assert_eq!((harness.rows("messages").await, harness.rows("outbox").await), (3, 2));
}

#[tokio::test]
async fn an_item_that_was_accepted_before_is_known_even_where_it_would_be_refused_now() {
    let harness = Harness::start().await;
    let batch = json!({ "messageRequests": [under_key("a"), under_key("b")] });
    let first = harness.batch(&batch).await.expect(202);
    let channel = format!("/workspaces/{}/channels/{}", harness.tenant.workspace, harness.tenant.channel.id);
    harness.admin(Method::PATCH, &channel, Some(json!({ "status": "inactive" }))).await.expect(200);
    let again = json!({ "messageRequests": [under_key("a"), under_key("c"), under_key("b")] });
    let again = harness.batch(&again).await.expect(202);
    assert_eq!([&again["messageIds"][0], &again["messageIds"][2]], [&first["messageIds"][0], &first["messageIds"][1]]);
    assert_eq!(
        [&again["results"][0]["idempotentReplayed"], &again["results"][1]["status"]],
        [&json!(true), &json!("rejected")]
    );
    assert_eq!((harness.rows("messages").await, harness.rows("outbox").await), (3, 2));
    // All of them, and nothing is left to store.
    let all = harness.batch(&batch).await.expect(202);
    assert_eq!(all["messageIds"], first["messageIds"]);
}

#[tokio::test]
async fn an_item_that_another_of_the_batch_replaces_is_told_to_be_skipped() {
    let harness = Harness::start().await;
    let mut item = message();
    item["collapseKey"] = json!("balance");
    let answer = harness.batch(&json!({ "messageRequests": [item, item] })).await.expect(202);
    assert_eq!([&answer["results"][0]["status"], &answer["results"][1]["status"]], ["skipped", "accepted"]);
    assert_eq!(answer["results"][0]["failure"]["code"], 16008);
    assert_eq!(harness.rows("outbox").await, 1);
}

#[tokio::test]
async fn items_keep_their_order() {
    let harness = Harness::start().await;
    let items: Vec<Value> = (0..100).map(|_| message()).collect();
    let answer = harness.batch(&json!({ "messageRequests": items })).await.expect(202);
    let ids: Vec<&str> = answer["messageIds"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert!(ids.is_sorted_by(|before, after| before < after), "{ids:?}");
    let listed = harness.get(&format!("{}?limit=100&reverse=true", harness.tenant.messages_path())).await.expect(200);
    let listed: Vec<String> = listed["results"].as_array().unwrap().iter().map(|message| text(message, "id")).collect();
    assert_eq!(listed, ids);
}

#[tokio::test]
async fn a_malformed_frame_stores_nothing() {
    let harness = Harness::start().await;
    let many: Vec<Value> = (0..101).map(|_| message()).collect();
    for (body, path) in [
        (json!([]), "."),
        (json!({}), ".messageRequests"),
        (json!({ "messageRequests": [] }), ".messageRequests"),
        (json!({ "messageRequests": many }), ".messageRequests"),
        (json!({ "messageRequests": {} }), ".messageRequests"),
        (json!({ "messageRequests": [message()], "x": 1 }), ".x"),
    ] {
        let refused = harness.batch(&body).await.expect(422);
        assert!(refused["details"].get(path).is_some(), "{refused}");
    }
    let headers = [("Authorization", &*harness.access_key()), ("Idempotency-Key", "k")];
    let batch = json!({ "messageRequests": [message()] }).to_string();
    harness.request(Method::POST, &harness.batch_path(), &headers, Some(batch)).await.expect(422);
    let large = json!({ "messageRequests": [{ "reference": "x".repeat(5_000_000) }] });
    assert_eq!(harness.batch(&large).await.code(413), "PayloadTooLarge");
    assert_eq!(harness.rows("messages").await, 0);
}

#[tokio::test]
async fn an_item_that_is_too_large_is_rejected_and_not_kept() {
    let harness = Harness::start().await;
    let mut large = message();
    large["meta"] = json!({ "extraInformation": { "x": "y".repeat(200_000) } });
    let answer = harness.batch(&json!({ "messageRequests": [large, message()] })).await.expect(202);
    assert_eq!(answer["results"][0]["details"], ".: must not be larger than 200000 bytes");
    assert_eq!(answer["results"][1]["status"], "accepted");
}
