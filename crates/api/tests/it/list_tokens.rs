//! Page tokens of narrowed lists: they lead through the whole list while it grows, on every replica, and open no other.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use api::Api;
use lipachat::client::LipachatPreview;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::writer::AcceptWriter;

use crate::harness::{ADMIN_TOKEN, Harness, message, text};

const MESSAGES: usize = 12;

#[tokio::test]
async fn a_filtered_list_is_walked_whole_in_both_orders_while_it_grows() {
    let harness = Harness::start().await;
    for reverse in ["false", "true"] {
        let tag = format!("walk-{reverse}");
        let before = send_tagged(&harness, &tag, MESSAGES).await;
        let list = format!("{}?limit=2&tags={tag}&status=accepted&reverse={reverse}", harness.tenant.messages_path());
        let (mut walked, mut added, mut token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = harness.get(&format!("{list}&pageToken={token}")).await.expect(200);
            walked.extend(ids(&page));
            token = text(&page, "nextPageToken");
            if token.is_empty() {
                break;
            }
            if added.len() < 4 {
                added.extend(send_tagged(&harness, &tag, 1).await);
                harness.send(&message()).await.expect(202);
            }
        }
        let mut expected = before;
        if reverse == "true" {
            expected.extend(added);
        } else {
            expected.reverse();
        }
        assert_eq!(walked, expected, "reverse={reverse}");
        assert_eq!(walked.iter().collect::<BTreeSet<_>>().len(), walked.len());
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_token_opens_no_list_with_another_filter() {
    let harness = Harness::start().await;
    send_tagged(&harness, "vip", 3).await;
    let own = harness.tenant.messages_path();
    let all = format!("/workspaces/{}/channels/messages", harness.tenant.workspace);
    let narrowed = "limit=1&tags=vip,VIP&status=accepted,sent&startAt=2026-01-01T00:00:00Z";
    let token = text(&harness.get(&format!("{own}?{narrowed}")).await.expect(200), "nextPageToken");
    assert!(!token.is_empty());
    // The same list in other words.
    for query in [
        "limit=2&status=sent&tags=vip&status=accepted&startAt=2026-01-01T03:00:00%2B03:00",
        "reverse=false&tags=VIP&status=sent,accepted,sent&startAt=2026-01-01T00:00:00.000Z",
    ] {
        harness.get(&format!("{own}?{query}&pageToken={token}")).await.expect(200);
    }
    for path in [
        format!("{own}?limit=1"),
        format!("{own}?{narrowed}&reverse=true"),
        format!("{own}?{narrowed}&direction=outgoing"),
        format!("{own}?{narrowed}&outcome=unknown"),
        format!("{own}?{narrowed}&endAt=2030-01-01T00:00:00Z"),
        format!("{own}?{narrowed}&reference=vip"),
        format!("{own}?{narrowed}&receiver=%2B254712345678"),
        format!("{own}?{narrowed}&messageId=a"),
        format!("{own}?{narrowed}&batchId=00000000-0000-4000-8000-000000000000"),
        format!("{own}?tags=vip&status=accepted&startAt=2026-01-01T00:00:00Z"),
        format!("{own}?tags=vip,a&status=accepted,sent&startAt=2026-01-01T00:00:00Z"),
        format!("{own}?tags=vip&status=accepted,sent&startAt=2026-01-01T00:00:00.001Z"),
        format!("{own}?tags=vip&status=accepted,sent&endAt=2026-01-01T00:00:00Z"),
        format!("{all}?{narrowed}"),
        format!("{all}?{narrowed}&platform=whatsapp"),
        format!("{all}?{narrowed}&platform=sms"),
        format!("/workspaces/{}/tags?limit=1", harness.tenant.workspace),
        format!("/workspaces/{}/channels?limit=1", harness.tenant.workspace),
    ] {
        let refused = harness.get(&format!("{path}&pageToken={token}")).await;
        assert_eq!(refused.code(422), "InvalidPayload", "{path}");
        assert_eq!(refused.json()["details"], json!({ ".pageToken": ["is not a token of this list"] }), "{path}");
    }
    // The list of the other workspace with its own key.
    let stranger = format!("AccessKey {}", harness.other.access_key);
    let path = format!("/workspaces/{}/channels/messages?{narrowed}&pageToken={token}", harness.other.workspace);
    let refused = harness.request(Method::GET, &path, &[("Authorization", &stranger)], None).await;
    assert_eq!(refused.code(422), "InvalidPayload");
    harness.stop().await;
}

#[tokio::test]
async fn a_token_opens_on_every_replica() {
    let harness = Harness::start().await;
    let sent = send_tagged(&harness, "vip", 3).await;
    let list = format!("{}?limit=2&tags=vip", harness.tenant.messages_path());
    let token = text(&harness.get(&list).await.expect(200), "nextPageToken");
    let store = harness.database.another_store().await;
    let metrics = api::metrics::Metrics::register(&prometheus::Registry::new()).unwrap();
    let writer = AcceptWriter::start(&store);
    let admin = SecretString::from(ADMIN_TOKEN);
    let api = Data::new(Api::new(store, writer, metrics, Arc::new(|_, _, _| {}), Arc::new(LipachatPreview), admin));
    let server = HttpServer::new(move || App::new().configure(|config| api::configure(config, api.clone())))
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let replica = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    tokio::spawn(running);
    let request = crate::raw::request(
        "GET",
        &format!("{list}&pageToken={token}"),
        &[("Authorization".to_owned(), harness.access_key())],
        None,
    );
    let answer = crate::raw::exchange(replica, &request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(ids(&serde_json::from_str(&answer.body).unwrap()), sent[..1]);
    handle.stop(true).await;
    harness.stop().await;
}

/// Sends messages with a tag; their ids in order of acceptance.
async fn send_tagged(harness: &Harness, tag: &str, count: usize) -> Vec<String> {
    let mut sent = Vec::new();
    for _ in 0..count {
        let mut message = message();
        message["tags"] = json!([tag]);
        sent.push(text(&harness.send(&message).await.expect(202), "id"));
    }
    sent
}

fn ids(page: &Value) -> Vec<String> {
    page["results"].as_array().unwrap().iter().map(|message| text(message, "id")).collect()
}
