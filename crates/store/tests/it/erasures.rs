//! Erasing a recipient leaves nothing of number and content in any row of the database.

use domain::decision::Step;
use domain::failure::FailureCode;
use domain::id::ContactId;
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::outcome::Outcome;
use store::accept::NewMessage;
use store::audit::Act;
use store::erasure::Erased;
use store::settle::Settlement;

use crate::fixtures::{Fixture, connect, later, replica, result, sent};

const ACT: Act<'_> = Act { actor: "admin-token", name: "erasure.request" };
/// What the fixtures' messages hold of their recipient.
const TRACES: [&str; 4] = ["254712345678", "Habari", "order-1", "wamid."];

fn contact(message: &NewMessage) -> ContactId {
    message.recipient.as_ref().expect("a recipient").0
}

/// Requests and erases in batches of a size until the pass ends; answers the sums.
async fn erase(f: &Fixture, contact: ContactId, limit: i64) -> Erased {
    let now = later(f.store.now(), 1);
    assert!(f.store.request_erasure(f.tenant.workspace, contact, now, &ACT).await.expect("requested"));
    pass(f, contact, limit).await
}

async fn pass(f: &Fixture, contact: ContactId, limit: i64) -> Erased {
    let mut sum = Erased::default();
    while !sum.is_end {
        let step = f.store.erase(f.tenant.workspace, contact, f.store.now(), limit).await.expect("erased");
        assert!(step.erased <= limit, "{step:?}");
        sum = Erased { erased: sum.erased + step.erased, cancelled: sum.cancelled + step.cancelled, ..step };
    }
    sum
}

/// Rows of all tables that hold a text anywhere.
async fn traces(f: &Fixture, text: &str) -> Vec<String> {
    let client = connect(&f.database.url).await;
    let sql = "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
    let mut found = Vec::new();
    for row in client.query(sql, &[]).await.expect("tables") {
        let table: String = row.get(0);
        let rows = format!("SELECT t::text FROM {table} t WHERE t::text LIKE '%' || $1 || '%'");
        let rows = client.query(&rows, &[&text]).await.expect("rows");
        found.extend(rows.iter().map(|row| format!("{table}: {}", row.get::<_, String>(0))));
    }
    found
}

async fn assert_no_traces(f: &Fixture) {
    for text in TRACES {
        assert_eq!(traces(f, text).await, Vec::<String>::new(), "{text}");
    }
}

#[tokio::test]
async fn nothing_of_number_and_content_is_left_in_any_table() {
    let f = Fixture::new().await;
    let replica = replica();
    let lease = f.lease(replica).await;
    let sent_one = f.queue(Lane::Normal).await;
    let claimed = f.claim_one(&lease, replica).await;
    f.settle(replica, &[result(&claimed, Step::Sent, sent("wamid.HBgMMjU0NzEyMzQ1Njc4"))]).await;
    f.queue(Lane::Normal).await;
    let claimed = f.claim_one(&lease, replica).await;
    let failure = domain::failure::Failure {
        code: FailureCode::RecipientUnreachable,
        source: domain::failure::FailureSource::Lipachat,
        source_code: "to +254712345678".to_owned(),
        reason: "+254712345678 is not on WhatsApp".to_owned(),
    };
    let refused = result(&claimed, Step::Failed(failure), Outcome::Refused(FailureCode::RecipientUnreachable));
    let mut refused: Settlement = refused;
    if let Some(attempt) = &mut refused.attempt {
        attempt.report.detail = r#"{"to":"254712345678"}"#.to_owned();
    }
    f.settle(replica, &[refused]).await;
    let waiting = f.queue(Lane::Normal).await;
    for text in TRACES {
        assert!(!traces(&f, text).await.is_empty(), "{text} is nowhere to begin with");
    }
    let done = erase(&f, contact(&sent_one), 2).await;
    assert_eq!(done, Erased { erased: 3, cancelled: 1, under_way: 0, is_end: true });
    assert_no_traces(&f).await;
    let status = async |id| f.store.message(f.tenant.workspace, id).await.expect("read").expect("there").status;
    assert_eq!((status(sent_one.id).await, status(waiting.id).await), (Status::Sent, Status::Deleted));
    assert_eq!(f.rows("outbox").await, 0);
    let noted =
        format!("SELECT count(*) FROM audit WHERE act = 'erasure.request' AND subject = '{}'", contact(&sent_one));
    assert_eq!(f.database.number(&noted).await, 1);
}

#[tokio::test]
async fn another_contact_and_another_workspace_keep_everything() {
    let f = Fixture::new().await;
    let theirs = testkit::Tenant::create(&f.store, "another-key").await;
    let foreign = crate::fixtures::message_of(&theirs, f.store.now());
    f.accept_one(&foreign).await;
    let number = domain::phone::PhoneNumber::parse("+254712345679").expect("a number");
    let other = ContactId::of_number(f.tenant.workspace, number.e164());
    let kept = NewMessage { recipient: Some((other, number)), ..f.message() };
    f.accept_one(&kept).await;
    let message = f.queue(Lane::Normal).await;
    assert_eq!(erase(&f, contact(&message), 10).await.erased, 1);
    assert_eq!(f.rows("messages WHERE recipient IS NOT NULL AND body <> 'null' AND status = 'waiting'").await, 2);
    assert_eq!((f.rows("contacts").await, f.rows("outbox").await), (2, 2));
}

#[tokio::test]
async fn a_message_being_sent_is_erased_after_its_end() {
    let f = Fixture::new().await;
    let replica = replica();
    let lease = f.lease(replica).await;
    let message = f.queue(Lane::Normal).await;
    let claimed = f.claim_one(&lease, replica).await;
    let (workspace, contact) = (f.tenant.workspace, contact(&message));
    let done = erase(&f, contact, 10).await;
    assert_eq!(done, Erased { erased: 0, cancelled: 0, under_way: 1, is_end: true });
    assert_eq!(f.store.open_erasures(10).await.expect("read"), [(workspace, contact)]);
    assert_eq!(f.store.close_erasures().await.expect("none"), 0);
    f.settle(replica, &[result(&claimed, Step::Sent, sent("wamid.1"))]).await;
    assert_eq!(pass(&f, contact, 10).await.erased, 1);
    assert_no_traces(&f).await;
}

#[tokio::test]
async fn what_has_begun_and_waits_is_ended_as_far_as_is_known_of_it() {
    let f = Fixture::new().await;
    let mut messages = Vec::new();
    for begun in ["tries = 2", "part = 1", "part = 1, tries = 1, maybe_sent = true"] {
        let message = f.queue(Lane::Normal).await;
        f.database
            .execute(&format!(
                "UPDATE outbox SET claim = 2, due_reason = 'held', due_at = expires_at, {begun} WHERE message_id = '{}'",
                message.id
            ))
            .await;
        messages.push(message);
    }
    let done = erase(&f, contact(&messages[0]), 2).await;
    assert_eq!(done, Erased { erased: 3, cancelled: 3, under_way: 0, is_end: true });
    assert_eq!(f.rows("outbox").await, 0);
    assert_no_traces(&f).await;
    for (message, status, failure) in [
        (&messages[0], Status::Deleted, None),
        (&messages[1], Status::SendingFailed, Some(FailureCode::ValidityExpired)),
        (&messages[2], Status::SendingFailed, Some(FailureCode::OutcomeUnknown)),
    ] {
        let stored = f.store.message(f.tenant.workspace, message.id).await.expect("read").expect("there");
        let code = stored.failure.map(|(code, source, rule)| {
            assert_eq!((source.as_str(), rule.as_str()), ("tuma", "erased"));
            code
        });
        assert_eq!((stored.status, code), (status, failure));
    }
}

#[tokio::test]
async fn nothing_is_left_of_what_was_held_sent_again_and_selected() {
    let f = Fixture::new().await;
    let messages = [f.queue(Lane::Normal).await, f.queue(Lane::Normal).await];
    let contact = contact(&messages[0]);
    let of = |message: &NewMessage| crate::steering::place(&f, message.id);
    f.store.hold(of(&messages[0]), &ACT).await.expect("held");
    f.store.cancel(of(&messages[1]), &ACT).await.expect("cancelled");
    f.store.replay(&f.tenant.channel, None, messages[1].id, &ACT).await.expect("sent again");
    let selector = store::action::Selector { contact: Some(contact), ..store::action::Selector::default() };
    let done = f.act(domain::action::ActionKind::Hold, selector).await;
    assert_eq!((done.counted, done.acted), (1, 1));
    assert!(!traces(&f, TRACES[0]).await.is_empty());
    let Erased { erased, cancelled, .. } = erase(&f, contact, 10).await;
    assert_eq!((erased, cancelled), (3, 2));
    assert_no_traces(&f).await;
}

#[tokio::test]
async fn a_replay_that_was_made_while_the_request_came_is_erased_like_the_message_it_repeats() {
    let f = Fixture::new().await;
    let message = NewMessage { id: store::message::new_id_at(f.store.now()), ..f.message() };
    f.accept_one(&message).await;
    f.store.cancel(crate::steering::place(&f, message.id), &ACT).await.expect("cancelled");
    let before = f.store.now();
    // Ids tell milliseconds.
    f.database.execute("SELECT pg_sleep(0.002)").await;
    f.store.replay(&f.tenant.channel, None, message.id, &ACT).await.expect("sent again");
    let (workspace, contact) = (f.tenant.workspace, contact(&message));
    f.store.request_erasure(workspace, contact, before, &ACT).await.expect("requested");
    assert_eq!(pass(&f, contact, 1).await.erased, 2);
    // The contact was met again.
    f.database.execute("DELETE FROM contacts").await;
    assert_no_traces(&f).await;
}

#[tokio::test]
async fn an_erasure_is_open_until_a_pass_that_began_well_after_it() {
    let f = Fixture::new().await;
    let message = f.queue(Lane::Normal).await;
    let (workspace, contact) = (f.tenant.workspace, contact(&message));
    let now = later(f.store.now(), 1);
    f.store.request_erasure(workspace, contact, now, &ACT).await.expect("requested");
    f.store.erase(workspace, contact, now, 10).await.expect("erased");
    assert_eq!(f.store.close_erasures().await.expect("none"), 0);
    // Accepted before the request and stored after the first pass.
    f.accept_one(&NewMessage { created_at: message.created_at, ..f.message() }).await;
    let step = f.store.erase(workspace, contact, later(now, 61), 10).await.expect("erased");
    assert_eq!(step.erased, 1);
    assert_eq!(f.store.close_erasures().await.expect("closed"), 1);
    assert_eq!(f.store.open_erasures(10).await.expect("read"), []);
    assert_no_traces(&f).await;
    let nothing = f.store.erase(workspace, contact, now, 10).await.expect("nothing");
    assert_eq!(nothing, Erased { is_end: true, ..Erased::default() });
}

#[tokio::test]
async fn a_later_message_makes_the_contact_anew_and_stays() {
    let f = Fixture::new().await;
    let message = f.queue(Lane::Normal).await;
    let (workspace, contact) = (f.tenant.workspace, contact(&message));
    let before = f.store.now();
    f.store.request_erasure(workspace, contact, before, &ACT).await.expect("requested");
    assert_eq!(f.store.contact_numbers(workspace, &[contact]).await.expect("read"), []);
    // Ids tell milliseconds.
    let id = domain::id::MessageId(store::message::first_id_at(later(before, 1)).0);
    f.accept_one(&NewMessage { id, created_at: later(before, 1), ..f.message() }).await;
    for at in [1, 100] {
        f.store.erase(workspace, contact, later(before, at), 10).await.expect("erased");
        f.store.close_erasures().await.expect("closed");
    }
    assert_eq!(f.rows("erasures").await, 0);
    assert_eq!(f.store.contact_numbers(workspace, &[contact]).await.expect("read").len(), 1);
    assert_eq!(f.rows("messages WHERE recipient IS NOT NULL AND status = 'waiting'").await, 1);
}

#[tokio::test]
async fn a_repeated_request_begins_again() {
    let f = Fixture::new().await;
    let message = f.queue(Lane::Normal).await;
    assert_eq!(erase(&f, contact(&message), 10).await.erased, 1);
    assert_eq!(erase(&f, contact(&message), 10).await.erased, 0);
    f.database.execute("SELECT pg_sleep(0.002)").await;
    f.queue(Lane::Normal).await;
    assert_eq!(erase(&f, contact(&message), 10).await, Erased { erased: 1, cancelled: 1, under_way: 0, is_end: true });
    let nobody = domain::id::WorkspaceId(uuid::Uuid::new_v4());
    assert!(!f.store.request_erasure(nobody, contact(&message), f.store.now(), &ACT).await.expect("read"));
}

#[tokio::test]
async fn an_erasure_that_cannot_end_yet_hides_no_other() {
    let f = Fixture::new().await;
    for second in 0..3_i64 {
        let contact = ContactId(uuid::Uuid::new_v4());
        f.store
            .request_erasure(f.tenant.workspace, contact, later(f.store.now(), second), &ACT)
            .await
            .expect("requested");
    }
    let first = f.store.open_erasures(1).await.expect("read")[0];
    f.store.erase(first.0, first.1, later(f.store.now(), 60), 10).await.expect("looked");
    assert_ne!(f.store.open_erasures(1).await.expect("read")[0], first);
}
