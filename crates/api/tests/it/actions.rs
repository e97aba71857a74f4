//! Acts on many messages: counted, confirmed by a token, done once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, PATIENCE, message, text};

fn tagged(tag: &str) -> Value {
    let mut request = message();
    request["tags"] = json!([tag]);
    request
}

impl Harness {
    fn actions_path(&self) -> String {
        format!("{}/actions", self.tenant.messages_path())
    }

    async fn act(&self, body: &Value) -> Answer {
        self.ask(Method::POST, &self.actions_path(), Some(body)).await
    }

    /// Counts what an act would concern.
    async fn count(&self, action: &str, selector: Value) -> Value {
        self.act(&json!({ "action": action, "selector": selector })).await.expect(200)
    }

    async fn confirm(&self, counted: &Value) -> Answer {
        self.act(&json!({ "token": counted["token"] })).await
    }

    async fn state(&self, counted: &Value) -> Value {
        self.get(&format!("{}/{}", self.actions_path(), text(counted, "token"))).await.expect(200)
    }

    async fn accept_tagged(&self, tag: &str, count: usize) {
        let requests: Vec<Value> = (0..count).map(|_| tagged(tag)).collect();
        let path = self.tenant.messages_path().replace("/messages", "/batch/messages");
        self.ask(Method::POST, &path, Some(&json!({ "messageRequests": requests }))).await.expect(202);
    }
}

#[tokio::test]
async fn what_is_counted_is_changed_only_with_the_token_and_only_once() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 15).await;
    harness.accept_tagged("autumn", 2).await;
    let counted = harness.count("hold", json!({ "tags": ["Spring"] })).await;
    assert_eq!((&counted["action"], &counted["count"]), (&json!("hold"), &json!(15)));
    assert_eq!(counted["selector"], json!({ "tags": ["spring"] }));
    let sample = counted["sample"].as_array().unwrap();
    assert!(sample.len() == 10 && sample.iter().all(|message| message["tags"] == json!(["spring"])));
    assert_eq!((harness.rows("outbox WHERE due_reason = 'held'").await, harness.noted("messages.hold").await), (0, 0));
    assert_eq!(harness.state(&counted).await["status"], "counted");
    let done = harness.confirm(&counted).await.expect(200);
    assert_eq!((&done["id"], &done["status"]), (&counted["token"], &json!("done")));
    assert_eq!((&done["count"], &done["acted"], &done["passed"]), (&json!(15), &json!(15), &json!(0)));
    assert_eq!(harness.rows("outbox WHERE due_reason = 'held'").await, 15);
    assert_eq!((harness.noted("messages.hold").await, harness.noted("messages.hold.end").await), (1, 1));
    let noted =
        r#"audit WHERE act = 'messages.hold' AND detail::jsonb = '{"selector":{"tags":["spring"]},"count":15}'"#;
    assert_eq!(harness.rows(noted).await, 1);
    // Released one by one, it is not held again by repeating the token.
    harness.database.execute("UPDATE outbox SET due_reason = 'requested'").await;
    assert_eq!(harness.confirm(&counted).await.expect(200), done);
    assert_eq!(harness.state(&counted).await, done);
    assert_eq!(harness.rows("outbox WHERE due_reason = 'held'").await, 0);
    harness.stop().await;
}

#[tokio::test]
async fn each_act_does_to_many_what_it_does_to_one() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 4).await;
    let hinted = harness.hinted();
    let selector = json!({ "tags": ["spring"], "receiver": "+254 712 345 678", "useCase": "transactional" });
    for (action, statuses) in [
        ("hold", json!(["accepted", "scheduled"])),
        ("release", json!("accepted")),
        ("cancel", json!(["accepted"])),
        ("replay", json!("deleted")),
    ] {
        let mut selector = selector.clone();
        selector["status"] = statuses;
        let counted = harness.count(action, selector).await;
        let contact = counted["sample"][0]["receiver"]["contacts"][0]["id"].clone();
        assert_eq!((&counted["count"], &counted["selector"]["receiver"]), (&json!(4), &contact), "{action}");
        let done = harness.confirm(&counted).await.expect(200);
        assert_eq!((&done["acted"], &done["passed"]), (&json!(4), &json!(0)), "{action}");
        assert_eq!(harness.noted(&format!("messages.{action}")).await, 1);
    }
    assert!(harness.hinted() >= hinted + 2, "what was released and sent again may go");
    assert_eq!((harness.rows("messages").await, harness.rows("outbox").await), (8, 4));
    for event in ["held", "released", "cancelled", "replayed"] {
        assert_eq!(harness.rows(&format!("message_events WHERE event = '{event}'")).await, 4, "{event}");
    }
    assert_eq!(harness.rows("actions WHERE selector LIKE '%254%'").await, 0, "a number is kept");
    harness.stop().await;
}

#[tokio::test]
async fn what_was_cancelled_replaced_or_capped_is_sent_again_only_where_its_status_is_named() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 5).await;
    harness
        .database
        .execute(
            "DELETE FROM outbox;
            UPDATE messages m SET status = e.status, failure_code = e.code, failure_source = 'tuma', failure_source_code = ''
            FROM (SELECT message_id, row_number() OVER (ORDER BY message_id) AS place FROM messages) o
            JOIN (VALUES (1, 'sending_failed', 16001), (2, 'delivery_failed', 16005), (3, 'deleted', NULL), (4, 'skipped', 16008),
                (5, 'rejected', 16007)) AS e (place, status, code) ON e.place = o.place
            WHERE m.message_id = o.message_id",
        )
        .await;
    let failed = json!(["sending_failed", "delivery_failed"]);
    let counted = harness.count("replay", json!({ "tags": ["spring"] })).await;
    assert_eq!((&counted["count"], &counted["selector"]["status"]), (&json!(2), &failed));
    for status in ["deleted", "skipped", "rejected"] {
        let counted = harness.count("replay", json!({ "tags": ["spring"], "status": status })).await;
        assert_eq!((&counted["count"], &counted["sample"][0]["status"]), (&json!(1), &json!(status)));
    }
    assert_eq!(harness.confirm(&counted).await.expect(200)["acted"], 2);
    assert_eq!(harness.rows("messages o WHERE o.replayed_as IS NOT NULL AND o.status LIKE '%_failed'").await, 2);
    harness.stop().await;
}

#[tokio::test]
async fn a_token_is_good_for_its_channel_for_fifteen_minutes() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 1).await;
    let counted = harness.count("cancel", json!({ "tags": ["spring"] })).await;
    let (token, path) = (json!({ "token": counted["token"] }), harness.actions_path());
    let tenant = &harness.tenant;
    let second = testkit::Tenant::create_channel(
        &harness.database.store,
        tenant.workspace,
        &tenant.channel.settings,
        "another-key",
    )
    .await;
    let of_second = path.replace(&tenant.channel.id.to_string(), &second.id.to_string());
    let theirs = format!("{}/actions", harness.other.messages_path());
    let key = format!("AccessKey {}", harness.other.access_key);
    for (path, key) in [(&of_second, &harness.access_key()), (&theirs, &key)] {
        let answer = harness.request(Method::POST, path, &[("Authorization", key)], Some(token.to_string())).await;
        assert_eq!(answer.code(404), "NotFound");
        let state = format!("{path}/{}", text(&counted, "token"));
        assert_eq!(harness.request(Method::GET, &state, &[("Authorization", key)], None).await.code(404), "NotFound");
    }
    let minutes = "actions WHERE expires_at - created_at = interval '15 minutes'";
    assert_eq!(harness.rows(minutes).await, 1);
    harness.database.execute("UPDATE actions SET expires_at = clock_timestamp() - interval '1 second'").await;
    assert_eq!(harness.confirm(&counted).await.code(409), "ActionExpired");
    assert_eq!(harness.state(&counted).await["status"], "expired");
    assert_eq!((harness.rows("outbox").await, harness.noted("messages.cancel").await), (1, 0));
    harness.stop().await;
}

#[tokio::test]
async fn a_workspace_has_no_more_open_counts_than_it_may() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 1).await;
    let counted = harness.count("hold", json!({ "tags": ["spring"] })).await;
    harness
        .database
        .execute(
            "INSERT INTO actions (workspace_id, action_id, channel_id, action, selector, below, counted, actor, created_at, expires_at)
            SELECT workspace_id, gen_random_uuid(), channel_id, action, selector, below, counted, actor, created_at, expires_at
            FROM actions CROSS JOIN generate_series(1, 99)",
        )
        .await;
    let request = json!({ "action": "hold", "selector": { "tags": ["spring"] } });
    let refused = harness.act(&request).await;
    assert_eq!(refused.code(422), "InvalidPayload");
    let why = "100 counts wait to be confirmed: confirm some first, or wait until they lapse";
    assert_eq!(refused.json()["details"], json!({ ".": [why] }));
    assert_eq!(harness.confirm(&counted).await.expect(200)["acted"], 1);
    harness.act(&request).await.expect(200);
    assert_eq!(harness.act(&request).await.code(422), "InvalidPayload");
    harness.database.execute("UPDATE actions SET expires_at = now() WHERE confirmed_at IS NULL").await;
    harness.act(&request).await.expect(200);
    harness.stop().await;
}

#[tokio::test]
async fn tokens_that_are_confirmed_together_act_once() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 20).await;
    harness.count("cancel", json!({ "tags": ["spring"] })).await;
    let cancelled = harness.count("cancel", json!({ "tags": ["spring"] })).await;
    harness.confirm(&cancelled).await.expect(200);
    let counted = harness.count("replay", json!({ "status": "deleted" })).await;
    let answers = tokio::join!(
        harness.confirm(&counted),
        harness.confirm(&counted),
        harness.confirm(&counted),
        harness.confirm(&counted)
    );
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert!([200, 202].contains(&answer.status), "{}", answer.text);
    }
    let waited = tokio::time::Instant::now();
    while harness.state(&counted).await["status"] != "done" {
        assert!(waited.elapsed() < PATIENCE, "it does not come to its end");
    }
    assert_eq!((harness.rows("messages").await, harness.rows("outbox").await), (40, 20));
    assert_eq!(harness.noted("messages.replay").await, 1);
    harness.stop().await;
}

#[tokio::test]
async fn what_is_being_sent_is_left_and_counted_as_passed() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 3).await;
    let counted = harness.count("cancel", json!({ "tags": ["spring"] })).await;
    harness
        .database
        .execute(
            "UPDATE outbox SET claim = 1, tries = 1, due_reason = 'claimed', claimed_until = now() + interval '1 minute'
            WHERE message_id = (SELECT message_id FROM outbox ORDER BY message_id LIMIT 1)",
        )
        .await;
    let done = harness.confirm(&counted).await.expect(200);
    assert_eq!((&done["count"], &done["acted"], &done["passed"]), (&json!(3), &json!(2), &json!(1)));
    harness.stop().await;
}

#[tokio::test]
async fn every_documented_selector_is_known_to_the_reader() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 1).await;
    for selector in [
        json!({ "tags": ["spring"], "status": "accepted", "receiver": "254712345678", "useCase": "Transactional",
            "startAt": "2026-01-01T00:00:00Z", "endAt": "2126-01-01T00:00:00+03:00" }),
        json!({ "status": ["accepted", "scheduled", "processing"] }),
        json!({ "tags": null, "useCase": "transactional" }),
    ] {
        assert_eq!(harness.count("hold", selector).await["count"], 1);
    }
    harness.stop().await;
}

#[tokio::test]
async fn the_work_goes_on_when_the_client_goes_away() {
    let harness = Harness::start().await;
    harness.accept_tagged("spring", 5).await;
    let counted = harness.count("cancel", json!({ "tags": ["spring"] })).await;
    // Until this lock goes, the page waits.
    let database = store::connect::Database::parse(&harness.database.url).unwrap();
    let mut client = database.connect().await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.execute("SELECT message_id FROM messages FOR UPDATE", &[]).await.unwrap();
    let is_confirmed = async { while harness.rows("actions WHERE confirmed_at IS NOT NULL").await == 0 {} };
    tokio::select! {
        answer = harness.confirm(&counted) => panic!("it cannot have been done: {answer:?}"),
        () = is_confirmed => {}
    }
    assert_eq!(harness.state(&counted).await["status"], "running");
    assert_eq!(harness.confirm(&counted).await.expect(202)["acted"], 0);
    lock.rollback().await.unwrap();
    let waited = tokio::time::Instant::now();
    while harness.state(&counted).await["status"] != "done" {
        assert!(waited.elapsed() < PATIENCE, "it does not come to its end");
    }
    assert_eq!((harness.rows("outbox").await, harness.state(&counted).await["acted"].clone()), (0, json!(5)));
    harness.stop().await;
}
