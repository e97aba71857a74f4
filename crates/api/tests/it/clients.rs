//! Clients that do not behave: gone before the answer, slower than is borne, or not speaking HTTP.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Harness, PATIENCE, message};
use crate::raw::{exchange, request};
use crate::table::key_with_scope;

/// Connections that go away, one after the other.
const GONE: i64 = 20;
/// Bytes of a head that no server should keep.
const HEAD_BYTES: usize = 150_000;
/// Fields of a head that no client has.
const HEAD_FIELDS: usize = 1_000;
/// What the server gives a body to arrive, with room for a loaded machine.
const SLOW_BODY_ENDS: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_a_client_that_closes_at_once_is_stored() {
    let harness = Harness::start().await;
    let request = sent_bytes(&harness);
    // The key and the channel are known from here on, as they are to a server that has run for a while.
    exchange(harness.address, &request).await;
    for number in 1..=GONE {
        let mut client = TcpStream::connect(harness.address).await.unwrap();
        client.write_all(&request).await.unwrap();
        drop(client);
        await_rows(&harness, 1 + number).await;
    }
    assert_eq!(harness.rows("outbox").await, 1 + GONE);
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_a_client_that_stops_writing_is_stored_and_answered() {
    let harness = Harness::start().await;
    let mut client = TcpStream::connect(harness.address).await.unwrap();
    client.write_all(&sent_bytes(&harness)).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(harness.rows("messages").await, 1);
    harness.stop().await;
}

/// A reset may reach the server before it has looked at the request, which is then nobody's: what must not be is half
/// a message, or a server that suffers from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_its_connection_leaves_a_whole_message_or_none() {
    let harness = Harness::start().await;
    let request = sent_bytes(&harness);
    for _ in 0..GONE {
        let mut client = TcpStream::connect(harness.address).await.unwrap();
        client.set_zero_linger().unwrap();
        client.write_all(&request).await.unwrap();
        drop(client);
    }
    assert_eq!(exchange(harness.address, &request).await.status, 202);
    let halves = "SELECT count(*) FROM messages m FULL JOIN outbox o USING (workspace_id, message_id) WHERE m.message_id IS NULL OR o.message_id IS NULL";
    assert_eq!(harness.database.number(halves).await, 0);
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_not_stored() {
    let harness = Harness::start().await;
    let request = sent_bytes(&harness);
    for cut in [1, 20, 100] {
        let mut client = TcpStream::connect(harness.address).await.unwrap();
        client.write_all(&request[..request.len() - cut]).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 2"), "cut by {cut}");
    }
    assert_eq!(exchange(harness.address, &request).await.status, 202);
    assert_eq!(harness.rows("messages").await, 1);
    harness.stop().await;
}

/// Takes ten seconds: that is what the server gives a body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_is_answered_408() {
    let harness = Harness::start().await;
    let request = sent_bytes(&harness);
    let started = Instant::now();
    let mut client = TcpStream::connect(harness.address).await.unwrap();
    client.write_all(&request[..request.len() - 10]).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(SLOW_BODY_ENDS, client.read_to_end(&mut answer))
        .await
        .expect("an answer, and the end of the connection")
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"code\":\"RequestTimeout\"") && answer.contains("application/json"), "{answer}");
    assert!(started.elapsed() > Duration::from_secs(9));
    assert_eq!(harness.rows("messages").await, 0);
    harness.stop().await;
}

/// Were the body waited for, the answer would be 408.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_of_a_stranger_is_not_waited_for() {
    let harness = Harness::start().await;
    let own = harness.tenant.messages_path();
    let read_only = format!("AccessKey {}", key_with_scope(&harness, "messages:read").await);
    let own_key = harness.access_key();
    for (path, credential, status) in [
        (&own, None, 401),
        (&own, Some("AccessKey tuma_unknown"), 401),
        (&own, Some(read_only.as_str()), 403),
        (&harness.other.messages_path(), Some(own_key.as_str()), 404),
        (&"/admin/workspaces".to_owned(), Some(own_key.as_str()), 401),
    ] {
        let credential = credential.map(|text| ("Authorization".to_owned(), text.to_owned()));
        let announced = [("Content-Type", "application/json"), ("Content-Length", "100")];
        let announced = announced.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers: Vec<_> = credential.into_iter().chain(announced).collect();
        let answer = exchange(harness.address, &request("POST", path, &headers, None)).await;
        assert_eq!(answer.status, status, "{path} {headers:?}: {answer:?}");
    }
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_beyond_all_bounds_is_refused_and_harms_nobody() {
    let harness = Harness::start().await;
    let path = harness.tenant.messages_path();
    let key = harness.access_key();
    let head = |lines: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {key}\r\n{lines}\r\n");
    let long = head(&format!("x-long: {}\r\n", "a".repeat(HEAD_BYTES)));
    let many = head(&"x-many: a\r\n".repeat(HEAD_FIELDS));
    let endless = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(HEAD_BYTES));
    for (what, bad) in [("a long field", long), ("many fields", many), ("a long path", endless)] {
        assert_eq!(exchange(harness.address, bad.as_bytes()).await.status, 431, "{what}");
    }
    assert_eq!(exchange(harness.address, &sent_bytes(&harness)).await.status, 202);
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_answered_400_and_harms_nobody() {
    let harness = Harness::start().await;
    let path = harness.tenant.messages_path();
    for bad in [
        "hello\r\n\r\n".to_owned(),
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na"),
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\na"),
        format!("POST {path} HTTP/1.1\r\nHost a\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nHo\0st: a\r\n\r\n"),
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        let answer = exchange(harness.address, bad.as_bytes()).await;
        assert_eq!(answer.status, 400, "{bad:?}");
    }
    assert_eq!(exchange(harness.address, &sent_bytes(&harness)).await.status, 202);
    assert_eq!(harness.rows("messages").await, 1);
    harness.stop().await;
}

/// The request of the smallest legal message, whole.
fn sent_bytes(harness: &Harness) -> Vec<u8> {
    let headers = [
        ("Authorization".to_owned(), harness.access_key()),
        ("Content-Type".to_owned(), "application/json".to_owned()),
    ];
    request("POST", &harness.tenant.messages_path(), &headers, Some(message().to_string().as_bytes()))
}

/// Waits until so many messages are stored.
async fn await_rows(harness: &Harness, rows: i64) {
    let stored = async { while harness.rows("messages").await < rows {} };
    assert!(tokio::time::timeout(PATIENCE, stored).await.is_ok(), "row {rows} does not appear");
}
