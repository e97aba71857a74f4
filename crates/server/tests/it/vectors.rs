//! Requests and the calls they become: what a dry run says, and what the sandbox then received.

use reqwest::Client;
use serde_json::Value;

use crate::process::{Dev, get, http, json_of, post};

const SHARED: &str = include_str!("../../../api/tests/it/vectors/shared.json");
const OURS: &str = include_str!("../../../api/tests/it/vectors/ours.json");
/// Fewer would mean that part of a table was lost.
const SHARED_MIN: usize = 20;
const OURS_MIN: usize = 250;

#[tokio::test]
async fn every_shared_vector_becomes_the_calls_it_names() {
    assert!(check_all(SHARED).await >= SHARED_MIN);
}

#[tokio::test]
async fn every_vector_of_our_own_becomes_the_calls_it_names() {
    assert!(check_all(OURS).await >= OURS_MIN);
}

/// Checks a table of vectors; answers how many there are.
async fn check_all(table: &str) -> usize {
    let (http, dev) = (http(), Dev::start(&["--ephemeral"]));
    let table: Value = serde_json::from_str(table).expect("a table");
    let vectors = table["vectors"].as_array().expect("vectors");
    let mut problems = Vec::new();
    let mut received = 0;
    for vector in vectors {
        if let Err(problem) = check(&http, &dev, vector, &mut received).await {
            problems.push(format!("{}: {problem}", vector["name"]));
        }
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), vectors.len(), problems.join("\n"));
    vectors.len()
}

async fn check(http: &Client, dev: &Dev, vector: &Value, received: &mut u64) -> Result<(), String> {
    let (request, expect) = (&vector["request"], &vector["expect"]);
    let url = dev.messages_url();
    let plan = json_of(post(http, &format!("{url}?dryRun=true"), &dev.text("accessKey"), request).await).await;
    let answer = dev.post(http, request).await;
    let status = answer.status().as_u16();
    let answer = json_of(answer).await;
    if Some(u64::from(status)) != expect["status"].as_u64() {
        return Err(format!("{status} {answer}"));
    }
    if status != 202 {
        check_refused(&plan["violations"], expect)?;
        return check_refused(&answer["details"], expect);
    }
    if plan["wouldAccept"] != true {
        return Err(format!("the dry run says {plan}"));
    }
    check_calls("the dry run", &calls(&plan["lipachatCalls"]), expect)?;
    dev.wait_for_status(http, answer["id"].as_str().unwrap_or_default(), "sent").await;
    let ledger = get(http, &format!("{}/_sandbox/ledger?after={received}", dev.text("sandboxUrl")), "").await;
    let entries = &ledger["entries"];
    *received += entries.as_array().map_or(0, Vec::len) as u64;
    check_calls("the sandbox", &calls(entries), expect)
}

/// Methods, paths and bodies, without the ids that differ each time.
fn calls(given: &Value) -> Vec<Value> {
    let call = |given: &Value| {
        let mut body = given["body"].clone();
        let id = body.as_object_mut().and_then(|body| body.remove("messageId"));
        let has_id = id.as_ref().and_then(Value::as_str).is_some_and(|id| id.len() == 36);
        serde_json::json!({ "method": given["method"], "path": given["path"], "body": body, "hasId": has_id })
    };
    given.as_array().into_iter().flatten().map(call).collect()
}

fn check_calls(who: &str, calls: &[Value], expect: &Value) -> Result<(), String> {
    let mut expected = expect["lipachatCalls"].as_array().cloned().unwrap_or_default();
    for call in &mut expected {
        call["hasId"] = Value::Bool(true);
    }
    if calls == expected { Ok(()) } else { Err(format!("{who} has {}", Value::from(calls.to_vec()))) }
}

fn check_refused(details: &Value, expect: &Value) -> Result<(), String> {
    let paths = expect["details"].as_array().expect("paths");
    let is_named = |path: &&Value| details.get(path.as_str().unwrap_or_default()).is_some();
    match paths.iter().find(|path| !is_named(path)) {
        Some(path) => Err(format!("{path} is not among {details}")),
        None => Ok(()),
    }
}
