//! Messages whose fate depends on others to the same recipient: frequency caps and collapse keys.

use domain::failure::FailureCode;
use domain::id::MessageId;
use domain::lifecycle::Status;
use domain::message::Tag;
use domain::options::{CollapseKey, FrequencyCap, MARKETING, Options};
use jiff::Timestamp;
use store::accept::{Accepted, NewMessage, Rejection};
use uuid::Uuid;

use crate::fixtures::{Fixture, keyed, later, replica};

const ONE_A_DAY: FrequencyCap = FrequencyCap { messages: 1, days: 1 };
const TWO_A_DAY: FrequencyCap = FrequencyCap { messages: 2, days: 1 };
const DAY_SECONDS: i64 = 24 * 3600;

/// A message for marketing under a cap, as if accepted at an instant.
fn marketing(f: &Fixture, at: Timestamp, cap: FrequencyCap) -> NewMessage {
    let id = MessageId(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, at.as_second().cast_unsigned(), 0)));
    let message = NewMessage { id, created_at: at, expires_at: later(at, DAY_SECONDS), ..f.message() };
    NewMessage { due_at: at, use_case: Some(MARKETING.to_owned()), frequency_cap: Some(cap), ..message }
}

fn collapsing(f: &Fixture, key: &str) -> NewMessage {
    let collapse_key = Some(CollapseKey::new(key).expect("a key"));
    NewMessage { options: Options { collapse_key, ..Options::default() }, ..f.message() }
}

impl Fixture {
    async fn status(&self, message: &NewMessage) -> (Status, Option<FailureCode>) {
        let stored = self.store.message(message.workspace, message.id).await.expect("read").expect("stored");
        (stored.status, stored.failure.map(|(code, _, _)| code))
    }
}

#[tokio::test]
async fn what_is_over_the_cap_is_stored_as_rejected_and_not_queued() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let messages: Vec<NewMessage> = (0..3).map(|_| marketing(&f, now, TWO_A_DAY)).collect();
    for (message, expected) in messages.iter().zip([Accepted::New, Accepted::New, Accepted::Capped]) {
        assert_eq!(f.accept_one(message).await, expected);
    }
    assert_eq!(f.status(&messages[2]).await, (Status::Rejected, Some(FailureCode::FrequencyCapped)));
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (3, 2));
}

#[tokio::test]
async fn a_cap_counts_only_marketing_within_its_days_that_was_or_may_be_sent() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let day_before = marketing(&f, later(now, -DAY_SECONDS - 1), ONE_A_DAY);
    assert_eq!(f.accept_one(&day_before).await, Accepted::New);
    // Another use, and one that ended without being sent.
    assert_eq!(f.accept_one(&NewMessage { use_case: None, ..f.message() }).await, Accepted::New);
    let failed = marketing(&f, now, ONE_A_DAY);
    assert_eq!(f.accept_one(&failed).await, Accepted::New);
    f.database
        .execute(&format!("UPDATE messages SET status = 'sending_failed' WHERE message_id = '{}'", failed.id))
        .await;
    assert_eq!(f.accept_one(&marketing(&f, now, ONE_A_DAY)).await, Accepted::New);
    assert_eq!(f.accept_one(&marketing(&f, now, ONE_A_DAY)).await, Accepted::Capped);
    // Messages without the cap are counted, and are not capped themselves.
    let uncapped = NewMessage { frequency_cap: None, ..marketing(&f, now, ONE_A_DAY) };
    assert_eq!(f.accept_one(&uncapped).await, Accepted::New);
}

#[tokio::test]
async fn a_cap_counts_by_the_time_a_message_is_scheduled_for() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let at = |days: i64| {
        let due = later(now, days * DAY_SECONDS + days);
        NewMessage { scheduled_for: Some(due), due_at: due, ..marketing(&f, now, ONE_A_DAY) }
    };
    assert_eq!(f.accept_one(&at(3)).await, Accepted::New);
    assert_eq!(f.accept_one(&at(3)).await, Accepted::Capped);
    assert_eq!(f.accept_one(&at(2)).await, Accepted::New);
    assert_eq!(f.accept_one(&at(0)).await, Accepted::New);
}

#[tokio::test]
async fn of_many_under_a_cap_in_one_commit_as_many_go_as_it_allows_and_others_are_untouched() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let mut messages: Vec<NewMessage> = (0..4).map(|_| marketing(&f, now, TWO_A_DAY)).collect();
    messages.push(f.message());
    let accepted = f.store.accept(&messages).await.expect("accepted");
    let capped = accepted.iter().filter(|accepted| **accepted == Accepted::Capped).count();
    assert_eq!((capped, accepted[4]), (2, Accepted::New));
    assert_eq!(f.rows("outbox").await, 3);
    // A repetition after a lost answer decides nothing anew.
    assert_eq!(f.store.accept(&messages).await.expect("accepted"), accepted);
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (5, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_holds_when_many_come_at_once_over_several_connections() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, message) = (f.store.clone(), marketing(&f, now, TWO_A_DAY));
        sending.spawn(async move { store.accept(&[message]).await.expect("accepted")[0] });
    }
    let accepted = sending.join_all().await;
    assert_eq!(accepted.iter().filter(|accepted| **accepted == Accepted::New).count(), 2, "{accepted:?}");
    assert_eq!(f.rows("outbox").await, 2);
}

#[tokio::test]
async fn a_replay_is_not_counted_against_the_cap() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let first = keyed(marketing(&f, now, TWO_A_DAY), "key-1");
    assert_eq!(f.accept_one(&first).await, Accepted::New);
    let group = [keyed(marketing(&f, now, TWO_A_DAY), "key-1"), marketing(&f, now, TWO_A_DAY)];
    assert_eq!(f.store.accept(&group).await.expect("accepted"), [Accepted::Replayed(first.id), Accepted::New]);
}

#[tokio::test]
async fn a_repetition_under_deduplication_keys_says_again_what_was_decided() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let mut messages: Vec<NewMessage> =
        (0..3).map(|number| keyed(marketing(&f, now, TWO_A_DAY), &format!("key-{number}"))).collect();
    messages.extend((3..5).map(|number| keyed(collapsing(&f, "balance"), &format!("key-{number}"))));
    let accepted = f.store.accept(&messages).await.expect("accepted");
    for ended in [Accepted::Capped, Accepted::Collapsed] {
        assert_eq!(accepted.iter().filter(|accepted| **accepted == ended).count(), 1, "{accepted:?}");
    }
    assert_eq!(f.store.accept(&messages).await.expect("repeated"), accepted);
    messages.push(f.message());
    let with_another = f.store.accept(&messages).await.expect("repeated");
    assert_eq!(with_another, [accepted, vec![Accepted::New]].concat());
}

#[tokio::test]
async fn a_newer_message_with_the_same_collapse_key_replaces_the_waiting_one() {
    let f = Fixture::new().await;
    let (first, other, second) = (collapsing(&f, "balance"), collapsing(&f, "offer"), collapsing(&f, "balance"));
    for message in [&first, &other, &second] {
        assert_eq!(f.accept_one(message).await, Accepted::New);
    }
    assert_eq!(f.status(&first).await, (Status::Skipped, Some(FailureCode::Collapsed)));
    assert_eq!(f.status(&other).await, (Status::Accepted, None));
    assert_eq!(f.status(&second).await, (Status::Accepted, None));
    assert_eq!(f.rows("outbox").await, 2);
}

#[tokio::test]
async fn of_one_group_only_the_newest_of_a_collapse_key_stays() {
    let f = Fixture::new().await;
    let group: Vec<NewMessage> = (0..3).map(|_| collapsing(&f, "balance")).collect();
    f.store.accept(&group).await.expect("accepted");
    let statuses = [f.status(&group[0]).await.0, f.status(&group[1]).await.0, f.status(&group[2]).await.0];
    assert_eq!(statuses, [Status::Skipped, Status::Skipped, Status::Accepted]);
}

#[tokio::test]
async fn an_older_message_that_is_stored_after_a_newer_one_is_the_one_that_is_skipped() {
    let f = Fixture::new().await;
    let (older, newer) = (collapsing(&f, "balance"), collapsing(&f, "balance"));
    assert!(older.id < newer.id);
    assert_eq!(f.accept_one(&newer).await, Accepted::New);
    assert_eq!(f.accept_one(&older).await, Accepted::Collapsed);
    assert_eq!(f.status(&older).await, (Status::Skipped, Some(FailureCode::Collapsed)));
    assert_eq!(f.status(&newer).await, (Status::Accepted, None));
}

#[tokio::test]
async fn what_is_about_to_be_replaced_does_not_count_against_its_successor() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let of_key = || NewMessage { options: collapsing(&f, "offer").options, ..marketing(&f, now, ONE_A_DAY) };
    let (first, second) = (of_key(), of_key());
    let mut pair = [first, second];
    pair.sort_by_key(|message| message.id);
    assert_eq!(f.accept_one(&pair[0]).await, Accepted::New);
    assert_eq!(f.accept_one(&pair[1]).await, Accepted::New);
    assert_eq!(f.status(&pair[0]).await, (Status::Skipped, Some(FailureCode::Collapsed)));
    assert_eq!(f.rows("outbox").await, 1);
}

#[tokio::test]
async fn a_capped_neighbour_in_the_same_commit_counts_against_nobody() {
    let f = Fixture::new().await;
    let now = f.store.now();
    assert_eq!(f.accept_one(&marketing(&f, now, ONE_A_DAY)).await, Accepted::New);
    let at = |seconds: i64| {
        let due = later(now, seconds);
        NewMessage { scheduled_for: Some(due), due_at: due, ..marketing(&f, later(now, 1), ONE_A_DAY) }
    };
    let mut group = [at(DAY_SECONDS - 3600), at(DAY_SECONDS + 3600)];
    // The capped one comes first.
    let mut ids = [group[0].id, group[1].id];
    ids.sort_unstable();
    (group[0].id, group[1].id) = (ids[0], ids[1]);
    assert_eq!(f.store.accept(&group).await.expect("accepted"), [Accepted::Capped, Accepted::New]);
}

#[tokio::test]
async fn of_twins_under_one_key_in_one_commit_one_goes_and_the_other_is_its_replay() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let twins = [keyed(marketing(&f, now, ONE_A_DAY), "key-1"), keyed(marketing(&f, now, ONE_A_DAY), "key-1")];
    let accepted = f.store.accept(&twins).await.expect("accepted");
    assert_eq!(accepted.iter().filter(|accepted| **accepted == Accepted::New).count(), 1, "{accepted:?}");
    assert!(accepted.iter().any(|accepted| matches!(accepted, Accepted::Replayed(_))), "{accepted:?}");
    assert_eq!(f.rows("outbox").await, 1);
}

#[tokio::test]
async fn what_has_begun_to_be_sent_is_not_replaced() {
    let f = Fixture::new().await;
    let first = collapsing(&f, "balance");
    f.accept_one(&first).await;
    let replica = replica();
    let lease = f.lease(replica).await;
    assert_eq!(f.claim(&lease, replica).await.len(), 1);
    let second = collapsing(&f, "balance");
    f.accept_one(&second).await;
    assert_eq!(f.status(&first).await.0, Status::Processing);
    assert_eq!(f.rows("outbox").await, 2);
}

#[tokio::test]
async fn a_replayed_message_replaces_nothing() {
    let f = Fixture::new().await;
    let first = keyed(collapsing(&f, "balance"), "key-1");
    f.accept_one(&first).await;
    let second = collapsing(&f, "balance");
    f.accept_one(&second).await;
    let again = keyed(collapsing(&f, "balance"), "key-1");
    assert_eq!(f.accept_one(&again).await, Accepted::Replayed(first.id));
    assert_eq!(f.status(&second).await, (Status::Accepted, None));
}

#[tokio::test]
async fn a_rejected_message_is_kept_and_never_queued() {
    let f = Fixture::new().await;
    let rejection = Rejection { code: FailureCode::InvalidInput, reason: ".body: is required".to_owned() };
    let message = NewMessage { recipient: None, parts: Vec::new(), rejected: Some(rejection), ..f.message() };
    assert_eq!(f.accept_one(&message).await, Accepted::New);
    assert_eq!(f.status(&message).await, (Status::Rejected, Some(FailureCode::InvalidInput)));
    assert_eq!((f.rows("outbox").await, f.rows("contacts").await), (0, 0));
}

#[tokio::test]
async fn tags_are_counted_over_commits_and_found_by_message() {
    let f = Fixture::new().await;
    let tags = |names: &[&str]| names.iter().map(|name| Tag::new(name).expect("a tag")).collect();
    let group =
        [NewMessage { tags: tags(&["a", "b"]), ..f.message() }, NewMessage { tags: tags(&["a"]), ..f.message() }];
    f.store.accept(&group).await.expect("accepted");
    f.store.accept(&group).await.expect("repeated");
    f.accept_one(&NewMessage { tags: tags(&["a"]), ..f.message() }).await;
    let count = |tag: &str| format!("SELECT sum(messages)::bigint FROM tags WHERE tag = '{tag}'");
    assert_eq!((f.database.number(&count("a")).await, f.database.number(&count("b")).await), (3, 1));
    assert_eq!(f.rows("message_tags").await, 4);
}
