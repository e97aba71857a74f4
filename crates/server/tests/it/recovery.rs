//! What is accepted survives the process.

use jiff::{SignedDuration, Timestamp};
use sandbox::{Sandbox, Settings};
use serde_json::json;

use crate::process::{Dev, Process, free_port, http, json_of, post, text, tuma, wait_for};

#[tokio::test]
async fn a_message_accepted_before_a_kill_is_sent_once_after_the_restart_under_the_same_ids() {
    let http = http();
    let upstream = Sandbox::start(Settings::default()).await.expect("a sandbox");
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--data-dir", folder.path().to_str().expect("a path"), "--lipachat-url", &upstream.url()];
    let mut first = Dev::start(&args);
    // Due after the kill for sure, and before patience ends.
    let due_at = database_now(&first).await.checked_add(SignedDuration::from_secs(3)).expect("in range");
    let mut request = text("survives");
    request["scheduledFor"] = json!(due_at.to_string());
    request["messageId"] = json!("order-1");
    let accepted = json_of(first.post(&http, &request).await).await;
    assert_eq!(accepted["status"], "scheduled", "{accepted}");
    let id = accepted["id"].as_str().expect("an id").to_owned();
    first.process.signal("KILL");
    first.process.wait();
    assert_eq!(upstream.ledger().len(), 0, "nothing was sent before the kill");

    let second = Dev::start(&args);
    for name in ["workspaceId", "channelId", "accessKey", "adminToken", "secretKey", "organizationId"] {
        assert_eq!(first.ready[name], second.ready[name], "{name}");
    }
    second.wait_for_status(&http, &id, "sent").await;
    let replay = second.post(&http, &request).await;
    assert_eq!(replay.headers().get("idempotent-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]));
    assert_eq!(json_of(replay).await["id"], json!(id));
    assert_eq!(upstream.ledger().len(), 1);
}

#[tokio::test]
async fn a_hundred_equal_requests_make_one_message_and_one_call() {
    let http = http();
    let dev = Dev::start(&["--ephemeral"]);
    let mut request = text("once");
    request["messageId"] = json!("equal-1");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (http, url, key, request) = (http.clone(), dev.messages_url(), dev.text("accessKey"), request.clone());
        calls.spawn(async move {
            let answer = post(&http, &url, &key, &request).await;
            (answer.status().as_u16(), json_of(answer).await["id"].clone())
        });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| *answer == (202, answers[0].1.clone())), "{answers:?}");
    dev.wait_for_status(&http, answers[0].1.as_str().expect("an id"), "sent").await;
    let ledger = dev.ledger(&http).await;
    assert_eq!((&ledger["total"], &ledger["accepted"]), (&json!(1), &json!(1)), "{ledger}");
}

#[tokio::test]
async fn an_upstream_that_is_down_for_a_while_gets_everything_afterwards() {
    let http = http();
    let port = free_port();
    let dev = Dev::start(&["--ephemeral", "--lipachat-url", &format!("http://127.0.0.1:{port}")]);
    let mut ids = Vec::new();
    for number in 0..20 {
        let accepted = json_of(dev.post(&http, &text(&format!("number {number}"))).await).await;
        ids.push(accepted["id"].as_str().expect("an id").to_owned());
    }
    let held = wait_for(|| async {
        let message =
            crate::process::get(&http, &format!("{}/{}", dev.messages_url(), ids[0]), &dev.text("accessKey")).await;
        message["details"].as_str().is_some_and(|details| details.contains("cannot be reached")).then_some(message)
    })
    .await;
    assert!(held["status"] == "accepted" || held["status"] == "processing", "{held}");
    let listen = format!("127.0.0.1:{port}").parse().expect("an address");
    let upstream = Sandbox::start(Settings { listen, ..Settings::default() }).await.expect("a sandbox");
    for id in &ids {
        dev.wait_for_status(&http, id, "sent").await;
    }
    let ledger = upstream.ledger();
    assert_eq!(ledger.len(), ids.len(), "each exactly once");
}

#[tokio::test]
async fn a_second_replica_joins_and_takes_over_when_the_first_is_killed() {
    let http = http();
    let upstream = Sandbox::start(Settings::default()).await.expect("a sandbox");
    let dev = Dev::start(&["--ephemeral", "--lipachat-url", &upstream.url()]);
    let replica = |port: u16, metrics: u16| {
        let environment = [
            ("TUMA_DATABASE_URL", dev.text("databaseUrl")),
            ("TUMA_SECRET_KEY", dev.text("secretKey")),
            ("TUMA_ADMIN_TOKEN", dev.text("adminToken")),
            ("TUMA_LIPACHAT_URL", upstream.url()),
            ("TUMA_LISTEN", format!("127.0.0.1:{port}")),
            ("TUMA_METRICS_LISTEN", format!("127.0.0.1:{metrics}")),
        ];
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Process::start(tuma(&["serve"], &environment))
    };
    let (port, metrics) = (free_port(), free_port());
    let mut joined = replica(port, metrics);
    let ready = format!("http://127.0.0.1:{metrics}/readyz");
    wait_for(|| async { http.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200).then_some(()) }).await;
    let url = dev.messages_url().replace(&dev.text("baseUrl"), &format!("http://127.0.0.1:{port}"));
    // Both replicas learn of each other and let through half of the workspace's 50 reads a second each.
    for url in [&url, &dev.messages_url()] {
        wait_for(|| async { (reads_left(&http, url, &dev.text("accessKey")).await < 25).then_some(()) }).await;
    }
    for number in 0..10 {
        let answer = post(&http, &url, &dev.text("accessKey"), &text(&format!("through the second, {number}"))).await;
        let id = json_of(answer).await["id"].as_str().expect("an id").to_owned();
        dev.wait_for_status(&http, &id, "sent").await;
    }
    joined.signal("KILL");
    joined.wait();
    let id = json_of(dev.post(&http, &text("after the kill")).await).await["id"].as_str().expect("an id").to_owned();
    dev.wait_for_status(&http, &id, "sent").await;
    assert_eq!(upstream.ledger().len(), 11, "each exactly once");
}

/// Further reads that a replica would let through now; more than a limit when it does not say.
async fn reads_left(http: &reqwest::Client, url: &str, key: &str) -> u32 {
    let asked = http.get(url).header("authorization", format!("AccessKey {key}")).send().await.expect("an answer");
    let field = asked.headers().get("ratelimit").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let left = field.split(';').find_map(|part| part.strip_prefix("r="));
    left.and_then(|left| left.parse().ok()).unwrap_or(u32::MAX)
}

async fn database_now(dev: &Dev) -> Timestamp {
    let database = store::connect::Database::parse(&dev.text("databaseUrl")).expect("an address");
    let client = database.connect().await.expect("a connection");
    client.query_one("SELECT clock_timestamp()", &[]).await.expect("an answer").get(0)
}
