//! Erasing a recipient through the admin API: what is answered, what is shown afterwards, what a later message does.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, message, text};

const NUMBER: &str = "+254712345678";

async fn erase(harness: &Harness, request: Value) -> Answer {
    harness.admin(Method::POST, &format!("/workspaces/{}/erasures", harness.tenant.workspace), Some(request)).await
}

fn counts(answer: &Value) -> (i64, i64, i64, bool) {
    let number = |name: &str| answer[name].as_i64().unwrap();
    (
        number("erasedMessages"),
        number("cancelledMessages"),
        number("messagesUnderWay"),
        answer["isComplete"].as_bool().unwrap(),
    )
}

#[tokio::test]
async fn an_erased_recipient_is_nowhere_shown_and_the_messages_are() {
    let harness = Harness::start().await;
    let mut sent = message();
    sent["reference"] = json!("order-7781");
    sent["tags"] = json!(["orders"]);
    let ended = text(&harness.send(&sent).await.expect(202), "id");
    harness.database.execute("DELETE FROM outbox; UPDATE messages SET status = 'delivered'").await;
    let waiting = text(&harness.send(&sent).await.expect(202), "id");
    let contact = text(&harness.send(&message()).await.expect(202)["receiver"]["contacts"][0], "id");
    let answer = erase(&harness, json!({ "identifierValue": NUMBER })).await.expect(202);
    assert_eq!(counts(&answer), (3, 2, 0, true));
    assert_eq!(text(&answer, "contactId"), contact);
    for (id, status) in [(&ended, "delivered"), (&waiting, "deleted")] {
        let answer = harness.get(&format!("{}/{id}", harness.tenant.messages_path())).await;
        let shown = answer.expect(200);
        assert_eq!(shown["status"], status);
        assert_eq!((&shown["receiver"]["contacts"], &shown["reference"]), (&json!([]), &json!("")));
        assert_eq!((shown.get("body"), &shown["meta"], &shown["tags"]), (None, &json!({}), &json!(["orders"])));
        assert!(!answer.text.contains("254712345678"), "{}", answer.text);
    }
    let listed = harness.get(&harness.tenant.messages_path()).await;
    assert_eq!(listed.expect(200)["results"].as_array().map(Vec::len), Some(3));
    assert!(!listed.text.contains("Habari"), "{}", listed.text);
    let audit =
        format!("SELECT count(*) FROM audit WHERE act = 'erasure.request' AND subject = '{contact}' AND detail = ''");
    assert_eq!(harness.database.number(&audit).await, 1);
    harness.stop().await;
}

#[tokio::test]
async fn an_erasure_may_be_repeated_and_named_by_contact() {
    let harness = Harness::start().await;
    let sent = harness.send(&message()).await.expect(202);
    let by_contact = json!({ "contactId": sent["receiver"]["contacts"][0]["id"] });
    assert_eq!(counts(&erase(&harness, by_contact.clone()).await.expect(202)), (1, 1, 0, true));
    assert_eq!(counts(&erase(&harness, by_contact).await.expect(202)), (0, 0, 0, true));
    assert_eq!(counts(&erase(&harness, json!({ "identifierValue": NUMBER })).await.expect(202)), (0, 0, 0, true));
    harness.stop().await;
}

#[tokio::test]
async fn a_message_being_sent_is_told_of() {
    let harness = Harness::start().await;
    harness.send(&message()).await.expect(202);
    harness
        .database
        .execute(
            "UPDATE outbox SET claim = 1, tries = 1, due_reason = 'claimed', claimed_until = now() + interval '1 hour'",
        )
        .await;
    let answer = erase(&harness, json!({ "identifierValue": NUMBER })).await.expect(202);
    assert_eq!(counts(&answer), (0, 0, 1, false));
    harness.stop().await;
}

#[tokio::test]
async fn a_later_message_to_the_same_number_makes_the_contact_anew() {
    let harness = Harness::start().await;
    let first = harness.send(&message()).await.expect(202);
    erase(&harness, json!({ "identifierValue": NUMBER })).await.expect(202);
    let contact = text(&first["receiver"]["contacts"][0], "id");
    let path = format!("/workspaces/{}/channels/{}", harness.tenant.workspace, harness.tenant.channel.id);
    let path = format!("{path}/contacts/{contact}");
    assert_eq!(harness.get(&path).await.code(404), "NotFound");
    let later = harness.send(&message()).await.expect(202);
    assert_eq!(later["receiver"], first["receiver"]);
    harness.get(&path).await.expect(200);
    harness.stop().await;
}

#[tokio::test]
async fn a_request_names_one_recipient_of_a_workspace_that_is_there() {
    let harness = Harness::start().await;
    for (request, path) in [
        (json!({}), ".identifierValue"),
        (json!({ "identifierValue": "0712" }), ".identifierValue"),
        (json!({ "contactId": "me" }), ".contactId"),
        (json!({ "identifierValue": NUMBER, "contactId": "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11" }), ".contactId"),
        (json!({ "identifierValue": NUMBER, "colour": "red" }), ".colour"),
    ] {
        let refused = erase(&harness, request.clone()).await;
        assert_eq!(refused.code(422), "InvalidPayload", "{request}");
        assert!(refused.json()["details"].get(path).is_some(), "{request}: {}", refused.text);
    }
    let nowhere = "/workspaces/2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11/erasures";
    let refused = harness.admin(Method::POST, nowhere, Some(json!({ "identifierValue": NUMBER }))).await;
    assert_eq!(refused.code(404), "NotFound");
    assert_eq!(harness.rows("erasures").await, 0);
    harness.stop().await;
}
