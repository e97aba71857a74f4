//! What a tenant owns, in words that stand nowhere else.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Tenant;

use super::answers::ask;
use crate::harness::{Harness, text};
use crate::raw::RawAnswer;

/// All that a tenant has, by the names of the document.
#[derive(Debug)]
pub(super) struct Estate {
    /// Path parameters.
    pub(super) ids: BTreeMap<&'static str, String>,
    /// Query parameters that find the planted message.
    pub(super) filters: BTreeMap<&'static str, String>,
    /// The credential, with its scheme.
    pub(super) credential: String,
    /// The number that was written to.
    pub(super) number: String,
    /// Words that no answer to another tenant may hold.
    pub(super) secrets: Vec<String>,
}

impl Estate {
    /// Plants messages with a word in all that can hold one: two that were sent, the second of which is then turned
    /// into one that was received, and a batch.
    pub(super) async fn plant(harness: &Harness, tenant: &Tenant, word: &str, [number, sender]: [&str; 2]) -> Self {
        let (workspace, channel) = (tenant.workspace.to_string(), tenant.channel.id.to_string());
        let renamed = json!({ "name": format!("{word}-workspace") });
        harness.admin(Method::PATCH, &format!("/workspaces/{workspace}"), Some(renamed)).await.expect(200);
        let renamed = json!({ "name": format!("{word}-channel"), "number": sender });
        let path = format!("/workspaces/{workspace}/channels/{channel}");
        harness.admin(Method::PATCH, &path, Some(renamed)).await.expect(200);
        let credential = format!("AccessKey {}", tenant.access_key);
        let path = tenant.messages_path();
        let message = json_of(&ask(harness, "POST", &path, &[&credential], Some(&planted(word, number))).await, 202);
        let received = json_of(&ask(harness, "POST", &path, &[&credential], Some(&other(word, number))).await, 202);
        let received = text(&received, "id");
        let turn = format!("UPDATE messages SET direction = 'incoming' WHERE message_id = '{received}'");
        harness.database.execute(&turn).await;
        let batch = json!({ "messageRequests": [other(word, number)] });
        let path = path.replace("/messages", "/batch/messages");
        let batch = text(&json_of(&ask(harness, "POST", &path, &[&credential], Some(&batch)).await, 202), "batchId");
        let quiet_hours = json!({ "timeZone": "Africa/Nairobi", "windows": [], "holidays": ["2026-12-25"],
            "appliesTo": [format!("{word}-use-case")] });
        for path in [format!("/workspaces/{workspace}"), format!("/workspaces/{workspace}/channels/{channel}")] {
            let path = format!("{path}/quiet-hours");
            json_of(&ask(harness, "PUT", &path, &[&credential], Some(&quiet_hours)).await, 200);
        }
        let pause = json!({ "scope": "tag", "tag": format!("{word}-tag"), "reason": format!("{word}-reason") });
        let path = format!("/workspaces/{workspace}/pauses");
        let pause = text(&json_of(&ask(harness, "POST", &path, &[&credential], Some(&pause)).await, 201), "id");
        let hold = json!({ "action": "hold", "selector": { "tags": [format!("{word}-tag")] } });
        let actions = format!("{}/actions", tenant.messages_path());
        let counted = json_of(&ask(harness, "POST", &actions, &[&credential], Some(&hold)).await, 200);
        assert_eq!(counted["count"], 1);
        let action = text(&counted, "token");
        let contact = text(&message["receiver"]["contacts"][0], "id");
        let message = text(&message, "id");
        let secrets =
            [&workspace, &channel, &message, &received, &contact, &batch, &action, &pause, &tenant.access_key];
        let secrets = secrets.into_iter().cloned().chain([word.to_owned(), digits(number), digits(sender)]).collect();
        Self {
            ids: BTreeMap::from([
                ("workspaceId", workspace),
                ("channelId", channel),
                ("messageId", message),
                ("contactId", contact.clone()),
                ("pauseId", pause),
                ("actionId", action),
                (RECEIVED, received),
            ]),
            filters: BTreeMap::from([
                ("receiver", contact),
                ("batchId", batch),
                ("messageId", format!("{word}-key")),
                ("reference", format!("{word}-reference")),
                ("tags", format!("{word}-tag")),
            ]),
            credential,
            number: number.to_owned(),
            secrets,
        }
    }

    /// A path with this estate's ids.
    pub(super) fn fill(&self, path: &str) -> String {
        fill(path, |name| self.id(name))
    }

    /// The value of a path parameter.
    pub(super) fn id(&self, name: &str) -> String {
        let known = self.ids.get(name);
        known.unwrap_or_else(|| panic!("the tenancy tests plant no {name}: add it to `Estate::plant`")).clone()
    }

    /// The message that was received: it has no path parameter of its own.
    pub(super) fn received(&self) -> String {
        self.id(RECEIVED)
    }

    /// What of this estate an answer tells.
    pub(super) fn leaks(&self, answer: &RawAnswer) -> Vec<&str> {
        let headers: String = answer.headers.iter().map(|(_, value)| value.as_str()).collect();
        let told = |secret: &&String| answer.body.contains(secret.as_str()) || headers.contains(secret.as_str());
        self.secrets.iter().filter(told).map(String::as_str).collect()
    }
}

const RECEIVED: &str = "received";

/// A path whose parameters are replaced.
pub(super) fn fill(path: &str, value: impl Fn(&str) -> String) -> String {
    let mut pieces = path.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}').unwrap_or_else(|| panic!("{path} is no path of a document"));
        filled += &value(name);
        filled += rest;
    }
    filled
}

/// The names of a path's parameters.
pub(super) fn parameters(path: &str) -> Vec<&str> {
    path.split('{').skip(1).map(|piece| piece.split('}').next().unwrap()).collect()
}

/// A message with the word wherever one can stand.
fn planted(word: &str, number: &str) -> Value {
    let mut message = other(word, number);
    message["reference"] = json!(format!("{word}-reference"));
    message["messageId"] = json!(format!("{word}-key"));
    message["tags"] = json!([format!("{word}-tag")]);
    message["meta"] = json!({ "extraInformation": { "note": format!("{word}-meta") } });
    message
}

/// A message with the word in its text and a tag of its own.
fn other(word: &str, number: &str) -> Value {
    json!({
        "receiver": { "contacts": [{ "identifierValue": number }] },
        "body": { "type": "text", "text": { "text": format!("{word}-text") } },
        "tags": [format!("{word}-other")],
    })
}

fn digits(number: &str) -> String {
    number.trim_start_matches('+').to_owned()
}

#[track_caller]
pub(super) fn json_of(answer: &RawAnswer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

/// A number for all rows that a tenant has in any table: it changes when one of them does.
pub(super) async fn rows_of(harness: &Harness, tenant: &Tenant) -> i64 {
    // Partitions are read through the table they belong to.
    let tables = "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE a.attname = 'workspace_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1";
    let function = format!(
        "CREATE OR REPLACE FUNCTION rows_of(tenant uuid) RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE name text; digest text; whole text := '';
        BEGIN
            FOR name IN {tables} LOOP
                EXECUTE format('SELECT coalesce(string_agg(md5(r::text), '''' ORDER BY md5(r::text)), '''')
                    FROM %I r WHERE workspace_id = $1', name) INTO digest USING tenant;
                whole := whole || name || ':' || digest || ';';
            END LOOP;
            IF whole NOT LIKE '%messages:_%' THEN RAISE EXCEPTION 'nothing was read'; END IF;
            RETURN hashtextextended(whole, 0);
        END $$"
    );
    harness.database.execute(&function).await;
    harness.database.number(&format!("SELECT rows_of('{}')", tenant.workspace)).await
}
