//! Lists: a token opens the list it came from and no other, and a filter finds nothing of another tenant.

use serde_json::json;
use testkit::Tenant;

use super::answers::{ask, essence};
use super::estate::{Estate, json_of};
use super::matrix::{UNKNOWN, operations_of_workspaces};
use crate::harness::Harness;
use crate::openapi::{Document, Operation};

/// A list that was asked for its first page of one.
struct Listed {
    path: String,
    token: String,
}

#[tokio::test]
async fn a_page_token_of_another_tenant_channel_or_list_is_refused() {
    let harness = Harness::start().await;
    let own = Estate::plant(&harness, &harness.tenant, "mine", ["+254712345678", "+254110090747"]).await;
    let foreign = Estate::plant(&harness, &harness.other, "zanzibar", ["+254733445566", "+254722987654"]).await;
    let second = second_channel(&harness, &harness.tenant, &own).await;
    second_channel(&harness, &harness.other, &foreign).await;
    let document = Document::read(&harness).await;
    let mut lists = Vec::new();
    for operation in lists_of(&document) {
        let beside =
            super::estate::fill(operation.path, |name| if name == "channelId" { second.clone() } else { own.id(name) });
        let paths = [(own.fill(operation.path), &own), (foreign.fill(operation.path), &foreign), (beside, &own)];
        for (path, estate) in paths {
            for path in [path.clone(), format!("{path}?reverse=true")] {
                if !lists.iter().any(|known: &Listed| known.path == path) {
                    lists.push(first_page(&harness, path, estate).await);
                }
            }
        }
    }
    let (mut opened, mut refused) = (0, 0);
    for list in lists.iter().filter(|list| list.path.contains(&own.id("workspaceId"))) {
        for other in &lists {
            let path = with_query(&list.path, &[("limit", "1"), ("pageToken", &other.token)]);
            let answer = ask(&harness, "GET", &path, &[&own.credential], None).await;
            assert_eq!(foreign.leaks(&answer), Vec::<&str>::new(), "{path}: {}", answer.body);
            if list.path == other.path {
                json_of(&answer, 200);
                opened += 1;
            } else {
                let told = json_of(&answer, 422);
                let expected = json!({ ".pageToken": ["is not a token of this list"] });
                assert_eq!(told["details"], expected, "{} at {}", other.path, list.path);
                refused += 1;
            }
        }
    }
    assert!(opened >= 4 && refused >= 20, "{opened} opened, {refused} refused");
    harness.stop().await;
}

#[tokio::test]
async fn a_filter_finds_the_same_for_another_tenants_values_as_for_nobodys() {
    let harness = Harness::start().await;
    let own = Estate::plant(&harness, &harness.tenant, "mine", ["+254712345678", "+254110090747"]).await;
    let foreign = Estate::plant(&harness, &harness.other, "zanzibar", ["+254733445566", "+254722987654"]).await;
    let document = Document::read(&harness).await;
    let mut compared = 0;
    for operation in operations_of_workspaces(&document).iter().filter(|operation| operation.method == "GET") {
        let path = own.fill(operation.path);
        for name in queries(operation) {
            for (theirs, nobodys) in values(name, &foreign) {
                let theirs =
                    ask(&harness, "GET", &with_query(&path, &[(name, &theirs)]), &[&own.credential], None).await;
                let nobodys =
                    ask(&harness, "GET", &with_query(&path, &[(name, nobodys)]), &[&own.credential], None).await;
                assert_eq!(essence(&theirs), essence(&nobodys), "{} with {name}", operation.path);
                assert_eq!(foreign.leaks(&theirs), Vec::<&str>::new(), "{} with {name}", operation.path);
                compared += 1;
                // The filter is one: what is the tenant's own is found by it.
                let Some(mine) = own.filters.get(name) else { continue };
                let mine = ask(&harness, "GET", &with_query(&path, &[(name, mine)]), &[&own.credential], None).await;
                assert_ne!(json_of(&mine, 200)["results"], json!([]), "{} with {name}", operation.path);
                assert_eq!(json_of(&theirs, 200)["results"], json!([]), "{} with {name}", operation.path);
            }
        }
    }
    assert!(compared >= 12, "{compared} filters");
    harness.stop().await;
}

/// Values of a query parameter that name something of the other tenant, each with one of the same form that names
/// nothing.
fn values<'a>(name: &str, foreign: &Estate) -> Vec<(String, &'a str)> {
    let one = foreign.filters.get(name).cloned();
    let nothing = if matches!(name, "receiver" | "batchId") { UNKNOWN } else { "nothing-of-anybody" };
    let number = if matches!(name, "receiver" | "contactIdentifierValue") { Some(&foreign.number) } else { None };
    let number = number.map(|number| (number.replace('+', "%2B"), "%2B254799000000"));
    one.map(|one| (one, nothing)).into_iter().chain(number).collect()
}

/// Names of an operation's query parameters.
fn queries<'a>(operation: &Operation<'a>) -> Vec<&'a str> {
    let parameters = operation.value["parameters"].as_array().into_iter().flatten();
    parameters.filter(|one| one["in"] == "query").map(|one| one["name"].as_str().unwrap()).collect()
}

/// Operations that answer pages.
fn lists_of(document: &Document) -> Vec<Operation<'_>> {
    let mut operations = operations_of_workspaces(document);
    operations.retain(|operation| queries(operation).contains(&"pageToken"));
    assert!(!operations.is_empty(), "no lists");
    operations
}

async fn first_page(harness: &Harness, path: String, estate: &Estate) -> Listed {
    let answer = ask(harness, "GET", &with_query(&path, &[("limit", "1")]), &[&estate.credential], None).await;
    let token = json_of(&answer, 200)["nextPageToken"].as_str().unwrap().to_owned();
    assert_ne!(token, "", "{path} has no second page: plant more");
    Listed { path, token }
}

/// A further channel of a tenant, with enough messages for two pages; its id.
async fn second_channel(harness: &Harness, tenant: &Tenant, estate: &Estate) -> String {
    let store = &harness.database.store;
    let key = harness.provider_key(tenant).await;
    let second = Tenant::create_channel(store, tenant.workspace, &tenant.channel.settings, &key).await.id.to_string();
    let path = format!("/workspaces/{}/channels/{second}/messages", tenant.workspace);
    let message = json!({ "receiver": { "contacts": [{ "identifierValue": estate.number }] },
        "body": { "type": "text", "text": { "text": "a" } } });
    for _ in 0..2 {
        json_of(&ask(harness, "POST", &path, &[&estate.credential], Some(&message)).await, 202);
    }
    second
}

fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{path}{}{}", if path.contains('?') { '&' } else { '?' }, query.join("&"))
}
