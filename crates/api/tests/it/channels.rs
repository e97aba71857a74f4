//! Channels as the keys of a workspace see them, and what they know of contacts.

use reqwest::Method;
use serde_json::{Value, json};
use store::channel::{ChannelSettings, ChannelStatus};
use testkit::Tenant;

use crate::harness::{Harness, message, text};
use crate::table::key_with_scope;

#[tokio::test]
async fn a_channel_is_shown_with_the_fields_of_the_channels_api() {
    let harness = Harness::start().await;
    let tenant = &harness.tenant;
    let path = format!("/workspaces/{}/channels/{}", tenant.workspace, tenant.channel.id);
    let shown = harness.get(&path).await.expect(200);
    let (created, updated) = (text(&shown, "createdAt"), text(&shown, "updatedAt"));
    assert_eq!(
        shown,
        json!({
            "id": tenant.channel.id.to_string(), "platformId": "whatsapp", "name": "test",
            "connectorId": tenant.channel.connector.to_string(), "identifier": "+254110090747", "status": "active",
            "channelMessageType": "transactional", "createdAt": created, "updatedAt": updated
        })
    );
    let listed = harness.get(&format!("/workspaces/{}/channels", tenant.workspace)).await.expect(200);
    assert_eq!(listed, json!({ "results": [shown], "nextPageToken": "" }));
    assert_eq!(harness.get(&format!("{path}?x=1")).await.code(422), "InvalidPayload");
    for path in [
        format!("/workspaces/{}/channels/{}", tenant.workspace, harness.other.channel.id),
        format!("/workspaces/{}/channels/{}", harness.other.workspace, harness.other.channel.id),
        format!("/workspaces/{}/channels", harness.other.workspace),
        format!("/workspaces/{}/channels/not-an-id", tenant.workspace),
    ] {
        assert_eq!(harness.get(&path).await.code(404), "NotFound", "{path}");
    }
    let key = format!("AccessKey {}", key_with_scope(&harness, "messages:read").await);
    let refused = harness.request(Method::GET, &path, &[("Authorization", &key)], None).await;
    assert_eq!(refused.code(403), "Forbidden");
    harness.stop().await;
}

#[tokio::test]
async fn channels_are_listed_page_by_page_by_platform_and_status() {
    let harness = Harness::start().await;
    let tenant = &harness.tenant;
    let mut active = vec![tenant.channel.id.to_string()];
    let mut inactive = Vec::new();
    for number in 0..6 {
        let status = if number % 2 == 0 { ChannelStatus::Active } else { ChannelStatus::Inactive };
        let settings = ChannelSettings { status, ..tenant.channel.settings.clone() };
        let made = Tenant::create_channel(&harness.database.store, tenant.workspace, &settings, "k").await;
        if number % 2 == 0 { &mut active } else { &mut inactive }.push(made.id.to_string());
    }
    let mut all: Vec<String> = active.iter().chain(&inactive).cloned().collect();
    for list in [&mut active, &mut inactive, &mut all] {
        list.sort_unstable();
    }
    for (query, expected) in [
        ("", &all),
        ("platform=whatsapp", &all),
        ("platform=sms-messagebird,whatsapp", &all),
        ("platform=sms-messagebird", &Vec::new()),
        ("status=active", &active),
        ("status=inactive&platform=whatsapp", &inactive),
    ] {
        assert_eq!(walk(&harness, query).await, *expected, "{query}");
        let mut backwards = walk(&harness, &format!("{query}&reverse=true")).await;
        backwards.reverse();
        assert_eq!(backwards, *expected, "{query}, reversed");
    }
    let list = format!("/workspaces/{}/channels", tenant.workspace);
    let token = text(&harness.get(&format!("{list}?limit=2&status=active")).await.expect(200), "nextPageToken");
    for query in ["limit=2", "status=inactive", "status=active&reverse=true", "status=active&platform=whatsapp"] {
        let refused = harness.get(&format!("{list}?{query}&pageToken={token}")).await;
        assert_eq!(refused.code(422), "InvalidPayload", "{query}");
    }
    let wrong =
        harness.get(&format!("{list}?limit=1001&status=on&platform=&suite=service&channelIds=1&reverse=1")).await;
    assert_eq!(wrong.code(422), "InvalidPayload");
    assert_eq!(
        wrong.json()["details"],
        json!({
            ".limit": ["must be an integer from 1 to 1000"],
            ".status": ["Invalid value: \"on\", expected one of: \"active\", \"inactive\""],
            ".platform": ["must be the name of a platform, such as whatsapp"],
            ".suite": ["parameter \"suite\" is unsupported"],
            ".channelIds": ["parameter \"channelIds\" is unsupported"],
            ".reverse": ["must be true or false"]
        })
    );
    harness.stop().await;
}

#[tokio::test]
async fn a_contact_without_a_service_window_is_shown_so() {
    let harness = Harness::start().await;
    let tenant = &harness.tenant;
    let sent = harness.send(&message()).await.expect(202);
    let contact = text(&sent["receiver"]["contacts"][0], "id");
    let contacts = format!("/workspaces/{}/channels/{}/contacts", tenant.workspace, tenant.channel.id);
    let none = json!({ "serviceWindowExpireAt": null, "isPermanentSession": false, "metadata": {} });
    for query in [
        "",
        "?contactIdentifierValue=",
        "?contactIdentifierValue=%2B254712345678",
        "?contactIdentifierValue=254712345678",
    ] {
        assert_eq!(harness.get(&format!("{contacts}/{contact}{query}")).await.expect(200), none, "{query}");
    }
    for unknown in [
        format!("{contacts}/{contact}?contactIdentifierValue=%2B254712345679"),
        format!("{contacts}/00000000-0000-4000-8000-000000000000"),
        format!("{contacts}/x"),
        format!("/workspaces/{}/channels/{}/contacts/{contact}", tenant.workspace, harness.other.channel.id),
        format!("/workspaces/{}/channels/{}/contacts/{contact}", harness.other.workspace, harness.other.channel.id),
    ] {
        assert_eq!(harness.get(&unknown).await.code(404), "NotFound", "{unknown}");
    }
    let wrong = harness.get(&format!("{contacts}/{contact}?contactIdentifierValue=0712&x=1")).await;
    assert_eq!(wrong.code(422), "InvalidPayload");
    assert_eq!(
        wrong.json()["details"].as_object().map(|details| details.keys().cloned().collect::<Vec<_>>()),
        Some(vec![".contactIdentifierValue".to_owned(), ".x".to_owned()])
    );
    // The contact of another workspace is none of this one.
    let stranger = format!("AccessKey {}", harness.other.access_key);
    let path =
        format!("/workspaces/{}/channels/{}/contacts/{contact}", harness.other.workspace, harness.other.channel.id);
    let refused = harness.request(Method::GET, &path, &[("Authorization", &stranger)], None).await;
    assert_eq!(refused.code(404), "NotFound");
    harness.stop().await;
}

/// All ids of a list, two a page.
async fn walk(harness: &Harness, query: &str) -> Vec<String> {
    let (mut walked, mut token) = (Vec::new(), String::new());
    for _ in 0..10 {
        let path = format!("/workspaces/{}/channels?limit=2&{query}&pageToken={token}", harness.tenant.workspace);
        let page: Value = harness.get(&path).await.expect(200);
        walked.extend(page["results"].as_array().unwrap().iter().map(|channel| text(channel, "id")));
        token = text(&page, "nextPageToken");
        if token.is_empty() {
            return walked;
        }
    }
    panic!("the list does not end");
}
