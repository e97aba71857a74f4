//! Acts and claims at the same time: whoever is first has the message, and the other does not.

use std::collections::HashSet;

use domain::id::MessageId;
use domain::message::Lane;
use store::steer::Steered;

use crate::fixtures::{Fixture, claim, replica};
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
        let claiming = async {
            let mut claimed: HashSet<MessageId> = HashSet::new();
            loop {
                let found = claim(&f.store, &lease, replica, 3).await;
                if found.is_empty() {
                    break claimed;
                }
                claimed.extend(found.iter().map(|one| one.id));
            }
        };
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
        let (claimed, cancelled) = tokio::join!(claiming, cancelling);
        assert!(claimed.is_disjoint(&cancelled), "round {round}");
        assert_eq!(claimed.len() + cancelled.len(), MESSAGES, "round {round}");
        let left: usize = f.rows("outbox WHERE claimed_until IS NOT NULL").await.try_into().expect("small");
        assert_eq!(left, claimed.len());
        let deleted: usize = f.rows("messages WHERE status = 'deleted'").await.try_into().expect("small");
        sums = (sums.0 + claimed.len(), sums.1 + cancelled.len());
        assert_eq!(deleted, sums.1);
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
