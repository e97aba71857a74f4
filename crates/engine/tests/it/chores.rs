//! Regular work: done once however many replicas there are, by the one that has time, and over and over.

use domain::message::Lane;
use engine::chores::{Chore, Chores};
use engine::metrics::Metrics;
use jiff::{SignedDuration, Timestamp};
use prometheus::Registry;
use serde_json::json;
use store::Store;

use crate::rig::{Rig, fast};
use crate::wait::until;

/// What a replica has, without its engine.
fn replica(store: &Store) -> (Chores, Metrics) {
    let metrics = Metrics::register(&Registry::new()).expect("fresh names");
    (Chores::new(store.clone(), metrics.clone()), metrics)
}

fn after_days(at: Timestamp, days: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_hours(24 * days)).expect("in range")
}

/// Does all that is due at an instant.
async fn work_off(chores: &Chores, now: Timestamp) -> usize {
    let mut done = 0;
    while chores.run_once_at(now).await.is_some() {
        done += 1;
        assert!(done < 100, "chores do not come to their end");
    }
    done
}

#[tokio::test]
async fn an_engine_does_the_chores_when_it_starts_and_another_one_finds_them_done() {
    let rig = Rig::scripted(json!({})).await;
    let first = rig.node(fast()).await;
    let succeeded = "SELECT count(*) FROM chores WHERE succeeded_at IS NOT NULL";
    rig.until_number(succeeded, 5).await;
    assert_eq!(first.metrics.chores.rows.with_label_values(&["partitions"]).get(), 12);
    let runs = "SELECT sum(run)::bigint FROM chores";
    let before = rig.number(runs).await;
    let second = rig.node(fast()).await;
    until("the other one looks", async || second.statements(Some("store.chore.take")) > 0).await;
    assert_eq!(rig.number(runs).await, before);
    // Messages go through the new partitions as before.
    let messages = rig.put_texts(5).await;
    rig.all_sent(&messages).await;
    assert_eq!(rig.number("SELECT count(*) FROM messages_default").await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM attempts_default").await, 0);
    first.running.stop().await;
    second.running.stop().await;
}

#[tokio::test]
async fn replicas_side_by_side_do_each_chore_once() {
    let rig = Rig::scripted(json!({})).await;
    let now = rig.store().now();
    let ((one, _), (other, _)) = (replica(rig.store()), replica(rig.store()));
    let (first, second) = tokio::join!(work_off(&one, now), work_off(&other, now));
    assert_eq!(first + second, Chore::ALL.len());
    assert_eq!(rig.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'messages'::regclass").await, 4);
    assert_eq!(work_off(&one, now).await, 0);
}

#[tokio::test]
async fn old_messages_lose_their_texts_and_then_go_with_their_month() {
    let rig = Rig::scripted(json!({})).await;
    let (chores, metrics) = replica(rig.store());
    let now = rig.store().now();
    work_off(&chores, now).await;
    let node = rig.node(fast()).await;
    let messages = rig.put_texts(3).await;
    rig.all_sent(&messages).await;
    node.running.stop().await;
    work_off(&chores, after_days(now, 29)).await;
    assert_eq!(rig.number("SELECT count(*) FROM messages WHERE body = 'null'").await, 0);
    work_off(&chores, after_days(now, 31)).await;
    assert_eq!(rig.number("SELECT count(*) FROM messages WHERE body = 'null'").await, 3);
    assert_eq!(metrics.chores.rows.with_label_values(&["bodies"]).get(), 3);
    work_off(&chores, after_days(now, 432)).await;
    assert_eq!(rig.number("SELECT count(*) FROM messages").await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM attempts").await, 0);
}

#[tokio::test]
async fn an_erasure_that_had_to_wait_is_finished() {
    let rig = Rig::scripted(json!({})).await;
    let (chores, _) = replica(rig.store());
    let message = store::accept::NewMessage { lane: Lane::Bulk, ..rig.message("siri") };
    rig.put(std::slice::from_ref(&message)).await;
    rig.database
        .execute("UPDATE outbox SET claim = 1, claimed_until = now() + interval '1 hour', due_reason = 'claimed'")
        .await;
    let contact = message.recipient.as_ref().expect("a recipient").0;
    let act = store::audit::Act { actor: "test", name: "test" };
    let now = rig.store().now();
    let later = |seconds| now.checked_add(SignedDuration::from_secs(seconds)).expect("in range");
    rig.store().request_erasure(rig.tenant.workspace, contact, later(1), &act).await.expect("requested");
    work_off(&chores, later(100)).await;
    assert_eq!(rig.number("SELECT count(*) FROM messages WHERE recipient IS NOT NULL").await, 1);
    rig.database.execute("DELETE FROM outbox; UPDATE messages SET status = 'sent'").await;
    work_off(&chores, later(1000)).await;
    assert_eq!(rig.number("SELECT count(*) FROM messages WHERE recipient IS NOT NULL").await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM erasures").await, 0);
}

#[tokio::test]
async fn a_chore_that_fails_is_counted_and_tried_again() {
    let rig = Rig::scripted(json!({})).await;
    let (chores, metrics) = replica(rig.store());
    let now = rig.store().now();
    rig.database.execute("ALTER TABLE messages RENAME TO elsewhere").await;
    work_off(&chores, now).await;
    let failed = |chore| metrics.chores.failures.with_label_values(&[chore]).get();
    assert_eq!((failed("partitions"), failed("bodies")), (1, 1));
    rig.database.execute("ALTER TABLE elsewhere RENAME TO messages").await;
    work_off(&chores, now.checked_add(SignedDuration::from_secs(60)).expect("in range")).await;
    assert_eq!((failed("partitions"), failed("bodies")), (1, 1));
    assert_eq!(rig.number("SELECT count(*) FROM chores WHERE succeeded_at IS NOT NULL").await, 5);
}
