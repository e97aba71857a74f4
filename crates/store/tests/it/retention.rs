//! Texts of ended messages go after the days that their workspace keeps them, a bounded number at a time.

use domain::lifecycle::Status;
use domain::message::Lane;
use jiff::Timestamp;
use store::accept::{Accepted, NewMessage};
use store::retention::Removed;

use crate::fixtures::{Fixture, keyed, later};

const DAY: i64 = 24 * 3600;
const TEXTS: &str =
    "SELECT count(*) FROM messages WHERE body <> 'null' OR parts <> '[]' OR meta <> '{}' OR template IS NOT NULL";

/// After all that was accepted now has become old.
fn old(f: &Fixture) -> Timestamp {
    later(f.store.now(), 30 * DAY + 1)
}

async fn put(f: &Fixture, count: usize) -> Vec<NewMessage> {
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(f.queue(Lane::Normal).await);
    }
    messages
}

/// Ends messages as if they had been sent.
async fn end(f: &Fixture, messages: &[NewMessage]) {
    for message in messages {
        let id = message.id;
        f.database
            .execute(&format!(
                "DELETE FROM outbox WHERE message_id = '{id}'; UPDATE messages SET status = 'sent' WHERE message_id = '{id}'"
            ))
            .await;
    }
}

/// One batch in the tenant's workspace, if there is something to do.
async fn batch(f: &Fixture, now: Timestamp, limit: i64) -> Option<Removed> {
    let overdue = f.store.overdue_bodies(now, 10).await.expect("read");
    let one = overdue.iter().find(|one| one.workspace == f.tenant.workspace)?;
    Some(f.store.remove_bodies(one, limit).await.expect("removed"))
}

#[tokio::test]
async fn texts_stay_until_the_last_day_is_over() {
    let f = Fixture::new().await;
    let messages = put(&f, 1).await;
    end(&f, &messages).await;
    let accepted = messages[0].created_at;
    assert_eq!(batch(&f, later(accepted, 30 * DAY - 1), 10).await, None);
    assert_eq!(batch(&f, later(accepted, 30 * DAY + 1), 10).await, Some(Removed { looked: 1, removed: 1 }));
    assert_eq!(f.database.number(TEXTS).await, 0);
}

#[tokio::test]
async fn each_batch_touches_a_bounded_number_of_rows_and_none_twice() {
    let f = Fixture::new().await;
    let messages = put(&f, 7).await;
    end(&f, &messages).await;
    let now = old(&f);
    for (looked, left) in [(3, 4), (3, 1), (1, 0)] {
        assert_eq!(batch(&f, now, 3).await, Some(Removed { looked, removed: looked }));
        assert_eq!(f.database.number(TEXTS).await, left);
    }
    assert_eq!(batch(&f, now, 3).await, None);
}

#[tokio::test]
async fn two_replicas_at_the_same_place_do_it_once() {
    let f = Fixture::new().await;
    let messages = put(&f, 4).await;
    end(&f, &messages).await;
    let overdue = f.store.overdue_bodies(old(&f), 10).await.expect("read");
    let other = f.database.another_store().await;
    let (one, another) = tokio::join!(f.store.remove_bodies(&overdue[0], 2), other.remove_bodies(&overdue[0], 2));
    let mut removed = [one.expect("removed").removed, another.expect("removed").removed];
    removed.sort_unstable();
    assert_eq!(removed, [0, 2]);
}

#[tokio::test]
async fn a_waiting_message_keeps_its_texts_until_it_has_ended() {
    let f = Fixture::new().await;
    let messages = put(&f, 3).await;
    end(&f, &messages[..1]).await;
    assert_eq!(batch(&f, old(&f), 10).await, Some(Removed { looked: 3, removed: 1 }));
    let (removed, beyond) = f.store.remove_late_bodies(None, 1).await.expect("looked");
    assert_eq!(removed, Removed { looked: 1, removed: 0 });
    assert!(beyond.is_some());
    end(&f, &messages[2..]).await;
    let (removed, beyond) = f.store.remove_late_bodies(beyond, 10).await.expect("looked");
    assert_eq!((removed, beyond), (Removed { looked: 1, removed: 1 }, None));
    assert_eq!((f.database.number(TEXTS).await, f.rows("late_bodies").await), (1, 1));
    end(&f, &messages[1..2]).await;
    f.store.remove_late_bodies(None, 10).await.expect("looked");
    assert_eq!((f.database.number(TEXTS).await, f.rows("late_bodies").await), (0, 0));
}

#[tokio::test]
async fn a_message_without_texts_is_shown_and_its_repetition_is_known() {
    let f = Fixture::new().await;
    let message = keyed(f.message(), "order-7");
    assert_eq!(f.accept_one(&message).await, Accepted::New);
    end(&f, std::slice::from_ref(&message)).await;
    batch(&f, old(&f), 10).await.expect("done");
    let stored = f.store.message(f.tenant.workspace, message.id).await.expect("read").expect("there");
    assert_eq!((stored.body.as_str(), stored.template, stored.meta.as_str()), ("null", None, "{}"));
    assert_eq!((stored.status, stored.recipient), (Status::Sent, message.recipient.clone()));
    assert_eq!(stored.reference, message.reference);
    let again = NewMessage { id: f.message().id, ..message.clone() };
    assert_eq!(f.accept_one(&again).await, Accepted::Replayed(message.id));
}

#[tokio::test]
async fn the_workspace_that_is_furthest_behind_comes_first() {
    let f = Fixture::new().await;
    let other = testkit::Tenant::create(&f.store, "another-key").await;
    let messages = put(&f, 2).await;
    let theirs = crate::fixtures::message_of(&other, f.store.now());
    f.accept_one(&theirs).await;
    end(&f, &messages).await;
    end(&f, std::slice::from_ref(&theirs)).await;
    let now = old(&f);
    let one = f.store.overdue_bodies(now, 1).await.expect("read")[0];
    f.store.remove_bodies(&one, 1).await.expect("removed");
    let next = f.store.overdue_bodies(now, 1).await.expect("read")[0];
    assert_ne!(next.workspace, one.workspace);
}
