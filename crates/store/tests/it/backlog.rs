//! Counting what waits: by lane, what is due and when the rest is, page by page.

use domain::fairness::Contender;
use domain::forecast::Arrival;
use domain::id::MessageId;
use domain::message::Lane;
use jiff::Timestamp;
use store::channel::{ChannelSettings, ChannelStatus};
use testkit::Tenant;
use uuid::Uuid;

use crate::fixtures::{Fixture, later};

/// More than there is.
const ALL: u64 = 1_000_000;
/// Rows of a lane in one statement.
const PAGE: i64 = 50_000;

impl Fixture {
    /// Puts rows into a lane's outbox, due so many seconds from now, as accepting leaves them.
    async fn fill(&self, lane: Lane, rows: i64, due_in_seconds: i64) {
        let (workspace, channel) = (self.tenant.workspace, self.tenant.channel.id);
        let due_at = later(self.store.now(), due_in_seconds);
        let sql = format!(
            "INSERT INTO outbox (workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at)
            SELECT '{workspace}', gen_random_uuid(), '{channel}', {}, '{due_at}', 'requested', '{}'
            FROM generate_series(1, {rows})",
            lane.number(),
            later(due_at, 3600),
        );
        self.database.execute(&sql).await;
    }
}

#[tokio::test]
async fn what_is_due_is_counted_by_lane_and_the_rest_by_when_it_falls_due() {
    let f = Fixture::new().await;
    let channel = f.tenant.channel.id;
    let empty = f.store.backlog(channel, ALL).await.expect("counted");
    assert_eq!((empty.due, empty.arrivals, empty.waiting), ([0; 3], Vec::new(), 0));
    f.fill(Lane::Urgent, 3, -10).await;
    f.fill(Lane::Bulk, 5, -1).await;
    f.fill(Lane::Normal, 2, 60).await;
    f.fill(Lane::Normal, 2, 80).await;
    f.fill(Lane::Bulk, 7, 40_000).await;
    let backlog = f.store.backlog(channel, ALL).await.expect("counted");
    assert_eq!((backlog.due, backlog.waiting), ([3, 0, 5], 19));
    let [soon, late] = backlog.arrivals[..] else { panic!("{backlog:?}") };
    let near = |arrival: Arrival, seconds: f64| {
        let ahead = arrival.at.duration_since(backlog.seen_at).as_secs_f64();
        (seconds - ahead).abs() < 5.0
    };
    assert!(soon.lanes == [0, 4, 0] && near(soon, 70.0), "{soon:?}");
    assert!(late.lanes == [0, 0, 7] && near(late, 40_000.0), "{late:?}");
}

#[tokio::test]
async fn what_waits_to_be_released_is_no_traffic_at_the_end_of_its_validity() {
    let f = Fixture::new().await;
    for (reason, rows, due) in [("held", 2, "expires_at"), ("paused", 3, "expires_at"), ("paused", 4, "due_at")] {
        f.fill(Lane::Normal, rows, 60).await;
        let change =
            format!("UPDATE outbox SET due_reason = '{reason}', due_at = {due} WHERE due_reason = 'requested'");
        f.database.execute(&change).await;
    }
    f.fill(Lane::Normal, 5, -60).await;
    let overdue = "UPDATE outbox SET due_reason = 'held', expires_at = due_at WHERE due_reason = 'requested'";
    f.database.execute(overdue).await;
    f.fill(Lane::Bulk, 1, -60).await;
    let backlog = f.store.backlog(f.tenant.channel.id, ALL).await.expect("counted");
    let arrivals: Vec<[u64; 3]> = backlog.arrivals.iter().map(|arrival| arrival.lanes).collect();
    assert_eq!((backlog.due, arrivals, backlog.waiting), ([0, 0, 1], vec![[0, 4, 0]], 15));
}

#[tokio::test]
async fn a_long_lane_is_counted_page_by_page_and_no_further_than_asked() {
    let f = Fixture::new().await;
    let channel = f.tenant.channel.id;
    // The border of a page falls between rows of one instant.
    f.fill(Lane::Normal, PAGE - 10, -20).await;
    f.fill(Lane::Normal, PAGE, -10).await;
    f.fill(Lane::Urgent, 4, -10).await;
    let all = f.store.backlog(channel, ALL).await.expect("counted");
    assert_eq!(all.due, [4, 99_990, 0]);
    let some = f.store.backlog(channel, 10).await.expect("counted");
    assert_eq!(some.due, [4, 50_000, 0]);
    f.fill(Lane::Normal, 10, -30).await;
    assert_eq!(f.store.backlog(channel, ALL).await.expect("counted").due, [4, 100_000, 0], "the last page is full");
}

#[tokio::test]
async fn what_goes_after_a_message_is_left_out_of_its_own_lane_alone() {
    let f = Fixture::new().await;
    let channel = f.tenant.channel.id;
    let now = f.store.now();
    let mut messages = Vec::new();
    for due_in in [-20, -10, -10, 300, 300] {
        messages.push(f.queue_at(Lane::Normal, later(now, due_in)).await);
    }
    f.queue_at(Lane::Bulk, later(now, -5)).await;
    let before = async |at: Timestamp, id: MessageId| {
        let backlog = f.store.backlog_before(channel, Lane::Normal, (at, id), ALL).await.expect("counted");
        (backlog.due, backlog.arrivals.iter().map(|arrival| arrival.lanes[1]).sum::<u64>())
    };
    // Instants as the database keeps them.
    let kept =
        |message: usize| Timestamp::from_microsecond(messages[message].due_at.as_microsecond()).expect("in range");
    assert_eq!(before(kept(0), messages[0].id).await, ([0, 0, 1], 0));
    assert_eq!(before(kept(2), messages[2].id).await, ([0, 2, 1], 0));
    assert_eq!(before(kept(3), messages[3].id).await, ([0, 3, 1], 0));
    assert_eq!(before(kept(4), messages[4].id).await, ([0, 3, 1], 1));
    assert_eq!(before(later(now, 9000), MessageId(Uuid::nil())).await, ([0, 3, 1], 2));
}

#[tokio::test]
async fn a_shared_limit_is_told_with_those_that_wait_for_it() {
    let f = Fixture::new().await;
    let (workspace, own) = (f.tenant.workspace, f.tenant.channel.id);
    let limit = async || f.store.shared_limit(workspace, own, f.store.now()).await.expect("read");
    assert_eq!(limit().await, None);
    let settings = f.tenant.channel.settings.clone();
    let limited =
        ChannelSettings { account_messages_per_second: Some(200), messages_per_second: 50, ..settings.clone() };
    let second = Tenant::create_channel(&f.store, workspace, &limited, "lipachat-key").await;
    let inactive = ChannelSettings { status: ChannelStatus::Inactive, ..limited.clone() };
    let inactive = Tenant::create_channel(&f.store, workspace, &inactive, "lipachat-key").await;
    let stranger = Tenant::create(&f.store, "another-key").await;
    let alone = limit().await.expect("one names it");
    let contender = |rate| Contender { workspace, weight: 1, rate };
    assert_eq!((alone.rate_thousandths, alone.own, alone.others), (200_000, contender(1_000_000), Vec::new()));
    for (workspace, channel) in
        [(workspace, second.id), (workspace, inactive.id), (stranger.workspace, stranger.channel.id)]
    {
        let message = store::accept::NewMessage { workspace, channel, ..f.message() };
        f.accept_one(&message).await;
    }
    assert_eq!(limit().await.expect("one names it").others, [contender(50_000)]);
}
