//! Lists of the admin API: in order of id, page by page, complete.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, text};

#[tokio::test]
async fn workspaces_are_listed_page_by_page() {
    let harness = Harness::start().await;
    let mut made = BTreeSet::from([harness.tenant.workspace.to_string(), harness.other.workspace.to_string()]);
    for number in 0..5 {
        let name = json!({ "name": format!("workspace {number}") });
        made.insert(text(&harness.admin(Method::POST, "/workspaces", Some(name)).await.expect(201), "id"));
    }
    assert_eq!(walk(&harness, "/workspaces").await, made.into_iter().collect::<Vec<_>>());
    harness.stop().await;
}

#[tokio::test]
async fn channels_and_keys_are_listed_page_by_page_and_only_ones_own() {
    let harness = Harness::start().await;
    let workspace = harness.tenant.workspace;
    let (channels, keys) =
        (format!("/workspaces/{workspace}/channels"), format!("/workspaces/{workspace}/access-keys"));
    let mut made_channels = BTreeSet::from([harness.tenant.channel.id.to_string()]);
    let mut made_keys = BTreeSet::from([harness.tenant.access_key_id.to_string()]);
    for number in 0..4 {
        let settings = json!({ "name": format!("channel {number}"), "number": "+254110090747", "providerKey": "k" });
        made_channels.insert(text(&harness.admin(Method::POST, &channels, Some(settings)).await.expect(201), "id"));
        let name = json!({ "name": format!("key {number}"), "scopes": ["messages:read"] });
        made_keys.insert(text(&harness.admin(Method::POST, &keys, Some(name)).await.expect(201), "id"));
    }
    assert_eq!(walk(&harness, &channels).await, made_channels.into_iter().collect::<Vec<_>>());
    assert_eq!(walk(&harness, &keys).await, made_keys.into_iter().collect::<Vec<_>>());
    harness.stop().await;
}

#[tokio::test]
async fn what_was_done_is_noted() {
    let harness = Harness::start().await;
    let before = harness.rows("audit").await;
    let workspace =
        text(&harness.admin(Method::POST, "/workspaces", Some(json!({ "name": "Duka" }))).await.expect(201), "id");
    harness
        .admin(Method::PATCH, &format!("/workspaces/{workspace}"), Some(json!({ "name": "Duka 2" })))
        .await
        .expect(200);
    let keys = format!("/workspaces/{workspace}/access-keys");
    let key = text(&harness.admin(Method::POST, &keys, Some(json!({ "name": "app" }))).await.expect(201), "id");
    harness.admin(Method::DELETE, &format!("{keys}/{key}"), None).await.expect(200);
    harness.admin(Method::GET, &keys, None).await.expect(200);
    assert_eq!(harness.rows("audit").await - before, 4);
    let noted = format!("SELECT count(*) FROM audit WHERE workspace_id = '{workspace}' AND actor = 'admin-token'");
    assert_eq!(harness.database.number(&noted).await, 4);
    harness.stop().await;
}

/// All ids of a list, two a page.
async fn walk(harness: &Harness, path: &str) -> Vec<String> {
    let (mut walked, mut token) = (Vec::new(), String::new());
    for _ in 0..20 {
        let page: Value =
            harness.admin(Method::GET, &format!("{path}?limit=2&pageToken={token}"), None).await.expect(200);
        walked.extend(page["results"].as_array().unwrap().iter().map(|item| text(item, "id")));
        token = text(&page, "nextPageToken");
        if token.is_empty() {
            return walked;
        }
    }
    panic!("the list does not end");
}
