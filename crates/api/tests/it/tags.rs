//! Tags of a workspace.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, message, text};
use crate::table::key_with_scope;

#[tokio::test]
async fn tags_are_listed_with_how_often_and_when_they_were_used() {
    let harness = Harness::start().await;
    let list = format!("/workspaces/{}/tags", harness.tenant.workspace);
    assert_eq!(harness.get(&list).await.expect(200), json!({ "results": [], "nextPageToken": "" }));
    let first = send(&harness, &json!(["VIP", "orders"])).await;
    send(&harness, &json!(["orders", "a-b"])).await;
    let last = send(&harness, &json!(["Orders", "a b"])).await;
    // As if other connections had counted, too.
    harness.database.execute("UPDATE tags SET slot = slot + 20 WHERE tag = 'orders'").await;
    let later = send(&harness, &json!(["orders"])).await;
    let all = harness.get(&list).await.expect(200);
    let counts: Vec<(String, i64)> =
        results(&all).iter().map(|tag| (text(tag, "tag"), tag["messages"].as_i64().unwrap())).collect();
    assert_eq!(counts, [("a b", 1), ("a-b", 1), ("orders", 4), ("vip", 1)].map(|(tag, count)| (tag.to_owned(), count)));
    assert_eq!(text(&results(&all)[2], "createdAt"), text(&first, "createdAt"));
    assert_eq!(text(&results(&all)[2], "lastUsedAt"), text(&later, "createdAt"));
    assert_eq!(text(&results(&all)[0], "lastUsedAt"), text(&last, "createdAt"));
    assert_eq!(all["nextPageToken"], "");
    for (reverse, expected) in [("false", ["a b", "a-b", "orders", "vip"]), ("true", ["vip", "orders", "a-b", "a b"])] {
        let (mut walked, mut token) = (Vec::new(), String::new());
        loop {
            let page = harness.get(&format!("{list}?limit=1&reverse={reverse}&pageToken={token}")).await.expect(200);
            walked.extend(results(&page).iter().map(|tag| text(tag, "tag")));
            token = text(&page, "nextPageToken");
            if token.is_empty() {
                break;
            }
            let other = if reverse == "true" { "false" } else { "true" };
            let refused = harness.get(&format!("{list}?reverse={other}&pageToken={token}")).await;
            assert_eq!(refused.code(422), "InvalidPayload");
        }
        assert_eq!(walked, expected);
    }
    let stranger = format!("AccessKey {}", harness.other.access_key);
    let theirs = format!("/workspaces/{}/tags", harness.other.workspace);
    let headers = [("Authorization", stranger.as_str())];
    assert_eq!(harness.request(Method::GET, &theirs, &headers, None).await.expect(200)["results"], json!([]));
    assert_eq!(harness.request(Method::GET, &list, &headers, None).await.code(404), "NotFound");
    assert_eq!(harness.get(&format!("{list}?tag=vip")).await.code(422), "InvalidPayload");
    let key = format!("AccessKey {}", key_with_scope(&harness, "messages:write").await);
    assert_eq!(harness.request(Method::GET, &list, &[("Authorization", &key)], None).await.code(403), "Forbidden");
    harness.stop().await;
}

async fn send(harness: &Harness, tags: &Value) -> Value {
    let mut message = message();
    message["tags"] = tags.clone();
    harness.send(&message).await.expect(202)
}

fn results(page: &Value) -> &Vec<Value> {
    page["results"].as_array().unwrap()
}
