//! Reading: what a 202 showed is what a GET shows, to its own workspace and channel only.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, message, text};

/// Properties whose value differs from run to run.
const RUNNING: &[&str] = &["id", "channelId", "createdAt", "updatedAt", "lastStatusAt", "scheduledFor"];

#[tokio::test]
async fn a_fresh_message_reads_as_it_was_answered() {
    let harness = Harness::start().await;
    let answered = harness.send(&message()).await.expect(202);
    let read = harness.get(&format!("{}/{}", harness.tenant.messages_path(), text(&answered, "id"))).await.expect(200);
    assert_eq!(read, answered);
    assert_eq!(text(&answered, "channelId"), harness.tenant.channel.id.to_string());
    insta::assert_json_snapshot!("fresh_message", redacted(answered));
    let listed = harness.get(&harness.tenant.messages_path()).await.expect(200);
    assert_eq!(listed, json!({ "results": [read], "nextPageToken": "" }));
    harness.stop().await;
}

#[tokio::test]
async fn a_message_with_everything_reads_as_it_was_answered() {
    let harness = Harness::start().await;
    let ahead = harness.database.store.now().checked_add(jiff::SignedDuration::from_hours(2)).unwrap();
    let mut full = message();
    full["scheduledFor"] = json!(ahead.to_string());
    full["validity"] = json!(600);
    full["messageId"] = json!("order-7781");
    full["reference"] = json!("order-7781");
    full["tags"] = json!(["Orders", "vip"]);
    full["meta"] = json!({ "extraInformation": { "useCase": "marketing" } });
    full["ignoreQuietHours"] = json!(true);
    let answered = harness.send(&full).await.expect(202);
    let read = harness.get(&format!("{}/{}", harness.tenant.messages_path(), text(&answered, "id"))).await.expect(200);
    assert_eq!(read, answered);
    assert_eq!(text(&answered, "details"), format!("scheduled for {}", text(&answered, "scheduledFor")));
    let replayed = harness.send(&full).await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    assert_eq!(replayed.expect(202), answered);
    insta::assert_json_snapshot!("full_message", redacted(answered));
    harness.stop().await;
}

#[tokio::test]
async fn a_failed_message_says_why() {
    let harness = Harness::start().await;
    let id = text(&harness.send(&message()).await.expect(202), "id");
    let failed = "UPDATE messages SET status = 'sending_failed', failure_code = 16004, failure_source = 'lipachat', \
        failure_source_code = 'session-closed', reason = 'Re-engagement message'; DELETE FROM outbox";
    harness.database.execute(failed).await;
    let read = harness.get(&format!("{}/{id}", harness.tenant.messages_path())).await.expect(200);
    insta::assert_json_snapshot!("failed_message", redacted(read));
    harness.stop().await;
}

#[tokio::test]
async fn a_waiting_message_says_what_it_waits_for() {
    let harness = Harness::start().await;
    let id = text(&harness.send(&message()).await.expect(202), "id");
    let path = format!("{}/{id}", harness.tenant.messages_path());
    harness
        .database
        .execute("UPDATE outbox SET claim = 2, tries = 2, due_reason = 'back_off', due_at = '2027-01-01T00:00:00Z'")
        .await;
    let shown = harness.get(&path).await.expect(200);
    assert_eq!(
        (&shown["status"], &shown["details"]),
        (&json!("processing"), &json!("try 2 failed; next try at 2027-01-01T00:00:00Z"))
    );
    harness
        .database
        .execute(
            "INSERT INTO channel_gates (workspace_id, channel_id, reason, since, until, closings)
            SELECT workspace_id, channel_id, 'credentials', now(), '2027-01-02T00:00:00Z', 1 FROM messages",
        )
        .await;
    let held = harness.get(&path).await.expect(200);
    assert_eq!(
        held["details"],
        "held because the provider refuses the channel's key; next probe at 2027-01-02T00:00:00Z"
    );
    harness.stop().await;
}

#[tokio::test]
async fn a_message_is_read_only_through_its_own_channel_and_workspace() {
    let harness = Harness::start().await;
    let tenant = &harness.tenant;
    let id = text(&harness.send(&message()).await.expect(202), "id");
    let second =
        testkit::Tenant::create_channel(&harness.database.store, tenant.workspace, &tenant.channel.settings, "k").await;
    let beside = format!("/workspaces/{}/channels/{}/messages", tenant.workspace, second.id);
    assert_eq!(harness.get(&format!("{beside}/{id}")).await.code(404), "NotFound");
    assert_eq!(harness.get(&beside).await.expect(200)["results"], json!([]));
    let stranger = format!("AccessKey {}", harness.other.access_key);
    for path in [
        format!("{}/{id}", tenant.messages_path()),
        format!("{}/{id}", harness.other.messages_path()),
        tenant.messages_path(),
        format!("/workspaces/{}/channels/{}/messages/{id}", harness.other.workspace, tenant.channel.id),
    ] {
        let answer = harness.request(Method::GET, &path, &[("Authorization", &stranger)], None).await;
        assert_eq!(answer.code(404), "NotFound", "{path}");
    }
    let theirs =
        harness.request(Method::GET, &harness.other.messages_path(), &[("Authorization", &stranger)], None).await;
    assert_eq!(theirs.expect(200)["results"], json!([]));
    harness.stop().await;
}

/// A message without what differs from run to run.
fn redacted(mut value: Value) -> Value {
    redact(&mut value);
    value
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(properties) => {
            for (name, item) in properties.iter_mut() {
                match item {
                    Value::String(text) if name == "details" => {
                        let kept = text.split(" for ").next().unwrap_or_default().to_owned();
                        *text = if kept.len() < text.len() { format!("{kept} for [when]") } else { kept };
                    }
                    Value::String(text) if RUNNING.contains(&name.as_str()) => *text = format!("[{name}]"),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
                    Value::Array(_) | Value::Object(_) => redact(item),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
