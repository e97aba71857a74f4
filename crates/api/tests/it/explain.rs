//! `explain`: when a message goes or went, what stands before it, and what its time was spent for.

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::dry_run::GATES;
use crate::harness::{Harness, message, text};

/// Every delay there is.
const CAUSES: [&str; 10] = [
    "schedule",
    "quietHours",
    "hold",
    "backOff",
    "recipientRate",
    "breaker",
    "credentials",
    "rateLimit",
    "queue",
    "provider",
];

impl Harness {
    /// Sends a message; answers it and the path of its explanation.
    async fn explained(&self, request: &Value) -> (Value, String) {
        let sent = self.send(request).await.expect(202);
        let path = format!("{}/{}/explain", self.tenant.messages_path(), text(&sent, "id"));
        (sent, path)
    }

    async fn explain(&self, path: &str) -> Value {
        let explained = self.get(path).await.expect(200);
        let names: Vec<&Value> = explained["gates"].as_array().unwrap().iter().map(|gate| &gate["gate"]).collect();
        assert_eq!(names, GATES);
        explained
    }
}

fn at(value: &Value, property: &str) -> Timestamp {
    text(value, property).parse().unwrap()
}

/// Milliseconds of all delays.
fn sum(explained: &Value) -> i64 {
    let delays = explained["delays"].as_object().unwrap();
    assert_eq!(delays.len(), CAUSES.len());
    CAUSES.iter().map(|cause| (delays[*cause].as_f64().unwrap() * 1000.0).round() as i64).sum()
}

fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond() - from.as_millisecond()
}

/// The gates that are closed, by name.
fn closed(explained: &Value) -> Vec<&str> {
    let gates = explained["gates"].as_array().unwrap().iter();
    gates.filter(|gate| gate["verdict"] == "closed").map(|gate| gate["gate"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_waiting_message_shows_what_it_waits_behind_and_when_it_goes() {
    let harness = Harness::start().await;
    harness.change_channel(json!({ "messagesPerSecond": 10 })).await;
    harness.fill(1, 500).await;
    let (sent, path) = harness.explained(&message()).await;
    let now = at(&sent, "createdAt").checked_add(SignedDuration::from_secs(7)).unwrap();
    let explained = harness.explain(&format!("{path}?at={now}")).await;
    assert_eq!((&explained["wouldAccept"], &explained["violations"]), (&json!(true), &json!({})));
    assert_eq!(explained["status"], "accepted");
    assert_eq!(closed(&explained), ["channelRate"]);
    assert_eq!(explained["gates"][8]["until"], explained["sendAt"]);
    // 500 at ten a window, counted when it is asked.
    let behind = at(&explained, "sendAt").duration_since(at(&sent, "createdAt"));
    assert!(behind >= SignedDuration::from_secs(51), "{behind:?}");
    assert_eq!(explained["lipachatCalls"][0]["body"]["message"], "Habari");
    assert_eq!(explained["timeline"][0]["event"], "accepted");
    assert_eq!((explained["timeline"].as_array().unwrap().len(), sum(&explained)), (1, 7_000));
    assert_eq!(explained["delays"]["queue"], 7.0);
    // What comes later goes behind it.
    harness.database.execute("UPDATE outbox SET due_at = due_at + interval '1 hour' WHERE due_reason = 'requested' AND due_at < now() - interval '30 seconds'").await;
    let explained = harness.explain(&path).await;
    assert_eq!(closed(&explained), Vec::<&str>::new());
    harness.stop().await;
}

#[tokio::test]
async fn each_wait_closes_its_gate() {
    let harness = Harness::start().await;
    let (_, path) = harness.explained(&message()).await;
    let far = harness.database.store.now().checked_add(SignedDuration::from_hours(2)).unwrap();
    let far = Timestamp::from_second(far.as_second()).unwrap();
    for (reason, gate, send_at, cause, setting) in [
        ("recipient", "recipientRate", Some(far), "recipientRate", "channel.recipientRate: no spacing"),
        ("order", "recipientRate", Some(far), "recipientRate", "channel.recipientRate: no spacing"),
        ("back_off", "schedule", Some(far), "backOff", "pause after try 2, and the channel's budget of repetitions"),
        ("held", "hold", None, "hold", "held by operator"),
        ("unknown", "hold", None, "hold", "outcome unknown: held for proof or release"),
    ] {
        let wait = format!("UPDATE outbox SET claim = 3, tries = 2, due_reason = '{reason}', due_at = '{far}'");
        harness.database.execute(&wait).await;
        let explained = harness.explain(&path).await;
        assert_eq!(closed(&explained), [gate], "{reason}");
        let shown = explained["gates"].as_array().unwrap().iter().find(|shown| shown["gate"] == gate).unwrap();
        assert_eq!(shown["setting"], setting);
        assert_eq!(explained["sendAt"], json!(send_at.map(|at| at.to_string())), "{reason}");
        let delays = &explained["delays"];
        assert!(CAUSES.iter().all(|other| *other == cause || delays[*other] == 0.0), "{reason}: {delays}");
    }
    harness.database.execute("UPDATE outbox SET due_reason = 'requested', due_at = created_at FROM messages m WHERE m.message_id = outbox.message_id").await;
    let pauses = format!("/workspaces/{}/pauses", harness.tenant.workspace);
    let pause = json!({ "scope": "workspace", "reason": "the offer is wrong", "until": far.to_string() });
    let id = harness.ask(Method::POST, &pauses, Some(&pause)).await.expect(201)["id"].clone();
    let explained = harness.explain(&path).await;
    assert_eq!((closed(&explained), &explained["sendAt"]), (vec!["hold"], &json!(far.to_string())));
    let setting = format!("pause {} of the workspace: the offer is wrong", id.as_str().unwrap());
    assert_eq!(explained["gates"][3]["setting"], setting);
    harness.database.execute("DELETE FROM outbox").await;
    let mut scheduled = message();
    scheduled["scheduledFor"] = json!(far.to_string());
    let (_, path) = harness.explained(&scheduled).await;
    let explained = harness.explain(&path).await;
    assert_eq!((closed(&explained), &explained["sendAt"]), (vec!["schedule"], &json!(far.to_string())));
    assert_eq!(explained["timeline"][0]["waitsFor"], "requested");
    let past = far.checked_add(SignedDuration::from_hours(1000)).unwrap();
    let explained = harness.explain(&format!("{path}?at={past}")).await;
    assert_eq!((closed(&explained), &explained["sendAt"]), (vec!["validity"], &Value::Null));
    harness.stop().await;
}

#[tokio::test]
async fn a_message_held_by_quiet_hours_knows_its_place_after_them() {
    let harness = Harness::start().await;
    let now = harness.database.store.now();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let quiet_hours = json!({ "timeZone": "Etc/UTC", "windows": [], "holidays": [today.to_string()],
        "appliesTo": ["marketing"], "spreadSeconds": 4000 });
    harness.put(&harness.workspace_quiet_hours(), &quiet_hours).await;
    let mut request = message();
    request["meta"] = json!({ "extraInformation": { "useCase": "marketing" } });
    let mut paths = Vec::new();
    for _ in 0..4 {
        paths.push(harness.explained(&request).await.1);
    }
    let end = today.tomorrow().unwrap().to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    for (place, path) in (0..).zip(&paths) {
        let explained = harness.explain(path).await;
        assert_eq!(closed(&explained), ["quietHours"]);
        assert_eq!(explained["gates"][1]["until"], end.to_string());
        let expected = end.checked_add(SignedDuration::from_secs(1000 * place)).unwrap();
        assert_eq!(explained["sendAt"], expected.to_string(), "place {place}");
    }
    let released = end.checked_add(SignedDuration::from_secs(5)).unwrap();
    let last = paths[3].rsplit('/').nth(1).unwrap();
    let release = format!(
        "DELETE FROM outbox WHERE message_id <> '{last}'; UPDATE outbox SET due_reason = 'released', due_at = '{released}'"
    );
    harness.database.execute(&release).await;
    let explained = harness.explain(&format!("{}?at={end}", paths[3])).await;
    assert_eq!(explained["gates"][1]["setting"], "workspace.quietHours spreadSeconds=4000");
    assert_eq!((closed(&explained), &explained["sendAt"]), (vec!["quietHours"], &json!(released.to_string())));
    harness.stop().await;
}

#[tokio::test]
async fn a_sent_message_tells_its_calls_and_sums_up_to_its_sending() {
    let harness = Harness::start().await;
    let (sent, path) = harness.explained(&message()).await;
    let created = at(&sent, "createdAt");
    let after = |milliseconds| created.checked_add(SignedDuration::from_millis(milliseconds)).unwrap();
    let call = |claim, from, to, outcome: &str, waited: &str, due| {
        format!(
            "INSERT INTO attempts (workspace_id, message_id, claim, part, replica_id, started_at, finished_at, outcome, rule,
                http_status, detail, waited_for, due_at)
            SELECT workspace_id, message_id, {claim}, 0, gen_random_uuid(), '{}', '{}', '{outcome}', 'rule', 200, '', '{waited}', '{}'
            FROM messages;",
            after(from), after(to), after(due)
        )
    };
    let put_off = format!(
        "INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until, actor)
        SELECT workspace_id, message_id, '{}', 'put_off', 'requested', '{created}', 'recipient', '{}', '' FROM messages;",
        after(100),
        after(3_100)
    );
    let calls =
        [call(2, 3_200, 3_450, "try_again", "recipient", 3_100), call(3, 9_000, 9_120, "sent", "back_off", 5_450)];
    let end = format!("DELETE FROM outbox; UPDATE messages SET status = 'sent', last_status_at = '{}'", after(9_300));
    harness.database.execute(&format!("{put_off}{}{end}", calls.concat())).await;
    let explained = harness.explain(&path).await;
    assert_eq!((&explained["status"], at(&explained, "sendAt")), (&json!("sent"), after(9_120)));
    assert_eq!(sum(&explained), milliseconds(created, after(9_120)));
    let delays = &explained["delays"];
    assert_eq!(delays["recipientRate"], 3.0);
    assert_eq!((&delays["backOff"], &delays["provider"]), (&json!(2.0), &json!(0.37)));
    let events: Vec<&Value> = explained["timeline"].as_array().unwrap().iter().map(|entry| &entry["event"]).collect();
    assert_eq!(events, ["accepted", "put_off", "attempt", "attempt", "sent"]);
    let put_off = &explained["timeline"][1];
    assert_eq!((&put_off["waitedFor"], &put_off["waitsFor"]), (&json!("requested"), &json!("recipient")));
    let attempt = &explained["timeline"][2];
    assert_eq!((&attempt["call"]["outcome"], &attempt["waitedFor"]), (&json!("try_again"), &json!("recipient")));
    // Erased, it has no texts and no recipient.
    let erase = "UPDATE messages SET recipient = NULL, contact_id = NULL, parts = '[]', body = 'null'";
    harness.database.execute(erase).await;
    let explained = harness.explain(&path).await;
    assert_eq!(explained["lipachatCalls"], json!([]));
    assert_eq!(sum(&explained), milliseconds(created, after(9_120)));
    harness.stop().await;
}

#[tokio::test]
async fn a_message_that_ended_otherwise_is_not_sent() {
    let harness = Harness::start().await;
    let (sent, path) = harness.explained(&message()).await;
    let created = at(&sent, "createdAt");
    let ended = created.checked_add(SignedDuration::from_secs(5)).unwrap();
    for status in ["sending_failed", "rejected", "skipped", "deleted"] {
        let end = format!("DELETE FROM outbox; UPDATE messages SET status = '{status}', last_status_at = '{ended}'");
        harness.database.execute(&end).await;
        let explained = harness.explain(&path).await;
        assert_eq!((&explained["status"], &explained["sendAt"]), (&json!(status), &Value::Null));
        assert_eq!(explained["timeline"][1]["event"], status);
        assert_eq!(sum(&explained), 5_000);
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_message_is_explained_only_through_its_own_channel_and_workspace() {
    let harness = Harness::start().await;
    let (sent, path) = harness.explained(&message()).await;
    let stranger = format!("AccessKey {}", harness.other.access_key);
    let own = format!("{}/{}/explain", harness.other.messages_path(), text(&sent, "id"));
    for path in [&path, &own] {
        let answer = harness.request(Method::GET, path, &[("Authorization", &stranger)], None).await;
        assert_eq!(answer.code(404), "NotFound", "{path}");
    }
    let turn = "UPDATE messages SET direction = 'incoming'";
    harness.database.execute(turn).await;
    assert_eq!(harness.get(&path).await.code(404), "NotFound", "what was received is not sent");
    harness.stop().await;
}
