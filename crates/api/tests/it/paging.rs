//! Lists: every message once, in order, a page at a time, by tokens that open only their own list.

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Harness, message, text};

const MESSAGES: usize = 25;

#[tokio::test]
async fn a_list_is_walked_to_its_end_in_both_orders() {
    let harness = Harness::start().await;
    let sent = send_many(&harness).await;
    let newest_first: Vec<String> = sent.iter().rev().cloned().collect();
    for (query, expected) in
        [("limit=10", &newest_first), ("limit=10&reverse=false", &newest_first), ("limit=10&reverse=true", &sent)]
    {
        let (pages, walked) = walk(&harness, query).await;
        assert_eq!(pages, [10, 10, 5], "{query}");
        assert_eq!(&walked, expected, "{query}");
    }
    let (pages, _) = walk(&harness, "limit=5").await;
    assert_eq!(pages, [5, 5, 5, 5, 5], "no empty page at the end");
    let (pages, _) = walk(&harness, "limit=25").await;
    assert_eq!(pages, [25]);
    let (pages, _) = walk(&harness, "").await;
    assert_eq!(pages, [10, 10, 5], "ten is the length where none is asked for");
    harness.stop().await;
}

#[tokio::test]
async fn what_is_accepted_while_a_list_is_walked_does_not_disturb_it() {
    let harness = Harness::start().await;
    let sent = send_many(&harness).await;
    let first = page(&harness, "limit=10").await;
    let later = text(&harness.send(&message()).await.expect(202), "id");
    let second = page(&harness, &format!("limit=10&pageToken={}", text(&first, "nextPageToken"))).await;
    assert_eq!(ids(&second), sent[5..15].iter().rev().cloned().collect::<Vec<_>>());
    assert!(!ids(&second).contains(&later));
    assert_eq!(ids(&page(&harness, "limit=1").await), [later]);
    harness.stop().await;
}

#[tokio::test]
async fn a_token_opens_only_the_list_it_came_from() {
    let harness = Harness::start().await;
    send_many(&harness).await;
    let tenant = &harness.tenant;
    let token = text(&page(&harness, "limit=10").await, "nextPageToken");
    let second =
        testkit::Tenant::create_channel(&harness.database.store, tenant.workspace, &tenant.channel.settings, "k").await;
    let mut edited = token.clone().into_bytes();
    edited[3] = if edited[3] == b'A' { b'B' } else { b'A' };
    let edited = String::from_utf8(edited).unwrap();
    let own = tenant.messages_path();
    for path in [
        format!("/workspaces/{}/channels/{}/messages?pageToken={token}", tenant.workspace, second.id),
        format!("{own}?reverse=true&pageToken={token}"),
        format!("{own}?pageToken={edited}"),
        format!("{own}?pageToken={token}A"),
        format!("{own}?pageToken={}", &token[1..]),
    ] {
        let refused = harness.get(&path).await;
        assert_eq!(refused.code(422), "InvalidPayload", "{path}");
        assert_eq!(refused.json()["details"][".pageToken"][0], "is not a token of this list", "{path}");
    }
    let stranger = format!("AccessKey {}", harness.other.access_key);
    let path = format!("{}?pageToken={token}", harness.other.messages_path());
    assert_eq!(
        harness.request(Method::GET, &path, &[("Authorization", &stranger)], None).await.code(422),
        "InvalidPayload"
    );
    // The length of a page may change on the way.
    assert_eq!(ids(&page(&harness, &format!("limit=3&pageToken={token}")).await).len(), 3);
    harness.stop().await;
}

/// Sends messages; their ids in order of acceptance.
async fn send_many(harness: &Harness) -> Vec<String> {
    let mut sent = Vec::new();
    for _ in 0..MESSAGES {
        sent.push(text(&harness.send(&message()).await.expect(202), "id"));
    }
    sent
}

async fn page(harness: &Harness, query: &str) -> Value {
    harness.get(&format!("{}?{query}", harness.tenant.messages_path())).await.expect(200)
}

/// Lengths of the pages of a list, and all ids on them.
async fn walk(harness: &Harness, query: &str) -> (Vec<usize>, Vec<String>) {
    let (mut pages, mut walked, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = page(harness, &format!("{query}&pageToken={token}")).await;
        let ids = ids(&page);
        pages.push(ids.len());
        walked.extend(ids);
        token = text(&page, "nextPageToken");
        if token.is_empty() {
            return (pages, walked);
        }
        assert!(pages.len() <= MESSAGES, "the list does not end");
    }
}

fn ids(page: &Value) -> Vec<String> {
    page["results"].as_array().unwrap().iter().map(|message| text(message, "id")).collect()
}
