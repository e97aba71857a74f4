//! Ends of validity: claimed apart, never while in flight; and when to look again.

use domain::message::Lane;
use jiff::Timestamp;
use store::accept::{Accepted, NewMessage};
use store::outbox::{Claimed, WakeEvent, WakeTime};

use crate::fixtures::{Fixture, LONG, later, replica};

#[tokio::test]
async fn an_expired_row_is_claimed_though_it_is_not_due() {
    let f = Fixture::new().await;
    let replica = replica();
    let ended = f.queue_at(Lane::Normal, later(f.store.now(), 3000)).await;
    let alive = f.queue_at(Lane::Normal, later(f.store.now(), 3000)).await;
    let lease = f.lease(replica).await;
    expire(&f, &ended).await;
    assert!(f.claim(&lease, replica).await.is_empty());
    let claimed = f.store.claim_expired(&lease, replica, 100, LONG).await.expect("claimed");
    assert_eq!(ids(&claimed), [ended.id]);
    assert_eq!((claimed[0].claim, claimed[0].tries, claimed[0].maybe_sent), (1, 0, false));
    assert!(f.store.claim_expired(&lease, replica, 100, LONG).await.expect("claimed").is_empty());
    assert_ne!(ended.id, alive.id);
}

#[tokio::test]
async fn a_row_in_flight_is_not_expired_until_its_claim_lapses() {
    let f = Fixture::new().await;
    let replica = replica();
    let message = f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    f.claim_one(&lease, replica).await;
    expire(&f, &message).await;
    assert!(f.store.claim_expired(&lease, replica, 100, LONG).await.expect("claimed").is_empty());
    f.let_claims_lapse().await;
    let claimed = f.store.claim_expired(&lease, replica, 100, LONG).await.expect("claimed");
    assert_eq!(ids(&claimed), [message.id]);
    assert_eq!((claimed[0].claim, claimed[0].tries, claimed[0].maybe_sent), (2, 1, true));
}

#[tokio::test]
async fn a_superseded_owner_expires_nothing() {
    let f = Fixture::new().await;
    let (old, new) = (replica(), replica());
    let message = f.queue(Lane::Normal).await;
    let old_lease = f.lease(old).await;
    expire(&f, &message).await;
    f.let_leases_lapse().await;
    let new_lease = f.lease(new).await;
    assert!(f.store.claim_expired(&old_lease, old, 100, LONG).await.expect("claimed").is_empty());
    assert_eq!(f.store.claim_expired(&new_lease, new, 100, LONG).await.expect("claimed").len(), 1);
}

#[tokio::test]
async fn a_channel_wakes_at_the_first_due_row_of_each_lane_and_at_its_first_end() {
    let f = Fixture::new().await;
    let (now, channel) = (f.store.now(), f.tenant.channel.id);
    let times = async |until| {
        let lanes = Lane::ALL.map(|lane| (channel, lane, Timestamp::UNIX_EPOCH));
        f.store.wake_times(&lanes, &[channel], later(now, until)).await.expect("read")
    };
    assert!(times(100_000).await.is_empty());
    f.queue_at(Lane::Urgent, later(now, 300)).await;
    f.queue_at(Lane::Bulk, later(now, 200)).await;
    let short = NewMessage { expires_at: later(now, 250), due_at: later(now, 240), ..f.message() };
    assert_eq!(f.accept_one(&short).await, Accepted::New);
    let due = |lane, seconds| {
        let due_at = later(now, seconds);
        WakeTime { channel, event: WakeEvent::Due { lane, due_at }, at: due_at }
    };
    let expired = WakeTime { channel, event: WakeEvent::Expired, at: later(now, 250) };
    let found = times(100_000).await;
    let expected = [due(Lane::Urgent, 300), due(Lane::Normal, 240), due(Lane::Bulk, 200), expired];
    assert_eq!(found.len(), expected.len());
    assert!(expected.iter().all(|time| found.contains(time)), "{found:?}");
    assert_eq!(times(220).await, [due(Lane::Bulk, 200)]);
    assert!(times(100).await.is_empty());
    let later_on = [(channel, Lane::Bulk, later(now, 201))];
    assert!(f.store.wake_times(&later_on, &[], later(now, 100_000)).await.expect("read").is_empty());
}

#[tokio::test]
async fn what_is_being_sent_wakes_nobody_until_its_claim_lapses() {
    let f = Fixture::new().await;
    let replica = replica();
    let queued = f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    f.claim_one(&lease, replica).await;
    let lanes = [(queued.channel, Lane::Normal, Timestamp::UNIX_EPOCH)];
    let times = async |until| f.store.wake_times(&lanes, &[queued.channel], later(f.store.now(), until)).await;
    assert!(times(500).await.expect("read").is_empty());
    let found = times(700).await.expect("read");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].at > later(f.store.now(), 500), "{found:?}");
    assert_eq!(found[0].event, WakeEvent::Due { lane: Lane::Normal, due_at: queued.due_at });
}

fn ids(claimed: &[Claimed]) -> Vec<domain::id::MessageId> {
    claimed.iter().map(|claimed| claimed.id).collect()
}

/// Ends the validity of a message.
async fn expire(f: &Fixture, message: &NewMessage) {
    let ended = format!(
        "UPDATE outbox SET expires_at = clock_timestamp() - interval '1 second' WHERE message_id = '{}'",
        message.id
    );
    f.database.execute(&ended).await;
}
