//! Lanes that stand still: what is due, does not move, and is not explained.

use domain::message::Lane;
use engine::metrics::Metrics;
use engine::overdue::Overdue;
use jiff::Timestamp;
use prometheus::Registry;
use serde_json::json;
use store::accept::NewMessage;
use store::channel::ChannelSettings;
use testkit::Tenant;

use crate::messages::after;
use crate::rig::{KEY, Rig, fast};

/// A rig without an engine and a watch over it.
struct Watch {
    rig: Rig,
    watch: Overdue,
    metrics: Metrics,
    start: Timestamp,
}

impl Watch {
    async fn new() -> Self {
        let rig = Rig::scripted(json!({})).await;
        let metrics = Metrics::register(&Registry::new()).expect("fresh names");
        let watch = Overdue::new(rig.store().clone(), metrics.clone());
        let start = rig.store().now();
        Self { rig, watch, metrics, start }
    }

    async fn put(&self, lane: Lane, due_after_seconds: i64) -> NewMessage {
        let message = self.rig.message("due");
        let message = NewMessage { due_at: after(self.start, due_after_seconds * 1_000), lane, ..message };
        self.rig.put(std::slice::from_ref(&message)).await;
        message
    }

    /// Lanes that stand still, and how late the first one is, so many seconds after the start.
    async fn look(&mut self, after_seconds: i64) -> (i64, i64) {
        self.watch.look(after(self.start, after_seconds * 1_000)).await.expect("the database runs");
        (self.metrics.lanes_overdue.get(), self.metrics.overdue_seconds.get())
    }
}

#[tokio::test]
async fn a_lane_that_has_something_due_and_does_not_move_is_told() {
    let mut watch = Watch::new().await;
    watch.put(Lane::Normal, 0).await;
    watch.put(Lane::Bulk, 5).await;
    watch.put(Lane::Urgent, 3_000).await;
    assert_eq!(watch.look(59).await, (0, 0), "not late yet");
    assert_eq!(watch.look(70).await, (0, 0), "late, and seen for the first time");
    assert_eq!(watch.look(129).await, (0, 0));
    assert_eq!(watch.look(130).await, (2, 130));
    assert_eq!(watch.look(500).await, (2, 500));
    let node = watch.rig.node(fast()).await;
    watch.rig.until_number("SELECT count(*) FROM outbox", 1).await;
    assert_eq!(watch.look(560).await, (0, 0), "it was sent");
    node.running.stop().await;
}

#[tokio::test]
async fn a_backlog_that_moves_is_none() {
    let mut watch = Watch::new().await;
    let first = watch.put(Lane::Normal, 0).await;
    watch.put(Lane::Normal, 1).await;
    assert_eq!(watch.look(100).await, (0, 0));
    watch.rig.database.execute(&format!("DELETE FROM outbox WHERE message_id = '{}'", first.id)).await;
    assert_eq!(watch.look(170).await, (0, 0), "another one is first");
    assert_eq!(watch.look(230).await, (1, 229));
}

#[tokio::test]
async fn a_closed_gate_a_pause_an_account_limit_and_a_channel_that_is_switched_off_explain_it() {
    const GATE: &str = "INSERT INTO channel_gates (workspace_id, channel_id, reason, since, until, closings)
        SELECT workspace_id, channel_id, 'breaker', now(), now() + interval '1 hour', 1 FROM channels";
    const PAUSE: &str = "INSERT INTO pauses (workspace_id, pause_id, scope, channel_id, reason, actor, created_at)
        SELECT workspace_id, gen_random_uuid(), 'channel', channel_id, 'test', 'test', now() FROM channels";
    let explained = [
        (GATE, "DELETE FROM channel_gates"),
        (PAUSE, "UPDATE pauses SET ended_at = now()"),
        ("UPDATE channels SET status = 'inactive'", "UPDATE channels SET status = 'active'"),
        (
            "UPDATE channels SET account_messages_per_second = 80",
            "UPDATE channels SET account_messages_per_second = NULL",
        ),
    ];
    for (explain, end) in explained {
        let mut watch = Watch::new().await;
        watch.put(Lane::Normal, 0).await;
        watch.look(100).await;
        watch.rig.database.execute(explain).await;
        assert_eq!(watch.look(200).await, (0, 0), "{explain}");
        watch.rig.database.execute(end).await;
        assert_eq!(watch.look(300).await, (0, 0), "{end}");
        assert_eq!(watch.look(400).await, (1, 400), "{end}");
    }
}

#[tokio::test]
async fn a_limit_that_another_channel_of_the_account_names_explains_it() {
    let mut watch = Watch::new().await;
    let rig = &watch.rig;
    let settings = &rig.tenant.channel.settings;
    let limited = ChannelSettings { account_messages_per_second: Some(80), ..settings.clone() };
    let other = Tenant::create_channel(rig.store(), rig.tenant.workspace, &limited, KEY).await;
    watch.put(Lane::Normal, 0).await;
    watch.look(100).await;
    assert_eq!(watch.look(200).await, (0, 0), "its turn comes when the account has one");
    let remove = format!("UPDATE channels SET account_messages_per_second = NULL WHERE channel_id = '{}'", other.id);
    watch.rig.database.execute(&remove).await;
    watch.look(300).await;
    assert_eq!(watch.look(400).await, (1, 400));
}
