//! Rules and every kind of answer they can give.

use std::io::ErrorKind;

use sandbox::{Kind, Outcome, Rule, Script};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, Raw, TEXT, text_body};

/// A sandbox that gives every request this answer.
async fn answering(answer: Value) -> Client {
    Client::scripted(json!({ "rules": [{ "answer": answer }] })).await
}

/// The latest entry: its outcome, fault, whether it was accepted, and the status.
fn latest(client: &Client) -> (Outcome, Option<&'static str>, bool, Option<u16>) {
    let entry = client.sandbox.ledger().pop().unwrap();
    assert_eq!(entry.wa_id.is_some(), entry.accepted);
    (entry.outcome, entry.fault, entry.accepted, entry.answer_status)
}

#[tokio::test]
async fn an_envelope_error_carries_its_text_status_and_errors() {
    let client = answering(json!({ "kind": "envelopeError" })).await;
    let answer = client.text("m-1").await;
    assert_eq!((answer.status, answer.json()["message"].clone()), (200, json!("Request failed.")));
    assert_eq!(answer.json()["errors"], Value::Null);
    assert_eq!(latest(&client), (Outcome::Error, Some("envelopeError"), false, Some(200)));
    let errors = json!({ "to": "bad" });
    let client = answering(json!({ "kind": "envelopeError", "message": "No.", "status": 400, "errors": errors })).await;
    let answer = client.text("m-1").await;
    assert_eq!((answer.status, answer.json()["errors"].clone()), (400, errors));
}

#[tokio::test]
async fn a_framework_error_has_the_frameworks_body() {
    let client = answering(json!({ "kind": "framework" })).await;
    let answer = client.text("m-1").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["error"], "Internal Server Error");
    assert_eq!(answer.json()["path"], TEXT);
    assert_eq!(latest(&client), (Outcome::Faulted, Some("framework"), false, Some(500)));
}

#[tokio::test]
async fn any_status_headers_and_body_can_be_answered() {
    let answer = json!({ "kind": "status", "status": 503, "headers": { "Retry-After": "5" }, "body": "{\"x\":NaN}" });
    let client = answering(answer).await;
    let answer = client.text("m-1").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(answer.text, "{\"x\":NaN}");
    assert_eq!(latest(&client), (Outcome::Faulted, Some("status"), false, Some(503)));
}

#[tokio::test]
async fn every_answer_tells_the_providers_time_unless_a_script_does() {
    let client = Client::scripted(json!({})).await;
    let told = client.text("m-1").await.header("date").expect("a date").to_owned();
    let read = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", &told);
    assert!(read.is_ok(), "{told}");
    let (date, retry_after) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:50:37 1994");
    let headers = json!({ "Date": date, "Retry-After": retry_after });
    let client = answering(json!({ "kind": "status", "status": 429, "headers": headers })).await;
    let answer = client.text("m-1").await;
    assert_eq!((answer.header("date"), answer.header("retry-after")), (Some(date), Some(retry_after)));
}

#[tokio::test]
async fn a_wrong_length_can_be_claimed() {
    let answer = json!({ "kind": "status", "status": 200, "headers": { "Content-Length": "99" }, "body": "{}" });
    let client = answering(answer).await;
    assert!(client.try_text("m-1").await.is_err());
}

#[tokio::test]
async fn an_empty_answer_and_a_204_have_no_body() {
    for status in [200, 204] {
        let client = answering(json!({ "kind": "empty", "status": status })).await;
        let answer = client.text("m-1").await;
        assert_eq!((answer.status, answer.text.as_str()), (status, ""));
        assert_eq!(latest(&client), (Outcome::Faulted, Some("empty"), false, Some(status)));
    }
}

#[tokio::test]
async fn a_gateway_page_is_html() {
    let client = answering(json!({ "kind": "html" })).await;
    let answer = client.text("m-1").await;
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("text/html")));
    assert!(answer.text.starts_with("<html>"));
    assert_eq!(latest(&client), (Outcome::Faulted, Some("html"), false, Some(502)));
}

#[tokio::test]
async fn a_redirect_names_another_place() {
    let client = answering(json!({ "kind": "redirect", "location": "http://elsewhere.example/" })).await;
    let answer = client.text("m-1").await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("http://elsewhere.example/")));
    assert_eq!(latest(&client), (Outcome::Faulted, Some("redirect"), false, Some(307)));
}

#[tokio::test]
async fn cut_json_ends_before_its_length() {
    let client = answering(json!({ "kind": "cutJson" })).await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    let text = String::from_utf8(raw.read_all().await.unwrap()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length: usize = head.split("Content-Length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(body.len(), length / 2);
    assert!(body.starts_with("{\"timestamp\":"));
    assert_eq!(latest(&client), (Outcome::Faulted, Some("cutJson"), true, Some(200)));
    assert!(client.try_text("m-2").await.is_err());
}

#[tokio::test]
async fn garbage_is_sent_byte_for_byte() {
    let client = answering(json!({ "kind": "garbage", "bytes": "HTTP/1.1 abc\r\n\u{ff}\u{0}" })).await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    assert_eq!(raw.read_all().await.unwrap(), b"HTTP/1.1 abc\r\n\xff\x00");
    assert_eq!(latest(&client), (Outcome::Faulted, Some("garbage"), true, None));
    assert!(client.try_text("m-2").await.is_err());
    let client = answering(json!({ "kind": "garbage" })).await;
    assert!(client.try_text("m-1").await.is_err());
}

#[tokio::test]
async fn an_endless_body_is_bounded_by_the_peer() {
    let client = answering(json!({ "kind": "endless" })).await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    let mut mebibyte = vec![0; 1024 * 1024];
    raw.0.read_exact(&mut mebibyte).await.unwrap();
    assert!(mebibyte.starts_with(b"HTTP/1.1 200 OK"));
    assert_eq!(latest(&client), (Outcome::Faulted, Some("endless"), false, Some(200)));
}

#[tokio::test]
async fn a_drip_comes_whole_but_slowly() {
    let client = answering(json!({ "kind": "drip", "bytesPerSecond": 1000 })).await;
    let started = std::time::Instant::now();
    let answer = client.text("m-1").await;
    assert_eq!(answer.json()["data"]["messageId"], "m-1");
    // The first byte comes at once, each further one a millisecond later.
    assert!(started.elapsed().as_millis() + 1 >= answer.text.len() as u128 - 1);
    assert_eq!(latest(&client), (Outcome::Faulted, Some("drip"), true, Some(200)));
}

#[tokio::test]
async fn a_hang_lasts_until_the_peer_closes() {
    let client = answering(json!({ "kind": "hang" })).await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    client.sandbox.wait_for(1).await;
    assert_eq!(latest(&client), (Outcome::Dropped, Some("hang"), true, None));
    let nothing = raw.0.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    raw.0.shutdown().await.unwrap();
    assert_eq!(raw.read_all().await.unwrap(), b"");
}

#[tokio::test]
async fn a_half_close_ends_our_side_only() {
    let client = answering(json!({ "kind": "halfClose" })).await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    assert_eq!(raw.read_all().await.unwrap(), b"");
    // A closed socket would answer the first write with a reset, and fail the second.
    raw.write(b"still").await;
    raw.write(b"open").await;
    assert_eq!(latest(&client), (Outcome::Dropped, Some("halfClose"), true, None));
}

#[tokio::test]
async fn a_close_ends_the_connection_in_order() {
    let client = answering(json!({ "kind": "close" })).await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    assert_eq!(raw.read_all().await.unwrap(), b"");
    assert_eq!(latest(&client), (Outcome::Dropped, Some("close"), true, None));
}

#[tokio::test]
async fn a_reset_breaks_the_connection() {
    let client = answering(json!({ "kind": "reset" })).await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    assert_eq!(raw.read_all().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(latest(&client), (Outcome::Dropped, Some("reset"), true, None));
}

#[tokio::test]
async fn a_fault_after_acceptance_is_a_duplicate_when_repeated_and_one_before_is_not() {
    for (accept, outcome) in [(true, Outcome::Duplicate), (false, Outcome::Sent)] {
        let answer = json!({ "kind": "reset", "accept": accept });
        let client = Client::scripted(json!({ "rules": [{ "times": 1, "answer": answer }] })).await;
        assert!(client.try_text("m-1").await.is_err());
        assert_eq!(client.accepted(), usize::from(accept));
        client.text("m-1").await;
        assert_eq!(client.sandbox.ledger().pop().unwrap().outcome, outcome);
        assert_eq!(client.accepted(), 1);
    }
}

#[tokio::test]
async fn a_fault_never_delivers_what_would_be_refused() {
    let client = answering(json!({ "kind": "close", "accept": true })).await;
    for (key, body) in [("other", text_body("m-1")), ("key-1", json!({ "messageId": "m-2" }))] {
        assert!(client.try_post(TEXT, Some(key), &body).await.is_err());
    }
    assert_eq!(client.accepted(), 0);
}

#[tokio::test]
async fn a_lying_provider_says_sent_and_delivers_nothing() {
    let client = answering(json!({ "kind": "normal", "accept": false })).await;
    assert_eq!(client.text("m-1").await.json()["data"]["status"], "SENT");
    assert_eq!(client.accepted(), 0);
}

#[tokio::test]
async fn the_first_matching_rule_with_times_left_applies() {
    let status = |status| json!({ "kind": "empty", "status": status });
    let client = Client::scripted(json!({ "rules": [
        { "match": { "messageId": "m-9" }, "answer": status(509) },
        { "match": { "to": "+254700000001" }, "answer": status(501) },
        { "match": { "path": "/nowhere" }, "answer": status(504) },
        { "match": { "textContains": "Asha", "path": TEXT }, "times": 2, "answer": status(502) },
        { "match": { "textContains": "Asha" }, "times": 1, "answer": { "kind": "normal" } },
        { "answer": status(503) },
    ] }))
    .await;
    let mut to = text_body("m-2");
    to["to"] = json!("254700000001");
    let statuses = [
        client.text("m-9").await.status,
        client.post(TEXT, &to).await.status,
        client.get("/nowhere").await.status,
        client.text("m-1").await.status,
        client.text("m-1").await.status,
        client.text("m-1").await.status,
        client.text("m-1").await.status,
        client.get("/elsewhere").await.status,
    ];
    assert_eq!(statuses, [509, 501, 504, 502, 502, 200, 503, 503]);
}

#[tokio::test]
async fn seeded_draws_repeat_whatever_the_order() {
    let rule = json!({ "probability": 0.5, "seed": 7, "answer": { "kind": "empty", "status": 503 } });
    let script = json!({ "rules": [rule] });
    let (one, other) = (Client::scripted(script.clone()).await, Client::scripted(script).await);
    let mut forward = Vec::new();
    for id in 0..40 {
        forward.push(one.text(&format!("m-{id}")).await.status);
    }
    let mut backward = Vec::new();
    for id in (0..40).rev() {
        backward.push(other.text(&format!("m-{id}")).await.status);
    }
    backward.reverse();
    assert_eq!(forward, backward);
    let faults = forward.iter().filter(|status| **status == 503).count();
    assert!((8..=32).contains(&faults), "{faults}");
}

#[tokio::test]
async fn a_delay_holds_the_answer_but_not_the_delivery() {
    let client = answering(json!({ "kind": "normal", "delayMillis": 3_600_000 })).await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    client.sandbox.wait_for(1).await;
    assert_eq!(client.accepted(), 1);
    client.sandbox.script(Script::default()).unwrap();
    client.text("m-1").await;
    assert_eq!(client.accepted(), 1);
}

#[tokio::test]
async fn a_script_can_be_built_in_code() {
    let client = Client::start().await;
    let rules = vec![Rule::always(Kind::Framework { status: 504 })];
    client.sandbox.script(Script { rules, ..Script::default() }).unwrap();
    assert_eq!(client.text("m-1").await.status, 504);
    let rules = vec![Rule::always(Kind::Framework { status: 1 })];
    let error = client.sandbox.script(Script { rules, ..Script::default() }).unwrap_err();
    assert_eq!(error.to_string(), "script: rules[0].answer.status: an HTTP status is 200 to 599");
}
