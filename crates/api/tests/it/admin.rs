//! The admin API: workspaces and channels, made, changed and read.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Harness, message, text};

#[tokio::test]
async fn a_workspace_is_made_read_and_renamed() {
    let harness = Harness::start().await;
    let made = harness.admin(Method::POST, "/workspaces", Some(json!({ "name": "Duka" }))).await.expect(201);
    let path = format!("/workspaces/{}", text(&made, "id"));
    assert_eq!(harness.admin(Method::GET, &path, None).await.expect(200), made);
    let renamed = harness.admin(Method::PATCH, &path, Some(json!({ "name": "Duka la pili" }))).await.expect(200);
    assert_eq!(
        (&renamed["name"], &renamed["id"], &renamed["createdAt"]),
        (&json!("Duka la pili"), &made["id"], &made["createdAt"])
    );
    assert_eq!(harness.admin(Method::GET, &path, None).await.expect(200), renamed);
    assert_eq!(text(&made, "organizationId").len(), 36);
    harness.stop().await;
}

#[tokio::test]
async fn a_new_channel_with_a_new_key_sends_at_once() {
    let harness = Harness::start().await;
    let workspace =
        text(&harness.admin(Method::POST, "/workspaces", Some(json!({ "name": "Duka" }))).await.expect(201), "id");
    let settings = json!({ "name": "Main", "number": "254 110 090 747", "providerKey": "secret-of-lipachat" });
    let made = harness.admin(Method::POST, &format!("/workspaces/{workspace}/channels"), Some(settings)).await;
    assert!(!made.text.contains("secret-of-lipachat") && !made.text.contains("providerKey"), "{}", made.text);
    let made = made.expect(201);
    assert_eq!((&made["number"], &made["workspaceId"]), (&json!("+254110090747"), &json!(workspace)));
    assert_eq!(
        (&made["messageType"], &made["messagesPerSecond"], &made["status"]),
        (&json!("transactional"), &json!(80), &json!("active"))
    );
    let keys = format!("/workspaces/{workspace}/access-keys");
    let key = text(&harness.admin(Method::POST, &keys, Some(json!({ "name": "app" }))).await.expect(201), "accessKey");
    let path = format!("/workspaces/{workspace}/channels/{}/messages", text(&made, "id"));
    let credential = format!("AccessKey {key}");
    let sent = harness
        .request(Method::POST, &path, &[("Authorization", &credential)], Some(message().to_string()))
        .await
        .expect(202);
    assert_eq!(sent["sender"]["connector"], json!({ "id": made["connectorId"], "identifierValue": "+254110090747" }));
    harness.stop().await;
}

#[tokio::test]
async fn a_change_of_a_channel_changes_only_what_it_names_and_is_seen_at_once() {
    let harness = Harness::start().await;
    let path = channel_path(&harness);
    let before = harness.admin(Method::GET, &path, None).await.expect(200);
    // Used once, so that it is remembered.
    harness.send(&message()).await.expect(202);
    let changed = harness
        .admin(Method::PATCH, &path, Some(json!({ "status": "inactive", "providerKey": "new-key" })))
        .await
        .expect(200);
    let mut expected = before.clone();
    expected["status"] = json!("inactive");
    expected["updatedAt"] = changed["updatedAt"].clone();
    assert_eq!(changed, expected);
    let refused = harness.send(&message()).await;
    assert_eq!(refused.code(422), "InvalidPayload");
    assert_eq!(refused.json()["details"], json!({ ".channel": ["the channel is inactive"] }));
    assert_eq!(harness.provider_key(&harness.tenant).await, "new-key");
    harness.admin(Method::PATCH, &path, Some(json!({ "status": "active" }))).await.expect(200);
    harness.send(&message()).await.expect(202);
    harness.stop().await;
}

#[tokio::test]
async fn the_rates_of_a_channel_are_kept_until_another_or_null_is_given() {
    let harness = Harness::start().await;
    let list = format!("/workspaces/{}/channels", harness.tenant.workspace);
    let settings = json!({ "name": "Main", "number": "+254110090747", "providerKey": "k" });
    let made = harness.admin(Method::POST, &list, Some(settings)).await.expect(201);
    let path = format!("{list}/{}", text(&made, "id"));
    let no_limit = (Value::Null, json!({ "intervalSeconds": 6, "burst": 45 }));
    assert_eq!(rates(&made), no_limit);
    let slow = (json!(200), json!({ "intervalSeconds": 30, "burst": 2 }));
    let change = json!({ "accountMessagesPerSecond": slow.0, "recipientRate": slow.1 });
    for change in [change, json!({}), json!({ "name": "First", "messagesPerSecond": 20 })] {
        assert_eq!(rates(&harness.admin(Method::PATCH, &path, Some(change)).await.expect(200)), slow);
    }
    assert_eq!(rates(&harness.admin(Method::GET, &path, None).await.expect(200)), slow);
    let listed = harness.admin(Method::GET, &list, None).await.expect(200);
    let listed = listed["results"].as_array().unwrap().iter().find(|channel| channel["id"] == made["id"]).unwrap();
    assert_eq!(rates(listed), slow);
    let (rate_only, none) = (json!({ "recipientRate": null }), json!({ "accountMessagesPerSecond": null }));
    let changed = harness.admin(Method::PATCH, &path, Some(rate_only)).await.expect(200);
    assert_eq!(rates(&changed), (slow.0, no_limit.1.clone()));
    assert_eq!(rates(&harness.admin(Method::PATCH, &path, Some(none)).await.expect(200)), no_limit);
    assert_eq!(rates(&harness.admin(Method::GET, &path, None).await.expect(200)), no_limit);
    harness.stop().await;
}

#[tokio::test]
async fn the_weight_of_a_workspace_is_one_until_it_is_changed() {
    let harness = Harness::start().await;
    let path = format!("/workspaces/{}", harness.tenant.workspace);
    assert_eq!(harness.admin(Method::GET, &path, None).await.expect(200)["weight"], 1);
    let changes = [json!({ "weight": 7 }), json!({ "weight": null }), json!({ "name": "Duka" }), json!({})];
    for change in changes {
        assert_eq!(harness.admin(Method::PATCH, &path, Some(change)).await.expect(200)["weight"], 7);
    }
    assert_eq!(harness.admin(Method::GET, &path, None).await.expect(200)["weight"], 7);
    let listed = harness.admin(Method::GET, "/workspaces", None).await.expect(200);
    let weight = |id: String| {
        listed["results"].as_array().unwrap().iter().find(|workspace| workspace["id"] == id).unwrap()["weight"].clone()
    };
    assert_eq!(weight(harness.tenant.workspace.to_string()), 7);
    assert_eq!(weight(harness.other.workspace.to_string()), 1);
    harness.stop().await;
}

#[tokio::test]
async fn a_message_of_a_one_time_password_channel_goes_first_and_ends_soon() {
    let harness = Harness::start().await;
    for (message_type, lane, validity) in
        [("2fa", 0, 600), ("conversational", 1, 129_600), ("transactional", 1, 129_600), ("promotional", 2, 129_600)]
    {
        harness
            .admin(Method::PATCH, &channel_path(&harness), Some(json!({ "messageType": message_type })))
            .await
            .expect(200);
        harness.send(&message()).await.expect(202);
        let database = &harness.database;
        assert_eq!(
            database.number("SELECT lane::bigint FROM outbox ORDER BY message_id DESC LIMIT 1").await,
            lane,
            "{message_type}"
        );
        let seconds =
            "SELECT extract(epoch FROM expires_at - created_at)::bigint FROM messages ORDER BY message_id DESC LIMIT 1";
        assert_eq!(database.number(seconds).await, validity, "{message_type}");
    }
    harness.stop().await;
}

/// Whether two changes meet is up to the scheduler; a lost change must never be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_changes_those_that_saw_an_old_channel_are_refused() {
    let harness = Arc::new(Harness::start().await);
    let path = channel_path(&harness);
    let revision = format!("SELECT revision FROM channels WHERE channel_id = '{}'", harness.tenant.channel.id);
    let (mut made, mut refused) = (0, 0);
    while refused == 0 && made < 2000 {
        let mut changes = JoinSet::new();
        for number in 1..=8 {
            let (harness, path) = (harness.clone(), path.clone());
            changes.spawn(async move {
                harness.admin(Method::PATCH, &path, Some(json!({ "messagesPerSecond": number }))).await
            });
        }
        for answer in changes.join_all().await {
            if answer.status == 200 {
                made += 1;
            } else {
                assert_eq!(answer.code(409), "ResourceAlreadyExists");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "of {made} changes no two met");
    assert_eq!(harness.database.number(&revision).await, 1 + made);
}

#[tokio::test]
async fn the_admin_token_alone_opens_the_admin_api() {
    let harness = Harness::start().await;
    let paths = [
        "/workspaces".to_owned(),
        format!("/workspaces/{}", harness.tenant.workspace),
        format!("/workspaces/{}/channels", harness.tenant.workspace),
        channel_path(&harness),
        format!("/workspaces/{}/access-keys", harness.tenant.workspace),
    ];
    for path in paths {
        harness.admin(Method::GET, &path, None).await.expect(200);
        for credential in ["Bearer wrong", "Basic YTpi", &harness.access_key(), "Bearer "] {
            let answer =
                harness.request(Method::GET, &format!("/admin{path}"), &[("Authorization", credential)], None).await;
            assert_eq!(answer.code(401), "Unauthorized", "{path} {credential}");
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn all_violations_of_a_channel_are_named_at_once() {
    let harness = Harness::start().await;
    let path = format!("/workspaces/{}/channels", harness.tenant.workspace);
    let bad = json!({ "name": "", "number": "0712", "messagesPerSecond": 0, "status": "gone", "colour": "red",
        "accountMessagesPerSecond": 0, "recipientRate": { "intervalSeconds": -1, "bursts": 1 } });
    let refused = harness.admin(Method::POST, &path, Some(bad)).await;
    assert_eq!(refused.code(422), "InvalidPayload");
    let details = refused.json()["details"].clone();
    let named: Vec<&str> = details.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        ".accountMessagesPerSecond",
        ".colour",
        ".messagesPerSecond",
        ".name",
        ".number",
        ".providerKey",
        ".recipientRate.burst",
        ".recipientRate.bursts",
        ".recipientRate.intervalSeconds",
        ".status",
    ];
    assert_eq!(named, expected);
    assert!(
        details
            .as_object()
            .unwrap()
            .values()
            .all(|texts| texts.as_array().is_some_and(|texts| texts.iter().all(Value::is_string)))
    );
    harness.stop().await;
}

/// The rates of a shown channel: its account's, and that to one recipient.
fn rates(channel: &Value) -> (Value, Value) {
    (channel["accountMessagesPerSecond"].clone(), channel["recipientRate"].clone())
}

fn channel_path(harness: &Harness) -> String {
    format!("/workspaces/{}/channels/{}", harness.tenant.workspace, harness.tenant.channel.id)
}
