//! What must not be sent although it is due: the database may lose the result, was put back in time, or its clock was set.

use jiff::SignedDuration;
use serde_json::json;
use store::accept::NewMessage;
use store::audit::Act;

use crate::rig::{Rig, fast};

/// Time enough for what is due to go, were it let.
const TICKS: u64 = 5;
/// The same, where the engine does not tick: as many connections are made and asked.
const LOOKS: usize = 50;

#[tokio::test]
async fn nothing_is_sent_while_the_database_may_lose_what_came_of_it() {
    let rig = Rig::scripted(json!({})).await;
    rig.database.pretend_settings().await;
    let node = rig.node(fast()).await;
    node.owns(1).await;
    // A connection that is there already is the one that stores.
    let mut messages = rig.put_texts(1).await;
    rig.all_sent(&messages).await;
    rig.database.pretend_setting("fsync", "off").await;
    // A reading notices it, and so does who cannot read because it needs a new connection for it.
    drop(node.store.read_clock().await);
    messages.extend(rig.put_texts(3).await);
    node.ticks(TICKS).await;
    assert_eq!(rig.sandbox.ledger().len(), 1);
    rig.database.pretend_setting("fsync", "on").await;
    node.store.read_clock().await.expect("the database runs");
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    node.running.stop().await;
}

const ACT: Act<'_> = Act { actor: "test", name: "sending.release" };

#[tokio::test]
async fn after_a_backup_was_restored_nothing_is_sent_until_an_operator_releases_it() {
    let rig = Rig::scripted(json!({})).await;
    rig.database.execute("UPDATE installation SET lived_seconds = 7200").await;
    let node = rig.node(fast()).await;
    node.store.live().await.expect("the database runs");
    node.owns(1).await;
    rig.database.put_back(3600).await;
    // What a backup brings back is due.
    let messages = rig.put_texts(3).await;
    rig.until_number("SELECT count(*) FROM installation WHERE held_reason = 'restored'", 1).await;
    let fresh = rig.node(fast()).await;
    for node in [&node, &fresh] {
        node.ticks(TICKS).await;
    }
    assert_eq!(rig.sandbox.ledger().len(), 0);
    assert_eq!(rig.number("SELECT count(*) FROM outbox WHERE claim > 0").await, 0);
    rig.store().release_sending(&ACT).await.expect("the database runs");
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    for node in [node, fresh] {
        node.running.stop().await;
    }
}

#[tokio::test]
async fn who_sees_the_clock_set_gives_up_its_channels_and_others_send() {
    let rig = Rig::scripted(json!({})).await;
    rig.database.pretend_clock().await;
    let node = rig.node(fast()).await;
    node.owns(1).await;
    rig.database.set_clock(3_600).await;
    node.store.read_clock().await.expect("the database runs");
    rig.until_number("SELECT count(*) FROM channel_leases WHERE replica_id IS NULL", 1).await;
    let later = rig.store().now().checked_add(SignedDuration::from_secs(1_800)).expect("in range");
    let early = NewMessage { due_at: later, ..rig.message("not due for half an hour") };
    rig.put(std::slice::from_ref(&early)).await;
    let messages = rig.put_texts(3).await;
    for _ in 0..LOOKS {
        assert_eq!(rig.number("SELECT count(*) FROM outbox WHERE claim = 0").await, 4);
    }
    assert_eq!(rig.sandbox.ledger().len(), 0);
    rig.database.set_clock(0).await;
    node.store.read_clock().await.expect("the database runs");
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    // One that stood still itself does not know what time it is; who has just started does.
    rig.database.set_clock(60).await;
    node.store.read_clock().await.expect("the database runs");
    let other = rig.node(fast()).await;
    other.owns(1).await;
    let more = rig.put_texts(2).await;
    rig.all_sent(&more).await;
    assert_eq!(node.metrics.channels_owned.get(), 0);
    for node in [node, other] {
        node.running.stop().await;
    }
}
