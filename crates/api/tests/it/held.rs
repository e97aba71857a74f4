//! Messages that quiet hours hold: how they are stored, answered and hinted at.
//!
//! What is held now must be held at any hour these tests run: windows are laid around the database's clock.

use std::sync::atomic::Ordering;

use domain::message::MessageType;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use store::channel::ChannelSettings;
use testkit::Tenant;

use crate::harness::{Harness, message, text};
use crate::quiet_hours::EVERY_DAY;

/// Quiet hours that began an hour ago or earlier, and the instant at which they end, in one to two hours.
fn around(now: Timestamp) -> (Value, Timestamp) {
    let hour = |ahead: i64| {
        let at = now.checked_add(SignedDuration::from_hours(ahead)).unwrap().to_zoned(TimeZone::UTC);
        at.with().minute(0).second(0).subsec_nanosecond(0).build().unwrap()
    };
    let clock = |at: &jiff::Zoned| at.strftime("%H:%M").to_string();
    let (start, end) = (hour(-1), hour(2));
    let window = json!({ "days": EVERY_DAY, "start": clock(&start), "end": clock(&end) });
    (json!({ "timeZone": "UTC", "windows": [window] }), end.timestamp())
}

fn of_use_case(word: &str) -> Value {
    let mut request = message();
    request["meta"] = json!({ "extraInformation": { "useCase": word } });
    request
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

impl Harness {
    /// Puts quiet hours that hold now; the instant at which they end.
    async fn close(&self, path: &str) -> Timestamp {
        let (quiet_hours, end) = around(self.database.store.now());
        self.put(path, &quiet_hours).await;
        end
    }

    pub(crate) fn hinted(&self) -> usize {
        self.hints.load(Ordering::Relaxed)
    }

    async fn shown(&self, accepted: &Value) -> Value {
        self.get(&format!("{}/{}", self.tenant.messages_path(), text(accepted, "id"))).await.expect(200)
    }
}

#[tokio::test]
async fn a_message_for_marketing_waits_for_the_end_of_quiet_hours_and_says_so() {
    let harness = Harness::start().await;
    let end = harness.close(&harness.workspace_quiet_hours()).await;
    let accepted = harness.send(&of_use_case("marketing")).await.expect(202);
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(accepted["details"], format!("held by quiet hours until {end}"));
    assert_eq!(harness.shown(&accepted).await, accepted);
    assert_eq!(harness.hinted(), 0, "nothing is due");
    let due = format!("SELECT count(*) FROM outbox WHERE due_at = '{end}' AND due_reason = 'quiet_hours'");
    assert_eq!(harness.database.number(&due).await, 1);
    let batch = json!({ "messageRequests": [of_use_case("marketing"), message()] });
    let path = harness.tenant.messages_path().replace("/messages", "/batch/messages");
    let results = harness.ask(Method::POST, &path, Some(&batch)).await.expect(202)["results"].clone();
    assert_eq!((&results[0]["status"], &results[0]["details"]), (&accepted["status"], &accepted["details"]));
    assert_eq!((&results[1]["status"], &results[1]["details"]), (&json!("accepted"), &json!("")));
    assert_eq!(harness.database.number(&due).await, 2);
    assert_eq!(harness.hinted(), 1, "the other goes at once");
    harness.stop().await;
}

#[tokio::test]
async fn what_quiet_hours_are_not_for_goes_at_once() {
    let harness = Harness::start().await;
    let (mut quiet_hours, _) = around(harness.database.store.now());
    let path = harness.workspace_quiet_hours();
    harness.put(&path, &quiet_hours).await;
    let mut ignoring = of_use_case("marketing");
    ignoring["ignoreQuietHours"] = json!(true);
    for request in [message(), of_use_case("transactional"), of_use_case("something of ours"), ignoring] {
        let sent = harness.send(&request).await.expect(202);
        assert_eq!((&sent["status"], &sent["details"]), (&json!("accepted"), &json!("")), "{request}");
    }
    quiet_hours["enabled"] = json!(false);
    harness.put(&path, &quiet_hours).await;
    assert_eq!(harness.send(&of_use_case("marketing")).await.expect(202)["details"], "");
    assert_eq!(harness.hinted(), 5);
    harness.stop().await;
}

#[tokio::test]
async fn a_message_without_a_use_case_has_that_of_its_channel() {
    let harness = Harness::start().await;
    let (mut quiet_hours, end) = around(harness.database.store.now());
    let held = format!("held by quiet hours until {end}");
    for (message_type, use_case) in [
        (MessageType::Promotional, "marketing"),
        (MessageType::Conversational, "conversational"),
        (MessageType::Transactional, "transactional"),
        (MessageType::TwoFactor, "authentication"),
    ] {
        let tenant = &harness.tenant;
        let settings = ChannelSettings { message_type, ..tenant.channel.settings.clone() };
        let channel = Tenant::create_channel(&harness.database.store, tenant.workspace, &settings, "k").await;
        let path = format!("/workspaces/{}/channels/{}/messages", tenant.workspace, channel.id);
        let mut request = message();
        request["validity"] = json!(86_400);
        for (applies_to, expected) in [(use_case, held.as_str()), ("another", "")] {
            quiet_hours["appliesTo"] = json!([applies_to]);
            harness.put(&harness.workspace_quiet_hours(), &quiet_hours).await;
            let sent = harness.ask(Method::POST, &path, Some(&request)).await.expect(202);
            assert_eq!(sent["details"], expected, "{use_case} under quiet hours for {applies_to}");
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_channels_quiet_hours_replace_the_workspaces_as_a_whole() {
    let harness = Harness::start().await;
    let (mut quiet_hours, end) = around(harness.database.store.now());
    harness.put(&harness.workspace_quiet_hours(), &quiet_hours).await;
    let own = harness.channel_quiet_hours();
    let marketing = of_use_case("marketing");
    let held = format!("held by quiet hours until {end}");
    assert_eq!(harness.send(&marketing).await.expect(202)["details"], held);
    // Of another use case: that the workspace's are for marketing, too, counts no more.
    quiet_hours["appliesTo"] = json!(["transactional"]);
    harness.put(&own, &quiet_hours).await;
    assert_eq!(harness.send(&marketing).await.expect(202)["details"], "");
    assert_eq!(harness.send(&message()).await.expect(202)["details"], held);
    harness.ask(Method::DELETE, &own, None).await;
    assert_eq!(harness.send(&marketing).await.expect(202)["details"], held);
    assert_eq!(harness.send(&message()).await.expect(202)["details"], "");
    harness.stop().await;
}

#[tokio::test]
async fn a_scheduled_message_is_held_where_its_time_is_in_quiet_hours() {
    let harness = Harness::start().await;
    let end = harness.close(&harness.workspace_quiet_hours()).await;
    let mut request = of_use_case("marketing");
    for (scheduled_for, details) in [
        (later(end, -60), format!("held by quiet hours until {end}")),
        (end, format!("scheduled for {end}")),
        (later(end, 60), format!("scheduled for {}", later(end, 60))),
    ] {
        request["scheduledFor"] = json!(scheduled_for.to_string());
        let accepted = harness.send(&request).await.expect(202);
        assert_eq!((&accepted["status"], &accepted["details"]), (&json!("scheduled"), &json!(details)));
        assert_eq!(harness.shown(&accepted).await, accepted);
    }
    assert_eq!(harness.hinted(), 0);
    harness.stop().await;
}

#[tokio::test]
async fn a_message_that_quiet_hours_hold_past_its_validity_fails_at_once_and_says_why() {
    let harness = Harness::start().await;
    let end = harness.close(&harness.workspace_quiet_hours()).await;
    let mut request = of_use_case("marketing");
    request["validity"] = json!(60);
    request["messageId"] = json!("too-short");
    request["collapseKey"] = json!("offer");
    request["capFrequency"] = json!(true);
    request["tags"] = json!(["night"]);
    let failed = harness.send(&request).await.expect(202);
    let failure = json!({ "code": 16001, "description": "VALIDITY_EXPIRED", "source": { "name": "tuma", "code": "" } });
    assert_eq!((&failed["status"], &failed["failure"]), (&json!("sending_failed"), &failure));
    let details = text(&failed, "details");
    assert!(details.starts_with(&format!("held by quiet hours until {end}, but valid only until ")), "{details}");
    assert_eq!(harness.shown(&failed).await, failed);
    // It keeps its key, and a repetition finds it as it stands.
    let again = harness.send(&request).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(202), failed);
    let mut batch = json!({ "messageRequests": [{ "body": 7 }, request, message()] });
    batch["messageRequests"][1]["messageId"] = json!("too-short-again");
    let path = harness.tenant.messages_path().replace("/messages", "/batch/messages");
    let results = harness.ask(Method::POST, &path, Some(&batch)).await.expect(202)["results"].clone();
    let statuses = [&results[0]["status"], &results[1]["status"], &results[2]["status"]];
    assert_eq!(statuses, ["rejected", "sending_failed", "accepted"]);
    assert_eq!(results[1]["failure"], failure);
    assert_eq!(harness.shown(&results[1]).await["details"], results[1]["details"]);
    assert_eq!((harness.rows("outbox").await, harness.hinted()), (1, 1), "only the last of the batch goes");
    let listed = harness.get(&format!("{}?status=sending_failed&tags=night", harness.tenant.messages_path())).await;
    assert_eq!(listed.expect(200)["results"].as_array().map(Vec::len), Some(2));
    harness.stop().await;
}

#[tokio::test]
async fn a_message_that_may_go_in_time_is_not_failed() {
    let harness = Harness::start().await;
    let end = harness.close(&harness.workspace_quiet_hours()).await;
    let mut request = of_use_case("marketing");
    // Validity counts from the scheduled time: two seconds before the end, one second of it is too little.
    request["scheduledFor"] = json!(later(end, -2).to_string());
    for (validity, status) in [(1, "sending_failed"), (2, "sending_failed"), (3, "scheduled")] {
        request["validity"] = json!(validity);
        assert_eq!(harness.send(&request).await.expect(202)["status"], status, "{validity} s");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_message_says_that_it_waits_for_its_turn_after_quiet_hours_unless_its_channel_is_held_for_longer() {
    let harness = Harness::start().await;
    let accepted = harness.send(&message()).await.expect(202);
    let database = &harness.database;
    let gate = "INSERT INTO channel_gates (workspace_id, channel_id, reason, since, until, closings)
        SELECT workspace_id, channel_id, 'breaker', now(), '2027-01-01T05:00:00Z', 1 FROM messages";
    let gated = "held because the provider cannot be reached or fails; next probe at 2027-01-01T05:00:00Z";
    for (reason, due_at, details) in [
        ("quiet_hours", "2027-01-01T06:00:00Z", "held by quiet hours until 2027-01-01T06:00:00Z"),
        (
            "released",
            "2027-01-01T06:00:07Z",
            "released after quiet hours, waits for its turn until 2027-01-01T06:00:07Z",
        ),
        ("unknown", "2027-01-01T06:00:00Z", "outcome unknown: held for proof until 2027-01-01T06:00:00Z"),
        ("quiet_hours", "2027-01-01T04:00:00Z", gated),
        ("back_off", "2027-01-01T06:00:00Z", gated),
    ] {
        database.execute(&format!("DELETE FROM channel_gates; {gate}")).await;
        database.execute(&format!("UPDATE outbox SET due_reason = '{reason}', due_at = '{due_at}'")).await;
        assert_eq!(harness.shown(&accepted).await["details"], details, "{reason}");
    }
    harness.stop().await;
}
