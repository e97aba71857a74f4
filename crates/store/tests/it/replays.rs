//! Sending again what ended without delivery.

use domain::action::ActionKind;
use domain::content::Part;
use domain::decision::Step;
use domain::failure::{Failure, FailureCode, FailureSource};
use domain::id::MessageId;
use domain::lifecycle::Status;
use domain::message::{Lane, Tag};
use domain::options::{CollapseKey, Options};
use domain::outcome::Outcome;
use domain::quiet_hours::QuietHours;
use domain::replay::Refusal;
use domain::schedule::DueReason;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::accept::NewMessage;
use store::action::Selector;
use store::message::Message;
use store::replay::Replayed;
use store::settle::Settlement;
use store::steer::Steered;

use crate::fixtures::{Fixture, keyed, later, replica, result, sent};
use crate::steering::{ACT, place};

/// A message of three parts with all that a message may have.
fn whole(f: &Fixture) -> NewMessage {
    let mut message = keyed(f.message(), "order-7781");
    for _ in 0..2 {
        message.parts.extend(f.message().parts);
    }
    let tags = ["spring", "vip"].map(|tag| Tag::new(tag).expect("a tag")).to_vec();
    NewMessage { tags, batch: Some(uuid::Uuid::new_v4()), meta: r#"{"a":1}"#.to_owned(), ..message }
}

/// Ends a message that was stored and claims nothing else: so many of its parts are accepted first.
async fn end(f: &Fixture, accepted: usize, code: FailureCode) {
    let replica = replica();
    let lease = f.lease(replica).await;
    for part in 0..accepted {
        let claimed = f.claim_one(&lease, replica).await;
        f.settle(replica, &[result(&claimed, Step::NextPart, sent(&format!("wamid.{part}")))]).await;
    }
    let claimed = f.claim_one(&lease, replica).await;
    let failure =
        Failure { code, source: FailureSource::Lipachat, source_code: "rule".to_owned(), reason: String::new() };
    let ended = Settlement { step: Step::Failed(failure), ..result(&claimed, Step::Sent, Outcome::Unknown) };
    assert_eq!(f.settle(replica, &[ended]).await, 1);
    f.let_leases_lapse().await;
}

async fn replay(f: &Fixture, message: MessageId) -> Replayed {
    f.store.replay(&f.tenant.channel, None, message, &ACT).await.expect("asked")
}

async fn read(f: &Fixture, message: MessageId) -> Message {
    f.store.message(f.tenant.workspace, message).await.expect("read").expect("it is there")
}

fn new_id(replayed: Replayed) -> MessageId {
    let Replayed::New(id, Lane::Normal, _) = replayed else { panic!("{replayed:?}") };
    id
}

async fn parts_of_one(f: &Fixture) -> (Vec<Part>, usize, bool) {
    let replica = replica();
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    (claimed.parts, claimed.part, claimed.maybe_sent)
}

#[tokio::test]
async fn a_message_that_failed_is_sent_again_by_a_new_one_with_the_same_content() {
    let f = Fixture::new().await;
    let message = whole(&f);
    f.accept_one(&message).await;
    end(&f, 0, FailureCode::DependencyError).await;
    let new = new_id(replay(&f, message.id).await);
    let (old, shown) = (read(&f, message.id).await, read(&f, new).await);
    assert_eq!((old.replayed_as, old.replay_of, old.status), (Some(new), None, Status::SendingFailed));
    assert_eq!((shown.replayed_as, shown.replay_of, shown.status), (None, Some(message.id), Status::Accepted));
    assert_eq!(
        (&shown.body, &shown.meta, &shown.reference, &shown.tags, &shown.options, &shown.recipient, shown.batch),
        (&old.body, &old.meta, &old.reference, &old.tags, &old.options, &old.recipient, None)
    );
    assert_eq!((shown.failure, shown.scheduled_for, shown.platform_references.len()), (None, None, 0));
    assert_eq!(shown.expires_at.duration_since(shown.created_at), SignedDuration::from_secs(3600));
    assert!(new > message.id && shown.created_at > old.created_at);
    assert_eq!(f.rows("message_keys").await, 1, "the key stays the first one's");
    assert_eq!(f.rows("message_tags WHERE tag IN ('spring', 'vip')").await, 4);
    assert_eq!(f.database.number("SELECT sum(messages)::bigint FROM tags").await, 4);
    assert_eq!(f.rows(&format!("message_events WHERE event = 'replayed' AND message_id = '{}'", message.id)).await, 1);
    let audit = format!("audit WHERE act = 'message.act' AND subject = '{}' AND detail = '{new}'", message.id);
    assert_eq!(f.rows(&audit).await, 1);
    assert_eq!(parts_of_one(&f).await, (message.parts, 0, false));
}

#[tokio::test]
async fn a_part_whose_outcome_is_unknown_keeps_its_id_and_what_was_accepted_does_not_go_again() {
    let f = Fixture::new().await;
    let message = whole(&f);
    f.accept_one(&message).await;
    end(&f, 1, FailureCode::OutcomeUnknown).await;
    let new = new_id(replay(&f, message.id).await);
    assert_eq!(read(&f, new).await.platform_references, ["wamid.0"]);
    assert_eq!(parts_of_one(&f).await, (message.parts.clone(), 1, true));
    // The replay of the replay goes on where that one ended.
    f.let_claims_lapse().await;
    f.let_leases_lapse().await;
    end(&f, 1, FailureCode::DependencyError).await;
    let last = new_id(replay(&f, new).await);
    assert_eq!(read(&f, last).await.platform_references, ["wamid.0", "wamid.0"]);
    assert_eq!(parts_of_one(&f).await, (message.parts, 2, false));
}

#[tokio::test]
async fn what_was_not_delivered_goes_whole_and_under_new_ids() {
    let f = Fixture::new().await;
    let message = whole(&f);
    f.accept_one(&message).await;
    end(&f, 2, FailureCode::RecipientUnreachable).await;
    f.database.execute("UPDATE messages SET status = 'delivery_failed', platform_references = '{a,b,c}'").await;
    let new = new_id(replay(&f, message.id).await);
    assert_eq!(read(&f, new).await.platform_references, Vec::<String>::new());
    let (parts, first, maybe_sent) = parts_of_one(&f).await;
    assert_eq!((first, maybe_sent, parts.len()), (0, false, 3));
    for (part, before) in parts.iter().zip(&message.parts) {
        assert_eq!(part.content, before.content);
        assert!(message.parts.iter().all(|before| before.id != part.id));
    }
}

#[tokio::test]
async fn a_message_is_sent_again_once_however_often_it_is_asked_for() {
    let f = Fixture::new().await;
    for _ in 0..10 {
        let message = f.queue(Lane::Normal).await;
        f.store.cancel(place(&f, message.id), &ACT).await.expect("cancelled");
        let (one, two, three) = tokio::join!(replay(&f, message.id), replay(&f, message.id), replay(&f, message.id));
        let all = [one, two, three];
        let new: Vec<MessageId> = all
            .iter()
            .filter_map(|replayed| if let Replayed::New(id, ..) = replayed { Some(*id) } else { None })
            .collect();
        assert_eq!(new.len(), 1, "{all:?}");
        assert_eq!(all.iter().filter(|replayed| **replayed == Replayed::Before(new[0])).count(), 2, "{all:?}");
        assert_eq!(replay(&f, message.id).await, Replayed::Before(new[0]));
    }
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (20, 10));
}

#[tokio::test]
async fn what_waits_was_sent_or_is_no_longer_kept_is_not_sent_again() {
    let f = Fixture::new().await;
    let message = f.queue(Lane::Normal).await;
    let refused = |why| Replayed::Refused(why);
    assert_eq!(replay(&f, message.id).await, refused(Refusal::NotFailed));
    for (change, expected) in [
        ("status = 'sent'", refused(Refusal::NotFailed)),
        ("status = 'delivered'", refused(Refusal::NotFailed)),
        ("status = 'rejected', failure_code = 11002", refused(Refusal::Unreadable)),
        ("status = 'sending_failed', failure_code = 16001, parts = '[]'", refused(Refusal::ContentGone)),
        ("direction = 'incoming'", Replayed::NotFound),
    ] {
        f.database.execute(&format!("DELETE FROM outbox; UPDATE messages SET {change}")).await;
        assert_eq!(replay(&f, message.id).await, expected, "{change}");
    }
    let other = testkit::Tenant::create(&f.store, "another-key").await;
    let theirs = f.store.replay(&other.channel, None, message.id, &ACT).await.expect("asked");
    assert_eq!(theirs, Replayed::NotFound);
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (1, 0));
}

fn collapsing(f: &Fixture) -> NewMessage {
    let collapse_key = Some(CollapseKey::new("balance").expect("a key"));
    NewMessage { options: Options { collapse_key, ..Options::default() }, ..f.message() }
}

fn ended_as(status: Status) -> Selector {
    Selector { statuses: vec![status], ..Selector::default() }
}

#[tokio::test]
async fn what_a_newer_message_under_its_collapse_key_has_replaced_does_not_go_beside_it() {
    let f = Fixture::new().await;
    let (old, newer) = (collapsing(&f), collapsing(&f));
    f.accept_one(&old).await;
    f.accept_one(&newer).await;
    assert_eq!(read(&f, old.id).await.status, Status::Skipped);
    assert_eq!(replay(&f, old.id).await, Replayed::Changed);
    let action = f.act(ActionKind::Replay, ended_as(Status::Skipped)).await;
    assert_eq!((action.counted, action.acted, action.passed), (1, 0, 1));
    assert_eq!(f.rows("outbox").await, 1);
    // The newer one goes no more.
    f.store.cancel(place(&f, newer.id), &ACT).await.expect("cancelled");
    let again = new_id(replay(&f, old.id).await);
    // Its own replay replaces the replay of what it had replaced.
    let last = new_id(replay(&f, newer.id).await);
    assert_eq!((read(&f, again).await.status, read(&f, last).await.status), (Status::Skipped, Status::Accepted));
}

#[tokio::test]
async fn of_several_under_a_collapse_key_that_are_sent_again_together_the_newest_goes() {
    let f = Fixture::new().await;
    for _ in 0..3 {
        let message = collapsing(&f);
        f.accept_one(&message).await;
        f.store.cancel(place(&f, message.id), &ACT).await.expect("cancelled");
    }
    let action = f.act(ActionKind::Replay, ended_as(Status::Deleted)).await;
    assert_eq!((action.counted, action.acted, action.passed), (3, 1, 2));
    let newest = "messages m WHERE m.replayed_as IS NOT NULL AND m.message_id = (SELECT max(o.message_id::text)::uuid FROM messages o
        WHERE o.replay_of IS NULL)";
    assert_eq!((f.rows("outbox").await, f.rows(newest).await), (1, 1));
}

#[tokio::test]
async fn a_newer_message_that_comes_while_an_older_one_is_sent_again_goes_alone() {
    let f = Fixture::new().await;
    for _ in 0..10 {
        let (old, newer) = (collapsing(&f), collapsing(&f));
        f.accept_one(&old).await;
        f.store.cancel(place(&f, old.id), &ACT).await.expect("cancelled");
        tokio::join!(f.accept_one(&newer), replay(&f, old.id));
        assert_eq!(f.rows("outbox").await, 1);
        assert_eq!(f.store.cancel(place(&f, newer.id), &ACT).await.expect("cancelled"), Steered::Done(None));
        assert_eq!(f.rows("outbox").await, 0);
    }
}

#[tokio::test]
async fn a_replay_of_which_nothing_was_sent_may_be_cancelled_and_goes_on_where_it_would_have() {
    let f = Fixture::new().await;
    let message = whole(&f);
    f.accept_one(&message).await;
    end(&f, 1, FailureCode::OutcomeUnknown).await;
    let first = new_id(replay(&f, message.id).await);
    assert!(f.store.unsent(place(&f, first)).await.expect("asked").is_ok(), "it may get another time");
    assert_eq!(f.store.cancel(place(&f, first), &ACT).await.expect("asked"), Steered::Done(None));
    assert_eq!(read(&f, first).await.status, Status::Deleted);
    let second = new_id(replay(&f, first).await);
    let action = f
        .act(
            ActionKind::Cancel,
            Selector { contact: message.recipient.clone().map(|(id, _)| id), ..Selector::default() },
        )
        .await;
    assert_eq!((action.counted, action.acted, read(&f, second).await.status), (1, 1, Status::Deleted));
    let third = new_id(replay(&f, second).await);
    assert_eq!(parts_of_one(&f).await, (message.parts, 1, true));
    assert_eq!(f.store.cancel(place(&f, third), &ACT).await.expect("asked"), Steered::TooLate);
}

/// Quiet hours for everything transactional that began an hour ago and end in one.
fn quiet_hours(now: Timestamp) -> QuietHours {
    let minute = |minutes: i64| {
        let at = now.checked_add(SignedDuration::from_mins(minutes)).expect("in range");
        at.to_zoned(TimeZone::UTC).strftime("%H:%M").to_string()
    };
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let setting = json!({
        "enabled": true, "timeZone": "Etc/UTC", "recipientTimeZone": false, "holidays": [], "appliesTo": ["transactional"],
        "windows": [{ "days": days, "start": minute(-60), "end": minute(60) }], "spreadSeconds": 0
    });
    serde_json::from_value(setting).expect("quiet hours")
}

#[tokio::test]
async fn quiet_hours_hold_what_is_sent_again_as_far_as_its_validity_reaches() {
    let f = Fixture::new().await;
    let hours = quiet_hours(f.store.now());
    for (seconds, goes) in [(2 * 3600, true), (1800, false)] {
        let message = f.message();
        let message = NewMessage { expires_at: later(message.created_at, seconds), ..message };
        f.accept_one(&message).await;
        f.store.cancel(place(&f, message.id), &ACT).await.expect("cancelled");
        let replayed = f.store.replay(&f.tenant.channel, Some(&hours), message.id, &ACT).await.expect("asked");
        if let Replayed::New(id, _, due_at) = replayed {
            let waiting = read(&f, id).await.waiting.expect("it waits");
            assert_eq!((goes, waiting.reason, waiting.due_at), (true, DueReason::QuietHours, due_at));
        } else {
            let Replayed::TooLate(timing) = replayed else { panic!("{replayed:?}") };
            assert!(!goes && timing.closed_until.is_some_and(|until| until > timing.expires_at));
        }
    }
}

#[tokio::test]
async fn who_is_being_erased_gets_nothing_again() {
    let f = Fixture::new().await;
    let message = f.queue(Lane::Normal).await;
    f.store.cancel(place(&f, message.id), &ACT).await.expect("cancelled");
    let contact = message.recipient.expect("a recipient").0;
    let now = later(f.store.now(), 1);
    f.store.request_erasure(f.tenant.workspace, contact, now, &ACT).await.expect("requested");
    assert_eq!(replay(&f, message.id).await, Replayed::Changed);
    f.store.erase(f.tenant.workspace, contact, now, 10).await.expect("erased");
    assert_eq!(replay(&f, message.id).await, Replayed::Refused(Refusal::ContentGone));
    assert_eq!(f.rows("messages").await, 1);
}
