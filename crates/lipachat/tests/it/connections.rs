//! Connections that are not made, break or hang: what surely was not sent, and what perhaps was.

use std::net::SocketAddr;

use domain::outcome::{Outcome, Report};
use lipachat::client::parse_address;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::rig::{IMPATIENCE, KEY, PATIENCE, Rig, call, client, part};

/// A port on which nothing listens any more.
async fn silent_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a port")
}

fn assert_unknown(report: &Report, answer: &Value) {
    let seen = (report.rule, report.outcome.clone(), report.http_status, report.classified);
    assert_eq!(seen, ("no-answer", Outcome::Unknown, None, true), "{answer}");
    assert!(!report.detail.is_empty() && !format!("{report:?}").contains(KEY), "{report:?}");
}

fn assert_not_connected(report: &Report) {
    let seen = (report.rule, report.outcome.clone(), report.http_status, report.classified);
    assert_eq!(seen, ("not-connected", Outcome::NotConnected, None, true), "{report:?}");
    assert!(!report.detail.is_empty() && !format!("{report:?}").contains(KEY), "{report:?}");
}

#[tokio::test]
async fn what_breaks_after_the_request_was_written_is_unknown() {
    for answer in [
        json!({ "kind": "cutJson" }),
        json!({ "kind": "garbage" }),
        json!({ "kind": "garbage", "bytes": "HTTP/1.1 100 Continue\r\n\r\n" }),
        json!({ "kind": "garbage", "bytes": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n12345" }),
        json!({ "kind": "garbage", "bytes": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" }),
        json!({ "kind": "halfClose" }),
        json!({ "kind": "close" }),
        json!({ "kind": "reset" }),
        json!({ "kind": "close", "accept": false }),
    ] {
        let rig = Rig::answering(answer.clone()).await;
        assert_unknown(&rig.call().await, &answer);
        assert_eq!(rig.requests(), 1, "{answer}");
    }
}

#[tokio::test]
async fn what_hangs_ends_with_its_time_and_is_unknown() {
    for answer in
        [json!({ "kind": "hang" }), json!({ "kind": "drip" }), json!({ "kind": "normal", "delayMillis": 60_000 })]
    {
        let rig = Rig::answering(answer.clone()).await;
        assert_unknown(&rig.call_within(IMPATIENCE).await, &answer);
        assert_eq!(rig.requests(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_slow_answer_within_its_time_counts() {
    let rig = Rig::answering(json!({ "kind": "drip", "bytesPerSecond": 1000 })).await;
    assert_eq!(rig.call().await.rule, "sent");
    assert_eq!(rig.requests(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_when_used_again_is_not_tried_again() {
    for kind in ["close", "reset", "hang"] {
        let rig = Rig::scripted(json!({})).await;
        assert_eq!(rig.call().await.rule, "sent");
        let script = json!({ "rules": [{ "answer": { "kind": kind } }] }).to_string();
        rig.sandbox.script(sandbox::Script::parse(script.as_bytes()).expect("a script")).expect("a script");
        let report = rig.call_within(IMPATIENCE).await;
        assert_unknown(&report, &json!(kind));
        assert_eq!(rig.requests(), 2, "{kind}");
    }
}

#[tokio::test]
async fn nothing_listening_is_not_connected() {
    let provider = client(&format!("http://{}", silent_port().await));
    assert_not_connected(&call(&provider, &SecretString::from(KEY), &part("Hello Asha"), PATIENCE).await);
}

#[tokio::test]
async fn tls_to_a_port_without_tls_is_not_connected() {
    let rig = Rig::scripted(json!({})).await;
    let provider = client(&format!("https://{}", rig.sandbox.addr()));
    assert_not_connected(&call(&provider, &rig.key, &part("Hello Asha"), PATIENCE).await);
    assert_eq!(rig.requests(), 0);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_connected() {
    let provider = client("http://gateway.invalid");
    assert_not_connected(&call(&provider, &SecretString::from(KEY), &part("Hello Asha"), PATIENCE).await);
}

#[tokio::test]
async fn a_key_that_cannot_be_a_header_is_not_sent() {
    let rig = Rig::scripted(json!({})).await.with_key("QzX9\nX-Other: 1");
    let report = rig.call().await;
    assert_not_connected(&report);
    assert!(!report.detail.contains("QzX9"), "{report:?}");
    assert_eq!(rig.requests(), 0);
}

#[tokio::test]
async fn calls_at_the_same_time_are_one_request_each() {
    let rig = Rig::scripted(json!({ "latencyMillis": 20 })).await;
    let calls = (0..50).map(|_| rig.call());
    let rules: Vec<_> = futures_util::future::join_all(calls).await.iter().map(|report| report.rule).collect();
    assert_eq!(rules, ["sent"; 50]);
    assert_eq!(rig.requests(), 50);
}

#[test]
fn an_address_is_scheme_and_host_only() {
    for good in ["https://gateway.lipachat.com", "http://127.0.0.1:8081", "https://gateway.lipachat.com/"] {
        assert!(parse_address(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "gateway.lipachat.com",
        "ftp://gateway.lipachat.com",
        "https://",
        "https://gateway.lipachat.com/api",
        "https://gateway.lipachat.com?x=1",
        "https://gateway.lipachat.com#x",
        "https://user@gateway.lipachat.com",
        "https://user:word@gateway.lipachat.com",
    ] {
        assert!(parse_address(bad).is_err(), "{bad}");
    }
}
