//! The properties of a request beside content and time, as far as they show.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, message, text};

fn with(pointer: &str, value: Value) -> Value {
    let mut request = message();
    request[pointer] = value;
    request
}

#[tokio::test]
async fn a_contact_may_be_named_by_its_id() {
    let harness = Harness::start().await;
    let first = harness.send(&message()).await.expect(202);
    let contact = text(&first["receiver"]["contacts"][0], "id");
    let by_id = with("receiver", json!({ "contacts": [{ "id": contact }] }));
    let second = harness.send(&by_id).await.expect(202);
    assert_eq!(second["receiver"], first["receiver"]);
    // What an answer shows of a contact may be sent back.
    let shown = json!({ "contacts": [{ "id": contact, "identifierKey": "phonenumber", "identifierValue": "254712345678",
        "type": "to", "platformAddress": "+254712345678", "platformAddressSelector": "identifiers.phonenumber" }] });
    harness.send(&with("receiver", shown)).await.expect(202);
    let path = ".receiver.contacts[0].identifierValue";
    let differing = json!({ "contacts": [{ "id": contact, "identifierValue": "+254712345679" }] });
    assert!(harness.send(&with("receiver", differing)).await.expect(422)["details"].get(path).is_some());
}

#[tokio::test]
async fn a_contact_of_another_workspace_is_not_there() {
    let harness = Harness::start().await;
    let headers = format!("AccessKey {}", harness.other.access_key);
    let path = harness.other.messages_path();
    let theirs =
        harness.request(Method::POST, &path, &[("Authorization", &headers)], Some(message().to_string())).await;
    let contact = text(&theirs.expect(202)["receiver"]["contacts"][0], "id");
    let refused = harness.send(&with("receiver", json!({ "contacts": [{ "id": contact }] }))).await.expect(422);
    assert_eq!(refused["details"], json!({ ".receiver.contacts[0].id": ["is not a contact of this workspace"] }));
}

#[tokio::test]
async fn a_reply_names_a_message_received_in_the_workspace() {
    let harness = Harness::start().await;
    let sent = text(&harness.send(&message()).await.expect(202), "id");
    let reply = |id: &str| json!({ "id": id, "type": "message" });
    let refused = harness.send(&with("replyTo", reply(&sent))).await.expect(422);
    assert_eq!(refused["details"], json!({ ".replyTo.id": ["is not a message received in this workspace"] }));
    harness.database.execute(&format!("UPDATE messages SET direction = 'incoming' WHERE message_id = '{sent}'")).await;
    let accepted = harness.send(&with("replyTo", reply(&sent))).await.expect(202);
    assert_eq!(accepted["replyTo"], reply(&sent));
    assert_eq!(accepted["details"], "replyTo is kept but not sent: Lipachat has no reply context");
    // The public samples print it inside the body.
    let mut inside = message();
    inside["body"]["replyTo"] = reply(&sent);
    let accepted = harness.send(&inside).await.expect(202);
    assert_eq!((&accepted["replyTo"], &accepted["body"]), (&reply(&sent), &message()["body"]));
    inside["replyTo"] = reply(&sent);
    assert!(harness.send(&inside).await.expect(422)["details"].get(".body.replyTo").is_some());
}

#[tokio::test]
async fn the_workspaces_parameters_go_on_the_links_of_a_campaigns_text_and_the_body_is_echoed_as_it_was() {
    let harness = Harness::start().await;
    let path = format!("/workspaces/{}", harness.tenant.workspace);
    let parameters = json!({ "linkParameters": { "utm_source": "acme" } });
    harness.admin(Method::PATCH, &path, Some(parameters)).await.expect(200);
    let mut request = message();
    request["body"]["text"]["text"] = json!("See https://shop.example/a?x=1.");
    request["enableLinkTracking"] = json!(true);
    let sent = async |request: &Value| {
        let id = text(&harness.send(request).await.expect(202), "id");
        let parts = format!(
            "SELECT parts::json->0->'content'->>'text' LIKE '%utm_source=acme.' FROM messages WHERE message_id = '{id}'"
        );
        harness.database.number(&format!("SELECT (({parts}))::int::bigint")).await == 1
    };
    assert!(!sent(&request).await, "only campaigns are tracked");
    request["meta"] = json!({ "campaign": { "name": "spring" } });
    assert!(sent(&request).await);
    request["body"]["text"]["text"] = json!(format!("https://shop.example/{}", "x".repeat(4070)));
    let refused = harness.send(&request).await.expect(422);
    assert!(refused["details"].get(".enableLinkTracking").is_some(), "{refused}");
}

#[tokio::test]
async fn over_the_frequency_cap_a_message_is_rejected() {
    let harness = Harness::start().await;
    let mut request = with("meta", json!({ "extraInformation": { "useCase": "marketing" } }));
    request["capFrequency"] = json!(true);
    assert_eq!(harness.send(&request).await.expect(202)["status"], "accepted");
    let capped = harness.send(&request).await.expect(202);
    assert_eq!((&capped["status"], &capped["failure"]["code"]), (&json!("rejected"), &json!(16007)));
    let path = format!("{}/{}", harness.tenant.messages_path(), text(&capped, "id"));
    assert_eq!(harness.get(&path).await.expect(200), capped);
    request["meta"] = json!({ "extraInformation": { "useCase": "transactional" } });
    assert!(harness.send(&request).await.expect(422)["details"].get(".capFrequency").is_some());
}

#[tokio::test]
async fn templates_and_options_are_shown_as_they_were_sent() {
    let harness = Harness::start().await;
    let template = json!({ "name": "order_ready", "locale": "en", "parameters": [{ "type": "string", "key": "1", "value": "Asha" }] });
    let request = json!({ "receiver": message()["receiver"], "template": template, "shortLinks": { "domain": "default" },
        "notification": { "url": "https://app.example/hook" }, "ignoreQuietHours": true, "ignoreGlobalHoldout": true,
        "collapseKey": "ready", "sender": { "connector": { "identifierValue": "+254110090747" } } });
    let accepted = harness.send(&request).await.expect(202);
    assert_eq!((&accepted["template"], accepted.get("body")), (&template, None));
    assert_eq!(accepted["shortLinks"], json!({ "domain": "default" }));
    let path = format!("{}/{}", harness.tenant.messages_path(), text(&accepted, "id"));
    assert_eq!(harness.get(&path).await.expect(200), accepted);
}
