//! Pauses: made, read, listed, ended, and what is told of messages that they hold.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Tenant;

use crate::harness::{Answer, Harness, PATIENCE, message, text};
use crate::quiet_hours::nights;
use crate::table::key_with_scope;

/// A change holds everywhere within this time (contract, section 2).
const CHANGE: Duration = Duration::from_secs(5);
const UNKNOWN: &str = "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11";

impl Harness {
    fn pauses(&self) -> String {
        format!("/workspaces/{}/pauses", self.tenant.workspace)
    }

    /// Makes a pause that must be taken.
    async fn pause(&self, pause: &Value) -> Value {
        self.ask(Method::POST, &self.pauses(), Some(pause)).await.expect(201)
    }

    fn path_of(&self, pause: &Value) -> String {
        format!("{}/{}", self.pauses(), text(pause, "id"))
    }

    async fn end(&self, pause: &Value) -> Value {
        self.ask(Method::DELETE, &self.path_of(pause), None).await.expect(200)
    }

    async fn listed(&self) -> Value {
        self.get(&self.pauses()).await.expect(200)["results"].take()
    }

    /// A whole second from now.
    fn ahead(&self, seconds: i64) -> Timestamp {
        let now = Timestamp::from_second(self.database.store.now().as_second()).unwrap();
        now.checked_add(SignedDuration::from_secs(seconds)).unwrap()
    }

    /// Details of a message as it is answered, which it must be read back with.
    async fn details(&self, request: &Value) -> String {
        let accepted = self.send(request).await.expect(202);
        let path = format!("{}/{}", self.tenant.messages_path(), text(&accepted, "id"));
        assert_eq!(self.get(&path).await.expect(200), accepted);
        text(&accepted, "details")
    }

    /// The plan of a request at a server.
    async fn planned(&self, address: SocketAddr, query: &str, request: &Value) -> Value {
        let (key, path) = (self.access_key(), format!("{}?dryRun=true{query}", self.tenant.messages_path()));
        let headers = [("Authorization", key.as_str())];
        self.request_at(address, Method::POST, &path, &headers, Some(request.to_string())).await.expect(200)
    }

    /// The gate of pauses in the plan of a request: verdict, until and setting.
    async fn hold_gate(&self, query: &str, request: &Value) -> (Value, [Value; 3]) {
        let plan = self.planned(self.address, query, request).await;
        let gate = &plan["gates"][3];
        assert_eq!(gate["gate"], "hold");
        (plan["sendAt"].clone(), ["verdict", "until", "setting"].map(|name| gate[name].clone()))
    }
}

fn of_workspace() -> Value {
    json!({ "scope": "workspace", "reason": "closed" })
}

fn tagged(tags: &[&str]) -> Value {
    let mut request = message();
    request["tags"] = json!(tags);
    request
}

#[tokio::test]
async fn a_pause_is_made_read_listed_and_ended_once() {
    let harness = Harness::start().await;
    assert_eq!(harness.listed().await, json!([]));
    let until = harness.ahead(3600).to_string();
    let made = harness.pause(&json!({ "scope": "tag", "tag": "Promo", "reason": "wrong price", "until": until })).await;
    let actor = format!("access-key {}", harness.tenant.access_key_id);
    let expected = json!({
        "id": made["id"], "scope": "tag", "channelId": null, "tag": "promo", "reason": "wrong price", "until": until,
        "createdAt": made["createdAt"], "createdBy": actor, "endedAt": null, "endedBy": null
    });
    assert_eq!(made, expected);
    let channel = harness.tenant.channel.id.to_string();
    let newer = harness.pause(&json!({ "scope": "channel", "channelId": channel, "reason": "moved" })).await;
    assert_eq!([&newer["channelId"], &newer["tag"], &newer["until"]], [&json!(channel), &Value::Null, &Value::Null]);
    assert_eq!(harness.get(&harness.path_of(&made)).await.expect(200), made);
    assert_eq!(harness.listed().await, json!([newer, made]));
    let ended = harness.end(&made).await;
    assert_eq!(ended["endedBy"], actor);
    assert!(text(&ended, "endedAt").parse::<Timestamp>().unwrap() >= text(&ended, "createdAt").parse().unwrap());
    // Another key of the workspace: what is over stays as it is.
    let key = format!("AccessKey {}", key_with_scope(&harness, "settings:write").await);
    let again = harness.request(Method::DELETE, &harness.path_of(&made), &[("Authorization", &key)], None).await;
    assert_eq!(again.expect(200), ended);
    assert_eq!(harness.get(&harness.path_of(&made)).await.expect(200), ended);
    assert_eq!(harness.listed().await, json!([newer]));
    let audit = |act: &str| format!("SELECT count(*) FROM audit WHERE act = '{act}' AND actor = '{actor}'");
    let (creates, ends) = (audit("pause.create"), audit("pause.end"));
    assert_eq!((harness.database.number(&creates).await, harness.database.number(&ends).await), (2, 1));
    harness.stop().await;
}

#[tokio::test]
async fn a_pause_whose_time_has_come_is_over_and_nobody_ended_it() {
    let harness = Harness::start().await;
    let mut pause = of_workspace();
    pause["until"] = json!(harness.ahead(3600).to_string());
    let made = harness.pause(&pause).await;
    harness
        .database
        .execute("UPDATE pauses SET until = '2026-01-01T00:00:00Z', created_at = '2025-01-01T00:00:00Z'")
        .await;
    assert_eq!(harness.listed().await, json!([]));
    let over = harness.get(&harness.path_of(&made)).await.expect(200);
    assert_eq!((&over["endedAt"], &over["endedBy"]), (&json!("2026-01-01T00:00:00Z"), &Value::Null));
    assert_eq!(harness.end(&made).await, over);
    harness.stop().await;
}

#[tokio::test]
async fn no_more_pauses_are_taken_than_may_be_open() {
    let harness = Harness::start().await;
    let planted = format!(
        "INSERT INTO pauses (workspace_id, pause_id, scope, reason, actor, created_at)
        SELECT '{}', gen_random_uuid(), 'workspace', 'planted', 'test', now() FROM generate_series(1, 999)",
        harness.tenant.workspace
    );
    harness.database.execute(&planted).await;
    harness.pause(&of_workspace()).await;
    assert_eq!(harness.listed().await.as_array().map(Vec::len), Some(1000));
    let refused = harness.ask(Method::POST, &harness.pauses(), Some(&of_workspace())).await.expect(422);
    assert_eq!(refused["details"], json!({ ".": ["1000 pauses are open: end some first"] }));
    harness.stop().await;
}

#[tokio::test]
async fn pauses_are_read_with_one_scope_and_made_and_ended_with_another() {
    let harness = Harness::start().await;
    let pause = harness.pause(&of_workspace()).await;
    let one = harness.path_of(&pause);
    for (scope, reads, writes) in
        [("channels:read", true, false), ("settings:write", false, true), ("messages:write", false, false)]
    {
        let key = format!("AccessKey {}", key_with_scope(&harness, scope).await);
        let headers = [("Authorization", key.as_str())];
        for path in [&harness.pauses(), &one] {
            let read = harness.request(Method::GET, path, &headers, None).await;
            assert_eq!(read.status, if reads { 200 } else { 403 }, "{scope} {path}");
        }
        let made = harness.request(Method::POST, &harness.pauses(), &headers, Some(of_workspace().to_string())).await;
        assert_eq!(made.status, if writes { 201 } else { 403 }, "{scope}");
        let ended = harness.request(Method::DELETE, &one, &headers, None).await;
        assert_eq!(ended.status, if writes { 200 } else { 403 }, "{scope}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn owners_of_the_channels_concerned_are_told_when_a_pause_is_made_and_when_it_is_ended() {
    let harness = Harness::start().await;
    let (store, tenant) = (&harness.database.store, &harness.tenant);
    Tenant::create_channel(store, tenant.workspace, &tenant.channel.settings, "lipachat-key").await;
    let channel = tenant.channel.id.to_string();
    let hinted = || harness.hints.load(Ordering::Relaxed);
    for (pause, channels) in
        [(json!({ "scope": "channel", "channelId": channel, "reason": "moved" }), 1), (of_workspace(), 2)]
    {
        let before = hinted();
        let made = harness.pause(&pause).await;
        assert_eq!(hinted() - before, channels);
        harness.end(&made).await;
        assert_eq!(hinted() - before, 2 * channels);
        harness.end(&made).await;
        assert_eq!(hinted() - before, 2 * channels, "nothing changed");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_message_that_is_sent_into_a_pause_is_accepted_and_says_so() {
    let harness = Harness::start().await;
    let until = harness.ahead(3600);
    assert_eq!(harness.details(&tagged(&["promo"])).await, "");
    let promo =
        harness.pause(&json!({ "scope": "tag", "tag": "promo", "reason": "wrong price", "until": until })).await;
    let by_tag = format!("held by a pause until {until}: wrong price");
    assert_eq!(harness.details(&tagged(&["orders", "Promo"])).await, by_tag);
    assert_eq!(harness.details(&tagged(&["orders"])).await, "");
    let all = harness.pause(&of_workspace()).await;
    assert_eq!(harness.details(&tagged(&["promo"])).await, "held by a pause: closed");
    assert_eq!(harness.details(&message()).await, "held by a pause: closed");
    let batch = json!({ "messageRequests": [message(), { "body": 7 }] });
    let path = harness.tenant.messages_path().replace("/messages", "/batch/messages");
    let results = harness.ask(Method::POST, &path, Some(&batch)).await.expect(202)["results"].take();
    assert_eq!(
        (&results[0]["details"], &results[1]["status"]),
        (&json!("held by a pause: closed"), &json!("rejected"))
    );
    harness.end(&all).await;
    assert_eq!(harness.details(&tagged(&["promo"])).await, by_tag);
    harness.end(&promo).await;
    assert_eq!(harness.details(&tagged(&["promo"])).await, "");
    let listed = harness.get(&harness.tenant.messages_path()).await.expect(200);
    let details: Vec<&Value> = listed["results"].as_array().unwrap().iter().map(|one| &one["details"]).collect();
    assert!(
        details.iter().filter(|details| **details != "INVALID_INPUT").all(|details| **details == ""),
        "{details:?}"
    );
    harness.stop().await;
}

#[tokio::test]
async fn a_pause_of_another_channel_or_workspace_is_none_of_a_messages_business() {
    let harness = Harness::start().await;
    let (store, tenant) = (&harness.database.store, &harness.tenant);
    let second = Tenant::create_channel(store, tenant.workspace, &tenant.channel.settings, "lipachat-key").await;
    harness.pause(&json!({ "scope": "channel", "channelId": second.id.to_string(), "reason": "moved" })).await;
    let key = format!("AccessKey {}", harness.other.access_key);
    let theirs = format!("/workspaces/{}/pauses", harness.other.workspace);
    let made: Answer =
        harness.request(Method::POST, &theirs, &[("Authorization", &key)], Some(of_workspace().to_string())).await;
    made.expect(201);
    assert_eq!(harness.details(&message()).await, "");
    harness.stop().await;
}

#[tokio::test]
async fn what_holds_a_message_for_longest_is_what_it_tells() {
    let harness = Harness::start().await;
    let accepted = harness.send(&message()).await.expect(202);
    let path = format!("{}/{}", harness.tenant.messages_path(), text(&accepted, "id"));
    let pause = json!({ "scope": "workspace", "reason": "closed", "until": harness.ahead(3600).to_string() });
    let held = format!("held by a pause until {}: closed", text(&harness.pause(&pause).await, "until"));
    let (sooner, later) = (harness.ahead(600), harness.ahead(7200));
    for (reason, due_at, gate_until, details) in [
        ("requested", sooner, None, held.clone()),
        ("requested", later, None, String::new()),
        ("paused", sooner, None, held.clone()),
        ("quiet_hours", sooner, None, held.clone()),
        ("quiet_hours", later, None, format!("held by quiet hours until {later}")),
        ("back_off", sooner, Some(sooner), held.clone()),
        ("gate", sooner, Some(later), format!("held because the provider asked to slow down; goes on at {later}")),
        ("held", sooner, None, "held until it is released".to_owned()),
        ("claimed", sooner, None, "being sent".to_owned()),
    ] {
        let database = &harness.database;
        database
            .execute(&format!(
                "DELETE FROM channel_gates; UPDATE outbox SET due_reason = '{reason}', due_at = '{due_at}'"
            ))
            .await;
        if let Some(until) = gate_until {
            let gate = format!(
                "INSERT INTO channel_gates (workspace_id, channel_id, reason, since, until, closings)
                SELECT workspace_id, channel_id, 'rateLimit', now(), '{until}', 1 FROM messages"
            );
            database.execute(&gate).await;
        }
        assert_eq!(harness.get(&path).await.expect(200)["details"], details, "{reason} {due_at} {gate_until:?}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_scheduled_message_is_held_only_where_its_time_is_within_the_pause() {
    let harness = Harness::start().await;
    let until = harness.ahead(3600);
    harness.pause(&json!({ "scope": "workspace", "reason": "closed", "until": until.to_string() })).await;
    let (sooner, later) = (harness.ahead(600), harness.ahead(7200));
    for (scheduled_for, details) in
        [(sooner, format!("held by a pause until {until}: closed")), (later, format!("scheduled for {later}"))]
    {
        let mut request = message();
        request["scheduledFor"] = json!(scheduled_for.to_string());
        assert_eq!(harness.details(&request).await, details);
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_dry_run_tells_the_pause_that_would_hold_a_message_at_its_time() {
    let harness = Harness::start().await;
    let (now, until, later) = (harness.ahead(60), harness.ahead(3600), harness.ahead(7200));
    let (at_now, at_end) = (format!("&at={now}"), format!("&at={until}"));
    let open = |at: Timestamp| (json!(at.to_string()), [json!("open"), Value::Null, json!("no pause")]);
    let request = tagged(&["promo"]);
    assert_eq!(harness.hold_gate(&at_now, &request).await, open(now));
    let pause = json!({ "scope": "tag", "tag": "promo", "reason": "wrong price", "until": until.to_string() });
    let promo = harness.pause(&pause).await;
    let setting = json!(format!("pause {} of tag promo: wrong price", text(&promo, "id")));
    let closed = (json!(until.to_string()), [json!("closed"), json!(until.to_string()), setting]);
    assert_eq!(harness.hold_gate(&at_now, &request).await, closed);
    assert_eq!(harness.hold_gate(&at_now, &tagged(&["orders"])).await, open(now));
    assert_eq!(harness.hold_gate(&at_end, &request).await, open(until), "it is over then");
    let mut scheduled = request.clone();
    scheduled["scheduledFor"] = json!(later.to_string());
    assert_eq!(harness.hold_gate(&at_now, &scheduled).await, open(later));
    // Not valid for so long: it would be accepted all the same, since the pause may be ended.
    let mut short = request.clone();
    short["validity"] = json!(600);
    let plan = harness.planned(harness.address, &at_now, &short).await;
    assert_eq!((&plan["wouldAccept"], &plan["sendAt"]), (&json!(true), &Value::Null));
    assert_eq!(plan["lipachatCalls"].as_array().map(Vec::len), Some(1));
    let channel = harness.tenant.channel.id.to_string();
    let moved = harness.pause(&json!({ "scope": "channel", "channelId": channel, "reason": "moved" })).await;
    let setting = json!(format!("pause {} of channel {channel}: moved", text(&moved, "id")));
    assert_eq!(harness.hold_gate(&at_now, &request).await, (Value::Null, [json!("closed"), Value::Null, setting]));
    assert_eq!(harness.rows("messages").await, 0);
    harness.stop().await;
}

#[tokio::test]
async fn after_a_pause_a_plan_goes_on_with_quiet_hours() {
    let harness = Harness::start().await;
    let mut quiet_hours = nights();
    quiet_hours["appliesTo"] = json!(["transactional"]);
    harness.put(&harness.workspace_quiet_hours(), &quiet_hours).await;
    // The next evening at ten in Nairobi, and the morning after.
    let day = harness.database.store.now().as_second() / 86_400;
    let instant = |hours: i64| Timestamp::from_second(day * 86_400 + hours * 3600).unwrap();
    let (noon, evening, morning) = (instant(24 + 9), instant(24 + 19), instant(48 + 5));
    let pause = json!({ "scope": "workspace", "reason": "closed", "until": evening.to_string() });
    harness.pause(&pause).await;
    let plan = harness.planned(harness.address, &format!("&at={noon}"), &message()).await;
    assert_eq!((&plan["sendAt"], &plan["gates"][1]["verdict"]), (&json!(morning.to_string()), &json!("open")));
    harness.stop().await;
}

#[tokio::test]
async fn a_pause_is_known_to_a_replica_that_did_not_make_it_within_five_seconds() {
    let harness = Harness::start().await;
    let replica = harness.start_replica().await;
    let verdict = async |address| harness.planned(address, "", &message()).await["gates"][3]["verdict"].clone();
    assert_eq!(verdict(replica.address).await, "open");
    let mut made = None;
    for expected in ["closed", "open"] {
        match &made {
            None => made = Some(harness.pause(&of_workspace()).await),
            Some(pause) => drop(harness.end(pause).await),
        }
        assert_eq!(verdict(harness.address).await, expected, "not known here at once");
        let since = Instant::now();
        while verdict(replica.address).await != expected {
            assert!(since.elapsed() < PATIENCE, "{expected} is not known");
        }
        assert!(since.elapsed() < CHANGE, "{expected} was known after {:?}", since.elapsed());
    }
    replica.stop().await;
    harness.stop().await;
}

#[tokio::test]
async fn a_pause_that_is_not_there_or_not_ours_is_not_found() {
    let harness = Harness::start().await;
    let pause = harness.pause(&of_workspace()).await;
    let key = format!("AccessKey {}", harness.other.access_key);
    for id in [text(&pause, "id"), UNKNOWN.to_owned(), "main".to_owned()] {
        let path = format!("/workspaces/{}/pauses/{id}", harness.other.workspace);
        for method in [Method::GET, Method::DELETE] {
            let answer = harness.request(method.clone(), &path, &[("Authorization", &key)], None).await;
            assert!(answer.code(404) == "NotFound" && answer.text.contains("pause not found"), "{method} {path}");
        }
    }
    assert_eq!(harness.listed().await, json!([pause]));
    harness.stop().await;
}
