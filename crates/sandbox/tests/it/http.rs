//! HTTP itself: connections kept alive, chunks, many peers at once, and input that is not HTTP.

use tokio::io::AsyncWriteExt;

use crate::client::{Client, KEY, Raw, TEXT, text_body};

#[tokio::test]
async fn a_connection_serves_many_requests_even_sent_at_once() {
    let client = Client::start().await;
    let mut raw = Raw::connect(&client.sandbox).await;
    for id in ["a", "b"] {
        raw.send_text(id).await;
    }
    for id in ["a", "b"] {
        assert!(raw.read_answer().await.contains(&format!("\"messageId\":\"{id}\"")));
    }
    raw.send_text("c").await;
    assert!(raw.read_answer().await.contains("\"messageId\":\"c\""));
    assert_eq!(client.accepted(), 3);
}

#[tokio::test]
async fn a_connection_ends_when_the_peer_says_so() {
    let client = Client::start().await;
    for head in ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut raw = Raw::connect(&client.sandbox).await;
        raw.write(head.as_bytes()).await;
        let answer = String::from_utf8(raw.read_all().await.unwrap()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_may_come_in_pieces_and_in_chunks() {
    let client = Client::start().await;
    let mut raw = Raw::connect(&client.sandbox).await;
    let body = text_body("m-1").to_string();
    let (one, two) = body.split_at(10);
    let head = format!(
        "POST {TEXT} HTTP/1.1\r\napikey: {KEY}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunks = format!("{:x}\r\n{one}\r\n{:X};x=y\r\n{two}\r\n0\r\nTrailer: t\r\n\r\n", one.len(), two.len());
    for piece in (head + &chunks).into_bytes().chunks(7) {
        raw.write(piece).await;
        raw.0.flush().await.unwrap();
    }
    assert!(raw.read_answer().await.contains("\"messageId\":\"m-1\""));
}

#[tokio::test]
async fn a_peer_that_asks_first_is_told_to_go_on() {
    let client = Client::start().await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(raw.read_answer().await, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.write(b"{}").await;
    assert!(raw.read_answer().await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_head_request_gets_no_body() {
    let client = Client::start().await;
    let mut raw = Raw::connect(&client.sandbox).await;
    raw.write(b"HEAD /nowhere HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    let answer = String::from_utf8(raw.read_all().await.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn input_that_is_not_http_is_refused_and_the_server_lives_on() {
    let client = Client::start().await;
    let long_head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65));
    let head = |header: &str| format!("POST / HTTP/1.1\r\n{header}\r\n\r\n");
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("400", b"\x00\xff\xfe nonsense\r\n\r\n".to_vec()),
        ("400", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("400", b"GET\r\n\r\n".to_vec()),
        ("505", b"GET / HTTP/7.3\r\n\r\n".to_vec()),
        ("431", long_head.into_bytes()),
        ("431", many_headers.into_bytes()),
        ("400", head("Content-Length: -1").into_bytes()),
        ("400", head("Content-Length: +1").into_bytes()),
        ("400", head("Content-Length: 1\r\nContent-Length: 2").into_bytes()),
        ("400", head("Content-Length: 1\r\nTransfer-Encoding: chunked").into_bytes()),
        ("413", head("Content-Length: 1048577").into_bytes()),
        ("413", head("Content-Length: 99999999999999999999999999").into_bytes()),
        ("501", head("Transfer-Encoding: gzip").into_bytes()),
        ("400", (head("Transfer-Encoding: chunked") + "zz\r\n").into_bytes()),
        ("400", (head("Transfer-Encoding: chunked") + "1\r\nab\r\n").into_bytes()),
        ("413", (head("Transfer-Encoding: chunked") + "fffffff\r\n").into_bytes()),
        ("413", (head("Transfer-Encoding: chunked") + "ffffffffffffffff\r\n").into_bytes()),
        ("400", (head("Transfer-Encoding: chunked") + &"0".repeat(3000)).into_bytes()),
    ];
    for (status, bytes) in table {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(70)]).into_owned();
        let mut raw = Raw::connect(&client.sandbox).await;
        raw.write(&bytes).await;
        raw.0.shutdown().await.unwrap();
        let answer = String::from_utf8(raw.read_all().await.unwrap()).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
    }
    assert!(client.sandbox.ledger().is_empty());
    assert_eq!(client.text("m-1").await.status, 200);
}

#[tokio::test]
async fn a_request_cut_short_leaves_no_trace() {
    let client = Client::start().await;
    for part in [
        "POST / HT",
        "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ] {
        let mut raw = Raw::connect(&client.sandbox).await;
        raw.write(part.as_bytes()).await;
        raw.0.shutdown().await.unwrap();
        assert_eq!(raw.read_all().await.unwrap(), b"", "{part}");
    }
    assert!(client.sandbox.ledger().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_connections_at_once_deliver_each_message_once() {
    const CONNECTIONS: usize = 50;
    const SENDS: usize = 20;
    let client = Client::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let mut raw = Raw::connect(&client.sandbox).await;
        tasks.spawn(async move {
            for send in 0..SENDS {
                // Neighbours send the same ids.
                let id = format!("m-{}-{send}", connection / 2);
                raw.send_text(&id).await;
                assert!(raw.read_answer().await.contains(&id));
            }
        });
    }
    tasks.join_all().await;
    let ledger = client.sandbox.ledger();
    assert_eq!(ledger.len(), CONNECTIONS * SENDS);
    assert_eq!(client.accepted(), CONNECTIONS * SENDS / 2);
    assert!(ledger.iter().zip(1..).all(|(entry, seq)| entry.seq == seq));
}
