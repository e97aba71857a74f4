//! How long texts are kept: the setting, and what is shown when they are gone.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, message, text};

#[tokio::test]
async fn the_days_that_texts_are_kept_are_set_for_each_workspace() {
    let harness = Harness::start().await;
    let path = format!("/workspaces/{}", harness.tenant.workspace);
    assert_eq!(harness.admin(Method::GET, &path, None).await.expect(200)["bodyRetentionDays"], 30);
    for days in [1, 3650] {
        let change = json!({ "bodyRetentionDays": days });
        assert_eq!(harness.admin(Method::PATCH, &path, Some(change)).await.expect(200)["bodyRetentionDays"], days);
        let unchanged = harness.admin(Method::PATCH, &path, Some(json!({ "name": "Duka" }))).await.expect(200);
        assert_eq!(unchanged["bodyRetentionDays"], days);
    }
    let other = format!("/workspaces/{}", harness.other.workspace);
    assert_eq!(harness.admin(Method::GET, &other, None).await.expect(200)["bodyRetentionDays"], 30);
    for odd in [json!(0), json!(3651), json!("30"), json!(1.5)] {
        let refused = harness.admin(Method::PATCH, &path, Some(json!({ "bodyRetentionDays": odd }))).await;
        assert_eq!(refused.code(422), "InvalidPayload");
        assert!(refused.json()["details"].get(".bodyRetentionDays").is_some(), "{}", refused.text);
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_message_whose_texts_are_gone_is_shown_without_them_and_its_repetition_is_known() {
    let harness = Harness::start().await;
    let mut request = message();
    request["messageId"] = json!("order-7781");
    request["meta"] = json!({ "extraInformation": { "useCase": "transactional" } });
    let sent = harness.send(&request).await.expect(202);
    let failed = "DELETE FROM outbox; UPDATE messages SET status = 'sending_failed', failure_code = 16001, \
        failure_source = 'tuma', failure_source_code = ''";
    harness.database.execute(failed).await;
    let path = format!("{}/{}", harness.tenant.messages_path(), text(&sent, "id"));
    let before = harness.get(&path).await.expect(200);
    let store = &harness.database.store;
    let old = store.now().checked_add(SignedDuration::from_hours(31 * 24)).unwrap();
    for overdue in store.overdue_bodies(old, 10).await.unwrap() {
        store.remove_bodies(&overdue, 10).await.unwrap();
    }
    let mut expected = before.clone();
    expected.as_object_mut().unwrap().remove("body");
    expected["meta"] = json!({});
    assert!(before.get("body").is_some() && before["meta"] != json!({}) && before["details"] != "");
    assert_eq!(harness.get(&path).await.expect(200), expected);
    let listed: Value = harness.get(&harness.tenant.messages_path()).await.expect(200);
    assert_eq!(listed["results"], json!([expected]));
    let again = harness.send(&request).await;
    assert_eq!((again.header("idempotent-replayed"), again.expect(202)), (Some("true"), expected));
    request["body"]["text"]["text"] = json!("Kwaheri");
    assert_eq!(harness.send(&request).await.code(409), "MessageIdConflict");
    harness.stop().await;
}
