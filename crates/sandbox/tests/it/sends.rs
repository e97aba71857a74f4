//! What a well-behaved provider does: every send endpoint, the key, the fields, repeated ids.

use sandbox::{Outcome, Settings};
use serde_json::{Value, json};

use crate::client::{Client, FROM, TEXT, TO, text_body};

/// Every send endpoint with the least body it takes.
fn sends() -> Vec<(&'static str, Value)> {
    vec![
        (TEXT, json!({ "message": "Hi" })),
        ("/api/v1/whatsapp/media", json!({ "mediaType": "IMAGE", "mediaUrl": "https://files.example.org/a.jpg" })),
        ("/api/v1/whatsapp/interactive/buttons", json!({ "text": "?", "buttons": [{ "id": "Y", "title": "Yes" }] })),
        ("/api/v1/whatsapp/interactive/list", json!({ "body": "?", "buttonText": "Open", "buttons": [] })),
        (
            "/api/v1/whatsapp/contact",
            json!({ "name": { "formattedName": "Asha" }, "phones": [{ "phone": "254711111111" }] }),
        ),
        ("/api/v1/whatsapp/location", json!({ "latitude": -1.28, "longitude": 36.82 })),
        ("/api/v1/whatsapp/request_location", json!({ "text": "Where?" })),
        ("/api/v1/whatsapp/template", json!({ "template": { "name": "order_ready", "languageCode": "en" } })),
        (
            "/api/v1/whatsapp/interactive/flows",
            json!({ "text": "?", "flowId": "1", "flowCta": "Start", "screen": "WELCOME" }),
        ),
    ]
}

fn with_common(mut body: Value, id: &str) -> Value {
    body["messageId"] = json!(id);
    body["to"] = json!(TO);
    body["from"] = json!(FROM);
    body
}

#[tokio::test]
async fn every_send_endpoint_answers_with_the_documented_envelope() {
    let client = Client::start().await;
    for (path, body) in sends() {
        let answer = client.post(path, &with_common(body, path)).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        let mut envelope = answer.json();
        let wa_id = envelope["data"]["waId"].take();
        assert!(wa_id.as_str().unwrap().starts_with("wamid.HBgM"), "{path}: {wa_id}");
        let timestamp = envelope["timestamp"].take();
        assert!(!timestamp.as_str().unwrap().ends_with('Z'), "{path}: {timestamp}");
        let what = if path.ends_with("/media") { "Media" } else { "Message" };
        let expected = json!({
            "timestamp": null,
            "data": { "messageId": path, "waId": null, "status": "SENT", "statusDesc": format!("{what} sent successfully") },
            "status": "success", "message": "", "errors": null,
        });
        assert_eq!(envelope, expected, "{path}");
    }
    assert_eq!(client.accepted(), 9);
}

#[tokio::test]
async fn every_required_field_is_missed() {
    let client = Client::start().await;
    for (path, body) in sends() {
        let whole = with_common(body, "never");
        for name in whole.as_object().unwrap().keys() {
            let mut body = whole.clone();
            body.as_object_mut().unwrap().remove(name);
            let answer = client.post(path, &body).await;
            assert_eq!(answer.status, 400, "{path} without {name}");
            let mut error = answer.json();
            let timestamp = error["timestamp"].take();
            assert!(timestamp.as_str().unwrap().ends_with("+00:00"), "{timestamp}");
            assert_eq!(error, json!({ "timestamp": null, "status": 400, "error": "Bad Request", "path": path }));
        }
    }
    assert_eq!(client.accepted(), 0);
}

#[tokio::test]
async fn a_field_of_another_type_and_a_body_that_is_not_json_are_bad_requests() {
    let client = Client::start().await;
    for (name, value) in [("messageId", json!(7)), ("to", json!([TO])), ("message", json!({})), ("from", json!(null))] {
        let mut body = text_body("never");
        body[name] = value;
        assert_eq!(client.post(TEXT, &body).await.status, 400, "{name}");
    }
    assert_eq!(client.post(TEXT, &json!([])).await.status, 400);
    let half = "{\"to\":";
    assert_eq!(client.post_bytes("application/json; charset=utf-8", half).await.status, 400);
    assert_eq!(client.post_bytes("text/plain", half).await.status, 415);
    let last = client.sandbox.ledger().pop().unwrap();
    assert_eq!((last.body, last.body_text.as_deref()), (None, Some("{\"to\":")));
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_unbuilt_endpoints_are_told_apart() {
    let client = Client::start().await;
    let table = [
        ("GET", "/api/v1/whatsapp/message/image", 404, Outcome::NoSuchEndpoint),
        ("GET", TEXT, 405, Outcome::NoSuchEndpoint),
        ("GET", "/api/v1/template/254110090747", 501, Outcome::NotImplemented),
        ("GET", "/api/v1/template/", 404, Outcome::NoSuchEndpoint),
        ("GET", "/api/v1/whatsapp/manage/flow/4/preview/url", 501, Outcome::NotImplemented),
        ("GET", "/api/v1/whatsapp/message?page=0&size=100", 501, Outcome::NotImplemented),
        ("POST", "/api/v1/template/upload/file", 501, Outcome::NotImplemented),
        ("POST", "/api/v1/whatsapp/manage/flow/4/publish", 501, Outcome::NotImplemented),
    ];
    for (method, path, status, outcome) in table {
        let answer = match method {
            "GET" => client.get(path).await,
            _ => client.post(path, &json!({})).await,
        };
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.json()["status"], status, "{method} {path}");
        assert_eq!(client.sandbox.ledger().pop().unwrap().outcome, outcome, "{method} {path}");
    }
    assert_eq!(client.get(TEXT).await.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_missing_empty_or_wrong_key_is_told_as_success_without_data() {
    let client = Client::start().await;
    for key in [None, Some(""), Some("other")] {
        let answer = client.post_with_key(key, &text_body("m-1")).await;
        assert_eq!(answer.status, 200, "{key:?}");
        let envelope = answer.json();
        assert_eq!(envelope["status"], "success");
        assert_eq!(envelope["data"], Value::Null);
        assert_eq!(envelope["message"], "Invalid credentials");
        let entry = client.sandbox.ledger().pop().unwrap();
        assert_eq!((entry.outcome, entry.accepted), (Outcome::InvalidCredentials, false));
        assert_eq!(entry.api_key.as_deref(), key);
    }
}

#[tokio::test]
async fn without_a_set_key_and_numbers_all_but_an_empty_key_are_taken() {
    let client = Client::with(Settings::default()).await;
    let mut body = text_body("m-1");
    body["from"] = json!("254999999999");
    assert_eq!(client.post_with_key(Some("any"), &body).await.json()["data"]["messageId"], "m-1");
    assert_eq!(client.post_with_key(Some(""), &body).await.json()["data"], Value::Null);
}

#[tokio::test]
async fn a_sender_that_is_not_the_accounts_is_not_found() {
    let client = Client::start().await;
    let mut body = text_body("m-1");
    body["from"] = json!("254999999999");
    let answer = client.post(TEXT, &body).await;
    assert_eq!((answer.status, answer.json()["status"].clone()), (200, json!("error")));
    assert!(answer.json()["message"].as_str().unwrap().contains("not found"));
    body["from"] = json!(format!("+{FROM}"));
    assert_eq!(client.post(TEXT, &body).await.json()["status"], "success");
}

#[tokio::test]
async fn a_repeated_id_gets_the_first_result_again() {
    let client = Client::start().await;
    let first = client.text("m-1").await.json();
    let again = client.text("m-1").await.json();
    assert_eq!(first["data"], again["data"]);
    let ledger = client.sandbox.ledger();
    assert_eq!(ledger.iter().map(|entry| entry.accepted).collect::<Vec<_>>(), [true, false]);
    assert_eq!(ledger[1].outcome, Outcome::Duplicate);
    assert_eq!(ledger[0].wa_id, ledger[1].wa_id);
}

#[tokio::test]
async fn an_id_that_was_refused_is_not_a_duplicate() {
    let client = Client::start().await;
    client.post_with_key(Some("other"), &text_body("m-1")).await;
    client.text("m-1").await;
    let outcomes: Vec<_> = client.sandbox.ledger().iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::InvalidCredentials, Outcome::Sent]);
}
