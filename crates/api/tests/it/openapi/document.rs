//! The document by itself: what it says, and that it is OpenAPI 3.1.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Document, problems};
use crate::harness::Harness;

/// The OpenAPI Initiative's schema of version 3.1 (2022-10-07).
const OPENAPI: &str = include_str!("3.1.json");

#[tokio::test]
async fn the_document_says_what_it_said() {
    let harness = Harness::start().await;
    let mut document = Document::read(&harness).await;
    document.0["info"]["version"] = "of the program".into();
    insta::assert_json_snapshot!(document.0);
    harness.stop().await;
}

#[tokio::test]
async fn the_document_is_openapi() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let schema: Value = serde_json::from_str(OPENAPI).unwrap();
    assert_eq!(problems(&jsonschema::validator_for(&schema).unwrap(), &document.0), Vec::<String>::new());
    for (name, schema) in document.schemas() {
        assert!(
            jsonschema::meta::is_valid(schema),
            "{name} is no JSON Schema: {:?}",
            jsonschema::meta::validate(schema)
        );
        document.validator_of(name);
    }
    let ids: BTreeSet<_> =
        document.operations().iter().map(|operation| operation.value["operationId"].clone().to_string()).collect();
    assert_eq!(ids.len(), document.operations().len(), "two operations of one name");
    check_references(&document, &document.0);
    harness.stop().await;
}

#[tokio::test]
async fn everything_is_described() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    for operation in document.operations() {
        for parameter in operation.value["parameters"].as_array().into_iter().flatten() {
            assert!(is_described(&document, parameter), "{} {}: {parameter}", operation.method, operation.path);
        }
    }
    for (name, schema) in document.schemas() {
        assert!(is_described(&document, schema), "{name}");
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(is_described(&document, schema), "{name}.{property}");
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn examples_of_a_schema_follow_it() {
    let harness = Harness::start().await;
    let document = Document::read(&harness).await;
    let mut seen = 0;
    for (name, schema) in document.schemas() {
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            let validator = document.validator(schema);
            for example in schema["examples"].as_array().into_iter().flatten() {
                assert_eq!(problems(&validator, example), Vec::<String>::new(), "{name}.{property}: {example}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen} examples");
    harness.stop().await;
}

fn is_described(document: &Document, value: &Value) -> bool {
    let says = |value: &Value| value["description"].as_str().is_some_and(|text| text.ends_with('.'));
    let variants = value["oneOf"].as_array().into_iter().flatten();
    says(value) || says(document.resolve(value)) || variants.into_iter().any(|variant| is_described(document, variant))
}

fn check_references(document: &Document, value: &Value) {
    document.resolve(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| check_references(document, item)),
        Value::Object(properties) => properties.values().for_each(|item| check_references(document, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
