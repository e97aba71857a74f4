//! Credentials as the public samples write them, and how fast a revoked one ends.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, message, text};
use crate::table::key_with_scope;

/// A revoked key is refused everywhere within this time (contract, section 2).
const REVOCATION: Duration = Duration::from_secs(5);

#[tokio::test]
async fn the_public_samples_are_taken_with_either_scheme() {
    let harness = Harness::start().await;
    let key = &harness.tenant.access_key;
    let samples = [
        json!({ "identifierKey": "phonenumber", "identifierValue": "+254712345678" }),
        json!({ "identifierValue": "+254712345678" }),
        json!({ "identifierValue": "254712345678" }),
        json!({ "identifierValue": "+254 712 345 678" }),
        json!({ "identifierKey": "phonenumber", "identifierValue": "+254 (712) 345-678" }),
    ];
    for scheme in ["AccessKey", "Bearer"] {
        for contact in &samples {
            let mut sample = message();
            sample["receiver"]["contacts"][0] = contact.clone();
            let credential = format!("{scheme} {key}");
            let headers = [("Authorization", credential.as_str()), ("Accept", "application/json")];
            let sent = harness
                .request(Method::POST, &harness.tenant.messages_path(), &headers, Some(sample.to_string()))
                .await
                .expect(202);
            let shown = &sent["receiver"]["contacts"][0];
            assert_eq!(
                (&shown["identifierKey"], &shown["identifierValue"]),
                (&json!("phonenumber"), &json!("+254712345678")),
                "{contact}"
            );
            assert_eq!(sent["status"], "accepted");
        }
    }
    assert_eq!(harness.rows("contacts").await, 1);
    harness.stop().await;
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_five_seconds() {
    let harness = Harness::start().await;
    let tenant = &harness.tenant;
    // Used once, so that it is remembered.
    harness.send(&message()).await.expect(202);
    let path = format!("/workspaces/{}/access-keys/{}", tenant.workspace, tenant.access_key_id);
    let revoked = harness.admin(Method::DELETE, &path, None).await.expect(200);
    assert!(revoked["revokedAt"].is_string());
    let since = Instant::now();
    loop {
        let answer = harness.get(&tenant.messages_path()).await;
        if answer.status == 401 {
            break;
        }
        answer.expect(200);
        assert!(since.elapsed() < REVOCATION, "a revoked key still opens");
    }
    assert_eq!(harness.send(&message()).await.code(401), "Unauthorized");
    let stored = harness.rows("messages").await;
    assert_eq!(stored, 1);
    // Again has no effect.
    let again = harness.admin(Method::DELETE, &path, None).await.expect(200);
    assert_eq!(again["revokedAt"], revoked["revokedAt"]);
    harness.stop().await;
}

#[tokio::test]
async fn revoking_one_key_leaves_the_others() {
    let harness = Harness::start().await;
    let tenant = &harness.tenant;
    let second = key_with_scope(&harness, "messages:read").await;
    let path = format!("/workspaces/{}/access-keys/{}", tenant.workspace, tenant.access_key_id);
    harness.admin(Method::DELETE, &path, None).await.expect(200);
    let credential = format!("AccessKey {second}");
    let read = harness.request(Method::GET, &tenant.messages_path(), &[("Authorization", &credential)], None).await;
    read.expect(200);
    harness.stop().await;
}

#[tokio::test]
async fn the_secret_of_a_key_is_shown_once() {
    let harness = Harness::start().await;
    let path = format!("/workspaces/{}/access-keys", harness.tenant.workspace);
    let made = harness.admin(Method::POST, &path, Some(json!({ "name": "ci" }))).await.expect(201);
    let secret = text(&made, "accessKey");
    assert_eq!(made["scopes"].as_array().map(Vec::len), Some(6), "all scopes where none are asked for");
    let credential = format!("AccessKey {secret}");
    harness
        .request(
            Method::POST,
            &harness.tenant.messages_path(),
            &[("Authorization", &credential)],
            Some(message().to_string()),
        )
        .await
        .expect(202);
    let listed = harness.admin(Method::GET, &path, None).await;
    let revoked = harness.admin(Method::DELETE, &format!("{path}/{}", text(&made, "id")), None).await;
    for answer in [&listed, &revoked] {
        assert!(!answer.text.contains(&secret) && !answer.text.contains("accessKey"), "{}", answer.text);
    }
    let listed = listed.expect(200);
    let shown: Vec<&Value> =
        listed["results"].as_array().unwrap().iter().filter(|key| key["id"] == made["id"]).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(
        (&shown[0]["name"], &shown[0]["scopes"], &shown[0]["revokedAt"]),
        (&json!("ci"), &made["scopes"], &Value::Null)
    );
    harness.stop().await;
}
