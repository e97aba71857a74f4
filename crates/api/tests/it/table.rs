//! Tables of requests, kept as JSON beside the tests, and how one of them is sent.
//!
//! `method` is POST, `path` the tenant's messages, `headers` key and content type, unless the request says otherwise.
//! The body is `body` (text), `bodyJson` (JSON), `bodyHex` (bytes) or `with` (a legal message, changed: the one that `on`
//! names, else the smallest).

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use store::access_key::new_secret;
use store::channel::{ChannelSettings, ChannelStatus};
use testkit::Tenant;

use crate::harness::{ADMIN_TOKEN, Harness, message, text};
use crate::placeholders::Placeholders;
use crate::raw::{RawAnswer, exchange, request};

/// Legal messages by name, one of each kind.
const LEGAL_MESSAGES: &str = include_str!("input/legal_messages.json");

/// A request of a table.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TableRequest {
    pub(crate) name: String,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    headers: Option<Vec<(String, String)>>,
    body: Option<String>,
    body_json: Option<Value>,
    body_hex: Option<String>,
    /// The legal message that is changed.
    on: Option<String>,
    /// New values by JSON pointer; `null` removes a property.
    with: Option<BTreeMap<String, Value>>,
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) details: Option<Value>,
    /// Part of the message, where a code has many causes.
    pub(crate) says: Option<String>,
    /// Headers that the answer must have.
    #[serde(default)]
    pub(crate) answer_headers: BTreeMap<String, String>,
    /// Values that the answer must have, by JSON pointer.
    #[serde(default)]
    pub(crate) answer: BTreeMap<String, Value>,
}

impl TableRequest {
    /// Sends the request byte for byte.
    pub(crate) async fn send(&self, harness: &Harness, placeholders: &Placeholders) -> RawAnswer {
        let path = self.path.clone().unwrap_or_else(|| harness.tenant.messages_path());
        let standard = || {
            vec![
                ("Authorization".to_owned(), "AccessKey {key}".to_owned()),
                ("Content-Type".to_owned(), "application/json".to_owned()),
            ]
        };
        let headers = self.headers.clone().unwrap_or_else(standard);
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, placeholders.fill(&value))).collect();
        let body = self.body(placeholders);
        let method = self.method.as_deref().unwrap_or("POST");
        exchange(harness.address, &request(method, &placeholders.fill(&path), &headers, body.as_deref())).await
    }

    /// The bytes it carries.
    pub(crate) fn body(&self, placeholders: &Placeholders) -> Option<Vec<u8>> {
        if let Some(text) = &self.body {
            return Some(placeholders.fill(text).into_bytes());
        }
        if let Some(value) = &self.body_json {
            return Some(placeholders.fill_json(value).to_string().into_bytes());
        }
        if let Some(changes) = &self.with {
            let mut changed = self.on.as_deref().map_or_else(message, legal_message);
            for (pointer, value) in changes {
                change(&mut changed, pointer, placeholders.fill_json(value));
            }
            return Some(changed.to_string().into_bytes());
        }
        let hex = self.body_hex.as_deref()?;
        Some((0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect())
    }
}

/// A legal message by its name.
fn legal_message(name: &str) -> Value {
    let messages: Value = serde_json::from_str(LEGAL_MESSAGES).unwrap();
    messages.get(name).unwrap_or_else(|| panic!("no legal message {name}")).clone()
}

/// Reads a table.
pub(crate) fn read(table: &str) -> Vec<TableRequest> {
    serde_json::from_str(table).unwrap_or_else(|error| panic!("the table is not one: {error}"))
}

/// What requests of a table may name.
pub(crate) async fn placeholders(harness: &Harness) -> Placeholders {
    let (tenant, other) = (&harness.tenant, &harness.other);
    let store = &harness.database.store;
    let settings = ChannelSettings { name: "second".to_owned(), ..tenant.channel.settings.clone() };
    let second = Tenant::create_channel(store, tenant.workspace, &settings, "lipachat-key").await;
    let inactive = ChannelSettings { status: ChannelStatus::Inactive, ..settings };
    let inactive = Tenant::create_channel(store, tenant.workspace, &inactive, "lipachat-key").await;
    let sent = text(&harness.send(&message()).await.expect(202), "id");
    let mut wrong_checksum = tenant.access_key.clone();
    let last = if wrong_checksum.pop() == Some('0') { '1' } else { '0' };
    wrong_checksum.push(last);
    let named = BTreeMap::from([
        ("ws", tenant.workspace.to_string()),
        ("ch", tenant.channel.id.to_string()),
        ("other_ws", other.workspace.to_string()),
        ("other_ch", other.channel.id.to_string()),
        ("second_ch", second.id.to_string()),
        ("inactive_ch", inactive.id.to_string()),
        ("message", sent),
        ("key_id", tenant.access_key_id.to_string()),
        ("key", tenant.access_key.clone()),
        ("other_key", other.access_key.clone()),
        ("read_key", key_with_scope(harness, "messages:read").await),
        ("write_key", key_with_scope(harness, "messages:write").await),
        ("wrong_key", wrong_checksum),
        ("unknown_key", new_secret().expose_secret().to_owned()),
        ("admin", ADMIN_TOKEN.to_owned()),
    ]);
    Placeholders { named, now: to_second(store.now()) }
}

/// A new key of the tenant with one scope.
pub(crate) async fn key_with_scope(harness: &Harness, scope: &str) -> String {
    let path = format!("/workspaces/{}/access-keys", harness.tenant.workspace);
    let made = harness.admin(Method::POST, &path, Some(json!({ "name": scope, "scopes": [scope] }))).await;
    text(&made.expect(201), "accessKey")
}

fn to_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap()
}

/// Sets the value at a JSON pointer, making objects on the way; `null` removes it.
fn change(root: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut at = root;
    for segment in parent.split('/').skip(1) {
        at = match at {
            Value::Array(items) => items.get_mut(segment.parse::<usize>().unwrap()).unwrap(),
            Value::Object(properties) => properties.entry(segment).or_insert_with(|| json!({})),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                panic!("{pointer} leads through no object")
            }
        };
    }
    match (at, value) {
        (Value::Object(properties), Value::Null) => {
            properties.remove(name);
        }
        (Value::Object(properties), value) => {
            properties.insert(name.to_owned(), value);
        }
        (Value::Array(items), value) => items[name.parse::<usize>().unwrap()] = value,
        (_, _) => panic!("{pointer} leads into no object"),
    }
}
