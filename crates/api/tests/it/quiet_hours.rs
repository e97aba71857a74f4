//! Quiet hours as settings: put, read, inherited, and known everywhere soon.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, PATIENCE, message, text};
use crate::table::key_with_scope;

/// A change holds everywhere within this time (contract, section 2).
const CHANGE: Duration = Duration::from_secs(5);
/// An instant in the night of Nairobi, and when it ends.
const EVENING: &str = "2026-11-20T20:00:00Z";
const MORNING: &str = "2026-11-21T05:00:00Z";

impl Harness {
    /// The path of the quiet hours of the tenant's workspace.
    pub(crate) fn workspace_quiet_hours(&self) -> String {
        format!("/workspaces/{}/quiet-hours", self.tenant.workspace)
    }

    /// The path of the quiet hours of the tenant's channel.
    pub(crate) fn channel_quiet_hours(&self) -> String {
        format!("/workspaces/{}/channels/{}/quiet-hours", self.tenant.workspace, self.tenant.channel.id)
    }

    /// Asks with the tenant's key.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.request(method, path, &[("Authorization", &self.access_key())], body.map(Value::to_string)).await
    }

    /// Puts quiet hours that must be taken.
    pub(crate) async fn put(&self, path: &str, quiet_hours: &Value) -> Value {
        self.ask(Method::PUT, path, Some(quiet_hours)).await.expect(200)
    }

    /// When a server would send a message for marketing that comes in the evening.
    async fn planned_at(&self, address: SocketAddr) -> String {
        let (key, mut marketing) = (self.access_key(), message());
        marketing["meta"] = json!({ "extraInformation": { "useCase": "marketing" } });
        let path = format!("{}?dryRun=true&at={EVENING}", self.tenant.messages_path());
        let headers = [("Authorization", key.as_str())];
        let plan = self.request_at(address, Method::POST, &path, &headers, Some(marketing.to_string())).await;
        text(&plan.expect(200), "sendAt")
    }

    async fn audit_rows(&self, act: &str) -> i64 {
        let act = format!("SELECT count(*) FROM audit WHERE act = '{act}' AND actor LIKE 'access-key %'");
        self.database.number(&act).await
    }
}

/// Quiet hours of every night, of one zone.
pub(crate) fn nights() -> Value {
    json!({ "timeZone": "Africa/Nairobi", "windows": [{ "days": EVERY_DAY, "start": "21:00", "end": "08:00" }] })
}

pub(crate) const EVERY_DAY: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

#[tokio::test]
async fn what_is_absent_takes_its_default_and_what_was_put_is_read() {
    let harness = Harness::start().await;
    let path = harness.workspace_quiet_hours();
    let put = harness.put(&path, &nights()).await;
    let expected = json!({
        "enabled": true, "timeZone": "Africa/Nairobi", "recipientTimeZone": false,
        "windows": [{ "days": EVERY_DAY, "start": "21:00", "end": "08:00" }],
        "holidays": [], "appliesTo": ["marketing"], "spreadSeconds": 600
    });
    assert_eq!(put, expected);
    assert_eq!(harness.get(&path).await.expect(200), expected);
    let whole = json!({
        "enabled": false, "timeZone": "Europe/Berlin", "recipientTimeZone": true,
        "windows": [{ "days": ["sat"], "start": "00:00", "end": "09:30" }, { "days": ["sun"], "start": "12:00", "end": "09:00" }],
        "holidays": ["2026-12-25", "2026-12-26"], "appliesTo": ["marketing", "transactional"], "spreadSeconds": 0
    });
    assert_eq!(harness.put(&path, &whole).await, whole);
    assert_eq!(harness.get(&path).await.expect(200), whole);
    // What was read may be put back.
    assert_eq!(harness.put(&path, &whole).await, whole);
    assert_eq!(harness.audit_rows("workspace.quiet_hours").await, 3);
    harness.stop().await;
}

#[tokio::test]
async fn what_was_never_set_is_not_there() {
    let harness = Harness::start().await;
    for path in [harness.workspace_quiet_hours(), harness.channel_quiet_hours()] {
        let answer = harness.get(&path).await;
        assert_eq!(answer.code(404), "NotFound");
        assert!(answer.text.contains("quiet hours not found"), "{}", answer.text);
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_channel_has_its_own_quiet_hours_else_those_of_the_workspace() {
    let harness = Harness::start().await;
    let (whole, own) = (harness.workspace_quiet_hours(), harness.channel_quiet_hours());
    let mut inherited = harness.put(&whole, &nights()).await;
    let unset = inherited.clone();
    inherited["inherited"] = json!(true);
    assert_eq!(harness.get(&own).await.expect(200), inherited);
    let mut weekends =
        harness.put(&own, &json!({ "timeZone": "UTC", "windows": [], "holidays": ["2026-12-25"] })).await;
    assert_eq!(weekends["inherited"], false);
    assert_eq!(harness.get(&own).await.expect(200), weekends);
    assert_eq!(harness.get(&whole).await.expect(200), unset, "the workspace's stay");
    // Which they are is told, not set.
    let refused = harness.ask(Method::PUT, &own, Some(&weekends)).await.expect(422);
    assert_eq!(refused["details"], json!({ ".inherited": ["property \"inherited\" is unsupported"] }));
    weekends.as_object_mut().unwrap().remove("inherited");
    harness.put(&own, &weekends).await;
    for _ in 0..2 {
        let gone = harness.ask(Method::DELETE, &own, None).await;
        assert_eq!((gone.status, gone.text.as_str()), (204, ""));
        assert_eq!(harness.get(&own).await.expect(200), inherited);
    }
    assert!(harness.audit_rows("channel.quiet_hours").await >= 3);
    harness.stop().await;
}

#[tokio::test]
async fn quiet_hours_are_read_with_one_scope_and_set_with_another() {
    let harness = Harness::start().await;
    harness.put(&harness.workspace_quiet_hours(), &nights()).await;
    let body = nights().to_string();
    for (scope, reads, writes) in
        [("channels:read", true, false), ("settings:write", false, true), ("messages:write", false, false)]
    {
        let key = format!("AccessKey {}", key_with_scope(&harness, scope).await);
        let headers = [("Authorization", key.as_str())];
        for path in [harness.workspace_quiet_hours(), harness.channel_quiet_hours()] {
            let read = harness.request(Method::GET, &path, &headers, None).await;
            assert_eq!(read.status, if reads { 200 } else { 403 }, "{scope} {path}");
            let put = harness.request(Method::PUT, &path, &headers, Some(body.clone())).await;
            assert_eq!(put.status, if writes { 200 } else { 403 }, "{scope} {path}");
        }
        let removed = harness.request(Method::DELETE, &harness.channel_quiet_hours(), &headers, None).await;
        assert_eq!(removed.status, if writes { 204 } else { 403 }, "{scope}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_change_holds_on_a_replica_that_did_not_make_it_within_five_seconds() {
    let harness = Harness::start().await;
    let replica = harness.start_replica().await;
    let (whole, own) = (harness.workspace_quiet_hours(), harness.channel_quiet_hours());
    let off = json!({ "enabled": false, "timeZone": "UTC", "windows": [] });
    let changes = [
        (Method::PUT, &whole, Some(nights()), MORNING),
        (Method::PUT, &own, Some(off), EVENING),
        (Method::DELETE, &own, None, MORNING),
    ];
    assert_eq!(harness.planned_at(replica.address).await, EVENING);
    for (method, path, body, expected) in changes {
        let changed = harness.ask(method.clone(), path, body.as_ref()).await;
        assert!([200, 204].contains(&changed.status), "{}", changed.text);
        assert_eq!(harness.planned_at(harness.address).await, expected, "{method} {path} is not known here at once");
        let since = Instant::now();
        while harness.planned_at(replica.address).await != expected {
            assert!(since.elapsed() < PATIENCE, "{method} {path} is not known");
        }
        assert!(since.elapsed() < CHANGE, "{method} {path} was known after {:?}", since.elapsed());
    }
    replica.stop().await;
    harness.stop().await;
}
