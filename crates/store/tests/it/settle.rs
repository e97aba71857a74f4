//! Settling: results under their claims, each written once.

use domain::decision::Step;
use domain::failure::{Failure, FailureCode, FailureSource};
use domain::gate::{Gate, GateReason};
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::outcome::Outcome;
use domain::schedule::DueReason;
use store::message::Message;
use store::outbox::Claimed;

use crate::fixtures::{Fixture, hold, later, load, replica, result, sent};

#[tokio::test]
async fn a_sent_message_leaves_the_outbox_with_its_reference_and_its_attempt() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    assert_eq!(f.settle(replica, &[result(&claimed, Step::Sent, sent("wamid.1"))]).await, 1);
    let stored = read(&f, &claimed).await;
    assert_eq!((stored.status, stored.waiting), (Status::Sent, None));
    assert_eq!(stored.platform_references, ["wamid.1"]);
    assert!(stored.last_status_at >= stored.created_at);
    assert_eq!((f.rows("outbox").await, f.rows("attempts").await), (0, 1));
}

#[tokio::test]
async fn a_failed_message_keeps_its_code_and_the_providers_text() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    let failure = Failure {
        code: FailureCode::SessionClosed,
        source: FailureSource::Lipachat,
        source_code: "session-closed".to_owned(),
        reason: "Re-engagement message".to_owned(),
    };
    let refused = result(&claimed, Step::Failed(failure), Outcome::Refused(FailureCode::SessionClosed));
    assert_eq!(f.settle(replica, &[refused]).await, 1);
    let stored = read(&f, &claimed).await;
    assert_eq!((stored.status, stored.reason.as_str()), (Status::SendingFailed, "Re-engagement message"));
    assert_eq!(stored.failure, Some((FailureCode::SessionClosed, "lipachat".to_owned(), "session-closed".to_owned())));
    assert_eq!((f.rows("outbox").await, f.rows("attempts").await), (0, 1));
}

#[tokio::test]
async fn a_result_under_a_superseded_claim_changes_nothing() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let first = f.claim_one(&lease, replica).await;
    f.let_claims_lapse().await;
    let second = f.claim_one(&lease, replica).await;
    let before = read(&f, &first).await;
    let gone = Failure {
        code: FailureCode::InvalidMessage,
        source: FailureSource::Lipachat,
        source_code: "x".to_owned(),
        reason: "x".to_owned(),
    };
    for step in [Step::Sent, Step::NextPart, wait(&f, true), Step::Failed(gone)] {
        assert_eq!(f.settle(replica, &[result(&first, step, sent("wamid.late"))]).await, 0);
        assert_eq!(read(&f, &first).await, before);
    }
    assert_eq!(f.rows("attempts").await, 0);
    assert_eq!(f.settle(replica, &[result(&second, Step::Sent, sent("wamid.2"))]).await, 1);
    assert_eq!(read(&f, &first).await.platform_references, ["wamid.2"]);
}

#[tokio::test]
async fn a_settlement_repeated_after_a_lost_answer_changes_nothing_twice() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let first_part = result(&f.claim_one(&lease, replica).await, Step::NextPart, sent("wamid.1"));
    assert_eq!(f.settle(replica, std::slice::from_ref(&first_part)).await, 1);
    assert_eq!(f.settle(replica, std::slice::from_ref(&first_part)).await, 0);
    let second = f.claim_one(&lease, replica).await;
    assert_eq!((second.part, second.tries, second.maybe_sent), (1, 1, false));
    // Also when the next part is being sent already.
    assert_eq!(f.settle(replica, std::slice::from_ref(&first_part)).await, 0);
    assert_eq!(read(&f, &second).await.platform_references, ["wamid.1"]);
    let last_part = result(&second, Step::Sent, sent("wamid.2"));
    assert_eq!(f.settle(replica, std::slice::from_ref(&last_part)).await, 1);
    assert_eq!(f.settle(replica, &[first_part, last_part]).await, 0);
    let stored = read(&f, &second).await;
    assert_eq!((stored.status, stored.platform_references.len()), (Status::Sent, 2));
    assert_eq!(stored.platform_references, ["wamid.1", "wamid.2"]);
    assert_eq!(f.rows("attempts").await, 2);
}

#[tokio::test]
async fn a_message_that_waits_says_so_and_gets_an_uncounted_try_back() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    assert_eq!(f.settle(replica, &[result(&claimed, wait(&f, true), Outcome::Unknown)]).await, 1);
    let stored = read(&f, &claimed).await;
    let waiting = stored.waiting.expect("it waits");
    assert_eq!(
        (stored.status, waiting.reason, waiting.tries, waiting.maybe_sent),
        (Status::Processing, DueReason::BackOff, 1, true)
    );
    f.database.execute("UPDATE outbox SET due_at = clock_timestamp() - interval '1 second'").await;
    let claimed = f.claim_one(&lease, replica).await;
    assert_eq!((claimed.tries, claimed.maybe_sent), (2, true));
    assert_eq!(f.settle(replica, &[result(&claimed, wait(&f, false), Outcome::NotConnected)]).await, 1);
    assert_eq!(read(&f, &claimed).await.waiting.map(|waiting| waiting.tries), Some(1));
    assert_eq!(f.rows("attempts").await, 2);
}

#[tokio::test]
async fn results_of_one_commit_are_settled_each_under_its_own_claim() {
    let f = Fixture::new().await;
    let replica = replica();
    for _ in 0..3 {
        f.queue(Lane::Normal).await;
    }
    let lease = f.lease(replica).await;
    let claimed = f.claim(&lease, replica).await;
    let mut results = vec![
        result(&claimed[0], Step::Sent, sent("wamid.0")),
        result(&claimed[1], wait(&f, true), Outcome::TryAgain),
        result(&claimed[2], Step::Sent, sent("wamid.2")),
    ];
    results[2].claim += 1;
    results[0].attempt = None;
    assert_eq!(f.settle(replica, &results).await, 2);
    let shown = [&claimed[0], &claimed[1], &claimed[2]];
    for (claimed, status) in shown.into_iter().zip([Status::Sent, Status::Processing, Status::Processing]) {
        assert_eq!(read(&f, claimed).await.status, status);
    }
    assert_eq!((f.rows("outbox").await, f.rows("attempts").await), (2, 1));
}

async fn gate_of(f: &Fixture) -> Option<Gate> {
    load(&f.store, f.tenant.workspace, f.tenant.channel.id).await.expect("there").expect("opened").gate
}

#[tokio::test]
async fn only_the_owner_of_a_channel_moves_its_gate() {
    let f = Fixture::new().await;
    let (old, new) = (replica(), replica());
    let old_lease = f.lease(old).await;
    let now = f.store.now();
    let gate = Gate { reason: GateReason::Credentials, since: now, until: later(now, 60), closings: 1 };
    f.store.set_gate(&old_lease, Some(gate)).await.expect("written");
    let workspace = f.tenant.workspace;
    assert_eq!(gate_of(&f).await, Some(gate));
    let queued = f.queue(Lane::Normal).await;
    let shown = f.store.message(workspace, queued.id).await.expect("read").expect("stored");
    assert_eq!(shown.waiting.and_then(|waiting| waiting.gate), Some((GateReason::Credentials, gate.until)));
    f.let_leases_lapse().await;
    let new_lease = hold(&f.store, new).await.expect("a lapsed lease is free");
    f.store.set_gate(&old_lease, None).await.expect("written");
    assert_eq!(gate_of(&f).await, Some(gate));
    let longer = Gate { until: later(now, 120), closings: 2, ..gate };
    f.store.set_gate(&old_lease, Some(longer)).await.expect("written");
    assert_eq!(gate_of(&f).await, Some(gate));
    f.store.set_gate(&new_lease, Some(longer)).await.expect("written");
    assert_eq!(gate_of(&f).await, Some(longer));
    f.store.set_gate(&new_lease, None).await.expect("written");
    assert_eq!(gate_of(&f).await, None);
}

async fn read(f: &Fixture, claimed: &Claimed) -> Message {
    f.store.message(claimed.workspace, claimed.id).await.expect("read").expect("stored")
}

fn wait(f: &Fixture, counted: bool) -> Step {
    Step::Wait { due_at: later(f.store.now(), 60), reason: DueReason::BackOff, counted, maybe_sent: counted }
}
