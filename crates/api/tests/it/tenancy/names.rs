//! Names inside bodies: contacts, answered messages, deduplication and collapse keys are the workspace's own.

use serde_json::{Value, json};

use super::answers::{ask, essence};
use super::estate::{Estate, json_of, rows_of};
use super::matrix::UNKNOWN;
use crate::harness::{Harness, message};

/// A message that names something by its id.
type Form = fn(&str) -> Value;

#[tokio::test]
async fn a_contact_or_message_of_another_tenant_is_refused_like_one_that_nobody_has() {
    let harness = Harness::start().await;
    let own = Estate::plant(&harness, &harness.tenant, "mine", ["+254712345678", "+254110090747"]).await;
    let foreign = Estate::plant(&harness, &harness.other, "zanzibar", ["+254733445566", "+254722987654"]).await;
    let before = rows_of(&harness, &harness.other).await;
    let path = harness.tenant.messages_path();
    let forms: [(Form, [String; 2]); 4] = [
        (to_contact, [own.id("contactId"), foreign.id("contactId")]),
        (to_contact_with_number, [own.id("contactId"), foreign.id("contactId")]),
        (in_reply, [own.received(), foreign.received()]),
        (in_reply_inside, [own.received(), foreign.received()]),
    ];
    for (form, [mine, theirs]) in forms {
        let dry = format!("{path}?dryRun=true");
        let mine = form(&mine);
        assert_eq!(ask(&harness, "POST", &path, &[&own.credential], Some(&mine)).await.status, 202, "{mine}");
        for path in [&path, &dry] {
            let theirs = ask(&harness, "POST", path, &[&own.credential], Some(&form(&theirs))).await;
            let nobodys = ask(&harness, "POST", path, &[&own.credential], Some(&form(UNKNOWN))).await;
            assert_eq!(essence(&theirs), essence(&nobodys));
            assert_eq!(foreign.leaks(&theirs), Vec::<&str>::new(), "{}", theirs.body);
            assert!(theirs.body.contains("of this workspace") || theirs.body.contains("in this workspace"));
        }
        let batch = json!({ "messageRequests": [mine, form(&theirs), form(UNKNOWN)] });
        let path = path.replace("/messages", "/batch/messages");
        let answer = ask(&harness, "POST", &path, &[&own.credential], Some(&batch)).await;
        assert_eq!(foreign.leaks(&answer), Vec::<&str>::new(), "{}", answer.body);
        let results = json_of(&answer, 202)["results"].clone();
        assert_eq!([&results[0]["status"], &results[1]["status"]], ["accepted", "rejected"], "{results}");
        for property in ["status", "failure", "details", "idempotentReplayed"] {
            assert_eq!(results[1][property], results[2][property], "{results}");
        }
    }
    assert_eq!(rows_of(&harness, &harness.other).await, before);
    harness.stop().await;
}

#[tokio::test]
async fn keys_of_another_tenant_are_free() {
    let harness = Harness::start().await;
    let foreign = Estate::plant(&harness, &harness.other, "zanzibar", ["+254733445566", "+254722987654"]).await;
    let credential = harness.access_key();
    let mut theirs = to_number(&foreign.number);
    theirs["collapseKey"] = json!("zanzibar-collapse");
    theirs["capFrequency"] = json!(true);
    theirs["meta"] = json!({ "extraInformation": { "useCase": "marketing" } });
    let path = harness.other.messages_path();
    json_of(&ask(&harness, "POST", &path, &[&foreign.credential], Some(&theirs)).await, 202);
    let before = rows_of(&harness, &harness.other).await;
    // The same deduplication key, collapse key and recipient: nothing of the other's is repeated, replaced or counted.
    let mut mine = theirs.clone();
    mine["messageId"] = json!(foreign.filters["messageId"]);
    let answer = ask(&harness, "POST", &harness.tenant.messages_path(), &[&credential], Some(&mine)).await;
    assert_eq!(answer.header("idempotent-replayed"), None);
    let accepted = json_of(&answer, 202);
    assert_eq!(accepted["status"], "accepted", "{accepted}");
    assert_ne!(accepted["id"], foreign.id("messageId"));
    assert_eq!(rows_of(&harness, &harness.other).await, before);
    // Within the workspace both keys mean something.
    let again = ask(&harness, "POST", &harness.tenant.messages_path(), &[&credential], Some(&mine)).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    harness.stop().await;
}

#[tokio::test]
async fn a_channel_of_another_tenant_is_paused_as_little_as_one_that_nobody_has() {
    let harness = Harness::start().await;
    let foreign = Estate::plant(&harness, &harness.other, "zanzibar", ["+254733445566", "+254722987654"]).await;
    let before = rows_of(&harness, &harness.other).await;
    let path = format!("/workspaces/{}/pauses", harness.tenant.workspace);
    let pause = async |channel: &str| {
        let pause = json!({ "scope": "channel", "channelId": channel, "reason": "moved" });
        ask(&harness, "POST", &path, &[&harness.access_key()], Some(&pause)).await
    };
    let (theirs, nobodys) = (pause(&foreign.id("channelId")).await, pause(UNKNOWN).await);
    assert_eq!(essence(&theirs), essence(&nobodys));
    assert_eq!(json_of(&theirs, 422)["details"], json!({ ".channelId": ["is not a channel of this workspace"] }));
    assert_eq!(foreign.leaks(&theirs), Vec::<&str>::new(), "{}", theirs.body);
    json_of(&pause(&harness.tenant.channel.id.to_string()).await, 201);
    assert_eq!(rows_of(&harness, &harness.other).await, before);
    // Of the same tag: it is the workspace's own.
    let tag = json!({ "scope": "tag", "tag": foreign.filters["tags"], "reason": "moved" });
    json_of(&ask(&harness, "POST", &path, &[&harness.access_key()], Some(&tag)).await, 201);
    assert_eq!(rows_of(&harness, &harness.other).await, before);
    harness.stop().await;
}

fn to_number(number: &str) -> Value {
    let mut message = message();
    message["receiver"] = json!({ "contacts": [{ "identifierValue": number }] });
    message
}

fn to_contact(id: &str) -> Value {
    let mut message = message();
    message["receiver"] = json!({ "contacts": [{ "id": id }] });
    message
}

fn to_contact_with_number(id: &str) -> Value {
    let mut message = message();
    message["receiver"]["contacts"][0]["id"] = json!(id);
    message
}

fn in_reply(id: &str) -> Value {
    let mut message = message();
    message["replyTo"] = json!({ "id": id, "type": "message" });
    message
}

fn in_reply_inside(id: &str) -> Value {
    let mut message = message();
    message["body"]["replyTo"] = json!({ "id": id, "type": "message" });
    message
}
