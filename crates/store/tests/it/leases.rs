//! Leases: at most one owner, and a new one as soon as the old one is surely gone.

use std::time::Duration;

use crate::fixtures::{Fixture, LONG, hold, replica};

#[tokio::test]
async fn a_second_replica_gets_nothing_while_the_first_holds() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let lease = f.lease(first).await;
    assert_eq!((lease.workspace, lease.channel), (f.tenant.workspace, f.tenant.channel.id));
    assert_eq!(hold(&f.store, second).await, None);
    // Renewed, it is the same lease.
    assert_eq!(f.lease(first).await, lease);
    assert_eq!(hold(&f.database.another_store().await, second).await, None);
}

#[tokio::test]
async fn a_released_lease_is_taken_under_a_higher_epoch() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let before = f.lease(first).await;
    f.store.release_leases(second).await.expect("released");
    assert_eq!(hold(&f.store, second).await, None);
    f.store.release_leases(first).await.expect("released");
    let after = f.lease(second).await;
    assert!(after.epoch > before.epoch, "{before:?} {after:?}");
    assert_eq!(hold(&f.store, first).await, None);
}

#[tokio::test]
async fn a_lapsed_lease_is_taken_under_a_higher_epoch() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let before = f.lease(first).await;
    f.let_leases_lapse().await;
    let after = f.lease(second).await;
    assert!(after.epoch > before.epoch, "{before:?} {after:?}");
    assert_eq!(hold(&f.store, first).await, None);
}

#[tokio::test]
async fn the_lease_of_a_replica_whose_connection_ended_is_taken_at_once() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let presence = f.store.show_presence(first).await.expect("present");
    assert!(presence.stands());
    let before = f.lease(first).await;
    // Silence alone proves nothing while the connection stands.
    grow_old(&f).await;
    assert_eq!(hold(&f.store, second).await, None);
    drop(presence);
    let taken = async {
        loop {
            if let Some(lease) = hold(&f.store, second).await {
                return lease;
            }
        }
    };
    let after = tokio::time::timeout(Duration::from_secs(5), taken).await.expect("long before the lease lapses");
    assert!(after.epoch > before.epoch, "{before:?} {after:?}");
}

#[tokio::test]
async fn a_replica_without_presence_keeps_its_lease_until_it_lapses() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    f.lease(first).await;
    grow_old(&f).await;
    assert_eq!(hold(&f.store, second).await, None);
    f.let_leases_lapse().await;
    assert!(hold(&f.store, second).await.is_some());
}

#[tokio::test]
async fn a_replica_cannot_be_present_twice_and_can_be_again() {
    let f = Fixture::new().await;
    let replica = replica();
    let presence = f.store.show_presence(replica).await.expect("present");
    assert!(f.store.show_presence(replica).await.is_err());
    drop(presence);
    let again = async { while f.store.show_presence(replica).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("the former connection ends");
    f.store.forget_replica(replica).await.expect("forgotten");
    assert_eq!(f.rows("replicas").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_replicas_that_ask_at_once_one_gets_the_lease() {
    let f = Fixture::new().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = f.store.clone();
        asking.spawn(async move { store.hold_leases(replica(), LONG, &[]).await.expect("leases").len() });
    }
    assert_eq!(asking.join_all().await.into_iter().sum::<usize>(), 1);
    assert_eq!(f.database.number("SELECT epoch FROM channel_leases").await, 1);
}

#[tokio::test]
async fn an_inactive_channel_is_not_held() {
    let f = Fixture::new().await;
    let replica = replica();
    f.database.execute("UPDATE channels SET status = 'inactive'").await;
    assert_eq!(hold(&f.store, replica).await, None);
    f.database.execute("UPDATE channels SET status = 'active', revision = revision + 1").await;
    assert_eq!(hold(&f.store, replica).await.map(|lease| lease.revision), Some(2));
}

/// Lets all replicas have been silent for a while.
async fn grow_old(f: &Fixture) {
    f.database.execute("UPDATE replicas SET seen_at = seen_at - interval '10 seconds'").await;
}

#[tokio::test]
async fn a_channel_that_its_owner_cannot_run_is_left_to_others() {
    let f = Fixture::new().await;
    let (unable, able) = (replica(), replica());
    let before = f.lease(unable).await;
    let unusable = [f.tenant.channel.id];
    assert_eq!(f.store.hold_leases(unable, LONG, &unusable).await.expect("leases"), []);
    let after = f.lease(able).await;
    assert!(after.epoch > before.epoch, "{before:?} {after:?}");
    assert!(!after.rest.is_zero(), "the former owner may have sent within the last second");
    assert_eq!(f.store.hold_leases(unable, LONG, &unusable).await.expect("leases"), []);
    assert_eq!(hold(&f.store, able).await.map(|lease| lease.epoch), Some(after.epoch));
}
