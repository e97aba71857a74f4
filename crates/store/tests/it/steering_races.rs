//! Acts and claims at the same time: whoever is first has the message, and the other does not.

use std::collections::HashSet;

use domain::action::ActionKind;
use domain::id::{MessageId, ReplicaId};
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::schedule::DueReason;
use store::action::Selector;
use store::lease::Lease;
use store::steer::{NewTime, Steered};

use crate::fixtures::{Fixture, claim, later, replica};
use crate::steering::{ACT, place};

/// Messages of one round, and rounds.
const MESSAGES: usize = 40;
const ROUNDS: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_is_claimed_or_cancelled_and_never_both() {
    let f = Fixture::new().await;
    let replica = replica();
    let lease = f.lease(replica).await;
    let (other, mut sums) = (f.database.another_store().await, (0, 0));
    for round in 0..ROUNDS {
        let mut ids = Vec::new();
        for _ in 0..MESSAGES {
            ids.push(f.queue(Lane::Normal).await.id);
        }
        // From both ends, so that they meet.
        let cancelling = async {
            let mut cancelled: HashSet<MessageId> = HashSet::new();
            for id in ids.iter().rev() {
                match other.cancel(place(&f, *id), &ACT).await.expect("asked") {
                    Steered::Done(_) => drop(cancelled.insert(*id)),
                    Steered::TooLate => {}
                    Steered::NotFound => panic!("{id} is not there"),
                }
            }
            cancelled
        };
        let (claimed, cancelled) = tokio::join!(claim_all(&f, &lease, replica), cancelling);
        assert!(claimed.is_disjoint(&cancelled), "round {round}");
        assert_eq!(claimed.len() + cancelled.len(), MESSAGES, "round {round}");
        assert_eq!(count(&f, "outbox WHERE claimed_until IS NOT NULL").await, claimed.len());
        sums = (sums.0 + claimed.len(), sums.1 + cancelled.len());
        assert_eq!(count(&f, "messages WHERE status = 'deleted'").await, sums.1);
        f.database.execute("DELETE FROM outbox").await;
    }
    assert!(sums.0 > 0 && sums.1 > 0, "they met: {sums:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_that_cancel_together_does_it_and_the_others_find_it_done() {
    let f = Fixture::new().await;
    for _ in 0..ROUNDS {
        let place = place(&f, f.queue(Lane::Normal).await.id);
        let (one, two, three) =
            tokio::join!(f.store.cancel(place, &ACT), f.store.cancel(place, &ACT), f.store.cancel(place, &ACT));
        for steered in [one, two, three] {
            assert_eq!(steered.expect("asked"), Steered::Done(None));
        }
    }
    let rounds = i64::try_from(ROUNDS).expect("small");
    assert_eq!((f.rows("message_events").await, f.rows("audit WHERE act = 'message.act'").await), (rounds, rounds));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_is_claimed_or_gets_another_time_and_never_both() {
    let f = Fixture::new().await;
    let replica = replica();
    let lease = f.lease(replica).await;
    let (other, mut sums) = (f.database.another_store().await, (0, 0));
    for round in 0..ROUNDS {
        let mut ids = Vec::new();
        for _ in 0..MESSAGES {
            ids.push(f.queue(Lane::Normal).await.id);
        }
        let moving = async {
            let mut moved: HashSet<MessageId> = HashSet::new();
            for id in ids.iter().rev() {
                let place = place(&f, *id);
                let Ok(seen) = other.unsent(place).await.expect("read") else { continue };
                let at = later(other.now(), 900);
                let (expires_at, reason) = (later(at, 3600), DueReason::Requested);
                let time = NewTime { scheduled_for: at, expires_at, due_at: at, reason };
                if other.reschedule(place, &seen, &time, &ACT, "").await.expect("asked") {
                    moved.insert(*id);
                }
            }
            moved
        };
        let (claimed, moved) = tokio::join!(claim_all(&f, &lease, replica), moving);
        assert!(claimed.is_disjoint(&moved), "round {round}");
        assert_eq!(claimed.len() + moved.len(), MESSAGES, "round {round}");
        assert_eq!(count(&f, "messages WHERE scheduled_for IS NOT NULL").await, moved.len(), "round {round}");
        sums = (sums.0 + claimed.len(), sums.1 + moved.len());
        f.database.execute("DELETE FROM outbox; DELETE FROM messages").await;
    }
    assert!(sums.0 > 0 && sums.1 > 0, "they met: {sums:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_selector_cancels_while_it_is_claimed_is_one_or_the_other() {
    let f = Fixture::new().await;
    let replica = replica();
    let lease = f.lease(replica).await;
    let mut sums = (0, 0);
    for round in 0..ROUNDS {
        for _ in 0..MESSAGES {
            f.queue(Lane::Normal).await;
        }
        let selector = Selector { statuses: vec![Status::Accepted], ..Selector::default() };
        let (claimed, done) = tokio::join!(claim_all(&f, &lease, replica), f.act(ActionKind::Cancel, selector));
        let cancelled = usize::try_from(done.acted).expect("small");
        assert_eq!(claimed.len() + cancelled, MESSAGES, "round {round}: {done:?}");
        assert_eq!(count(&f, "messages WHERE status = 'deleted'").await, cancelled, "round {round}");
        assert_eq!(count(&f, "outbox WHERE claimed_until IS NOT NULL").await, claimed.len(), "round {round}");
        sums = (sums.0 + claimed.len(), sums.1 + cancelled);
        f.database.execute("DELETE FROM outbox; DELETE FROM messages").await;
    }
    assert!(sums.0 + sums.1 == ROUNDS * MESSAGES && sums.1 > 0, "{sums:?}");
}

/// Claims a few at a time until there is nothing left.
async fn claim_all(f: &Fixture, lease: &Lease, replica: ReplicaId) -> HashSet<MessageId> {
    let mut claimed = HashSet::new();
    loop {
        let found = claim(&f.store, lease, replica, 3).await;
        if found.is_empty() {
            break claimed;
        }
        claimed.extend(found.iter().map(|one| one.id));
    }
}

async fn count(f: &Fixture, rows: &str) -> usize {
    f.rows(rows).await.try_into().expect("small")
}
