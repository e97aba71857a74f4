//! The operator's API and the workspaces' stay apart.

use reqwest::Method;
use serde_json::json;

use super::answers::{ask, code, essence};
use super::estate::{Estate, fill, json_of, parameters, rows_of};
use super::matrix::{UNKNOWN, body_of};
use crate::harness::{ADMIN_TOKEN, Harness};
use crate::openapi::Document;

#[tokio::test]
async fn an_access_key_opens_nothing_of_the_admin_api() {
    let harness = Harness::start().await;
    let own = Estate::plant(&harness, &harness.tenant, "mine", ["+254712345678", "+254110090747"]).await;
    let foreign = Estate::plant(&harness, &harness.other, "zanzibar", ["+254733445566", "+254722987654"]).await;
    let before = [rows_of(&harness, &harness.tenant).await, rows_of(&harness, &harness.other).await];
    let workspaces = harness.rows("workspaces").await;
    let document = Document::read(&harness).await;
    let key = &harness.tenant.access_key;
    let mut asked = 0;
    for operation in document.operations().iter().filter(|operation| operation.path.starts_with("/admin/")) {
        let body = body_of(operation).unwrap_or_else(|| json!({ "name": "taken over" }));
        for estate in [&own, &foreign] {
            let path = fill(operation.path, |name| id(&harness, estate, name));
            for credential in
                [&format!("AccessKey {key}"), &format!("Bearer {key}"), &format!("AccessKey {ADMIN_TOKEN}")]
            {
                let answer = ask(&harness, &operation.method, &path, &[credential], Some(&body)).await;
                assert_eq!((answer.status, code(&answer).as_str()), (401, "Unauthorized"), "{credential} {path}");
                assert_eq!(foreign.leaks(&answer), Vec::<&str>::new(), "{}", answer.body);
                asked += 1;
            }
        }
    }
    assert!(asked >= 60, "{asked} requests");
    assert_eq!([rows_of(&harness, &harness.tenant).await, rows_of(&harness, &harness.other).await], before);
    assert_eq!(harness.rows("workspaces").await, workspaces);
    harness.stop().await;
}

/// Also the operator names a thing by the workspace it is in.
#[tokio::test]
async fn the_admin_api_finds_nothing_of_one_workspace_under_another() {
    let harness = Harness::start().await;
    let own = Estate::plant(&harness, &harness.tenant, "mine", ["+254712345678", "+254110090747"]).await;
    let foreign = Estate::plant(&harness, &harness.other, "zanzibar", ["+254733445566", "+254722987654"]).await;
    let before = rows_of(&harness, &harness.other).await;
    let document = Document::read(&harness).await;
    let token = format!("Bearer {ADMIN_TOKEN}");
    let mut asked = 0;
    for operation in document.operations().iter().filter(|operation| operation.path.starts_with("/admin/")) {
        if parameters(operation.path).len() < 2 {
            continue;
        }
        let with = |other: &dyn Fn(&str) -> String| {
            fill(operation.path, |name| if name == "workspaceId" { own.id(name) } else { other(name) })
        };
        let (theirs, nobodys) = (with(&|name| id(&harness, &foreign, name)), with(&|_| UNKNOWN.to_owned()));
        let body = body_of(operation);
        let theirs = ask(&harness, &operation.method, &theirs, &[&token], body.as_ref()).await;
        let nobodys = ask(&harness, &operation.method, &nobodys, &[&token], body.as_ref()).await;
        json_of(&theirs, 404);
        assert_eq!(essence(&theirs), essence(&nobodys), "{} {}", operation.method, operation.path);
        asked += 1;
    }
    assert!(asked >= 3, "{asked} operations");
    assert_eq!(rows_of(&harness, &harness.other).await, before);
    let path = foreign.fill("/workspaces/{workspaceId}/channels/{channelId}/messages");
    harness.request(Method::GET, &path, &[("Authorization", &foreign.credential)], None).await.expect(200);
    harness.stop().await;
}

fn id(harness: &Harness, estate: &Estate, name: &str) -> String {
    if name != "accessKeyId" {
        return estate.id(name);
    }
    let is_own = estate.id("workspaceId") == harness.tenant.workspace.to_string();
    let tenant = if is_own { &harness.tenant } else { &harness.other };
    tenant.access_key_id.to_string()
}
