//! Lists of messages narrowed down: each parameter alone, several together, and what is wrong with them.

use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::Tenant;

use crate::harness::{Harness, message, text};

/// More messages than one page looks through (`store::list::ROUNDS`).
const CROWD: usize = 50_010;

/// Messages of two channels with all that a list can be narrowed down by.
struct Scene {
    harness: Harness,
    /// Ids in order of acceptance.
    ids: Vec<String>,
    second_path: String,
    batch: String,
}

impl Scene {
    async fn set() -> Self {
        let harness = Harness::start().await;
        let tenant = &harness.tenant;
        let second =
            Tenant::create_channel(&harness.database.store, tenant.workspace, &tenant.channel.settings, "k").await;
        let second_path = format!("/workspaces/{}/channels/{}/messages", tenant.workspace, second.id);
        let mut ids = Vec::new();
        for changes in [
            json!({ "reference": "order-1", "tags": ["VIP", "Orders"], "messageId": "key-1" }),
            json!({ "reference": "order-1", "tags": ["vip"] }),
            json!({ "reference": "a&b=c,d 100%", "receiver": receiver("+256712345678") }),
            json!({ "tags": ["orders", "new-ones"], "scheduledFor": "2026-12-01T00:00:00Z" }),
        ] {
            ids.push(text(&harness.send(&changed(&changes)).await.expect(202), "id"));
        }
        let items = json!({ "messageRequests": vec![changed(&json!({ "tags": ["vip"] })); 2] });
        let batch = post(&harness, &tenant.messages_path().replace("/messages", "/batch/messages"), &items).await;
        // Accepted within one millisecond, they are in no order of their own.
        ids.extend(batch["messageIds"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        ids[4..].sort_unstable();
        ids.push(text(&post(&harness, &second_path, &changed(&json!({ "reference": "order-1" }))).await, "id"));
        for (id, change) in [
            (&ids[1], "UPDATE messages SET status = 'delivered'"),
            (&ids[2], "UPDATE messages SET status = 'sending_failed', direction = 'incoming'"),
        ] {
            harness
                .database
                .execute(&format!("{change} WHERE message_id = '{id}'; DELETE FROM outbox WHERE message_id = '{id}'"))
                .await;
        }
        let perhaps_sent = format!("UPDATE outbox SET claim = 1, maybe_sent = true WHERE message_id = '{}'", ids[4]);
        harness.database.execute(&perhaps_sent).await;
        let unknown = "failure_code = 16002, failure_source = 'tuma', failure_source_code = ''";
        harness.database.execute(&format!("UPDATE messages SET {unknown} WHERE message_id = '{}'", ids[2])).await;
        let batch = text(&batch, "batchId");
        Self { harness, ids, second_path, batch }
    }

    /// Which messages a list has, by their place in the order of acceptance.
    async fn listed(&self, path: &str) -> Vec<usize> {
        let page = self.harness.get(path).await.expect(200);
        assert_eq!(page["nextPageToken"], "", "{path}");
        let place = |id: String| self.ids.iter().position(|own| *own == id).expect("one of ours");
        page["results"].as_array().unwrap().iter().map(|message| place(text(message, "id"))).collect()
    }
}

#[tokio::test]
async fn every_filter_narrows_the_list_of_a_channel_and_of_the_workspace() {
    let scene = Scene::set().await;
    let tenant = &scene.harness.tenant;
    let own = tenant.messages_path();
    let all = format!("/workspaces/{}/channels/messages", tenant.workspace);
    let shown = scene.harness.get(&format!("{own}/{}", scene.ids[0])).await.expect(200);
    let contact = text(&shown["receiver"]["contacts"][0], "id");
    let unknown = "00000000-0000-4000-8000-000000000000";
    let (batch, created) = (&scene.batch, text(&shown, "createdAt"));
    let cases: Vec<(String, Vec<usize>)> = vec![
        (String::new(), vec![6, 5, 4, 3, 2, 1, 0]),
        ("reverse=true".to_owned(), vec![0, 1, 2, 3, 4, 5, 6]),
        ("status=accepted".to_owned(), vec![6, 5, 0]),
        ("status=scheduled".to_owned(), vec![3]),
        ("status=processing".to_owned(), vec![4]),
        ("status=delivered".to_owned(), vec![1]),
        ("status=delivered,sending_failed".to_owned(), vec![2, 1]),
        ("status=delivered&status=sending_failed,scheduled&status=delivered".to_owned(), vec![3, 2, 1]),
        ("status=rejected".to_owned(), vec![]),
        ("direction=incoming".to_owned(), vec![2]),
        ("outcome=unknown".to_owned(), vec![4, 2]),
        ("outcome=unknown&status=sending_failed".to_owned(), vec![2]),
        ("outcome=unknown&messageId=key-1".to_owned(), vec![]),
        ("direction=outgoing".to_owned(), vec![6, 5, 4, 3, 1, 0]),
        ("tags=vip".to_owned(), vec![5, 4, 1, 0]),
        ("tags=VIP,orders".to_owned(), vec![0]),
        ("tags=orders&tags=vip".to_owned(), vec![0]),
        ("tags=none".to_owned(), vec![]),
        ("reference=order-1".to_owned(), vec![6, 1, 0]),
        ("reference=a%26b%3Dc%2Cd+100%25".to_owned(), vec![2]),
        ("reference=ORDER-1".to_owned(), vec![]),
        ("messageId=key-1".to_owned(), vec![0]),
        ("messageId=key-2".to_owned(), vec![]),
        ("receiver=%2B256712345678".to_owned(), vec![2]),
        ("receiver=+256712345678".to_owned(), vec![2]),
        ("receiver=256%20712%20345-678".to_owned(), vec![2]),
        (format!("receiver={contact}"), vec![6, 5, 4, 3, 1, 0]),
        (format!("receiver={unknown}"), vec![]),
        ("receiver=%2B4915550100001".to_owned(), vec![]),
        (format!("batchId={batch}"), vec![5, 4]),
        (format!("batchId={unknown}"), vec![]),
        ("startAt=2026-01-01T00:00:00Z&endAt=2026-01-02T00:00:00%2B03:00".to_owned(), vec![]),
        (format!("endAt={created}"), vec![]),
        (format!("startAt={created}&endAt={created}"), vec![]),
        ("startAt=2030-01-01T00:00:00Z".to_owned(), vec![]),
        (format!("status=accepted&tags=vip&batchId={batch}&direction=outgoing&receiver={contact}"), vec![5]),
        (format!("status=processing&tags=vip&batchId={batch}"), vec![4]),
        (format!("status=scheduled&tags=vip&batchId={batch}"), vec![]),
        ("reference=order-1&status=accepted&reverse=true".to_owned(), vec![0, 6]),
        ("messageId=key-1&tags=vip&status=accepted&reference=order-1".to_owned(), vec![0]),
        ("messageId=key-1&status=delivered".to_owned(), vec![]),
    ];
    for (query, expected) in &cases {
        assert_eq!(scene.listed(&format!("{all}?{query}")).await, *expected, "{query}");
        let of_channel: Vec<usize> = expected.iter().copied().filter(|place| *place != 6).collect();
        assert_eq!(scene.listed(&format!("{own}?{query}")).await, of_channel, "{query}, one channel");
        let of_second: Vec<usize> = expected.iter().copied().filter(|place| *place == 6).collect();
        assert_eq!(scene.listed(&format!("{}?{query}", scene.second_path)).await, of_second, "{query}, the other");
    }
    for (query, expected) in [
        ("platform=whatsapp", vec![6, 5, 4, 3, 2, 1, 0]),
        ("platform=sms-messagebird,whatsapp&status=delivered", vec![1]),
        ("platform=sms-messagebird", vec![]),
    ] {
        assert_eq!(scene.listed(&format!("{all}?{query}")).await, expected, "{query}");
    }
    scene.harness.stop().await;
}

#[tokio::test]
async fn a_window_begins_with_the_instant_that_is_shown_for_a_message() {
    let scene = Scene::set().await;
    let own = scene.harness.tenant.messages_path();
    let page = scene.harness.get(&format!("{own}?reverse=true")).await.expect(200);
    assert_eq!((&page["startAt"], &page["endAt"]), (&Value::Null, &Value::Null));
    let messages = page["results"].as_array().unwrap();
    let shown: Vec<Timestamp> = messages.iter().map(|message| text(message, "createdAt").parse().unwrap()).collect();
    for at in &shown {
        let from: Vec<usize> = (0..shown.len()).filter(|place| shown[*place] >= *at).collect();
        let until: Vec<usize> = (0..shown.len()).filter(|place| shown[*place] < *at).collect();
        assert_eq!(scene.listed(&format!("{own}?reverse=true&startAt={at}")).await, from, "{at}");
        assert_eq!(scene.listed(&format!("{own}?reverse=true&endAt={at}")).await, until, "{at}");
        // A little later than is shown: the message is before it.
        let after = at.checked_add(jiff::SignedDuration::from_micros(1)).unwrap();
        let later: Vec<usize> = (0..shown.len()).filter(|place| shown[*place] >= after).collect();
        assert_eq!(scene.listed(&format!("{own}?reverse=true&startAt={after}")).await, later, "{after}");
    }
    let page =
        scene.harness.get(&format!("{own}?startAt=2026-01-01T03:00:00%2B03:00&endAt=2027-01-01T00:00:00Z")).await;
    let page = page.expect(200);
    assert_eq!((&page["startAt"], &page["endAt"]), (&json!("2026-01-01T00:00:00Z"), &json!("2027-01-01T00:00:00Z")));
    scene.harness.stop().await;
}

#[tokio::test]
async fn all_that_is_wrong_with_a_list_is_said_at_once() {
    let harness = Harness::start().await;
    let own = harness.tenant.messages_path();
    let wrong = "limit=0&reverse=x&status=sent,read&direction=up&outcome=sent&tags=a%C3%A4&startAt=yesterday&endAt=2026-01-01&\
        reference=&messageId=a%20b&receiver=0712&batchId=1&platform=whatsapp&foo=1&foo=2&direction=down";
    let refused = harness.get(&format!("{own}?{wrong}")).await;
    assert_eq!(refused.code(422), "InvalidPayload");
    insta::assert_json_snapshot!("wrong_list", refused.json()["details"]);
    for (query, path, says) in [
        ("status=", ".status", "Invalid value: \"\", expected one of: \"accepted\", \"scheduled\","),
        ("status=sent,,delivered", ".status", "Invalid value: \"\""),
        ("status=Sent", ".status", "Invalid value: \"Sent\""),
        ("tags=a,b,c,d,e,f,g,h,i,j,k", ".tags", "must be at most 10"),
        ("tags=", ".tags", "must be 1 to 50"),
        ("startAt=2026-01-02T00:00:00Z&endAt=2026-01-01T00:00:00Z", ".endAt", "must not be before startAt"),
        ("startAt=2026-01-02T00:00:00Z&startAt=2026-01-02T00:00:00Z", ".startAt", "is given more than once"),
        ("reference=a%00", ".reference", "must be 1 to 256 characters"),
        ("receiver=+254712345678,+254712345679", ".receiver", "must be an international telephone number"),
        ("messageTypes=text", ".messageTypes", "parameter \"messageTypes\" is unsupported"),
        ("batchId=00000000000040008000000000000000", ".batchId", "must be the id of a batch"),
    ] {
        let refused = harness.get(&format!("{own}?{query}")).await;
        assert_eq!(refused.code(422), "InvalidPayload", "{query}");
        let said = refused.json()["details"][path][0].as_str().unwrap_or_default().to_owned();
        assert!(said.starts_with(says), "{query}: {}", refused.text);
    }
    let all = format!("/workspaces/{}/channels/messages", harness.tenant.workspace);
    for platform in ["", "WhatsApp", "a_b", "whatsapp,"] {
        assert_eq!(harness.get(&format!("{all}?platform={platform}")).await.code(422), "InvalidPayload", "{platform}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_page_that_looked_through_enough_is_empty_and_the_next_one_goes_on() {
    let harness = Harness::start().await;
    let (workspace, channel) = (harness.tenant.workspace, harness.tenant.channel.id);
    harness
        .database
        .execute(&format!(
            "INSERT INTO messages (workspace_id, message_id, channel_id, contact_id, recipient, body, parts, reference, tags,
                meta, expires_at, status, created_at, updated_at, last_status_at)
            SELECT '{workspace}', (lpad(to_hex(1767225600000 + n), 12, '0') || '70008000000000000000')::uuid, '{channel}',
                '{channel}', '+254712345678', 'null', '[]', '', '{{}}', '{{}}', now(),
                CASE WHEN n = 1 THEN 'sending_failed' ELSE 'delivered' END, now(), now(), now()
            FROM generate_series(1, {CROWD}) AS n; ANALYZE messages"
        ))
        .await;
    for path in [harness.tenant.messages_path(), format!("/workspaces/{workspace}/channels/messages")] {
        let first = harness.get(&format!("{path}?status=sending_failed")).await.expect(200);
        assert_eq!(first["results"], json!([]));
        let token = text(&first, "nextPageToken");
        assert!(!token.is_empty());
        let second = harness.get(&format!("{path}?status=sending_failed&pageToken={token}")).await.expect(200);
        assert_eq!(second["results"].as_array().map(Vec::len), Some(1));
        assert_eq!(second["nextPageToken"], "");
    }
    harness.stop().await;
}

fn receiver(number: &str) -> Value {
    json!({ "contacts": [{ "identifierValue": number }] })
}

/// The smallest legal message with other properties.
fn changed(changes: &Value) -> Value {
    let mut changed = message();
    for (name, value) in changes.as_object().unwrap() {
        changed[name] = value.clone();
    }
    changed
}

async fn post(harness: &Harness, path: &str, body: &Value) -> Value {
    let key = harness.access_key();
    let headers = [("Authorization", key.as_str())];
    harness.request(reqwest::Method::POST, path, &headers, Some(body.to_string())).await.expect(202)
}
