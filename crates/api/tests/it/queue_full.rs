//! `QueueFull`: what would not go in time behind all that waits is not taken, nor more than may wait.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, message, text};

/// Messages that wait in these tests, at ten a second: 102 seconds.
const WAITING: usize = 1_000;

impl Harness {
    /// Changes the tenant's channel.
    pub(crate) async fn change_channel(&self, change: Value) {
        let path = format!("/workspaces/{}/channels/{}", self.tenant.workspace, self.tenant.channel.id);
        self.admin(Method::PATCH, &path, Some(change)).await.expect(200);
    }

    /// Puts messages of no content into the tenant's channel, due for a while.
    pub(crate) async fn fill(&self, lane: i16, count: usize) {
        let sql = format!(
            "INSERT INTO outbox (workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at)
            SELECT '{}', gen_random_uuid(), '{}', {lane}, clock_timestamp() - interval '1 minute', 'requested',
                clock_timestamp() + interval '1 day'
            FROM generate_series(1, {count})",
            self.tenant.workspace, self.tenant.channel.id
        );
        self.database.execute(&sql).await;
    }

    /// A channel of ten messages a second behind which many wait.
    async fn crowded() -> Self {
        let harness = Self::start().await;
        harness.change_channel(json!({ "messagesPerSecond": 10 })).await;
        harness.fill(1, WAITING).await;
        harness
    }

    async fn send_batch(&self, requests: &[Value]) -> Answer {
        let path = self.tenant.messages_path().replace("/messages", "/batch/messages");
        self.ask(Method::POST, &path, Some(&json!({ "messageRequests": requests }))).await
    }
}

fn valid(seconds: i64) -> Value {
    let mut request = message();
    request["validity"] = json!(seconds);
    request
}

fn keyed(mut request: Value, key: &str) -> Value {
    request["messageId"] = json!(key);
    request
}

/// Seconds after which a refused request may come again.
#[track_caller]
fn retry_after(refused: &Answer) -> u64 {
    assert_eq!(refused.code(429), "QueueFull");
    refused.header("retry-after").expect("seconds").parse().expect("a number")
}

#[tokio::test]
async fn what_would_not_go_in_time_is_refused_and_the_rest_is_told_when_it_goes() {
    let harness = Harness::crowded().await;
    let refused = harness.send(&valid(60)).await;
    // 102 seconds of others, of which 60 are left, less what the test took.
    assert!((1..=43).contains(&retry_after(&refused)), "{:?}", refused.headers);
    assert!(text(&refused.json(), "message").contains("valid only until"));
    assert_eq!((harness.rows("messages").await, harness.metrics.queue_full.get()), (0, 1));
    let taken = harness.send(&valid(600)).await.expect(202);
    let details = text(&taken, "details");
    assert!(details.starts_with("behind 1,000 others, goes about 20"), "{details}");
    let read = harness.get(&format!("{}/{}", harness.tenant.messages_path(), text(&taken, "id"))).await.expect(200);
    assert_eq!(read["details"], "", "it is told once");
    // What is urgent passes them, and what asks for a later time is judged by that.
    let mut urgent = valid(60);
    urgent["meta"] = json!({ "extraInformation": { "useCase": "authentication" } });
    assert_eq!(harness.send(&urgent).await.expect(202)["details"], "");
    let mut scheduled = valid(60);
    let hour = harness.database.store.now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
    scheduled["scheduledFor"] = json!(hour.to_string());
    assert_eq!(harness.send(&scheduled).await.expect(202)["status"], "scheduled");
    harness.stop().await;
}

#[tokio::test]
async fn no_more_than_may_wait_is_taken() {
    let harness = Harness::start().await;
    harness.change_channel(json!({ "backlogMax": 3 })).await;
    let mut scheduled = message();
    let hour = harness.database.store.now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
    scheduled["scheduledFor"] = json!(hour.to_string());
    for request in [message(), scheduled, keyed(message(), "third")] {
        harness.send(&request).await.expect(202);
    }
    let refused = harness.send(&message()).await;
    assert!(retry_after(&refused) >= 1);
    assert!(text(&refused.json(), "message").contains("no more than 3 may"));
    assert_eq!(harness.rows("messages").await, 3);
    let again = harness.send(&keyed(message(), "third")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
    assert_eq!(harness.send(&keyed(valid(60), "third")).await.code(429), "QueueFull", "another request under the key");
    assert_eq!(harness.send(&json!({})).await.code(422), "InvalidPayload");
    harness.change_channel(json!({ "backlogMax": 4 })).await;
    harness.send(&message()).await.expect(202);
    harness.stop().await;
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let harness = Harness::start().await;
    harness.change_channel(json!({ "backlogMax": 4 })).await;
    let three: Vec<Value> = ["a", "b", "c"].map(|key| keyed(message(), key)).to_vec();
    let first = harness.send_batch(&three).await.expect(202);
    let two = [keyed(message(), "d"), keyed(message(), "e")];
    assert!(retry_after(&harness.send_batch(&two).await) >= 1);
    assert_eq!(harness.rows("messages").await, 3);
    // What was accepted before needs no room, and what cannot be sent waits for nothing.
    let again = harness.send_batch(&[three.clone(), two[..1].to_vec(), vec![json!({})]].concat()).await.expect(202);
    for place in 0..3 {
        assert_eq!(again["messageIds"][place], first["messageIds"][place]);
        assert_eq!(again["results"][place]["idempotentReplayed"], true);
    }
    assert_eq!(again["results"][3]["status"], "accepted");
    assert_eq!(again["results"][4]["status"], "rejected");
    harness.stop().await;
}

#[tokio::test]
async fn the_items_of_a_batch_wait_for_one_another() {
    let harness = Harness::start().await;
    harness.change_channel(json!({ "messagesPerSecond": 1 })).await;
    let requests: Vec<Value> = (0..10).map(|_| message()).collect();
    let taken = harness.send_batch(&requests).await.expect(202);
    assert_eq!(taken["results"][0]["details"], "");
    let last = text(&taken["results"][9], "details");
    assert!(last.starts_with("behind 9 others, goes about 20"), "{last}");
    let requests: Vec<Value> = (0..10).map(|_| valid(15)).collect();
    assert_eq!(harness.send_batch(&requests).await.code(429), "QueueFull", "the last of them would be too late");
    harness.stop().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_refused() {
    let harness = Harness::crowded().await;
    let path = format!("{}?dryRun=true", harness.tenant.messages_path());
    let plan = harness.ask(Method::POST, &path, Some(&valid(60))).await.expect(200);
    assert_eq!((&plan["wouldAccept"], &plan["violations"], &plan["sendAt"]), (&json!(false), &json!({}), &Value::Null));
    let gates = &plan["gates"];
    assert_eq!((&gates[11]["verdict"], &gates[2]["verdict"]), (&json!("closed"), &json!("closed")));
    assert_eq!(gates[11]["setting"], "channel.backlogMax=1000000, 1000 waiting");
    assert_eq!((&gates[8]["gate"], &gates[8]["verdict"]), (&json!("channelRate"), &json!("closed")));
    assert_eq!(plan["lipachatCalls"], json!([]));
    let plan = harness.ask(Method::POST, &path, Some(&valid(600))).await.expect(200);
    assert_eq!((&plan["wouldAccept"], &plan["gates"][11]["verdict"]), (&json!(true), &json!("open")));
    assert_eq!((&plan["gates"][8]["verdict"], &plan["gates"][8]["until"]), (&json!("closed"), &plan["sendAt"]));
    assert_eq!(harness.rows("messages").await, 0);
    harness.stop().await;
}

#[tokio::test]
async fn a_message_is_not_sent_again_where_no_new_one_would_be_taken() {
    let harness = Harness::start().await;
    let path = harness.accept(&message()).await;
    harness.cancel(&path).await.expect(200);
    for _ in 0..2 {
        harness.send(&message()).await.expect(202);
    }
    harness.change_channel(json!({ "backlogMax": 2 })).await;
    let replay = format!("{path}/replay");
    retry_after(&harness.ask(Method::POST, &replay, None).await);
    assert_eq!((harness.rows("messages").await, harness.metrics.queue_full.get()), (3, 1));
    harness.change_channel(json!({ "backlogMax": 100 })).await;
    let again = harness.ask(Method::POST, &replay, None).await.expect(202);
    // What was sent again before is answered all the same.
    harness.change_channel(json!({ "backlogMax": 1 })).await;
    assert_eq!(harness.ask(Method::POST, &replay, None).await.expect(200)["id"], again["id"]);
    harness.stop().await;
}
