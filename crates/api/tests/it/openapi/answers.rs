//! What is answered is what the document says: the status, every property, and no other.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Document, problems};
use crate::harness::{ADMIN_TOKEN, Answer, Harness, message, text};
use crate::quiet_hours::nights;

const MESSAGES: &str = "/workspaces/{workspaceId}/channels/{channelId}/messages";
const MESSAGE: &str = "/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}";

/// What is echoed as it was sent may hold more than is documented.
const OPEN: [&str; 2] = ["MessageBody", "MessageTemplate"];

/// The document with schemas that allow no property beside the documented ones.
async fn closed(harness: &Harness) -> Document {
    let mut document = Document::read(harness).await;
    for (name, schema) in document.0["components"]["schemas"].as_object_mut().unwrap() {
        let is_object = schema.get("properties").is_some() && schema.get("additionalProperties").is_none();
        if is_object && !OPEN.contains(&name.as_str()) {
            schema["additionalProperties"] = json!(false);
        }
    }
    document
}

/// Checks status, headers and body of an answer.
#[track_caller]
fn check(document: &Document, method: &str, path: &str, answer: &Answer) {
    let responses = document.responses(method, path);
    let status = answer.status.to_string();
    let response = responses.get(&status).unwrap_or_else(|| panic!("{method} {path}: {status} is not documented"));
    let response = document.resolve(response);
    let told = response["headers"].as_object().unwrap();
    for name in ["x-request-id", "messagebird-request-id", "retry-after", "www-authenticate", "idempotent-replayed"] {
        let is_told = told.keys().any(|known| known.eq_ignore_ascii_case(name));
        assert!(is_told || answer.header(name).is_none(), "{method} {path} {status}: {name} is not documented");
    }
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} {status}");
    assert_eq!(problems(&document.validator(schema), &answer.json()), Vec::<String>::new(), "{}", answer.text);
}

#[tokio::test]
async fn messages_are_answered_as_documented() {
    let harness = Harness::start().await;
    let document = closed(&harness).await;
    let path = harness.tenant.messages_path();
    let mut full = message();
    full["messageId"] = json!("answers-1");
    full["reference"] = json!("order-7781");
    full["tags"] = json!(["Orders"]);
    full["meta"] = json!({ "extraInformation": { "useCase": "transactional" } });
    full["scheduledFor"] = json!(harness.database.store.now().to_string());
    let mut template = message();
    template.as_object_mut().unwrap().remove("body");
    template["template"] = json!({ "name": "receipt", "locale": "en" });
    for request in [&message(), &full, &full, &template] {
        let sent = harness.send(request).await;
        sent.expect(202);
        check(&document, "POST", MESSAGES, &sent);
        let one = harness.get(&format!("{path}/{}", text(&sent.json(), "id"))).await;
        one.expect(200);
        check(&document, "GET", MESSAGE, &one);
    }
    let page = harness.get(&format!("{path}?limit=2")).await;
    assert_eq!(page.expect(200)["results"].as_array().map(Vec::len), Some(2));
    check(&document, "GET", MESSAGES, &page);
    full["reference"] = json!("another");
    for (request, status) in [(full.to_string(), 409), ("{}".to_owned(), 422), ("{".to_owned(), 400)] {
        let refused = harness.send_text(request, &[]).await;
        assert_eq!(refused.status, status);
        check(&document, "POST", MESSAGES, &refused);
    }
    let large = harness.send_text(format!("{{}}{}", " ".repeat(200_000)), &[]).await;
    assert_eq!(large.status, 413);
    check(&document, "POST", MESSAGES, &large);
    let typeless = harness.request(Method::POST, &path, &[("Authorization", &harness.access_key())], None).await;
    assert_eq!(typeless.status, 415);
    check(&document, "POST", MESSAGES, &typeless);
    let odd = harness.get(&format!("{path}?limit=0")).await;
    assert_eq!(odd.status, 422);
    check(&document, "GET", MESSAGES, &odd);
    let missing = harness.get(&format!("{path}/2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11")).await;
    assert_eq!(missing.status, 404);
    check(&document, "GET", MESSAGE, &missing);
    let stranger = harness.request(Method::GET, &path, &[], None).await;
    assert_eq!(stranger.status, 401);
    check(&document, "GET", MESSAGES, &stranger);
    harness.stop().await;
}

#[tokio::test]
async fn the_admin_api_answers_as_documented() {
    let harness = Harness::start().await;
    let document = closed(&harness).await;
    let (workspace, channel) = (harness.tenant.workspace.to_string(), harness.tenant.channel.id.to_string());
    let number = json!({ "name": "b", "number": "+254700000009", "providerKey": "k" });
    let erased = json!({ "identifierValue": "+254712345678" });
    let calls: [(Method, &str, Option<Value>, u16); 17] = [
        (Method::POST, "/admin/workspaces", Some(json!({ "name": "Shop" })), 201),
        (Method::POST, "/admin/workspaces", Some(json!({})), 422),
        (Method::GET, "/admin/workspaces", None, 200),
        (Method::GET, "/admin/workspaces/{workspaceId}", None, 200),
        (Method::PATCH, "/admin/workspaces/{workspaceId}", Some(json!({ "name": "Shop" })), 200),
        (Method::POST, "/admin/workspaces/{workspaceId}/channels", Some(number), 201),
        (Method::GET, "/admin/workspaces/{workspaceId}/channels", None, 200),
        (Method::GET, "/admin/workspaces/{workspaceId}/channels/{channelId}", None, 200),
        (Method::PATCH, "/admin/workspaces/{workspaceId}/channels/{channelId}", Some(json!({})), 200),
        (Method::POST, "/admin/workspaces/{workspaceId}/access-keys", Some(json!({ "name": "ci" })), 201),
        (Method::GET, "/admin/workspaces/{workspaceId}/access-keys", None, 200),
        (Method::DELETE, "/admin/workspaces/{workspaceId}/access-keys/{accessKeyId}", None, 404),
        (Method::GET, "/admin/sending-hold", None, 200),
        (Method::DELETE, "/admin/sending-hold", None, 200),
        (Method::POST, "/admin/workspaces/{workspaceId}/erasures", Some(erased), 202),
        (Method::POST, "/admin/workspaces/{workspaceId}/erasures", Some(json!({})), 422),
        (Method::DELETE, "/admin/sending-hold", None, 200),
    ];
    for (method, path, body, status) in calls {
        let filled = path
            .replace("{workspaceId}", &workspace)
            .replace("{channelId}", &channel)
            .replace("{accessKeyId}", "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11");
        let credential = format!("Bearer {ADMIN_TOKEN}");
        let body = body.map(|body| body.to_string());
        let answer = harness.request(method.clone(), &filled, &[("Authorization", &credential)], body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        check(&document, method.as_str(), path, &answer);
    }
    harness.stop().await;
}

#[tokio::test]
async fn quiet_hours_and_plans_are_answered_as_documented() {
    let harness = Harness::start().await;
    let document = closed(&harness).await;
    let whole = ("/workspaces/{workspaceId}/quiet-hours", harness.workspace_quiet_hours());
    let own = ("/workspaces/{workspaceId}/channels/{channelId}/quiet-hours", harness.channel_quiet_hours());
    for (documented, path) in [&whole, &own] {
        let calls = [
            (Method::GET, None, 404),
            (Method::PUT, Some(json!({})), 422),
            (Method::PUT, Some(nights()), 200),
            (Method::GET, None, 200),
        ];
        for (method, body, status) in calls.into_iter().skip(usize::from(*documented == own.0)) {
            let answer = harness.ask(method.clone(), path, body.as_ref()).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
            check(&document, method.as_str(), documented, &answer);
        }
    }
    let mut marketing = message();
    marketing["meta"] = json!({ "extraInformation": { "useCase": "marketing" } });
    let sent = harness.send(&message()).await.expect(202);
    let explained = harness.get(&format!("{}/{}/explain", harness.tenant.messages_path(), text(&sent, "id"))).await;
    explained.expect(200);
    check(&document, "GET", &format!("{MESSAGE}/explain"), &explained);
    for validity in [json!(60), json!(86_400), json!("a day")] {
        marketing["validity"] = validity;
        let path = format!("{}?dryRun=true&at=2026-11-20T20:00:00Z", harness.tenant.messages_path());
        let plan = harness.ask(Method::POST, &path, Some(&marketing)).await;
        plan.expect(200);
        check(&document, "POST", MESSAGES, &plan);
    }
    harness.stop().await;
}

#[tokio::test]
async fn pauses_are_answered_as_documented() {
    let harness = Harness::start().await;
    let document = closed(&harness).await;
    let (list, one) = ("/workspaces/{workspaceId}/pauses", "/workspaces/{workspaceId}/pauses/{pauseId}");
    let path = list.replace("{workspaceId}", &harness.tenant.workspace.to_string());
    let until = harness.database.store.now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap().to_string();
    let channel = harness.tenant.channel.id.to_string();
    for (pause, status) in [
        (json!({ "scope": "workspace", "reason": "a" }), 201),
        (json!({ "scope": "channel", "channelId": channel, "reason": "a", "until": until }), 201),
        (json!({ "scope": "tag", "tag": "promo", "reason": "a" }), 201),
        (json!({}), 422),
    ] {
        let made = harness.ask(Method::POST, &path, Some(&pause)).await;
        assert_eq!(made.status, status, "{}", made.text);
        check(&document, "POST", list, &made);
        let id = made.json()["id"].as_str().unwrap_or("2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11").to_owned();
        for method in [Method::GET, Method::DELETE, Method::GET] {
            let answer = harness.ask(method.clone(), &format!("{path}/{id}"), None).await;
            assert_eq!(answer.status, if status == 201 { 200 } else { 404 }, "{}", answer.text);
            check(&document, method.as_str(), one, &answer);
        }
        harness.ask(Method::POST, &path, Some(&pause)).await;
        let listed = harness.get(&path).await;
        listed.expect(200);
        check(&document, "GET", list, &listed);
    }
    let plan = format!("{}?dryRun=true", harness.tenant.messages_path());
    let plan = harness.ask(Method::POST, &plan, Some(&message())).await;
    assert_eq!(plan.expect(200)["gates"][3]["verdict"], "closed");
    check(&document, "POST", MESSAGES, &plan);
    harness.stop().await;
}

#[tokio::test]
async fn acts_on_messages_are_answered_as_documented() {
    let harness = Harness::start().await;
    let document = closed(&harness).await;
    let path = harness.accept(&message()).await;
    let ask = async |method: Method, suffix: &str, body: Option<Value>, status: u16| {
        let answer = harness.ask(method.clone(), &format!("{path}{suffix}"), body.as_ref()).await;
        assert_eq!(answer.status, status, "{method} {suffix}: {}", answer.text);
        check(&document, method.as_str(), &format!("{MESSAGE}{suffix}"), &answer);
    };
    ask(Method::PATCH, "", Some(json!({ "scheduledFor": null })), 200).await;
    ask(Method::PATCH, "", Some(json!({})), 422).await;
    ask(Method::POST, "/hold", None, 200).await;
    ask(Method::POST, "/release", None, 200).await;
    ask(Method::POST, "/replay", None, 409).await;
    ask(Method::DELETE, "", None, 200).await;
    ask(Method::PATCH, "", Some(json!({ "scheduledFor": null })), 409).await;
    ask(Method::POST, "/hold", None, 409).await;
    ask(Method::POST, "/replay", None, 202).await;
    ask(Method::POST, "/replay", None, 200).await;
    ask(Method::GET, "", None, 200).await;
    let (actions, documented) = (format!("{}/actions", harness.tenant.messages_path()), format!("{MESSAGES}/actions"));
    let whole = json!({ "useCase": "transactional", "status": ["accepted"], "receiver": "+254712345678",
        "startAt": "2026-01-01T00:00:00Z", "endAt": "2126-01-01T00:00:00Z" });
    let counted = harness.ask(Method::POST, &actions, Some(&json!({ "action": "hold", "selector": whole }))).await;
    assert_eq!(counted.expect(200)["count"], 1);
    check(&document, "POST", &documented, &counted);
    let state = format!("{actions}/{}", text(&counted.json(), "token"));
    let confirmed = json!({ "token": counted.json()["token"] });
    for (method, path, body, documented) in [
        (Method::GET, &state, None, format!("{documented}/{{actionId}}")),
        (Method::POST, &actions, Some(&confirmed), documented.clone()),
        (Method::GET, &state, None, format!("{documented}/{{actionId}}")),
    ] {
        let answer = harness.ask(method.clone(), path, body).await;
        answer.expect(200);
        check(&document, method.as_str(), &documented, &answer);
    }
    harness.stop().await;
}
