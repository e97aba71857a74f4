//! Quiet hours: what they hold, how they let go, and what happens when they change.

use std::time::Duration;

use domain::lifecycle::Status;
use domain::message::Lane;
use domain::options::Options;
use domain::quiet_hours::QuietHours;
use engine::Settings;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::accept::NewMessage;
use store::audit::Act;

use crate::messages::after;
use crate::rig::{Rig, fast};
use crate::wait::until;

const ACT: Act<'_> = Act { actor: "test", name: "test" };
const HELD: &str = "SELECT count(*) FROM outbox WHERE due_reason = 'quiet_hours'";

/// Quiet hours for transactional messages from some minutes from now until others, every day.
pub(crate) fn hours(now: Timestamp, from_minutes: i64, to_minutes: i64, spread_seconds: u32) -> QuietHours {
    let minute = |minutes: i64| {
        let at = now.checked_add(SignedDuration::from_mins(minutes)).expect("in range");
        at.to_zoned(TimeZone::UTC).strftime("%H:%M").to_string()
    };
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let setting = json!({
        "enabled": true, "timeZone": "Etc/UTC", "recipientTimeZone": false, "holidays": [], "appliesTo": ["transactional"],
        "windows": [{ "days": days, "start": minute(from_minutes), "end": minute(to_minutes) }],
        "spreadSeconds": spread_seconds
    });
    serde_json::from_value(setting).expect("quiet hours")
}

pub(crate) async fn set(rig: &Rig, hours: &QuietHours) {
    let changed = rig.store().put_workspace_quiet_hours(rig.tenant.workspace, hours, &ACT).await;
    assert!(changed.expect("the database runs"));
}

/// Sets them as if they had never been others: nothing is planned anew.
async fn set_quietly(rig: &Rig, hours: &QuietHours) {
    set(rig, hours).await;
    rig.database.execute("UPDATE channels SET holds_changed_at = NULL").await;
}

/// A rig in the middle of quiet hours that end in an hour.
async fn closed() -> (Rig, QuietHours) {
    let rig = Rig::scripted(json!({})).await;
    let hours = hours(rig.store().now(), -60, 60, 0);
    set(&rig, &hours).await;
    (rig, hours)
}

fn end_of(hours: &QuietHours, now: Timestamp) -> Timestamp {
    let far = after(now, 48 * 3_600_000);
    hours.closed_at(&[hours.zone().clone()], now, far).expect("closed").until
}

#[tokio::test]
async fn what_falls_due_in_quiet_hours_waits_for_their_end_and_the_rest_goes() {
    let (rig, hours) = closed().await;
    let held = rig.message("held");
    let ignoring = Options { ignore_quiet_hours: true, ..Options::default() };
    let others = [
        NewMessage { options: ignoring, ..rig.message("ignores them") },
        NewMessage { use_case: Some("authentication".to_owned()), ..rig.message("is for something else") },
    ];
    rig.put(&[std::slice::from_ref(&held), &others].concat()).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&others).await;
    rig.until_number(HELD, 1).await;
    let waiting = rig.read(&held).await.waiting.expect("it waits");
    assert_eq!(waiting.due_at, end_of(&hours, held.created_at));
    assert_eq!(waiting.tries, 0);
    assert_eq!(rig.sandbox.ledger().len(), 2);
    node.running.stop().await;
}

#[tokio::test]
async fn what_is_not_valid_until_their_end_ends_at_once() {
    let (rig, _) = closed().await;
    let message = rig.message("too late");
    let message = NewMessage { expires_at: after(message.created_at, 1_800_000), ..message };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16001)));
    assert!(rig.read(&message).await.updated_at < message.expires_at);
    assert_eq!(rig.sandbox.ledger().len(), 0);
    node.running.stop().await;
}

#[tokio::test]
async fn a_next_try_that_would_fall_into_quiet_hours_waits_for_their_end() {
    let rule = json!({ "answer": { "kind": "framework", "status": 503 } });
    let rig = Rig::scripted(json!({ "rules": [rule] })).await;
    let message = rig.message("tried once");
    rig.put(std::slice::from_ref(&message)).await;
    // They begin in a minute, and the next try comes later.
    let hours = hours(rig.store().now(), 1, 60, 0);
    set(&rig, &hours).await;
    let mut settings = fast();
    settings.retry.back_off.first = std::time::Duration::from_secs(100_000);
    settings.retry.back_off.longest = std::time::Duration::from_secs(100_000);
    let message_expires = "UPDATE outbox SET expires_at = clock_timestamp() + interval '30 days'";
    rig.database.execute(message_expires).await;
    let node = rig.node(settings).await;
    until("it was tried", async || rig.read(&message).await.waiting.is_some_and(|waiting| waiting.tries == 1)).await;
    let waiting = rig.read(&message).await.waiting.expect("it waits");
    let zones = [hours.zone().clone()];
    assert_eq!(hours.closed_at(&zones, waiting.due_at, Timestamp::MAX), None, "{waiting:?}");
    node.running.stop().await;
}

#[tokio::test]
async fn what_former_quiet_hours_held_is_planned_anew_when_they_change() {
    let (rig, _) = closed().await;
    let valid_for_a_day =
        |message: NewMessage| NewMessage { expires_at: after(message.created_at, 86_400_000), ..message };
    let messages: Vec<NewMessage> = (0..30).map(|_| valid_for_a_day(rig.message("held"))).collect();
    rig.put(&messages).await;
    let at = after(rig.store().now(), 1_800_000);
    let scheduled = NewMessage { scheduled_for: Some(at), due_at: at, ..valid_for_a_day(rig.message("scheduled")) };
    rig.put(std::slice::from_ref(&scheduled)).await;
    let node = rig.node(fast()).await;
    rig.until_number(HELD, 30).await;
    // Held by hand: it was planned when it was accepted.
    rig.database
        .execute(&format!(
            "UPDATE outbox SET due_reason = 'quiet_hours', due_at = due_at + interval '30 minutes' WHERE message_id = '{}'",
            scheduled.id
        ))
        .await;
    let longer = hours(rig.store().now(), -60, 90, 0);
    set(&rig, &longer).await;
    let end = end_of(&longer, rig.store().now());
    let at_end = format!("SELECT count(*) FROM outbox WHERE due_reason = 'quiet_hours' AND due_at = '{end}'");
    rig.until_number(&at_end, 31).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    set(&rig, &hours(rig.store().now(), 120, 180, 0)).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    let waiting = rig.read(&scheduled).await.waiting.expect("it waits for its own time");
    assert_eq!(waiting.due_at.as_millisecond(), scheduled.due_at.as_millisecond());
    node.running.stop().await;
}

#[tokio::test]
async fn what_was_held_goes_one_after_the_other_in_order_of_acceptance() {
    let rig = Rig::scripted(json!({})).await;
    let spread = hours(rig.store().now(), 120, 180, 3600);
    set_quietly(&rig, &spread).await;
    let messages = rig.put_texts(20).await;
    let end = rig.store().now();
    rig.database.execute(&format!("UPDATE outbox SET due_reason = 'quiet_hours', due_at = '{end}'")).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages[..1]).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_reason = 'released'", 19).await;
    for (place, message) in messages.iter().enumerate().skip(1) {
        let due_at = rig.read(message).await.waiting.expect("it waits").due_at;
        let seconds = due_at.duration_since(end).as_secs_f64();
        assert!((seconds - place as f64 * 180.0).abs() < 0.01, "{place}: {seconds}");
    }
    assert_eq!(rig.sandbox.ledger().len(), 1);
    node.running.stop().await;
}

#[tokio::test]
async fn the_next_owner_goes_on_where_the_last_one_was() {
    let rig = Rig::scripted(json!({})).await;
    set_quietly(&rig, &hours(rig.store().now(), 120, 180, 3600)).await;
    let messages = rig.put_texts(10).await;
    let end = rig.store().now();
    rig.database.execute(&format!("UPDATE outbox SET due_reason = 'quiet_hours', due_at = '{end}'")).await;
    let half =
        format!("UPDATE outbox SET due_reason = 'released', due_at = timestamptz '{end}' + interval '30 minutes'");
    let first: Vec<String> = messages[..5].iter().map(|message| format!("'{}'", message.id)).collect();
    rig.database.execute(&format!("{half} WHERE message_id IN ({})", first.join(", "))).await;
    let node = rig.node(fast()).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_reason = 'released'", 10).await;
    let mut before = after(end, 1_800_000 - 1);
    for message in &messages[5..] {
        let due_at = rig.read(message).await.waiting.expect("it waits").due_at;
        assert!(due_at > before && due_at <= after(end, 3_600_000), "{due_at} after {before}");
        before = due_at;
    }
    node.running.stop().await;
}

/// What quiet hours let go just now, spread over the next hour; it goes before all else.
async fn let_go(rig: &Rig, count: usize) -> Vec<NewMessage> {
    let messages: Vec<NewMessage> =
        (0..count).map(|_| NewMessage { lane: Lane::Urgent, ..rig.message("let go") }).collect();
    rig.put(&messages).await;
    let end = rig.store().now();
    rig.database.execute(&format!("UPDATE outbox SET due_reason = 'quiet_hours', due_at = '{end}'")).await;
    messages
}

#[tokio::test]
async fn what_quiet_hours_let_go_and_is_given_back_keeps_its_place() {
    let rig = Rig::scripted(json!({})).await;
    set_quietly(&rig, &hours(rig.store().now(), 120, 180, 3600)).await;
    let messages = let_go(&rig, 20).await;
    // A node to which every claim is too old.
    let node = rig.node(Settings { claim_fresh: Duration::ZERO, ..fast() }).await;
    until("what was claimed is given back", async || node.statements(Some("store.settle.settle")) >= 3).await;
    node.running.stop().await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    let node = rig.node(fast()).await;
    rig.all_sent(&messages[..1]).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_reason = 'released'", 19).await;
    assert_eq!(rig.sandbox.ledger().len(), 1);
    node.running.stop().await;
}

#[tokio::test]
async fn what_quiet_hours_have_let_go_is_not_planned_anew() {
    let rig = Rig::scripted(json!({})).await;
    set(&rig, &hours(rig.store().now(), 120, 180, 3600)).await;
    let messages = let_go(&rig, 20).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages[..1]).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_reason = 'released'", 19).await;
    assert_eq!(rig.sandbox.ledger().len(), 1);
    node.running.stop().await;
}

#[tokio::test]
async fn what_quiet_hours_let_go_and_cannot_be_counted_goes_without_a_question_each() {
    let rig = Rig::scripted(json!({})).await;
    set_quietly(&rig, &hours(rig.store().now(), 120, 180, 3600)).await;
    let messages = let_go(&rig, 20).await;
    // Nothing else counts messages here; leases count channels.
    rig.database
        .execute(
            "CREATE FUNCTION count_but_messages(bigint, uuid) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
                IF EXISTS (SELECT FROM messages WHERE message_id = $2) THEN RAISE EXCEPTION 'not to be counted'; END IF;
                RETURN $1 + ($2 IS NOT NULL)::integer;
            END $$;
            CREATE AGGREGATE count(uuid) (SFUNC = count_but_messages, STYPE = bigint, INITCOND = '0')",
        )
        .await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    let asked = node.statements(Some("store.quiet_hours.let_go"));
    assert!((1..20).contains(&asked), "{asked} questions");
    node.running.stop().await;
}
