//! Acts on one message, as a client sees them: what is answered, what is noted, what the engine is told.

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, message, text};

pub(crate) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn shown(at: &Value) -> Timestamp {
    at.as_str().unwrap_or_else(|| panic!("no instant: {at}")).parse().unwrap()
}

/// To the millisecond, as instants are shown.
fn cut(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap()
}

impl Harness {
    /// Accepts a message; its path.
    pub(crate) async fn accept(&self, request: &Value) -> String {
        let id = text(&self.send(request).await.expect(202), "id");
        format!("{}/{id}", self.tenant.messages_path())
    }

    pub(crate) async fn reschedule(&self, path: &str, at: &Value) -> Answer {
        self.ask(Method::PATCH, path, Some(&json!({ "scheduledFor": at }))).await
    }

    async fn post(&self, path: &str, verb: &str) -> Answer {
        self.ask(Method::POST, &format!("{path}/{verb}"), None).await
    }

    pub(crate) async fn cancel(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    /// Rows of the audit for an act of the tenant's key.
    pub(crate) async fn noted(&self, act: &str) -> i64 {
        let key = self.tenant.access_key_id;
        self.rows(&format!("audit WHERE act = '{act}' AND actor = 'access-key {key}'")).await
    }

    /// Ends all messages that wait.
    async fn end_all(&self, status: &str, code: &str) {
        self.database
            .execute(&format!(
                "DELETE FROM outbox; UPDATE messages SET status = '{status}', failure_code = {code}, failure_source = 'tuma',
                failure_source_code = '' WHERE status = 'waiting'"
            ))
            .await;
    }
}

#[tokio::test]
async fn a_message_that_waits_is_cancelled_and_may_be_cancelled_again() {
    let harness = Harness::start().await;
    let path = harness.accept(&message()).await;
    for _ in 0..2 {
        let cancelled = harness.cancel(&path).await.expect(200);
        assert_eq!((&cancelled["status"], &cancelled["details"]), (&json!("deleted"), &json!("")));
        assert_eq!(harness.get(&path).await.expect(200), cancelled);
    }
    assert_eq!((harness.rows("outbox").await, harness.noted("message.cancel").await), (0, 1));
    assert_eq!(harness.rows("message_events WHERE event = 'cancelled' AND waited_for = 'requested'").await, 1);
    harness.stop().await;
}

#[tokio::test]
async fn what_has_begun_to_be_sent_or_has_ended_is_already_sent() {
    let harness = Harness::start().await;
    let path = harness.accept(&message()).await;
    let claimed =
        "UPDATE outbox SET claim = 1, tries = 1, due_reason = 'claimed', claimed_until = now() + interval '1 minute'";
    let partly = "UPDATE outbox SET claim = 2, due_reason = 'requested', claimed_until = NULL, part = 1";
    let ended = "DELETE FROM outbox; UPDATE messages SET status = 'sent'";
    for (state, is_being_sent) in [(claimed, true), (partly, false), (ended, true)] {
        harness.database.execute(state).await;
        let before = harness.get(&path).await.expect(200);
        assert_eq!(harness.cancel(&path).await.code(409), "AlreadySent", "{state}");
        assert_eq!(harness.reschedule(&path, &Value::Null).await.code(409), "AlreadySent", "{state}");
        if is_being_sent {
            assert_eq!(harness.post(&path, "hold").await.code(409), "AlreadySent", "{state}");
        }
        assert_eq!(harness.get(&path).await.expect(200), before, "{state}");
    }
    assert_eq!(harness.post(&path, "release").await.code(409), "AlreadySent");
    assert_eq!(harness.post(&path, "replay").await.code(409), "NotReplayable");
    assert_eq!(harness.rows("message_events").await, 0);
    harness.stop().await;
}

#[tokio::test]
async fn another_time_keeps_the_length_of_validity_and_is_told_when_it_is_now() {
    let harness = Harness::start().await;
    let now = harness.database.store.now();
    let mut request = message();
    request["validity"] = json!(600);
    request["scheduledFor"] = json!(later(now, 3600).to_string());
    let path = harness.accept(&request).await;
    assert_eq!(harness.hinted(), 0);
    let at = later(now, 7200);
    let moved = harness.reschedule(&path, &json!(at.to_string())).await.expect(200);
    assert_eq!((&moved["status"], shown(&moved["scheduledFor"])), (&json!("scheduled"), cut(at)));
    assert_eq!(moved["details"], format!("scheduled for {}", cut(at)));
    let waits = |at: Timestamp| format!("outbox WHERE due_at = '{at}' AND expires_at = '{}'", later(at, 600));
    assert_eq!((harness.rows(&waits(at)).await, harness.hinted()), (1, 0));
    let kept = format!("messages WHERE scheduled_for = '{at}' AND expires_at = '{}'", later(at, 600));
    assert_eq!(harness.rows(&kept).await, 1);
    for asked in [Value::Null, json!("2020-01-01T00:00:00Z")] {
        let hinted = harness.hinted();
        let moved = harness.reschedule(&path, &asked).await.expect(200);
        assert_eq!((&moved["status"], harness.hinted()), (&json!("accepted"), hinted + 1));
        assert!(shown(&moved["scheduledFor"]) >= cut(now));
        assert_eq!(harness.rows("outbox WHERE expires_at = due_at + interval '600 seconds'").await, 1);
    }
    assert_eq!(harness.noted("message.reschedule").await, 3);
    let detail = format!(r#"audit WHERE act = 'message.reschedule' AND detail = '{{"scheduledFor":"{}"}}'"#, cut(at));
    assert_eq!(harness.rows(&detail).await, 1);
    assert_eq!(harness.rows("message_events WHERE event = 'rescheduled'").await, 3);
    harness.stop().await;
}

#[tokio::test]
async fn another_time_that_quiet_hours_leave_no_room_for_changes_nothing() {
    let harness = Harness::start().await;
    let path = harness.workspace_quiet_hours();
    let nights = json!({ "timeZone": "UTC", "recipientTimeZone": false, "appliesTo": ["transactional"],
        "windows": [{ "days": crate::quiet_hours::EVERY_DAY, "start": "20:00", "end": "06:00" }] });
    harness.put(&path, &nights).await;
    let mut request = message();
    request["validity"] = json!(3600);
    // Noon of tomorrow is open at any hour these tests run.
    let tomorrow = later(harness.database.store.now(), 86_400).to_zoned(jiff::tz::TimeZone::UTC).date();
    let instant = |clock: &str| -> Timestamp { format!("{tomorrow}T{clock}:00Z").parse().unwrap() };
    request["scheduledFor"] = json!(instant("12:00").to_string());
    let path = harness.accept(&request).await;
    let before = harness.get(&path).await.expect(200);
    let refused = harness.reschedule(&path, &json!(instant("22:00").to_string())).await;
    assert_eq!(refused.code(422), "InvalidPayload");
    let why = format!(
        "held by quiet hours until {}, but valid only until {}",
        later(instant("22:00"), 8 * 3600),
        instant("23:00")
    );
    assert_eq!(refused.json()["details"], json!({ ".scheduledFor": [why] }));
    assert_eq!(harness.get(&path).await.expect(200), before);
    let held = harness.reschedule(&path, &json!(later(instant("05:30"), 86_400).to_string())).await.expect(200);
    assert_eq!(held["details"], format!("held by quiet hours until {}", later(instant("06:00"), 86_400)));
    assert_eq!(harness.rows("message_events").await, 1);
    harness.stop().await;
}

#[tokio::test]
async fn a_message_is_held_and_released_and_each_is_noted_once() {
    let harness = Harness::start().await;
    let path = harness.accept(&message()).await;
    let hinted = harness.hinted();
    for _ in 0..2 {
        let held = harness.post(&path, "hold").await.expect(200);
        assert_eq!((&held["status"], &held["details"]), (&json!("accepted"), &json!("held until it is released")));
    }
    assert_eq!((harness.hinted(), harness.noted("message.hold").await), (hinted, 1));
    // A gate that closes meanwhile says nothing of what is held.
    harness
        .database
        .execute(
            "INSERT INTO channel_gates (workspace_id, channel_id, reason, since, until, closings)
            SELECT workspace_id, channel_id, 'breaker', now(), now() + interval '1 minute', 1 FROM messages",
        )
        .await;
    assert_eq!(harness.get(&path).await.expect(200)["details"], "held until it is released");
    harness.database.execute("DELETE FROM channel_gates").await;
    for _ in 0..2 {
        let released = harness.post(&path, "release").await.expect(200);
        assert_eq!((&released["status"], &released["details"]), (&json!("accepted"), &json!("")));
    }
    assert_eq!((harness.hinted(), harness.noted("message.release").await), (hinted + 1, 1));
    harness.stop().await;
}

#[tokio::test]
async fn what_failed_is_sent_again_by_a_message_that_names_it() {
    let harness = Harness::start().await;
    let mut request = message();
    request["messageId"] = json!("order-1");
    request["reference"] = json!("order-7781");
    request["tags"] = json!(["spring"]);
    let path = harness.accept(&request).await;
    harness.end_all("sending_failed", "16001").await;
    let (hinted, accepted) = (harness.hinted(), harness.metrics.accepted.get());
    let old = harness.get(&path).await.expect(200);
    let new = harness.post(&path, "replay").await.expect(202);
    assert_eq!((&new["status"], &new["replayOf"], new.get("replayedAs")), (&json!("accepted"), &old["id"], None));
    for same in ["body", "meta", "reference", "tags", "receiver", "sender"] {
        assert_eq!(new[same], old[same], "{same}");
    }
    assert_eq!((harness.hinted(), harness.metrics.accepted.get()), (hinted + 1, accepted + 1));
    let again = harness.post(&path, "replay").await.expect(200);
    assert_eq!(again["id"], new["id"]);
    assert_eq!(harness.get(&path).await.expect(200)["replayedAs"], new["id"]);
    assert_eq!((harness.rows("messages").await, harness.noted("message.replay").await), (2, 1));
    // The key is the first one's still.
    assert_eq!(text(&harness.send(&request).await.expect(202), "id"), text(&old, "id"));
    harness.stop().await;
}

#[tokio::test]
async fn a_message_is_told_to_have_ended_before_it_was_sent_again() {
    let harness = Harness::start().await;
    let path = harness.accept(&message()).await;
    harness.end_all("sending_failed", "16001").await;
    harness.post(&path, "replay").await.expect(202);
    let explained = harness.get(&format!("{path}/explain")).await.expect(200);
    let told = explained["timeline"].as_array().unwrap().iter().map(|entry| text(entry, "event"));
    assert_eq!(told.collect::<Vec<_>>(), ["accepted", "sending_failed", "replayed"]);
    harness.stop().await;
}

#[tokio::test]
async fn what_cannot_be_sent_again_says_why() {
    let harness = Harness::start().await;
    let path = harness.accept(&message()).await;
    for (change, says) in [
        ("status = 'rejected', failure_code = 11002", "could not be read"),
        ("status = 'sending_failed', failure_code = 16001, parts = '[]'", "no longer kept"),
        ("status = 'delivered', failure_code = NULL", "waits, or was sent"),
    ] {
        harness.end_all("deleted", "NULL").await;
        harness.database.execute(&format!("UPDATE messages SET {change}")).await;
        let refused = harness.post(&path, "replay").await;
        assert_eq!(refused.code(409), "NotReplayable", "{change}");
        assert!(text(&refused.json(), "message").contains(says), "{}", refused.text);
    }
    assert_eq!(harness.rows("messages").await, 1);
    harness.stop().await;
}

#[tokio::test]
async fn a_message_is_acted_on_by_its_own_channel_and_workspace_alone() {
    let harness = Harness::start().await;
    let path = harness.accept(&message()).await;
    let theirs = path.replace(&harness.tenant.messages_path(), &harness.other.messages_path());
    let key = format!("AccessKey {}", harness.other.access_key);
    for (path, key) in [(&theirs, &key), (&path, &key), (&theirs, &harness.access_key())] {
        for (method, path, body) in [
            (Method::DELETE, path.clone(), None),
            (Method::PATCH, path.clone(), Some(r#"{"scheduledFor":null}"#.to_owned())),
            (Method::POST, format!("{path}/hold"), None),
            (Method::POST, format!("{path}/release"), None),
            (Method::POST, format!("{path}/replay"), None),
        ] {
            let answer = harness.request(method, &path, &[("Authorization", key)], body).await;
            assert_eq!(answer.code(404), "NotFound", "{path}");
        }
    }
    assert_eq!(harness.get(&path).await.expect(200)["status"], "accepted");
    assert_eq!(harness.rows("message_events").await, 0);
    harness.stop().await;
}
