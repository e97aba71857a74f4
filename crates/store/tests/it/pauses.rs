//! Pauses: made, ended, over by themselves, and what they hold.

use domain::id::{ChannelId, PauseId, WorkspaceId};
use domain::limits::PAUSES_MAX;
use domain::message::Tag;
use domain::pause::{Pause, PauseScope};
use domain::schedule::DueReason;
use jiff::Timestamp;
use store::accept::NewMessage;
use store::audit::Act;
use store::pause::Creation;
use testkit::Tenant;
use uuid::Uuid;

use crate::fixtures::{Fixture, later, load};

const ACT: Act<'_> = Act { actor: "somebody", name: "test.pause" };
const STRANGER: Act<'_> = Act { actor: "somebody else", name: "test.pause" };
const NOTES: &str = "SELECT count(*) FROM audit WHERE act = 'test.pause'";
/// Lets the time of every pause come.
const LET_TIME_COME: &str = "UPDATE pauses SET until = clock_timestamp() - interval '1 second' WHERE until IS NOT NULL";

fn tag(text: &str) -> PauseScope {
    PauseScope::Tag(Tag::new(text).expect("a tag"))
}

impl Fixture {
    fn pause(&self, scope: PauseScope, until: Option<Timestamp>) -> Pause {
        let (id, created_at) = (PauseId(Uuid::now_v7()), self.store.now());
        let until = until.map(|at| Timestamp::from_microsecond(at.as_microsecond()).expect("in range"));
        Pause { id, scope, reason: "wrong price".to_owned(), actor: ACT.actor.to_owned(), until, created_at }
    }

    /// Makes a pause of the tenant, as it is read afterwards.
    async fn paused(&self, scope: PauseScope, until: Option<Timestamp>) -> Pause {
        let pause = self.pause(scope, until);
        let made = self.store.create_pause(self.tenant.workspace, &pause, &ACT).await.expect("asked");
        assert!(matches!(made, Creation::Made(_)), "{made:?}");
        self.store.pause(self.tenant.workspace, pause.id).await.expect("read").expect("there").pause
    }

    async fn open(&self) -> Vec<Pause> {
        self.store.open_pauses(self.tenant.workspace).await.expect("read")
    }

    async fn revision(&self, workspace: WorkspaceId, channel: ChannelId) -> i64 {
        self.store.channel(workspace, channel).await.expect("read").expect("there").revision
    }
}

#[tokio::test]
async fn a_pause_is_open_until_it_is_ended_once() {
    let f = Fixture::new().await;
    let workspace = f.tenant.workspace;
    let older = f.paused(PauseScope::Workspace, None).await;
    let newer = f.paused(tag("promo"), Some(later(f.store.now(), 600))).await;
    assert_eq!(f.open().await, [newer.clone(), older.clone()]);
    assert_eq!(f.store.workspace(workspace).await.expect("read").expect("there").pauses, f.open().await);
    let ending = f.store.end_pause(workspace, older.id, &ACT).await.expect("asked").expect("there");
    assert_eq!((ending.record.pause.clone(), ending.channels), (older.clone(), vec![f.tenant.channel.id]));
    assert_eq!(ending.record.ended_by.as_deref(), Some("somebody"));
    assert!(ending.record.ended_at.is_some_and(|at| at >= older.created_at));
    assert_eq!(f.open().await, [newer]);
    let revision = f.revision(workspace, f.tenant.channel.id).await;
    let again = f.store.end_pause(workspace, older.id, &STRANGER).await.expect("asked").expect("there");
    assert_eq!((again.record, again.channels), (ending.record, Vec::new()));
    assert_eq!(f.revision(workspace, f.tenant.channel.id).await, revision, "nobody needs to know");
    assert_eq!(f.database.number(NOTES).await, 3);
}

#[tokio::test]
async fn a_pause_is_over_when_its_time_has_come() {
    let f = Fixture::new().await;
    let pause = f.paused(PauseScope::Workspace, Some(later(f.store.now(), 600))).await;
    f.database.execute(LET_TIME_COME).await;
    assert_eq!(f.open().await, []);
    let record = f.store.pause(f.tenant.workspace, pause.id).await.expect("read").expect("there");
    assert_eq!((record.ended_at, record.ended_by.as_deref()), (record.pause.until, None));
    let ending = f.store.end_pause(f.tenant.workspace, pause.id, &ACT).await.expect("asked").expect("there");
    assert_eq!((ending.record, ending.channels), (record, Vec::new()));
    assert_eq!(f.database.number(NOTES).await, 1);
}

#[tokio::test]
async fn a_pause_is_told_to_the_owners_of_the_channels_it_concerns_and_to_no_other() {
    let f = Fixture::new().await;
    let stranger = Tenant::create(&f.store, "another-key").await;
    let (workspace, first) = (f.tenant.workspace, f.tenant.channel.id);
    let second = Tenant::create_channel(&f.store, workspace, &f.tenant.channel.settings, "lipachat-key").await.id;
    for (scope, concerned) in [
        (PauseScope::Channel(first), vec![first]),
        (PauseScope::Workspace, vec![first, second]),
        (tag("promo"), vec![first, second]),
    ] {
        f.database.execute("UPDATE channels SET revision = 1, holds_changed_at = NULL").await;
        let pause = f.pause(scope, None);
        let made = f.store.create_pause(workspace, &pause, &ACT).await.expect("asked");
        let Creation::Made(mut told) = made else { panic!("{made:?}") };
        told.sort_unstable();
        let mut expected = concerned.clone();
        expected.sort_unstable();
        assert_eq!(told, expected, "{pause}");
        for channel in [first, second] {
            let is_concerned = concerned.contains(&channel);
            assert_eq!(f.revision(workspace, channel).await, if is_concerned { 2 } else { 1 }, "{pause}");
            let owned = load(&f.store, workspace, channel).await.expect("there").expect("usable");
            let is_planned = is_concerned && pause.scope.tag().is_some();
            assert_eq!(owned.planning.changed_at.is_some(), is_planned, "{pause}");
            assert!(owned.pauses.iter().any(|known| known.id == pause.id), "{pause}");
        }
        assert_eq!(f.revision(stranger.workspace, stranger.channel.id).await, 1);
    }
    let theirs = load(&f.store, stranger.workspace, stranger.channel.id).await.expect("there").expect("usable");
    assert_eq!(*theirs.pauses, []);
}

#[tokio::test]
async fn a_pause_of_another_workspace_is_not_there_and_its_channel_is_none_of_ours() {
    let f = Fixture::new().await;
    let stranger = Tenant::create(&f.store, "another-key").await;
    let pause = f.paused(PauseScope::Workspace, None).await;
    assert_eq!(f.store.pause(stranger.workspace, pause.id).await.expect("read"), None);
    assert_eq!(f.store.end_pause(stranger.workspace, pause.id, &ACT).await.expect("asked"), None);
    assert_eq!(f.store.open_pauses(stranger.workspace).await.expect("read"), []);
    let theirs = f.pause(PauseScope::Channel(f.tenant.channel.id), None);
    let made = f.store.create_pause(stranger.workspace, &theirs, &ACT).await.expect("asked");
    assert_eq!(made, Creation::NoChannel);
    let unknown = f.pause(PauseScope::Channel(ChannelId(Uuid::new_v4())), None);
    let made = f.store.create_pause(stranger.workspace, &unknown, &ACT).await.expect("asked");
    assert_eq!(made, Creation::NoChannel);
    assert_eq!(f.open().await, [pause]);
    assert_eq!((f.rows("pauses").await, f.database.number(NOTES).await), (1, 1));
}

#[tokio::test]
async fn no_more_pauses_are_open_than_may_be() {
    let f = Fixture::new().await;
    let planted = format!(
        "INSERT INTO pauses (workspace_id, pause_id, scope, reason, actor, until, created_at)
        SELECT '{}', gen_random_uuid(), 'workspace', 'planted', 'test', now() + interval '1 hour', now()
        FROM generate_series(1, {PAUSES_MAX})",
        f.tenant.workspace
    );
    f.database.execute(&planted).await;
    let pause = f.pause(PauseScope::Workspace, None);
    let made = async || f.store.create_pause(f.tenant.workspace, &pause, &ACT).await.expect("asked");
    assert_eq!(made().await, Creation::TooMany);
    assert_eq!(f.database.number(NOTES).await, 0);
    f.database.execute(LET_TIME_COME).await;
    assert!(matches!(made().await, Creation::Made(_)), "what is over does not count");
}

#[tokio::test]
async fn a_waiting_message_tells_the_pause_that_holds_it_for_longest() {
    let f = Fixture::new().await;
    let end = |seconds| Some(later(f.store.now(), seconds));
    let tags = vec![Tag::new("promo").expect("a tag"), Tag::new("orders").expect("a tag")];
    let tagged = NewMessage { tags, ..f.message() };
    let plain = f.message();
    f.store.accept(&[tagged.clone(), plain.clone()]).await.expect("accepted");
    let pause_of = async |message: &NewMessage| {
        let read = f.store.message(message.workspace, message.id).await.expect("read").expect("there");
        read.waiting.expect("it waits").pause
    };
    assert_eq!((pause_of(&tagged).await, pause_of(&plain).await), (None, None));
    f.paused(tag("another"), None).await;
    let second = Tenant::create_channel(&f.store, f.tenant.workspace, &f.tenant.channel.settings, "key").await.id;
    f.paused(PauseScope::Channel(second), None).await;
    assert_eq!((pause_of(&tagged).await, pause_of(&plain).await), (None, None));
    let channel = f.paused(PauseScope::Channel(f.tenant.channel.id), end(60)).await;
    assert_eq!((pause_of(&tagged).await, pause_of(&plain).await), (Some(channel.clone()), Some(channel.clone())));
    let orders = f.paused(tag("orders"), end(120)).await;
    f.paused(tag("promo"), end(90)).await;
    assert_eq!((pause_of(&tagged).await, pause_of(&plain).await), (Some(orders), Some(channel.clone())));
    let open_ended = f.paused(tag("promo"), None).await;
    assert_eq!(pause_of(&tagged).await, Some(open_ended.clone()));
    f.store.end_pause(f.tenant.workspace, open_ended.id, &ACT).await.expect("asked").expect("there");
    f.database.execute(LET_TIME_COME).await;
    assert_eq!((pause_of(&tagged).await, pause_of(&plain).await), (None, None));
}

#[tokio::test]
async fn a_claim_tells_until_when_pauses_of_tags_hold_a_message() {
    let f = Fixture::new().await;
    let tagged = |names: &[&str]| NewMessage {
        tags: names.iter().map(|name| Tag::new(name).expect("a tag")).collect(),
        ..f.message()
    };
    let messages =
        [tagged(&["promo"]), tagged(&["orders", "promo"]), tagged(&["open"]), tagged(&["other"]), f.message()];
    f.store.accept(&messages).await.expect("accepted");
    let short = f.paused(tag("promo"), Some(later(f.store.now(), 60))).await.until;
    let long = f.paused(tag("orders"), Some(later(f.store.now(), 600))).await.until;
    f.paused(tag("open"), Some(later(f.store.now(), 60))).await;
    f.paused(tag("open"), None).await;
    let over = f.paused(tag("other"), None).await;
    f.store.end_pause(f.tenant.workspace, over.id, &ACT).await.expect("ended");
    let expected = [short, long, Some(messages[2].expires_at), None, None];
    let replica = crate::fixtures::replica();
    let lease = f.lease(replica).await;
    let claimed = f.claim(&lease, replica).await;
    for (message, expected) in messages.iter().zip(expected) {
        let found = claimed.iter().find(|claimed| claimed.id == message.id).expect("claimed");
        assert_eq!(found.paused_until, expected, "{:?}", message.tags);
    }
}

#[tokio::test]
async fn nothing_is_claimed_of_a_channel_from_the_commit_of_its_pause_to_its_end() {
    let f = Fixture::new().await;
    let replica = crate::fixtures::replica();
    let lease = f.lease(replica).await;
    for scope in [PauseScope::Workspace, PauseScope::Channel(f.tenant.channel.id)] {
        f.store.accept(&[f.message()]).await.expect("accepted");
        let pause = f.paused(scope, None).await;
        assert_eq!(f.claim(&lease, replica).await, []);
        f.store.end_pause(f.tenant.workspace, pause.id, &ACT).await.expect("ended");
        assert_eq!(f.claim(&lease, replica).await.len(), 1);
    }
    f.store.accept(&[f.message()]).await.expect("accepted");
    let settings = &f.tenant.channel.settings;
    let other = Tenant::create_channel(&f.store, f.tenant.workspace, settings, "another-key").await;
    f.paused(PauseScope::Channel(other.id), None).await;
    assert_eq!(f.claim(&lease, replica).await.len(), 1, "another channel's");
}

#[tokio::test]
async fn what_a_pause_holds_is_planned_anew_and_what_an_operator_holds_is_not() {
    let f = Fixture::new().await;
    let lease = f.lease(crate::fixtures::replica()).await;
    let end = later(f.store.now(), 600);
    let waiting = |due_reason| NewMessage {
        due_at: end,
        due_reason,
        tags: vec![Tag::new("promo").expect("a tag")],
        ..f.message()
    };
    let (paused, held) = (waiting(DueReason::Paused), waiting(DueReason::Held));
    f.store.accept(&[paused.clone(), held.clone()]).await.expect("accepted");
    let page = f.store.held(&lease, paused.lane, store::holds::LANE_START, 10).await.expect("looked");
    let [found] = &page.held[..] else { panic!("{page:?}") };
    assert_eq!((found.id, found.reason, &found.tags[..]), (paused.id, DueReason::Paused, &["promo".to_owned()][..]));
    let plan = |message: &NewMessage| store::holds::NewPlan {
        message: message.id,
        claim: 0,
        expires_at: message.expires_at,
        due_at: later(end, -500),
        reason: DueReason::Requested,
    };
    assert_eq!(f.store.plan_anew(&lease, &[plan(&paused), plan(&held)]).await.expect("planned"), 1);
    assert_eq!(f.database.number("SELECT count(*) FROM outbox WHERE due_reason = 'held'").await, 1);
}

#[tokio::test]
async fn pauses_that_were_over_before_an_instant_are_forgotten_so_many_at_a_time() {
    let f = Fixture::new().await;
    let now = f.store.now();
    f.paused(PauseScope::Workspace, None).await;
    let ends = [
        ("now() - interval '401 days'", "NULL"),
        ("NULL", "now() - interval '401 days'"),
        ("now() - interval '399 days'", "now() - interval '402 days'"),
        ("NULL", "now() - interval '399 days'"),
        ("NULL", "now() + interval '1 day'"),
    ];
    for (ended_at, until) in ends {
        let pause = f.paused(PauseScope::Workspace, None).await;
        let end = format!("UPDATE pauses SET ended_at = {ended_at}, until = {until} WHERE pause_id = '{}'", pause.id);
        f.database.execute(&end).await;
    }
    let before = later(now, -400 * 86_400);
    for forgotten in [1, 1, 0] {
        assert_eq!(f.store.forget_pauses(before, 1).await.expect("forgotten"), forgotten);
    }
    assert_eq!((f.rows("pauses").await, f.open().await.len()), (4, 2));
}
