//! The sandbox's own routes, and the ledger behind them.

use sandbox::{Error, Sandbox, Settings};
use serde_json::{Value, json};

use crate::client::{Client, FROM, KEY, TEXT, TO, text_body};

#[tokio::test]
async fn an_entry_tells_all_about_a_request() {
    let client = Client::start().await;
    let wa_id = client.text("m-1").await.json()["data"]["waId"].clone();
    let mut entry = client.get("/_sandbox/ledger").await.json()["entries"][0].take();
    let arrival = entry["arrival"].take();
    let arrival = arrival.as_str().unwrap();
    assert_eq!(arrival.len(), "2025-02-03T08:22:33.456789Z".len(), "{arrival}");
    assert!(arrival.ends_with('Z'));
    assert!(entry["arrivalMonotonicMicros"].take().is_u64());
    let expected = json!({
        "seq": 1, "arrival": null, "arrivalMonotonicMicros": null, "method": "POST", "path": TEXT, "apiKey": KEY,
        "body": { "message": "Hello Asha", "messageId": "m-1", "to": TO, "from": FROM },
        "messageId": "m-1", "outcome": "sent", "fault": null, "accepted": true, "answerStatus": 200, "waId": wa_id,
    });
    assert_eq!(entry, expected);
}

#[tokio::test]
async fn arrivals_never_go_back() {
    let client = Client::start().await;
    for id in ["m-1", "m-2", "m-3"] {
        client.text(id).await;
    }
    let ledger = client.sandbox.ledger();
    assert!(ledger.is_sorted_by_key(|entry| entry.arrival_monotonic_micros));
    assert_eq!(ledger.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn filters_select_and_pages_go_on() {
    let client = Client::start().await;
    for id in ["a", "b", "a", "c"] {
        client.text(id).await;
    }
    let mut other = text_body("d");
    other["to"] = json!("+254700000001");
    client.post(TEXT, &other).await;
    client.get("/nowhere?x=1").await;
    let read = async |query: &str| {
        let page = client.get(&format!("/_sandbox/ledger{query}")).await.json();
        let seqs: Vec<_> =
            page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        (page["total"].clone(), page["accepted"].clone(), page["more"] == true, seqs)
    };
    assert_eq!(read("").await, (json!(6), json!(4), false, vec![1, 2, 3, 4, 5, 6]));
    assert_eq!(read("?messageId=a").await, (json!(2), json!(1), false, vec![1, 3]));
    assert_eq!(read("?to=%2B254700000001").await, (json!(1), json!(1), false, vec![5]));
    assert_eq!(read("?path=/nowhere").await, (json!(1), json!(0), false, vec![6]));
    assert_eq!(read("?limit=2").await, (json!(6), json!(4), true, vec![1, 2]));
    assert_eq!(read("?limit=2&after=4").await, (json!(6), json!(4), false, vec![5, 6]));
    assert_eq!(read("?limit=0&messageId=a").await, (json!(2), json!(1), true, vec![]));
    let page = client.get("/_sandbox/ledger").await.json();
    assert_eq!(page["duplicates"], json!([{ "messageId": "a", "count": 2, "accepted": 1 }]));
    assert_eq!((page["dropped"].clone(), page["entries"][5]["query"].clone()), (json!(0), json!("x=1")));
    let answer = client.get("/_sandbox/ledger?form=1").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("form"));
}

#[tokio::test]
async fn a_full_ledger_drops_the_oldest_and_says_so() {
    let client = Client::with(Settings { ledger_max: 3, ..Settings::default() }).await;
    for id in ["a", "b", "c", "d", "e"] {
        client.text(id).await;
    }
    let page = client.get("/_sandbox/ledger").await.json();
    assert_eq!((page["total"].clone(), page["dropped"].clone()), (json!(3), json!(2)));
    assert_eq!(page["entries"][0]["seq"], 3);
}

#[tokio::test]
async fn a_long_body_is_cut_in_the_ledger_only() {
    let client = Client::start().await;
    let mut body = text_body("m-1");
    body["message"] = json!("x".repeat(100_000));
    assert_eq!(client.post(TEXT, &body).await.json()["status"], "success");
    let entry = client.sandbox.ledger().pop().unwrap();
    assert_eq!((entry.body, entry.body_text.unwrap().len()), (None, 64 * 1024));
    assert_eq!(entry.message_id.as_deref(), Some("m-1"));
}

#[tokio::test]
async fn a_reset_forgets_ledger_script_and_ids() {
    let client = Client::scripted(json!({ "duplicates": "error" })).await;
    client.text("m-1").await;
    let answer = client.post("/_sandbox/reset", &json!(null)).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(client.get("/_sandbox/ledger").await.json()["total"], 0);
    assert_eq!(client.get("/_sandbox/script").await.json()["duplicates"], "same");
    client.text("m-1").await;
    let entry = client.sandbox.ledger().pop().unwrap();
    assert_eq!((entry.seq, entry.accepted), (1, true));
}

#[tokio::test]
async fn the_effective_script_is_shown_and_can_be_sent_back() {
    let client = Client::start().await;
    let script = json!({
        "latencyMillis": 1,
        "statuses": {},
        "rules": [{ "times": 3, "answer": { "kind": "drip", "delayMillis": 2 } }],
    });
    let answer = client.post("/_sandbox/script", &script).await;
    assert_eq!(answer.status, 200);
    let effective = answer.json();
    let drip = json!({ "kind": "drip", "bytesPerSecond": 1, "accept": true, "delayMillis": 2 });
    assert_eq!(effective["rules"][0]["answer"], drip);
    assert_eq!(effective["credentials"], json!({ "wrongKeyAnswer": "ok200", "refuseAll": false }));
    assert_eq!(effective["statuses"], Value::Null);
    assert_eq!(client.post("/_sandbox/script", &effective).await.json(), effective);
    assert_eq!(client.get("/_sandbox/script").await.json(), effective);
}

#[tokio::test]
async fn a_new_script_counts_its_rules_from_zero() {
    let script = json!({ "rules": [{ "times": 1, "answer": { "kind": "empty", "status": 503 } }] });
    let client = Client::scripted(script.clone()).await;
    let mut statuses = vec![client.text("a").await.status, client.text("b").await.status];
    client.post("/_sandbox/script", &script).await;
    statuses.push(client.text("c").await.status);
    assert_eq!(statuses, [503, 200, 503]);
}

#[tokio::test]
async fn the_own_routes_answer_honestly_and_leave_no_trace() {
    let client = Client::scripted(json!({ "rules": [{ "answer": { "kind": "close" } }] })).await;
    assert_eq!(client.get("/_sandbox/healthz").await.json(), json!({ "status": "ok" }));
    assert_eq!(client.get("/_sandbox/nothing").await.status, 404);
    let answer = client.get("/_sandbox/reset").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert!(client.sandbox.ledger().is_empty());
}

#[tokio::test]
async fn a_taken_address_is_an_error() {
    let client = Client::start().await;
    let settings = Settings { listen: client.sandbox.addr(), ..Settings::default() };
    let error = Sandbox::start(settings).await.unwrap_err();
    assert!(matches!(error, Error::Listen { address, .. } if address == client.sandbox.addr()));
}

#[tokio::test]
async fn a_stopped_sandbox_frees_its_port_and_ends_its_connections() {
    let client = Client::scripted(json!({ "rules": [{ "answer": { "kind": "hang" } }] })).await;
    let address = client.sandbox.addr();
    let mut raw = crate::client::Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    client.sandbox.wait_for(1).await;
    client.sandbox.stop().await;
    assert_eq!(raw.read_all().await.unwrap(), b"");
    let again = Sandbox::start(Settings { listen: address, ..Settings::default() }).await.unwrap();
    assert_eq!(again.addr(), address);
}

#[tokio::test]
async fn a_dropped_sandbox_ends_its_connections() {
    let client = Client::start().await;
    let mut raw = crate::client::Raw::connect(&client.sandbox).await;
    raw.send_text("m-1").await;
    raw.read_answer().await;
    drop(client);
    assert_eq!(raw.read_all().await.unwrap(), b"");
}
