//! What the document says of requests is what the reader takes.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Document, problems};
use crate::harness::{ADMIN_TOKEN, Harness, message, text};
use crate::table::{placeholders, read};

const GOOD: &str = include_str!("../input/good.json");
const GOOD_PAUSES: &str = include_str!("../input/good_pauses.json");
const GOOD_QUIET_HOURS: &str = include_str!("../input/good_quiet_hours.json");

/// Values that together hold every documented property of a schema, in every variant.
fn samples(document: &Document, schema: &Value) -> Vec<Value> {
    let schema = document.resolve(schema);
    if let Some(properties) = schema["properties"].as_object() {
        return object_samples(document, properties);
    }
    if let Some(example) = schema["examples"].as_array().and_then(|examples| examples.first()) {
        return vec![example.clone()];
    }
    if schema["type"] == "null" {
        return vec![Value::Null];
    }
    if let Some(word) = schema["enum"].as_array().and_then(|words| words.first()) {
        return vec![word.clone()];
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        let real = variants.iter().filter(|variant| variant["type"] != "null");
        return real.flat_map(|variant| samples(document, variant)).collect();
    }
    let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| kinds.first().unwrap());
    match kind.as_str().unwrap_or_default() {
        "array" => samples(document, &schema["items"]).into_iter().map(|item| json!([item])).collect(),
        "object" => vec![json!({})],
        "string" if schema["format"] == "uuid" => vec![json!("2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11")],
        "string" => vec![json!("some text")],
        "integer" | "number" => vec![json!(1)],
        "boolean" => vec![json!(true)],
        other => panic!("no sample of {other:?}: {schema}"),
    }
}

fn object_samples(document: &Document, properties: &Map<String, Value>) -> Vec<Value> {
    let each: Vec<(&String, Vec<Value>)> =
        properties.iter().map(|(name, schema)| (name, samples(document, schema))).collect();
    let most = each.iter().map(|(_, samples)| samples.len()).max().unwrap_or(1);
    let nth = |at: usize| {
        let chosen = each.iter().map(|(name, samples)| ((*name).clone(), samples[at.min(samples.len() - 1)].clone()));
        Value::Object(chosen.collect())
    };
    (0..most).map(nth).collect()
}

/// Samples of a named schema.
fn samples_of(document: &Document, name: &str) -> Vec<Value> {
    samples(document, &json!({ "$ref": format!("#/components/schemas/{name}") }))
}

#[tokio::test]
async fn every_documented_property_of_a_message_is_known_to_the_reader() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let requests = samples_of(&document, "MessageRequest");
    assert!(requests.len() > 10, "{} variants", requests.len());
    for request in requests {
        let both = harness.send(&request).await;
        // A template is looked into only where there is no body.
        let mut of_template = request.clone();
        of_template.as_object_mut().unwrap().remove("body");
        let alone = harness.send(&of_template).await;
        for answer in [both, alone] {
            assert!([202, 422].contains(&answer.status), "{}", answer.text);
            assert!(!answer.text.contains("is unsupported"), "{}\n{request}", answer.text);
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn every_documented_body_and_template_is_taken_with_all_its_properties() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    for mut body in samples_of(&document, "Body") {
        // What is answered must have been received, which these tests do not.
        body.as_object_mut().unwrap().remove("replyTo");
        let mut request = message();
        request["body"] = body;
        let answer = harness.send(&request).await;
        assert_eq!(answer.status, 202, "{}\n{request}", answer.text);
    }
    for parameter in samples_of(&document, "TemplateParameter") {
        let mut template = samples_of(&document, "Template").swap_remove(0);
        template["parameters"] = json!([parameter]);
        template["variables"] = json!({ "2": "TM-1042", "button.0": "x" });
        let mut request = message();
        request.as_object_mut().unwrap().remove("body");
        request["template"] = template;
        let answer = harness.send(&request).await;
        assert_eq!(answer.status, 202, "{}\n{request}", answer.text);
    }
    harness.stop().await;
}

#[tokio::test]
async fn every_example_of_a_request_is_taken() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let mut taken = 0;
    for operation in document.operations() {
        let Some(content) = operation.value.pointer("/requestBody/content/application~1json") else { continue };
        let validator = document.validator(&content["schema"]);
        for (name, example) in content["examples"].as_object().into_iter().flatten() {
            assert_eq!(problems(&validator, &example["value"]), Vec::<String>::new(), "{name}");
            let path = operation
                .path
                .replace("{workspaceId}", &harness.tenant.workspace.to_string())
                .replace("{channelId}", &harness.tenant.channel.id.to_string())
                .replace("{messageId}", &text(&harness.send(&message()).await.expect(202), "id"));
            let admin = format!("Bearer {ADMIN_TOKEN}");
            let credential = if path.starts_with("/admin") { admin } else { harness.access_key() };
            let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
            let body = example["value"].to_string();
            let answer = harness.request(method, &path, &[("Authorization", &credential)], Some(body)).await;
            assert!([200, 201, 202].contains(&answer.status), "{name}: {}", answer.text);
            taken += 1;
        }
    }
    assert!(taken > 10, "{taken} examples");
    harness.stop().await;
}

#[tokio::test]
async fn what_the_reader_takes_follows_the_schema() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let validator = document.validator_of("MessageRequest");
    let placeholders = placeholders(&harness).await;
    let mut seen = 0;
    for request in read(GOOD).iter().filter(|request| request.status == 202) {
        let whole = request.path.is_none() && request.method.is_none();
        let Some(body) = request.body(&placeholders).filter(|_| whole) else { continue };
        let Ok(body) = serde_json::from_slice::<Value>(&body) else { continue };
        assert_eq!(problems(&validator, &body), Vec::<String>::new(), "{}", request.name);
        seen += 1;
    }
    assert!(seen > 40, "{seen} requests");
    harness.stop().await;
}

/// Each of these was allowed by the schema once.
#[tokio::test]
async fn characters_that_the_reader_refuses_are_refused_by_the_schema() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let validator = document.validator_of("MessageRequest");
    let file = json!({ "files": [{ "mediaUrl": "https://cdn.example.org/a", "contentType": "application/pdf" }] });
    let image = json!({ "images": [{ "mediaUrl": "https://cdn.example.org/a.jpg" }] });
    let mut message = message();
    for (body, pointer, value) in [
        (json!({ "type": "file", "file": file }), "/body/file/files/0/filename", "a\u{7}.pdf"),
        (json!({ "type": "file", "file": file }), "/body/file/files/0/filename", "\u{85}.pdf"),
        (json!({ "type": "file", "file": file }), "/body/file/files/0/mediaUrl", "https://cdn.example.org/\u{7}"),
        (json!({ "type": "image", "image": image }), "/body/image/images/0/mediaUrl", "https://cdn.example.org/\u{7f}"),
        (message["body"].clone(), "/receiver/contacts/0/platformAddress", "me"),
    ] {
        message["body"] = body;
        assert_eq!(problems(&validator, &message), Vec::<String>::new(), "{message}");
        harness.send(&message).await.expect(202);
        let mut refused = message.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        refused.pointer_mut(parent).unwrap()[name] = json!(value);
        assert!(!problems(&validator, &refused).is_empty(), "the schema allows {value:?} at {pointer}");
        assert_eq!(harness.send(&refused).await.code(422), "InvalidPayload", "{pointer}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn every_documented_property_of_the_admin_api_is_known_to_the_reader() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let workspace = harness.tenant.workspace;
    let channel = harness.tenant.channel.id;
    for (method, path, schema) in [
        (Method::POST, "/workspaces".to_owned(), "WorkspaceRequest"),
        (Method::PATCH, format!("/workspaces/{workspace}"), "WorkspaceRequest"),
        (Method::POST, format!("/workspaces/{workspace}/channels"), "NewChannel"),
        (Method::PATCH, format!("/workspaces/{workspace}/channels/{channel}"), "ChannelChange"),
        (Method::POST, format!("/workspaces/{workspace}/access-keys"), "AccessKeyRequest"),
        (Method::PATCH, format!("/workspaces/{workspace}"), "WorkspaceChange"),
    ] {
        for request in samples_of(&document, schema) {
            let answer = harness.admin(method.clone(), &path, Some(request)).await;
            assert!([200, 201].contains(&answer.status), "{schema}: {}", answer.text);
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn every_documented_property_of_a_pause_is_known_to_the_reader() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let path = format!("/workspaces/{}/pauses", harness.tenant.workspace);
    for request in samples_of(&document, "PauseRequest") {
        let answer = harness.ask(Method::POST, &path, Some(&request)).await;
        // What belongs to different scopes is never right together.
        assert_eq!(answer.status, 422, "{}\n{request}", answer.text);
        assert!(!answer.text.contains("is unsupported"), "{}\n{request}", answer.text);
    }
    let validator = document.validator_of("PauseRequest");
    let placeholders = placeholders(&harness).await;
    for request in read(GOOD_PAUSES) {
        let body = serde_json::from_slice(&request.body(&placeholders).unwrap()).unwrap();
        assert_eq!(problems(&validator, &body), Vec::<String>::new(), "{}", request.name);
    }
    for (refused, reason) in [
        (json!({ "scope": "workspace", "tag": "promo", "reason": "a" }), "a tag with another scope"),
        (json!({ "scope": "channel", "reason": "a" }), "no channel"),
        (json!({ "scope": "tag", "tag": "a,b", "reason": "a" }), "no tag"),
        (json!({ "scope": "workspace", "reason": "a\nb" }), "two lines"),
    ] {
        assert_ne!(problems(&validator, &refused), Vec::<String>::new(), "the schema allows {reason}");
        assert_eq!(harness.ask(Method::POST, &path, Some(&refused)).await.code(422), "InvalidPayload", "{reason}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn every_documented_property_of_quiet_hours_is_known_to_the_reader() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    for request in samples_of(&document, "QuietHoursRequest") {
        for path in [harness.workspace_quiet_hours(), harness.channel_quiet_hours()] {
            let answer = harness.ask(Method::PUT, &path, Some(&request)).await;
            assert_eq!(answer.status, 200, "{}\n{request}", answer.text);
        }
    }
    let validator = document.validator_of("QuietHoursRequest");
    let placeholders = placeholders(&harness).await;
    for request in read(GOOD_QUIET_HOURS) {
        let body = serde_json::from_slice(&request.body(&placeholders).unwrap()).unwrap();
        assert_eq!(problems(&validator, &body), Vec::<String>::new(), "{}", request.name);
    }
    harness.stop().await;
}
