//! Requests a second of a workspace.
//!
//! A limit of one a second refuses all but the first of requests sent at once, whatever the machine's speed: time that
//! passes lets some more through, so tests compare what was let through with what was stored.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, message, text};
use crate::table::key_with_scope;

/// Requests sent at once: far more than a second lets through.
const AT_ONCE: usize = 40;
/// Requests after which a limit of one a second has refused, unless each took a second.
const TRIES: usize = 100;
/// The greatest limit, which no test reaches.
const NONE: u32 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_let_through_is_stored_and_what_is_refused_is_not() {
    let harness = Harness::start().await;
    limit(&harness, 2, NONE).await;
    let message = message();
    let answers = join_all((0..AT_ONCE).map(|_| harness.send(&message))).await;
    let (sent, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert!(sent.len() >= 2 && !refused.is_empty(), "{} sent, {} refused", sent.len(), refused.len());
    for answer in &refused {
        let body = answer.expect(429);
        assert_eq!(body["code"], "TooManyRequests");
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    for answer in &answers {
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""post";q=2;w=1"#));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let left = left(answer, "post");
        assert!(left < 2 && (answer.status == 202 || left == 0), "{answer:?}");
    }
    assert_eq!(harness.rows("messages").await, i64::try_from(sent.len()).unwrap());
    let counted = |kind| harness.metrics.rate_limited.with_label_values(&[kind]).get();
    assert_eq!((counted("post"), counted("get")), (refused.len() as u64, 0));
    harness.stop().await;
}

#[tokio::test]
async fn reads_and_writes_are_limited_by_themselves() {
    let harness = Harness::start().await;
    let path = harness.tenant.messages_path();
    limit(&harness, NONE, 1).await;
    let refused = until_refused(async || harness.get(&path).await).await;
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""get";q=1;w=1"#));
    assert_eq!(left(&refused, "get"), 0);
    for _ in 0..TRIES {
        harness.send(&message()).await.expect(202);
    }
    limit(&harness, 1, NONE).await;
    let refused = until_refused(async || harness.send(&message()).await).await;
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""post";q=1;w=1"#));
    for _ in 0..TRIES {
        harness.get(&path).await.expect(200);
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_dry_run_and_a_whole_batch_are_a_write_each() {
    let harness = Harness::start().await;
    let path = harness.tenant.messages_path();
    let key = harness.access_key();
    let headers = [("Authorization", key.as_str())];
    limit(&harness, 1, NONE).await;
    let dry_run = format!("{path}?dryRun=true");
    until_refused(async || harness.request(Method::POST, &dry_run, &headers, Some(message().to_string())).await).await;
    limit(&harness, 30, NONE).await;
    let batch = path.replace("/messages", "/batch/messages");
    let body = json!({ "messageRequests": vec![message(); 60] }).to_string();
    let answer = harness.request(Method::POST, &batch, &headers, Some(body)).await;
    answer.expect(202);
    assert_eq!(left(&answer, "post"), 29);
    harness.stop().await;
}

#[tokio::test]
async fn all_keys_of_a_workspace_share_its_limit_and_other_workspaces_have_their_own() {
    let harness = Harness::start().await;
    let path = harness.tenant.messages_path();
    let second = format!("AccessKey {}", key_with_scope(&harness, "messages:read").await);
    // Each time the share begins whole, so that the first key's request uses it up before the second key asks.
    until_refused(async || {
        limit(&harness, NONE, NONE).await;
        read_with(&harness, &path, &second).await.expect(200);
        limit(&harness, NONE, 1).await;
        harness.get(&path).await.expect(200);
        read_with(&harness, &path, &second).await
    })
    .await;
    let other = format!("AccessKey {}", harness.other.access_key);
    for _ in 0..TRIES {
        let answer = read_with(&harness, &harness.other.messages_path(), &other).await;
        answer.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""get";q=100000;w=1"#));
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_raised_limit_holds_from_the_next_request() {
    let harness = Harness::start().await;
    let path = harness.tenant.messages_path();
    limit(&harness, NONE, 1).await;
    until_refused(async || harness.get(&path).await).await;
    limit(&harness, NONE, 500).await;
    let answer = harness.get(&path).await;
    answer.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""get";q=500;w=1"#));
    assert_eq!(left(&answer, "get"), 499);
    harness.stop().await;
}

#[tokio::test]
async fn replicas_that_answer_requests_share_the_limit() {
    let harness = Harness::start().await;
    let store = &harness.database.store;
    let [here, there] = [(); 2].map(|()| domain::id::ReplicaId(uuid::Uuid::new_v4()));
    store.show_serving(here).await.unwrap();
    limit(&harness, NONE, 50).await;
    let path = harness.tenant.messages_path();
    assert_eq!(left(&harness.get(&path).await, "get"), 49);
    harness.database.another_store().await.show_serving(there).await.unwrap();
    store.show_serving(here).await.unwrap();
    let answer = harness.get(&path).await;
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""get";q=50;w=1"#), "the limit is the workspace's");
    assert_eq!(left(&answer, "get"), 24, "half of it is this replica's");
    harness.stop().await;
}

#[tokio::test]
async fn what_is_refused_after_the_key_is_known_counts_and_what_is_refused_before_does_not() {
    let harness = Harness::start().await;
    let path = harness.tenant.messages_path();
    let key = harness.access_key();
    let no_message = format!("{path}/{}", uuid::Uuid::new_v4());
    let wrong_query = format!("{path}?limit=x");
    let of_others = harness.other.messages_path();
    for (path, status) in [(&no_message, 404), (&wrong_query, 422), (&of_others, 404)] {
        let answer = harness.get(path).await;
        answer.expect(status);
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""get";q=100000;w=1"#), "{path}");
    }
    let write_only = format!("AccessKey {}", key_with_scope(&harness, "messages:write").await);
    let forbidden = read_with(&harness, &path, &write_only).await;
    forbidden.expect(403);
    assert!(forbidden.header("ratelimit").is_some());
    let malformed = harness.send_text("{".to_owned(), &[]).await;
    malformed.expect(400);
    assert!(malformed.header("ratelimit").is_some());

    limit(&harness, NONE, 1).await;
    for _ in 0..TRIES {
        let answer = read_with(&harness, &path, &key.replace("tuma_", "tuma_x")).await;
        answer.expect(401);
        assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
    }
    harness.get(&path).await.expect(200);
    until_refused(async || harness.get(&of_others).await).await;
    // The admin API has no limit.
    let answer = harness.admin(Method::GET, "/workspaces", None).await;
    answer.expect(200);
    assert_eq!(answer.header("ratelimit"), None);
    harness.stop().await;
}

#[tokio::test]
async fn a_new_workspace_may_write_500_times_and_read_50_times_a_second() {
    let harness = Harness::start().await;
    let made = harness.admin(Method::POST, "/workspaces", Some(json!({ "name": "new" }))).await.expect(201);
    let workspace = text(&made, "id");
    let path = format!("/workspaces/{workspace}/access-keys");
    let key = harness.admin(Method::POST, &path, Some(json!({ "name": "new" }))).await.expect(201);
    let key = format!("AccessKey {}", text(&key, "accessKey"));
    let path = format!("/workspaces/{workspace}/channels/{}/messages", uuid::Uuid::new_v4());
    for (method, policy) in [(Method::GET, r#""get";q=50;w=1"#), (Method::POST, r#""post";q=500;w=1"#)] {
        let answer = harness.request(method, &path, &[("Authorization", &key)], None).await;
        answer.expect(404);
        assert_eq!(answer.header("ratelimit-policy"), Some(policy));
    }
    harness.stop().await;
}

/// Sets the limits of the tenant.
async fn limit(harness: &Harness, posts: u32, gets: u32) {
    let limits = json!({ "requestLimits": { "postsPerSecond": posts, "getsPerSecond": gets } });
    let path = format!("/workspaces/{}", harness.tenant.workspace);
    let changed: Value = harness.admin(Method::PATCH, &path, Some(limits.clone())).await.expect(200);
    assert_eq!(changed["requestLimits"], limits["requestLimits"]);
}

async fn read_with(harness: &Harness, path: &str, credential: &str) -> Answer {
    harness.request(Method::GET, path, &[("Authorization", credential)], None).await
}

/// The first refusal for asking too often.
async fn until_refused(ask: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..TRIES {
        let answer = ask().await;
        if answer.status == 429 {
            assert_eq!(answer.code(429), "TooManyRequests");
            return answer;
        }
    }
    panic!("{TRIES} requests and none was refused");
}

/// What an answer says is left, read as a list of one string with the parameters `r` and `t`.
#[track_caller]
fn left(answer: &Answer, name: &str) -> u32 {
    let field = answer.header("ratelimit").unwrap_or_else(|| panic!("no RateLimit: {answer:?}"));
    let parts: Vec<&str> = field.split(';').collect();
    let [item, left, reset] = parts[..] else { panic!("{field}") };
    assert_eq!((item, reset), (format!("\"{name}\"").as_str(), "t=1"), "{field}");
    left.strip_prefix("r=").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{field}"))
}
