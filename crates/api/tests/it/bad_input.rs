//! What is wrong is refused, with exactly what is wrong about it, and never with a fault of ours.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::harness::Harness;
use crate::raw::RawAnswer;
use crate::table::{TableRequest, placeholders, read};

/// One table a subject.
const TABLES: &[&str] = &[
    include_str!("input/bad_json.json"),
    include_str!("input/bad_http.json"),
    include_str!("input/bad_credentials.json"),
    include_str!("input/bad_paths.json"),
    include_str!("input/bad_queries.json"),
    include_str!("input/bad_message.json"),
    include_str!("input/bad_options.json"),
    include_str!("input/bad_texts.json"),
    include_str!("input/bad_media.json"),
    include_str!("input/bad_lists.json"),
    include_str!("input/bad_cards.json"),
    include_str!("input/bad_templates.json"),
    include_str!("input/bad_admin.json"),
    include_str!("input/bad_rates.json"),
    include_str!("input/bad_quiet_hours.json"),
    include_str!("input/bad_pauses.json"),
    include_str!("input/bad_acts.json"),
];
/// Fewer would mean that part of the tables was lost.
const REQUESTS_MIN: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_request_is_refused_as_the_tables_say() {
    let harness = Harness::start().await;
    let placeholders = placeholders(&harness).await;
    let requests: Vec<_> = TABLES.iter().flat_map(|table| read(table)).collect();
    assert!(requests.len() >= REQUESTS_MIN, "only {} requests", requests.len());
    let names: BTreeSet<&str> = requests.iter().map(|request| request.name.as_str()).collect();
    assert_eq!(names.len(), requests.len(), "a name is given twice");
    let (messages, audit, hints) =
        (harness.rows("messages").await, harness.rows("audit").await, harness.hints.load(Ordering::Relaxed));
    let mut problems = Vec::new();
    for request in &requests {
        let answer = request.send(&harness, &placeholders).await;
        let expected = request.details.as_ref().map(|details| placeholders.fill_json(details));
        if let Err(problem) = check(request, expected.as_ref(), &answer) {
            problems.push(format!("{}: {problem}\n  {} {}", request.name, answer.status, answer.body));
        }
    }
    assert!(problems.is_empty(), "{} of {} requests:\n{}", problems.len(), requests.len(), problems.join("\n"));
    assert_eq!(
        (harness.rows("messages").await, harness.rows("audit").await),
        (messages, audit),
        "something was done all the same"
    );
    assert_eq!(harness.hints.load(Ordering::Relaxed), hints);
    harness.stop().await;
}

fn check(request: &TableRequest, details: Option<&Value>, answer: &RawAnswer) -> Result<(), String> {
    if answer.status != request.status {
        return Err(format!("expected the status {}", request.status));
    }
    if answer.header("content-type") != Some("application/json") {
        return Err(format!("content type {:?}", answer.header("content-type")));
    }
    let id = answer.header("x-request-id");
    if id.is_none_or(|id| id.len() != 36) || answer.header("messagebird-request-id") != id {
        return Err(format!("request id {id:?}"));
    }
    for (name, value) in &request.answer_headers {
        if answer.header(name) != Some(value) {
            return Err(format!("header {name} is {:?}", answer.header(name)));
        }
    }
    if request.method.as_deref() == Some("HEAD") {
        return Ok(());
    }
    let Ok(Value::Object(body)) = serde_json::from_str(&answer.body) else {
        return Err("the body is no object".to_owned());
    };
    if let Some(name) = body.keys().find(|name| !["code", "message", "details"].contains(&name.as_str())) {
        return Err(format!("unexpected property {name}"));
    }
    if body.get("code").and_then(Value::as_str) != request.code.as_deref() {
        return Err(format!("expected the code {:?}", request.code));
    }
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
    let says = request.says.as_deref().unwrap_or_default();
    if message.is_empty() || !message.contains(says) {
        return Err(format!("expected a message with {says:?}"));
    }
    if body.get("details") != details {
        return Err(format!("expected the details {}", details.map(Value::to_string).unwrap_or_default()));
    }
    Ok(())
}
