//! What is served is documented, and what is documented is served.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use super::Document;
use crate::harness::{ADMIN_TOKEN, Harness};

/// Methods that a path might be asked with.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"];

/// A path with the ids of the tenant.
fn filled(harness: &Harness, path: &str) -> String {
    let tenant = &harness.tenant;
    path.replace("{workspaceId}", &tenant.workspace.to_string())
        .replace("{channelId}", &tenant.channel.id.to_string())
        .replace("{accessKeyId}", "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11")
        .replace("{messageId}", "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11")
        .replace("{pauseId}", "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11")
        .replace("{actionId}", "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11")
        .replace("{contactId}", "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11")
        .replace("{file}", "swagger-ui.css")
}

#[tokio::test]
async fn the_routes_served_are_the_routes_documented() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in document.operations() {
        documented.entry(operation.path.to_owned()).or_default().insert(operation.method);
    }
    let served: BTreeMap<String, BTreeSet<String>> = api::served_routes()
        .into_iter()
        .map(|(path, allowed)| (path.to_owned(), allowed.split(", ").map(str::to_owned).collect()))
        .collect();
    assert_eq!(served, documented);
    harness.stop().await;
}

#[tokio::test]
async fn a_path_answers_its_methods_and_no_other() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let (key, admin) = (harness.access_key(), format!("Bearer {ADMIN_TOKEN}"));
    for (path, allowed) in api::served_routes() {
        let credential = if path.starts_with("/admin") { &admin } else { &key };
        for method in METHODS {
            let called = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = harness.request(called, &filled(&harness, path), &[("Authorization", credential)], None).await;
            if allowed.split(", ").any(|allowed| allowed == method) {
                let told = document.responses(method, path);
                assert!(told.contains_key(&answer.status.to_string()), "{method} {path}: {}", answer.status);
                assert!(!answer.text.contains("path not found"), "{method} {path}");
            } else {
                assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}");
            }
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn parameters_of_a_path_are_documented() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    for operation in document.operations() {
        let named: BTreeSet<&str> =
            operation.path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        let parameters = operation.value["parameters"].as_array().into_iter().flatten();
        let told: BTreeSet<&str> =
            parameters.filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(named, told, "{} {}", operation.method, operation.path);
    }
    harness.stop().await;
}
