//! The global switches of a script, one by one.

use sandbox::Outcome;
use serde_json::{Value, json};

use crate::client::{Client, FROM, TEXT, TO, text_body};

#[tokio::test]
async fn a_wrong_key_has_three_forms() {
    for (form, status, body_status) in [
        ("ok200", 200, json!("success")),
        ("unauthorized401", 401, json!("success")),
        ("framework401", 401, json!(401)),
    ] {
        let client = Client::scripted(json!({ "credentials": { "wrongKeyAnswer": form } })).await;
        let answer = client.post_with_key(Some("other"), &text_body("m-1")).await;
        assert_eq!((answer.status, answer.json()["status"].clone()), (status, body_status), "{form}");
        assert_eq!(client.text("m-1").await.json()["data"]["messageId"], "m-1", "{form}");
    }
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_everywhere() {
    let client = Client::scripted(json!({ "credentials": { "refuseAll": true } })).await;
    assert_eq!(client.text("m-1").await.json()["message"], "Invalid credentials");
    assert_eq!(client.accepted(), 0);
}

#[tokio::test]
async fn a_duplicate_can_be_an_error() {
    let client = Client::scripted(json!({ "duplicates": "error", "errors": { "status": 409 } })).await;
    client.text("m-1").await;
    let again = client.text("m-1").await;
    assert_eq!((again.status, again.json()["status"].clone()), (409, json!("error")));
    assert_eq!(client.accepted(), 1);
}

#[tokio::test]
async fn a_duplicate_can_be_a_second_message() {
    let client = Client::scripted(json!({ "duplicates": "second" })).await;
    let first = client.text("m-1").await.json();
    let second = client.text("m-1").await.json();
    assert_ne!(first["data"]["waId"], second["data"]["waId"]);
    assert_eq!(client.accepted(), 2);
    let page = client.get("/_sandbox/ledger").await.json();
    assert_eq!(page["duplicates"], json!([{ "messageId": "m-1", "count": 2, "accepted": 2 }]));
}

#[tokio::test]
async fn an_id_is_remembered_for_as_long_as_its_window() {
    let client = Client::scripted(json!({ "duplicatesWindowSeconds": 3600 })).await;
    client.text("m-1").await;
    client.text("m-1").await;
    assert_eq!(client.accepted(), 1, "within the window");
    let refused = client.post("/_sandbox/script", &json!({ "duplicatesWindowSeconds": 0 })).await;
    assert_eq!((refused.status, refused.json()["field"].clone()), (422, json!("duplicatesWindowSeconds")));
}

#[tokio::test]
async fn the_answered_message_id_can_be_the_providers_own() {
    let client = Client::scripted(json!({ "messageIdAnswer": "other" })).await;
    let first = client.text("m-1").await.json();
    assert_ne!(first["data"]["messageId"], "m-1");
    assert_eq!(first["data"], client.text("m-1").await.json()["data"]);
}

#[tokio::test]
async fn without_a_session_only_templates_go_out() {
    for (switch, part) in [("session", "24-hour sandbox session window"), ("window", "131047")] {
        let client = Client::scripted(json!({ switch: { "required": true, "opened": ["+254711111111"] } })).await;
        let answer = client.text("m-1").await.json();
        assert_eq!(answer["status"], "error", "{switch}");
        assert!(answer["message"].as_str().unwrap().contains(part), "{answer}");
        let mut body = text_body("m-2");
        body["to"] = json!("254711111111");
        assert_eq!(client.post(TEXT, &body).await.json()["status"], "success", "{switch}");
        let template = json!({
            "messageId": "m-3", "to": TO, "from": FROM,
            "template": { "name": "order_ready", "languageCode": "en" },
        });
        let answer = client.post("/api/v1/whatsapp/template", &template).await.json();
        assert_eq!(answer["status"], "success", "{switch}");
    }
}

#[tokio::test]
async fn names_can_be_held_to_the_samples_or_to_the_tables() {
    let body = |name: &str| json!({ "messageId": "m-1", "to": TO, "from": FROM, name: "?", "buttons": [{ "id": "Y", "title": "Yes" }] });
    for (names, sample, table) in [("both", 200, 200), ("samples", 200, 400), ("table", 400, 200)] {
        let client = Client::scripted(json!({ "strictness": { "names": names } })).await;
        let path = "/api/v1/whatsapp/interactive/buttons";
        assert_eq!(client.post(path, &body("text")).await.status, sample, "{names}");
        assert_eq!(client.post(path, &body("message")).await.status, table, "{names}");
    }
}

#[tokio::test]
async fn limits_are_enforced_only_when_told() {
    let mut body = text_body("m-1");
    // Two UTF-16 units each: 4096 in all, then 4098.
    body["message"] = json!("😀".repeat(2048));
    let client = Client::scripted(json!({ "strictness": { "limits": true } })).await;
    assert_eq!(client.post(TEXT, &body).await.json()["status"], "success");
    body["message"] = json!("😀".repeat(2049));
    body["messageId"] = json!("m-2");
    assert_eq!(client.post(TEXT, &body).await.json()["message"], "(#131009) message must be at most 4096 long");
    client.sandbox.reset();
    assert_eq!(client.post(TEXT, &body).await.json()["status"], "success");
}

#[tokio::test]
async fn sends_beyond_the_rate_are_refused_in_either_form() {
    for (answer, status) in [("envelope", 200), ("http429", 429)] {
        let rate = json!({ "pairSeconds": 3600, "pairBurst": 2, "answer": answer, "retryAfter": "soon" });
        let client = Client::scripted(json!({ "rate": rate })).await;
        client.text("m-1").await;
        client.text("m-2").await;
        let refused = client.text("m-3").await;
        assert_eq!((refused.status, refused.header("retry-after")), (status, Some("soon")), "{answer}");
        assert_eq!(refused.json()["status"], "error", "{answer}");
        assert!(refused.json()["message"].as_str().unwrap().contains("rate limit"), "{answer}");
        let entry = client.sandbox.ledger().pop().unwrap();
        assert_eq!((entry.outcome, entry.accepted), (Outcome::RateLimited, false), "{answer}");
    }
}

#[tokio::test]
async fn latency_holds_every_answer_back() {
    let client = Client::scripted(json!({ "latencyMillis": 60 })).await;
    let started = std::time::Instant::now();
    assert_eq!(client.text("m-1").await.status, 200);
    assert!(started.elapsed().as_millis() >= 60);
}

/// Sends each script and expects a refusal that names the field and says why.
async fn check_refused(client: &Client, table: Vec<(&str, Value, &str)>) {
    for (field, script, reason) in table {
        let answer = client.post("/_sandbox/script", &script).await;
        assert_eq!(answer.status, 422, "{script}: {}", answer.text);
        let error = answer.json();
        assert_eq!(error["field"], field, "{script}: {error}");
        assert!(error["error"].as_str().unwrap().contains(reason), "{script}: {error}");
    }
}

#[tokio::test]
async fn a_bad_switch_is_refused_by_name() {
    let client = Client::start().await;
    let wrong_key = json!({ "refuseAll": true, "wrongKeyAnswer": 5 });
    let table = [
        ("speed", "speed", json!(1), "unknown field"),
        ("latencyMillis", "latencyMillis", json!(-1), "u64"),
        ("latencyMillis", "latencyMillis", json!(3_600_001), "longer than"),
        ("duplicates", "duplicates", json!("third"), "unknown variant"),
        ("credentials.wrongKeyAnswer", "credentials", wrong_key, ""),
        ("credentials.key", "credentials", json!({ "key": "x" }), "unknown field"),
        ("errors.status", "errors", json!({ "status": 99 }), "200 to 599"),
        ("session.opened[1]", "session", json!({ "opened": ["1", 2] }), "string"),
        ("strictness.names", "strictness", json!({ "names": "no" }), "unknown variant"),
        ("rate.perSecond", "rate", json!({ "perSecond": 0 }), "at least 1"),
        ("rate.answer", "rate", json!({ "answer": "later" }), "unknown variant"),
        ("rate.retryAfter", "rate", json!({ "retryAfter": "5\r\nX: y" }), "control"),
        ("rules", "rules", json!({}), ""),
    ];
    for (field, name, value, reason) in table {
        check_refused(&client, vec![(field, json!({ name: value }), reason)]).await;
    }
    let whole = vec![("script", json!([]), "object"), ("script", json!("x"), "object")];
    check_refused(&client, whole).await;
}

#[tokio::test]
async fn a_switch_that_is_not_built_is_refused_and_the_old_script_stays() {
    let client = Client::scripted(json!({ "duplicates": "error" })).await;
    let table = [
        ("session.joinCode", json!({ "session": { "joinCode": "elipa" } })),
        ("window.failLater", json!({ "window": { "failLater": true } })),
        ("statuses.order", json!({ "statuses": { "order": "mixed" } })),
        ("inbound", json!({ "inbound": [] })),
    ];
    for (field, script) in table {
        check_refused(&client, vec![(field, script, "not supported yet")]).await;
    }
    let script = client.get("/_sandbox/script").await.json();
    assert_eq!(script["duplicates"], "error");
}

#[tokio::test]
async fn a_bad_rule_is_refused_by_name() {
    let client = Client::start().await;
    let rule = |name: &str, value: Value| json!({ "rules": [{ name: value, "answer": { "kind": "close" } }] });
    let table = vec![
        ("rules[0]", json!({ "rules": [{ "times": 1 }] }), "missing field"),
        ("rules[0].match.form", rule("match", json!({ "form": "x" })), "unknown"),
        ("rules[0].times", rule("times", json!(0)), "at least 1"),
        ("rules[0].times", rule("times", json!("2")), "u64"),
        ("rules[0].probability", rule("probability", json!(1.5)), "0 to 1"),
        ("rules[0].seed", rule("seed", json!(1)), "probability"),
    ];
    check_refused(&client, table).await;
}

#[tokio::test]
async fn a_bad_answer_is_refused_by_name() {
    let client = Client::start().await;
    let second = |answer: Value| json!({ "rules": [{ "answer": { "kind": "normal" } }, { "answer": answer }] });
    let header = json!({ "kind": "status", "status": 200, "headers": { "A b": "c" } });
    let table = [
        (".kind", json!({ "kind": "explode" }), "explode"),
        ("", json!({ "kind": "close", "status": 200 }), "`status`"),
        ("", json!({ "kind": "drip", "bytesPerSecond": "x" }), "bytesPerSecond: "),
        ("", json!({ "kind": "redirect", "location": "x", "status": "x" }), "status: "),
        ("", json!({ "kind": "close", "accept": "yes" }), "accept: "),
        ("", json!({ "kind": "close", "delayMillis": -5 }), "delayMillis: "),
        (".bytesPerSecond", json!({ "kind": "drip", "bytesPerSecond": 0 }), "1 to"),
        (".delayMillis", json!({ "kind": "close", "delayMillis": 3_600_001 }), "longer"),
        (".status", json!({ "kind": "empty", "status": 101 }), "200 to 599"),
        (".bytes", json!({ "kind": "garbage", "bytes": "€" }), "U+00FF"),
        (".headers.A b", header, "header"),
    ];
    let lacking = second(json!({ "kind": "status" }));
    check_refused(&client, vec![("rules[1]", lacking, "missing field `status`")]).await;
    for (part, answer, reason) in table {
        let field = format!("rules[1].answer{part}");
        check_refused(&client, vec![(&field, second(answer), reason)]).await;
    }
}
