//! Accepting: who is first under a key, and that a repetition changes nothing.

use domain::decision::Step;
use domain::message::{MessageKey, Tag};
use domain::schedule::DueReason;
use store::accept::{Accepted, NewMessage};
use testkit::Tenant;

use crate::fixtures::{Fixture, keyed, message_of, replica, result, sent};

#[tokio::test]
async fn a_new_message_is_stored_with_its_key_its_contact_and_its_turn() {
    let f = Fixture::new().await;
    let tags = vec![Tag::new("Orders").expect("a tag"), Tag::new("vip 1").expect("a tag")];
    let message = NewMessage { tags, ..keyed(f.message(), "key-1") };
    assert_eq!(f.accept_one(&message).await, Accepted::New);
    let stored = f.store.message(message.workspace, message.id).await.expect("read").expect("stored");
    assert_eq!((&stored.body, &stored.meta, &stored.reference), (&message.body, &message.meta, &message.reference));
    assert_eq!((stored.channel, &stored.recipient), (message.channel, &message.recipient));
    assert_eq!(stored.tags, ["orders", "vip 1"]);
    assert_eq!((stored.created_at, stored.expires_at), (message.created_at, message.expires_at));
    let waiting = stored.waiting.expect("it waits");
    assert_eq!(
        (waiting.due_at, waiting.reason, waiting.tries, waiting.maybe_sent),
        (message.due_at, DueReason::Requested, 0, false)
    );
    for (table, rows) in [("messages", 1), ("message_keys", 1), ("outbox", 1), ("contacts", 1)] {
        assert_eq!(f.rows(table).await, rows, "{table}");
    }
}

#[tokio::test]
async fn the_same_request_under_the_same_key_is_the_first_message() {
    let f = Fixture::new().await;
    let first = keyed(f.message(), "key-1");
    let second = keyed(f.message(), "key-1");
    assert_eq!(f.accept_one(&first).await, Accepted::New);
    assert_eq!(f.accept_one(&second).await, Accepted::Replayed(first.id));
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (1, 1));
}

#[tokio::test]
async fn another_request_under_the_same_key_conflicts() {
    let f = Fixture::new().await;
    let first = keyed(f.message(), "key-1");
    let second = NewMessage { fingerprint: [2; 32], ..keyed(f.message(), "key-1") };
    assert_eq!(f.accept_one(&first).await, Accepted::New);
    assert_eq!(f.accept_one(&second).await, Accepted::Conflict(first.id));
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (1, 1));
}

#[tokio::test]
async fn keys_differ_by_case() {
    let f = Fixture::new().await;
    assert_eq!(f.accept_one(&keyed(f.message(), "key-a")).await, Accepted::New);
    assert_eq!(f.accept_one(&keyed(f.message(), "key-A")).await, Accepted::New);
    assert_eq!(f.rows("messages").await, 2);
}

#[tokio::test]
async fn the_same_key_in_two_workspaces_is_two_messages() {
    let f = Fixture::new().await;
    let other = Tenant::create(&f.store, "another-key").await;
    let ours = keyed(f.message(), "key-1");
    let theirs = keyed(message_of(&other, f.store.now()), "key-1");
    let accepted = f.store.accept(&[ours.clone(), theirs.clone()]).await.expect("accepted");
    assert_eq!(accepted, [Accepted::New, Accepted::New]);
    assert_eq!(f.accept_one(&keyed(f.message(), "key-1")).await, Accepted::Replayed(ours.id));
    assert_eq!(f.accept_one(&keyed(message_of(&other, f.store.now()), "key-1")).await, Accepted::Replayed(theirs.id));
    assert_eq!(f.rows("messages").await, 2);
    assert!(f.store.message(other.workspace, ours.id).await.expect("read").is_none());
}

#[tokio::test]
async fn equal_keys_within_one_commit_leave_one_row() {
    let f = Fixture::new().await;
    let batch = [keyed(f.message(), "key-1"), f.message(), keyed(f.message(), "key-1"), f.message()];
    let accepted = f.store.accept(&batch).await.expect("accepted");
    assert_eq!(accepted, [Accepted::New, Accepted::New, Accepted::Replayed(batch[0].id), Accepted::New]);
    let clash = [keyed(f.message(), "key-2"), NewMessage { fingerprint: [2; 32], ..keyed(f.message(), "key-2") }];
    let accepted = f.store.accept(&clash).await.expect("accepted");
    assert_eq!(accepted, [Accepted::New, Accepted::Conflict(clash[0].id)]);
    assert_eq!((f.rows("messages").await, f.rows("outbox").await, f.rows("message_keys").await), (4, 4, 2));
    assert_eq!(f.rows("contacts").await, 1);
}

#[tokio::test]
async fn repeating_an_accept_whose_answer_was_lost_changes_nothing() {
    let f = Fixture::new().await;
    let batch = [keyed(f.message(), "key-1"), f.message(), keyed(f.message(), "key-2")];
    for _ in 0..3 {
        assert_eq!(f.store.accept(&batch).await.expect("accepted"), [Accepted::New; 3]);
        assert_eq!((f.rows("messages").await, f.rows("outbox").await, f.rows("message_keys").await), (3, 3, 2));
    }
}

#[tokio::test]
async fn a_late_repetition_does_not_queue_what_was_sent_meanwhile() {
    let f = Fixture::new().await;
    let replica = replica();
    let messages = [keyed(f.message(), "key-1"), f.message()];
    f.store.accept(&messages).await.expect("accepted");
    let lease = f.lease(replica).await;
    let results: Vec<_> =
        f.claim(&lease, replica).await.iter().map(|claimed| result(claimed, Step::Sent, sent("wamid.1"))).collect();
    assert_eq!(f.settle(replica, &results).await, 2);
    assert_eq!(f.store.accept(&messages).await.expect("accepted"), [Accepted::New; 2]);
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (2, 0));
}

#[tokio::test]
async fn accepting_nothing_is_legal() {
    let f = Fixture::new().await;
    assert!(f.store.accept(&[]).await.expect("accepted").is_empty());
    assert_eq!(f.rows("messages").await, 0);
}

#[tokio::test]
async fn a_key_of_full_length_is_told_from_its_neighbour() {
    let f = Fixture::new().await;
    let long = "k".repeat(127);
    for last in ["1", "2"] {
        let key = MessageKey::new(&format!("{long}{last}")).expect("a key");
        assert_eq!(f.accept_one(&NewMessage { key: Some(key), ..f.message() }).await, Accepted::New);
    }
    assert_eq!(f.rows("message_keys").await, 2);
}
