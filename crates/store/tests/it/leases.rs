//! Ownership: one owner of a channel, a new one as soon as the old one is surely gone, and a fair share for each replica.

use std::time::Duration;

use domain::id::ReplicaId;
use domain::limits::RATE_WINDOW;
use domain::message::Lane;
use store::channel::ChannelSettings;
use store::lease::{Hold, Lease};
use store::notify::DueHint;
use store::replica::Presence;
use testkit::Tenant;

use crate::fixtures::{Fixture, held, hold, holding, later, load, replica};

#[tokio::test]
async fn a_second_replica_gets_nothing_while_the_first_holds() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let lease = f.lease(first).await;
    assert_eq!(lease.rest, Duration::ZERO, "a new channel has sent nothing");
    assert_eq!((lease.workspace, lease.channel), (f.tenant.workspace, f.tenant.channel.id));
    assert_eq!(hold(&f.store, second).await, None);
    // Renewed, it is the same lease.
    assert_eq!(f.lease(first).await, Lease { rest: RATE_WINDOW, ..lease });
    assert_eq!(hold(&f.database.another_store().await, second).await, None);
}

#[tokio::test]
async fn a_released_channel_is_taken_under_a_higher_epoch() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let before = f.lease(first).await;
    f.store.release_all_leases(second).await.expect("released");
    f.store.release_leases(second, &[before.channel]).await.expect("released");
    assert_eq!(hold(&f.store, second).await, None);
    f.store.release_leases(first, &[before.channel]).await.expect("released");
    let after = f.lease(second).await;
    assert!(after.epoch > before.epoch, "{before:?} {after:?}");
    assert!(!after.rest.is_zero(), "the former owner may have sent within the last second");
    assert_eq!(hold(&f.store, first).await, None);
}

#[tokio::test]
async fn the_channel_of_a_lapsed_lease_is_taken_under_a_higher_epoch() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let before = f.lease(first).await;
    f.let_leases_lapse().await;
    let after = f.lease(second).await;
    assert!(after.epoch > before.epoch, "{before:?} {after:?}");
    assert_eq!(hold(&f.store, first).await, None);
}

async fn present(f: &Fixture, replica: ReplicaId) -> Presence {
    f.store.show_presence(replica, |_| {}).await.expect("present")
}

#[tokio::test]
async fn the_channel_of_a_replica_whose_connection_ended_is_taken_at_the_second_look() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let presence = present(&f, first).await;
    assert!(presence.stands());
    let before = f.lease(first).await;
    let others = held(&f.store, second).await.others;
    assert_eq!(others.iter().map(|other| (other.replica, other.is_absent)).collect::<Vec<_>>(), [(first, false)]);
    drop(presence);
    let absent = async {
        loop {
            let held = held(&f.store, second).await;
            // Silence for a moment may be a connection that is being made again.
            assert_eq!(held.leases, []);
            if held.others.iter().any(|other| other.is_absent) {
                return held.others;
            }
        }
    };
    let suspects = tokio::time::timeout(Duration::from_secs(5), absent).await.expect("long before the lease lapses");
    let again = Hold { suspects: &suspects, ..holding(second) };
    // Who renews its lease is there.
    f.lease(first).await;
    assert_eq!(f.store.hold_leases(again).await.expect("leases").leases, []);
    let suspects = held(&f.store, second).await.others;
    let again = Hold { suspects: &suspects, ..holding(second) };
    let after = f.store.hold_leases(again).await.expect("leases").leases;
    assert_eq!(after.len(), 1);
    assert!(after[0].epoch > before.epoch && !after[0].rest.is_zero(), "{before:?} {after:?}");
    assert_eq!(hold(&f.store, first).await, None);
}

#[tokio::test]
async fn a_replica_without_presence_keeps_its_channels_until_its_lease_lapses() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    f.lease(first).await;
    for _ in 0..3 {
        let suspects = held(&f.store, second).await.others;
        assert!(suspects.iter().all(|other| !other.is_absent));
        let again = Hold { suspects: &suspects, ..holding(second) };
        assert_eq!(f.store.hold_leases(again).await.expect("leases").leases, []);
    }
    f.let_leases_lapse().await;
    assert!(hold(&f.store, second).await.is_some());
}

#[tokio::test]
async fn a_replica_cannot_be_present_twice_and_can_be_again() {
    let f = Fixture::new().await;
    let replica = replica();
    let presence = present(&f, replica).await;
    assert!(f.store.show_presence(replica, |_| {}).await.is_err());
    drop(presence);
    let again = async { while f.store.show_presence(replica, |_| {}).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("the former connection ends");
    f.store.forget_replica(replica).await.expect("forgotten");
    assert_eq!(f.rows("replicas").await, 0);
}

#[tokio::test]
async fn a_present_replica_hears_hints() {
    let f = Fixture::new().await;
    let (heard, mut hints) = tokio::sync::mpsc::channel(250);
    let presence = f
        .store
        .show_presence(replica(), move |hint| heard.try_send(hint).expect("the test listens"))
        .await
        .expect("present");
    let due_at = f.store.now();
    let hint = |number| DueHint { channel: f.tenant.channel.id, lane: Lane::Bulk, due_at: later(due_at, number) };
    let sent: Vec<DueHint> = (0..250).map(hint).collect();
    f.store.send_hints(&sent).await.expect("sent");
    for hint in sent {
        assert_eq!(hints.recv().await, Some(hint));
    }
    assert!(presence.stands());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_replicas_that_ask_at_once_one_gets_the_channel() {
    let f = Fixture::new().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = f.store.clone();
        asking.spawn(async move { held(&store, replica()).await.leases.len() });
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

#[tokio::test]
async fn a_channel_that_its_owner_cannot_run_is_left_to_others() {
    let f = Fixture::new().await;
    let (unable, able) = (replica(), replica());
    let before = f.lease(unable).await;
    let unusable = [f.tenant.channel.id];
    let hold_others = Hold { unusable: &unusable, ..holding(unable) };
    assert_eq!(f.store.hold_leases(hold_others).await.expect("leases").leases, []);
    let after = f.lease(able).await;
    assert!(after.epoch > before.epoch, "{before:?} {after:?}");
    assert!(!after.rest.is_zero(), "the former owner may have sent within the last second");
    assert_eq!(f.store.hold_leases(hold_others).await.expect("leases").leases, []);
    assert_eq!(hold(&f.store, able).await.map(|lease| lease.epoch), Some(after.epoch));
}

/// Further channels, with these provider keys and limits of their accounts.
async fn further_channels(f: &Fixture, keys: &[(&str, Option<u32>)]) {
    for (key, account_messages_per_second) in keys {
        let settings = ChannelSettings {
            account_messages_per_second: *account_messages_per_second,
            ..f.tenant.channel.settings.clone()
        };
        Tenant::create_channel(&f.store, f.tenant.workspace, &settings, key).await;
    }
}

#[tokio::test]
async fn each_replica_takes_its_share_and_what_nobody_takes_is_taken_later() {
    let f = Fixture::new().await;
    further_channels(&f, &[("a", None), ("b", None), ("c", None), ("d", None)]).await;
    let (first, second, third) = (replica(), replica(), replica());
    let alone = held(&f.store, first).await;
    assert_eq!((alone.leases.len(), alone.excess), (5, 0));
    assert_eq!(held(&f.store, second).await.leases.len(), 0);
    let both = held(&f.store, first).await;
    assert_eq!((both.leases.len(), both.excess, both.others.len()), (5, 2, 1));
    let offered: Vec<_> = both.leases[..2].iter().map(|lease| lease.channel).collect();
    f.store.release_leases(first, &offered).await.expect("released");
    // The share of two of five is three; the first has them.
    assert_eq!(held(&f.store, first).await.leases.len(), 3);
    let moved = held(&f.store, second).await;
    assert_eq!(moved.leases.iter().map(|lease| lease.channel).collect::<Vec<_>>(), offered);
    // A third one comes; what the second gives up nobody else takes, so the first does in the end.
    assert_eq!(held(&f.store, third).await.leases.len(), 0);
    f.store.release_leases(second, &offered).await.expect("released");
    assert_eq!(held(&f.store, first).await.leases.len(), 3);
    f.database.execute("UPDATE channel_leases SET free_since = free_since - interval '4 seconds'").await;
    assert_eq!(held(&f.store, first).await.leases.len(), 5);
}

#[tokio::test]
async fn channels_that_share_a_limit_go_together_and_the_least_limit_counts() {
    let f = Fixture::new().await;
    further_channels(&f, &[("shared", Some(50)), ("shared", Some(20)), ("shared", None), ("own", None)]).await;
    let (first, second) = (replica(), replica());
    let limited = |leases: &[Lease]| leases.iter().filter(|lease| lease.account.is_some()).count();
    // The first of them, and then the others.
    assert_eq!(limited(&held(&f.store, first).await.leases), 1);
    let leases = held(&f.store, first).await.leases;
    assert_eq!((leases.len(), limited(&leases)), (5, 3));
    let limits: Vec<u32> = leases.iter().filter_map(|lease| lease.account).map(|it| it.messages_per_second).collect();
    assert_eq!(limits, [20, 20, 20]);
    // A second replica has none of them as long as the first one has the first.
    let shared: Vec<_> = leases.iter().filter(|lease| lease.account.is_some()).map(|lease| lease.channel).collect();
    f.store.release_leases(first, &shared[1..]).await.expect("released");
    f.database.execute("UPDATE channel_leases SET free_since = free_since - interval '4 seconds'").await;
    assert_eq!(limited(&held(&f.store, second).await.leases), 0);
    // One that got apart all the same is to be given up.
    let apart = format!(
        "UPDATE channel_leases SET replica_id = '{second}', epoch = epoch + 1 WHERE channel_id = '{}'",
        shared[2]
    );
    f.database.execute(&apart).await;
    let leases = held(&f.store, second).await.leases;
    assert_eq!(leases.iter().map(|lease| (lease.channel, lease.is_apart)).collect::<Vec<_>>(), [(shared[2], true)]);
    let leases = held(&f.store, first).await.leases;
    assert!(leases.iter().all(|lease| !lease.is_apart));
    assert!(leases.iter().any(|lease| lease.channel == shared[1]));
}

#[tokio::test]
async fn a_change_of_weight_reaches_owners_as_a_new_revision() {
    let f = Fixture::new().await;
    let replica = replica();
    let before = f.lease(replica).await;
    let act = store::audit::Act { actor: "test", name: "test" };
    let change = store::workspace::WorkspaceChange { weight: Some(7), ..Default::default() };
    let changed = f.store.update_workspace(f.tenant.workspace, &change, &act).await.expect("changed").expect("there");
    assert_eq!(changed.weight, 7);
    assert!(f.lease(replica).await.revision > before.revision);
    let loaded = load(&f.store, f.tenant.workspace, f.tenant.channel.id).await;
    assert_eq!(loaded.expect("there").expect("opened").weight, 7);
}
