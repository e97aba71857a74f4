//! Dry runs: what would become of a request, and nothing of it stored.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, message};

/// All gates, in the contract's order.
pub(crate) const GATES: [&str; 12] = [
    "schedule",
    "quietHours",
    "validity",
    "hold",
    "serviceWindow",
    "template",
    "breaker",
    "credentials",
    "channelRate",
    "workspaceShare",
    "recipientRate",
    "backlog",
];

impl Harness {
    async fn dry_run(&self, query: &str, body: &Value) -> Answer {
        let path = format!("{}?{query}", self.tenant.messages_path());
        self.request(Method::POST, &path, &[("Authorization", &self.access_key())], Some(body.to_string())).await
    }
}

#[tokio::test]
async fn a_dry_run_shows_times_and_calls_and_stores_nothing() {
    let harness = Harness::start().await;
    let mut request = message();
    request["scheduledFor"] = json!("2026-11-25T10:00:00+03:00");
    request["validity"] = json!(600);
    request["messageId"] = json!("k");
    let plan = harness.dry_run("dryRun=true&at=2026-11-24T12:00:00Z", &request).await.expect(200);
    assert_eq!(plan["wouldAccept"], true);
    assert_eq!([&plan["sendAt"], &plan["expiresAt"]], ["2026-11-25T07:00:00Z", "2026-11-25T07:10:00Z"]);
    let gates: Vec<&Value> = plan["gates"].as_array().unwrap().iter().map(|gate| &gate["gate"]).collect();
    assert_eq!(gates, GATES);
    assert_eq!(plan["violations"], json!({}));
    let call = &plan["lipachatCalls"][0];
    assert_eq!((&call["method"], &call["path"]), (&json!("POST"), &json!("/api/v1/whatsapp/message/text")));
    assert_eq!((&call["body"]["message"], &call["body"]["to"]), (&json!("Habari"), &json!("254712345678")));
    for table in ["messages", "message_keys", "contacts", "outbox"] {
        assert_eq!(harness.rows(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_dry_run_is_judged_as_of_its_instant() {
    let harness = Harness::start().await;
    let mut request = message();
    request["scheduledFor"] = json!("2027-06-01T00:00:00Z");
    let plan = harness.dry_run("dryRun=true", &request).await.expect(200);
    assert_eq!(plan["wouldAccept"], false);
    assert_eq!(plan["violations"], json!({ ".scheduledFor": ["must not be more than 35 days ahead"] }));
    let plan = harness.dry_run("dryRun=true&at=2027-05-31T00:00:00Z", &request).await.expect(200);
    assert_eq!(plan["wouldAccept"], true);
}

#[tokio::test]
async fn what_would_be_refused_is_listed_whole() {
    let harness = Harness::start().await;
    let request = json!({ "body": { "type": "text", "text": { "text": "" } }, "x": 1 });
    let plan = harness.dry_run("dryRun=true", &request).await.expect(200);
    assert_eq!(plan["wouldAccept"], false);
    let paths: Vec<&String> = plan["violations"].as_object().unwrap().keys().collect();
    assert_eq!(paths, [".body.text.text", ".receiver", ".x"]);
    assert_eq!((&plan["sendAt"], &plan["expiresAt"], &plan["lipachatCalls"]), (&Value::Null, &Value::Null, &json!([])));
    assert_eq!(plan["gates"], json!([]));
}

#[tokio::test]
async fn a_parameter_that_is_not_understood_is_refused() {
    let harness = Harness::start().await;
    for query in [
        "dryRun=yes",
        "dryRun=",
        "at=2026-11-24T12:00:00Z",
        "dryRun=true&at=now",
        "dryRun=true&dryRun=true",
        "dryrun=true",
    ] {
        harness.dry_run(query, &message()).await.expect(422);
    }
    harness.dry_run("dryRun=false", &message()).await.expect(202);
    assert_eq!(harness.rows("messages").await, 1);
}
