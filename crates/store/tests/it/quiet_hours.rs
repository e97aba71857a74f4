//! Where quiet hours are set, who is told, and what they hold.

use domain::id::ChannelId;
use domain::message::{Lane, MessageType};
use domain::quiet_hours::QuietHours;
use domain::schedule::DueReason;
use jiff::Timestamp;
use serde_json::json;
use store::accept::NewMessage;
use store::audit::Act;
use store::channel::ChannelSettings;
use store::holds::{LANE_START, NewPlan};
use testkit::Tenant;
use uuid::Uuid;

use crate::fixtures::{Fixture, later, load, replica};

const ACT: Act<'_> = Act { actor: "test", name: "test.quiet_hours" };

fn hours(zone: &str) -> QuietHours {
    let windows = json!([{ "days": ["mon"], "start": "21:00", "end": "08:00" }]);
    let setting = json!({
        "enabled": true, "timeZone": zone, "recipientTimeZone": true, "windows": windows, "holidays": ["2026-12-25"],
        "appliesTo": ["marketing"], "spreadSeconds": 600
    });
    serde_json::from_value(setting).expect("quiet hours")
}

impl Fixture {
    /// Quiet hours as the owner of the tenant's channel loads them, and whether they are to be planned anew.
    async fn owned(&self) -> (Option<QuietHours>, bool) {
        let loaded = load(&self.store, self.tenant.workspace, self.tenant.channel.id).await;
        let owned = loaded.expect("there").expect("usable");
        (owned.quiet_hours, owned.planning.changed_at.is_some())
    }
}

#[tokio::test]
async fn a_channels_quiet_hours_stand_in_place_of_its_workspaces() {
    let f = Fixture::new().await;
    let (workspace, channel) = (f.tenant.workspace, f.tenant.channel.id);
    assert_eq!(f.owned().await, (None, false));
    let (ours, own) = (hours("Africa/Nairobi"), hours("Europe/London"));
    assert!(f.store.put_workspace_quiet_hours(workspace, &ours, &ACT).await.expect("set"));
    assert_eq!(f.owned().await, (Some(ours.clone()), true));
    assert!(f.store.put_channel_quiet_hours(workspace, channel, Some(&own), &ACT).await.expect("set"));
    assert_eq!(f.owned().await.0, Some(own.clone()));
    let revision = f.store.channel(workspace, channel).await.expect("read").expect("there").revision;
    assert!(f.store.put_workspace_quiet_hours(workspace, &hours("Asia/Tokyo"), &ACT).await.expect("set"));
    let read = f.store.channel(workspace, channel).await.expect("read").expect("there");
    assert_eq!((read.quiet_hours, read.revision), (Some(own), revision), "it has its own");
    assert!(f.store.put_channel_quiet_hours(workspace, channel, None, &ACT).await.expect("set"));
    assert_eq!(f.owned().await.0, Some(hours("Asia/Tokyo")));
    assert_eq!(f.database.number("SELECT count(*) FROM audit WHERE act = 'test.quiet_hours'").await, 4);
}

#[tokio::test]
async fn another_message_type_lets_what_is_held_be_planned_anew_and_nothing_else_of_a_channel_does() {
    let f = Fixture::new().await;
    let mut channel = f.tenant.channel.clone();
    assert_ne!(channel.settings.message_type, MessageType::Promotional);
    let renamed = ChannelSettings { name: "renamed".to_owned(), ..channel.settings.clone() };
    let retyped = ChannelSettings { message_type: MessageType::Promotional, ..renamed.clone() };
    for (settings, is_planned) in [(renamed, false), (retyped, true)] {
        let changed = f.store.update_channel(&channel, &settings, None, &ACT).await.expect("set");
        channel = changed.expect("at this revision");
        assert_eq!(f.owned().await.1, is_planned, "{settings:?}");
    }
}

#[tokio::test]
async fn quiet_hours_of_another_workspace_cannot_be_reached() {
    let f = Fixture::new().await;
    let stranger = Tenant::create(&f.store, "another-key").await;
    let own = hours("Europe/London");
    let channel = f.tenant.channel.id;
    assert!(!f.store.put_channel_quiet_hours(stranger.workspace, channel, Some(&own), &ACT).await.expect("asked"));
    assert!(
        !f.store
            .put_channel_quiet_hours(f.tenant.workspace, ChannelId(Uuid::new_v4()), None, &ACT)
            .await
            .expect("asked")
    );
    assert_eq!(f.owned().await, (None, false));
}

#[tokio::test]
async fn what_is_held_is_found_page_by_page_and_planned_under_its_claim_and_lease() {
    let f = Fixture::new().await;
    let replica = replica();
    let lease = f.lease(replica).await;
    let end = later(f.store.now(), 600);
    let held: Vec<NewMessage> =
        (0..3).map(|_| NewMessage { due_at: end, due_reason: DueReason::QuietHours, ..f.message() }).collect();
    f.store.accept(&held).await.expect("accepted");
    f.queue_at(Lane::Normal, later(end, -60)).await;
    let first = f.store.held(&lease, Lane::Normal, LANE_START, 2).await.expect("looked");
    assert_eq!(first.held.iter().map(|held| held.id).collect::<Vec<_>>(), [held[0].id]);
    assert_eq!(first.reached, Some((end, held[0].id)).map(|(_, id)| (first.held[0].due_at, id)));
    let second = f.store.held(&lease, Lane::Normal, first.reached.expect("more"), 10).await.expect("looked");
    assert_eq!(second.held.iter().map(|held| held.id).collect::<Vec<_>>(), [held[1].id, held[2].id]);
    let last = f.store.held(&lease, Lane::Normal, second.reached.expect("more"), 10).await.expect("looked");
    assert!(last.held.is_empty() && last.reached.is_none());

    let plan = |message: &NewMessage, claim| {
        let (due_at, reason) = (later(end, -500), DueReason::Requested);
        NewPlan { message: message.id, claim, expires_at: message.expires_at, due_at, reason }
    };
    let moved = NewPlan { expires_at: later(held[2].expires_at, 60), ..plan(&held[2], 0) };
    let plans = [plan(&held[0], 0), plan(&held[1], 7), moved];
    let superseded = store::lease::Lease { epoch: lease.epoch + 1, ..lease };
    assert_eq!(f.store.plan_anew(&superseded, &plans).await.expect("asked"), 0);
    assert_eq!(f.store.plan_anew(&lease, &plans).await.expect("planned"), 1, "another claim, another time");
    assert_eq!(f.database.number("SELECT count(*) FROM outbox WHERE due_reason = 'quiet_hours'").await, 2);
    let noted = format!(
        "SELECT count(*) FROM message_events WHERE message_id = '{}' AND event = 'planned' AND waited_for = 'quiet_hours'
        AND due_at = '{end}' AND reason = 'requested' AND until = '{}'",
        held[0].id,
        later(end, -500)
    );
    assert_eq!((f.database.number(&noted).await, f.rows("message_events").await), (1, 1));
    f.store.note_planned(&lease, f.store.now()).await.expect("noted");
}

#[tokio::test]
async fn what_is_let_go_at_an_instant_is_counted_with_the_last_that_has_its_time() {
    let f = Fixture::new().await;
    let end = f.store.now();
    let channel = f.tenant.channel.id;
    let waiting = |due_at, due_reason| NewMessage { due_at, due_reason, ..f.message() };
    let messages = [
        waiting(end, DueReason::QuietHours),
        waiting(end, DueReason::QuietHours),
        waiting(later(end, 100), DueReason::Released),
        waiting(later(end, 200), DueReason::Released),
        waiting(later(end, 300), DueReason::Requested),
        waiting(later(end, 900), DueReason::Released),
    ];
    f.store.accept(&messages).await.expect("accepted");
    let let_go = f.store.let_go(channel, Lane::Normal, end, later(end, 600), 10).await.expect("counted");
    assert_eq!(let_go.messages, 2);
    assert_eq!(let_go.last.map(Timestamp::as_millisecond), Some(later(end, 200).as_millisecond()));
    let first = f.store.let_go(channel, Lane::Normal, end, later(end, 600), 1).await.expect("counted");
    assert_eq!((first.messages, first.last), (1, let_go.last), "no more are counted than asked for");
    let other = f.store.let_go(channel, Lane::Bulk, end, later(end, 600), 10).await.expect("counted");
    assert_eq!((other.messages, other.last), (0, None));
}
