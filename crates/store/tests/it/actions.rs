//! Acts by selector: what they count, what they change, and that each page is done once.

use std::time::Duration;

use domain::action::ActionKind;
use domain::id::{ActionId, ContactId};
use domain::lifecycle::Status;
use domain::message::{Lane, Tag};
use domain::schedule::DueReason;
use store::accept::NewMessage;
use store::action::{Action, Selector};
use uuid::Uuid;

use crate::fixtures::{Fixture, later, replica};
use crate::steering::{ACT, place};

fn tag(word: &str) -> Tag {
    Tag::new(word).expect("a tag")
}

fn of_tag(word: &str) -> Selector {
    Selector { tags: vec![tag(word)], ..Selector::default() }
}

impl Fixture {
    async fn put_tagged(&self, word: &str, count: usize) -> Vec<NewMessage> {
        let messages: Vec<NewMessage> =
            (0..count).map(|_| NewMessage { tags: vec![tag(word)], ..self.message() }).collect();
        self.store.accept(&messages).await.expect("accepted");
        messages
    }

    /// Counts an action, and keeps it.
    async fn counted(&self, kind: ActionKind, selector: Selector) -> Action {
        let counted = self.store.count_action(&self.tenant.channel, kind, &selector, 3).await.expect("counted");
        let counted = counted.expect("few");
        let now = self.store.now();
        let action = Action {
            id: ActionId(Uuid::new_v4()),
            workspace: self.tenant.workspace,
            channel: self.tenant.channel.id,
            kind,
            selector,
            below: counted.below,
            counted: counted.count,
            actor: ACT.actor.to_owned(),
            created_at: now,
            expires_at: later(now, 900),
            confirmed_at: None,
            reached: counted.above,
            acted: 0,
            passed: 0,
            finished_at: None,
        };
        assert!(self.store.create_action(&action).await.expect("kept"));
        assert_eq!(self.kept(&action).await, action);
        action
    }

    async fn kept(&self, action: &Action) -> Action {
        self.store.action(action.workspace, action.id).await.expect("read").expect("it is there")
    }

    /// Counts, confirms and does an action.
    pub(crate) async fn act(&self, kind: ActionKind, selector: Selector) -> Action {
        let action = self.counted(kind, selector).await;
        assert!(self.store.confirm_action(&action, ACT.actor).await.expect("confirmed"));
        self.work_off(&action).await
    }

    async fn work_off(&self, action: &Action) -> Action {
        let mut action = self.kept(action).await;
        for _ in 0..100 {
            match self.store.work_on_action(&action).await.expect("worked") {
                Some(progress) => action = progress.action,
                None => return action,
            }
        }
        panic!("it does not come to its end: {action:?}");
    }
}

fn sums(action: &Action) -> (i64, i64, i64) {
    assert!(action.finished_at.is_some(), "{action:?}");
    (action.counted, action.acted, action.passed)
}

#[tokio::test]
async fn what_a_selector_names_is_held_released_cancelled_and_sent_again() {
    let f = Fixture::new().await;
    // More than one page, with others between.
    for _ in 0..13 {
        f.put_tagged("spring", 50).await;
        f.put_tagged("autumn", 50).await;
    }
    assert_eq!(sums(&f.act(ActionKind::Hold, of_tag("spring")).await), (650, 650, 0));
    assert_eq!(f.rows("outbox WHERE due_reason = 'held' AND due_at = expires_at").await, 650);
    assert_eq!(f.rows("message_events WHERE event = 'held' AND waited_for = 'requested'").await, 650);
    let action = f.counted(ActionKind::Release, of_tag("spring")).await;
    f.store.confirm_action(&action, ACT.actor).await.expect("confirmed");
    let mut due = Vec::new();
    let mut action = f.kept(&action).await;
    while let Some(progress) = f.store.work_on_action(&action).await.expect("worked") {
        due.extend(progress.due);
        action = progress.action;
    }
    assert_eq!(sums(&action), (650, 650, 0));
    assert!(!due.is_empty() && due.iter().all(|(lane, at)| *lane == Lane::Normal && *at <= f.store.now()), "{due:?}");
    assert_eq!(f.rows("outbox WHERE due_reason = 'requested'").await, 1300);
    assert_eq!(sums(&f.act(ActionKind::Cancel, of_tag("spring")).await), (650, 650, 0));
    assert_eq!((f.rows("outbox").await, f.rows("messages WHERE status = 'deleted'").await), (650, 650));
    assert_eq!(sums(&f.act(ActionKind::Replay, of_tag("spring")).await), (650, 650, 0));
    assert_eq!(
        f.rows("messages m JOIN messages o ON o.message_id = m.replay_of WHERE o.replayed_as = m.message_id").await,
        650
    );
    assert_eq!(f.rows("outbox").await, 1300);
    assert_eq!(f.rows("messages WHERE 'autumn' = ANY (tags) AND status <> 'waiting'").await, 0);
    for kind in ActionKind::ALL.map(ActionKind::as_str) {
        let first = format!("audit WHERE act = 'messages.{kind}' AND detail::json->>'count' = '650'");
        let last = format!("audit WHERE act = 'messages.{kind}.end' AND detail::json->>'acted' = '650'");
        assert_eq!((f.rows(&first).await, f.rows(&last).await), (1, 1), "{kind}");
    }
}

#[tokio::test]
async fn every_criterion_narrows_what_is_counted_and_what_is_done() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let at = later(now, 600);
    let other = domain::phone::PhoneNumber::parse("+254733445566").expect("a number");
    let other = (ContactId::of_number(f.tenant.workspace, other.e164()), other);
    let own = f.message().recipient.expect("a recipient").0;
    let early =
        NewMessage { id: store::message::first_id_at(later(now, -60)), created_at: later(now, -60), ..f.message() };
    let messages = [
        NewMessage { tags: vec![tag("a"), tag("b")], ..f.message() },
        NewMessage { tags: vec![tag("a")], scheduled_for: Some(at), due_at: at, ..f.message() },
        NewMessage { use_case: Some("Promotional".to_owned()), ..f.message() },
        NewMessage { recipient: Some(other.clone()), ..f.message() },
        early,
    ];
    f.store.accept(&messages).await.expect("accepted");
    let all = Selector::default;
    for (selector, count) in [
        (Selector { tags: vec![tag("a"), tag("b")], ..all() }, 1),
        (of_tag("a"), 2),
        (Selector { statuses: vec![Status::Scheduled], ..all() }, 1),
        (Selector { statuses: vec![Status::Accepted], ..all() }, 4),
        (Selector { statuses: vec![Status::Scheduled, Status::Accepted], ..all() }, 5),
        (Selector { statuses: vec![Status::Processing], ..all() }, 0),
        (Selector { statuses: vec![Status::Sent], ..all() }, 0),
        (Selector { contact: Some(other.0), ..all() }, 1),
        (Selector { contact: Some(own), ..all() }, 4),
        (Selector { use_case: Some("marketing".to_owned()), ..all() }, 1),
        (Selector { use_case: Some("TRANSACTIONAL".to_owned()), ..all() }, 4),
        (Selector { start_at: Some(later(now, -30)), ..all() }, 4),
        (Selector { end_at: Some(later(now, -30)), ..all() }, 1),
        (Selector { tags: vec![tag("a")], statuses: vec![Status::Scheduled], contact: Some(own), ..all() }, 1),
    ] {
        for kind in [ActionKind::Hold, ActionKind::Release, ActionKind::Cancel, ActionKind::Replay] {
            let mut selector = selector.clone();
            if kind == ActionKind::Replay && !selector.statuses.is_empty() {
                selector.statuses = vec![Status::Deleted];
            }
            let done = f.act(kind, selector.clone()).await;
            assert_eq!(sums(&done), (count, count, 0), "{kind:?} {selector:?}");
        }
        // Each was replaced by a new one, which is put in the place of the old one.
        f.database
            .execute(
                "DELETE FROM messages m USING messages o WHERE o.message_id = m.replay_of;
                DELETE FROM outbox o WHERE NOT EXISTS (SELECT FROM messages m WHERE m.message_id = o.message_id);
                DELETE FROM message_events;
                INSERT INTO outbox (workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at)
                SELECT workspace_id, message_id, channel_id, 1, created_at, 'requested', expires_at FROM messages WHERE status <> 'waiting';
                UPDATE messages SET status = 'waiting', replayed_as = NULL WHERE status <> 'waiting'",
            )
            .await;
        assert_eq!(f.rows("outbox").await, 5);
    }
}

#[tokio::test]
async fn what_is_being_sent_or_was_done_meanwhile_is_passed() {
    let f = Fixture::new().await;
    let messages = f.put_tagged("spring", 6).await;
    let action = f.counted(ActionKind::Cancel, of_tag("spring")).await;
    assert_eq!(action.counted, 6);
    let replica = replica();
    let lease = f.lease(replica).await;
    assert_eq!(crate::fixtures::claim(&f.store, &lease, replica, 2).await.len(), 2);
    f.store.cancel(place(&f, messages[5].id), &ACT).await.expect("cancelled");
    f.store.confirm_action(&action, ACT.actor).await.expect("confirmed");
    assert_eq!(sums(&f.work_off(&action).await), (6, 3, 2));
    assert_eq!(f.rows("outbox").await, 2);
}

#[tokio::test]
async fn what_is_accepted_after_the_count_is_not_concerned() {
    let f = Fixture::new().await;
    f.put_tagged("spring", 3).await;
    let action = f.counted(ActionKind::Hold, of_tag("spring")).await;
    let later_on = NewMessage {
        id: store::message::first_id_at(later(f.store.now(), 1)),
        tags: vec![tag("spring")],
        ..f.message()
    };
    f.accept_one(&later_on).await;
    f.store.confirm_action(&action, ACT.actor).await.expect("confirmed");
    assert_eq!(sums(&f.work_off(&action).await), (3, 3, 0));
    assert_eq!(f.rows("outbox WHERE due_reason = 'requested'").await, 1);
}

#[tokio::test]
async fn a_page_is_done_once_however_many_are_at_it() {
    let f = Fixture::new().await;
    for kind in [ActionKind::Hold, ActionKind::Cancel, ActionKind::Replay] {
        if kind == ActionKind::Hold {
            f.put_tagged("spring", 700).await;
        }
        let action = f.counted(kind, of_tag("spring")).await;
        f.store.confirm_action(&action, ACT.actor).await.expect("confirmed");
        let (other, third) = (f.database.another_store().await, f.database.another_store().await);
        let mut action = f.kept(&action).await;
        let mut pages = 0;
        while action.finished_at.is_none() {
            let (one, two, three) = tokio::join!(
                f.store.work_on_action(&action),
                other.work_on_action(&action),
                third.work_on_action(&action)
            );
            let done = [one, two, three].into_iter().filter(|done| matches!(done, Ok(Some(_)))).count();
            assert_eq!(done, 1, "{kind:?}");
            action = f.kept(&action).await;
            pages += 1;
        }
        assert_eq!((sums(&action), pages), ((700, 700, 0), 2), "{kind:?}");
        assert_eq!(f.store.work_on_action(&action).await.expect("asked"), None);
    }
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (1400, 700));
    assert_eq!(f.rows("message_events").await, 2100);
}

#[tokio::test]
async fn an_action_is_confirmed_once_and_in_time() {
    let f = Fixture::new().await;
    f.put_tagged("spring", 1).await;
    let action = f.counted(ActionKind::Hold, of_tag("spring")).await;
    assert_eq!(f.store.work_on_action(&action).await.expect("asked"), None, "nobody confirmed it");
    assert!(f.store.confirm_action(&action, "key one").await.expect("asked"));
    assert!(!f.store.confirm_action(&action, "key two").await.expect("asked"));
    assert_eq!(f.rows("audit WHERE act = 'messages.hold' AND actor = 'key one'").await, 1);
    assert_eq!(f.rows("audit WHERE actor = 'key two'").await, 0);
    f.work_off(&action).await;
    assert_eq!(f.rows("message_events WHERE event = 'held' AND actor = 'key one'").await, 1);
    f.database.execute("UPDATE outbox SET due_reason = 'requested'").await;
    let lapsed = f.counted(ActionKind::Hold, of_tag("spring")).await;
    f.database.execute("UPDATE actions SET expires_at = clock_timestamp() WHERE confirmed_at IS NULL").await;
    assert!(!f.store.confirm_action(&lapsed, ACT.actor).await.expect("asked"));
    assert_eq!(f.rows("outbox WHERE due_reason = 'held'").await, 0);
}

#[tokio::test]
async fn actions_that_nobody_works_at_are_found_and_old_ones_are_forgotten() {
    let f = Fixture::new().await;
    let (left, unconfirmed) =
        (f.counted(ActionKind::Hold, of_tag("a")).await, f.counted(ActionKind::Hold, of_tag("b")).await);
    let done = f.act(ActionKind::Hold, of_tag("c")).await;
    f.store.confirm_action(&left, ACT.actor).await.expect("confirmed");
    let now = f.store.now();
    let open = async |seconds| -> Vec<ActionId> {
        let found = f.store.open_actions(later(now, seconds), 10).await.expect("read");
        found.iter().map(|action| action.id).collect()
    };
    assert_eq!((open(-60).await, open(60).await), (vec![], vec![left.id]));
    // One that a newer version wrote keeps nobody.
    f.database.execute(&format!(
        "INSERT INTO actions (workspace_id, action_id, channel_id, action, selector, below, counted, actor, created_at, expires_at,
            confirmed_at, worked_at)
        SELECT workspace_id, gen_random_uuid(), channel_id, 'paint', selector, below, counted, actor, created_at, expires_at,
            confirmed_at, worked_at - interval '1 second' FROM actions WHERE action_id = '{}'", left.id)).await;
    assert_eq!(open(60).await, vec![left.id]);
    f.database.execute("DELETE FROM actions WHERE action = 'paint'").await;
    for (days, forgotten) in [(1, 0), (2, 1), (31, 1), (400, 0)] {
        let at = later(now, days * 24 * 3600 + 60);
        assert_eq!(f.store.forget_actions(at).await.expect("forgotten"), forgotten, "{days} days");
    }
    for (action, is_there) in [(&left, true), (&unconfirmed, false), (&done, false)] {
        assert_eq!(f.store.action(action.workspace, action.id).await.expect("read").is_some(), is_there);
    }
}

#[tokio::test]
async fn an_action_holds_up_neither_accepting_nor_claiming() {
    let f = Fixture::new().await;
    f.put_tagged("spring", 400).await;
    let action = f.counted(ActionKind::Hold, of_tag("spring")).await;
    f.store.confirm_action(&action, ACT.actor).await.expect("confirmed");
    let action = f.kept(&action).await;
    // Somebody is at the rows: they are passed, not waited for.
    let mut client = crate::fixtures::connect(&f.database.url).await;
    let transaction = client.transaction().await.expect("begun");
    transaction
        .execute("SELECT message_id FROM outbox ORDER BY message_id LIMIT 100 FOR UPDATE", &[])
        .await
        .expect("locked");
    let worked = tokio::time::timeout(Duration::from_secs(4), f.store.work_on_action(&action)).await;
    let progress = worked.expect("it waits for nobody").expect("worked").expect("its place");
    transaction.rollback().await.expect("rolled back");
    assert_eq!(sums(&progress.action), (400, 300, 100));
    let waiting = f.rows(&format!("outbox WHERE due_reason = '{}'", DueReason::Requested.as_str())).await;
    assert_eq!(waiting, 100);
}
