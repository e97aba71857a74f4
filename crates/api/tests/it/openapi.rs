//! The OpenAPI document against what is served: routes, requests, answers, and the page that shows it.

mod document;

mod page;

mod requests;

mod routes;

mod answers;

use serde_json::{Map, Value, json};

use crate::harness::Harness;

/// The document, read as a client reads it.
pub(crate) struct Document(Value);

/// An operation of the document.
pub(crate) struct Operation<'a> {
    pub(crate) path: &'a str,
    pub(crate) method: String,
    pub(crate) value: &'a Value,
}

impl Document {
    pub(crate) async fn read(harness: &Harness) -> Self {
        let answer = harness.request(reqwest::Method::GET, "/openapi.json", &[], None).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        Self(answer.expect(200))
    }

    pub(crate) fn operations(&self) -> Vec<Operation<'_>> {
        let items = self.0["paths"].as_object().unwrap().iter();
        items
            .flat_map(|(path, item)| {
                item.as_object().unwrap().iter().map(move |(method, value)| Operation {
                    path,
                    method: method.to_uppercase(),
                    value,
                })
            })
            .collect()
    }

    fn schemas(&self) -> &Map<String, Value> {
        self.0["components"]["schemas"].as_object().unwrap()
    }

    /// What a reference stands for; anything else is itself.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let found = self.0.pointer(reference.trim_start_matches('#'));
                self.resolve(found.unwrap_or_else(|| panic!("{reference} leads nowhere")))
            }
            None => value,
        }
    }

    /// A validator of a schema that may refer to the document.
    fn validator(&self, schema: &Value) -> jsonschema::Validator {
        let whole = json!({ "allOf": [schema], "components": self.0["components"] });
        jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{schema} is no schema: {error}"))
    }

    /// A validator of a named schema.
    fn validator_of(&self, name: &str) -> jsonschema::Validator {
        assert!(self.schemas().contains_key(name), "no schema {name}");
        self.validator(&json!({ "$ref": format!("#/components/schemas/{name}") }))
    }

    /// The answers of an operation by status.
    fn responses(&self, method: &str, path: &str) -> &Map<String, Value> {
        let operation = &self.0["paths"][path][method.to_lowercase()];
        operation["responses"].as_object().unwrap_or_else(|| panic!("{method} {path} is not documented"))
    }
}

/// What a validator finds, with the places.
fn problems(validator: &jsonschema::Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}
