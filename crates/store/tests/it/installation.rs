//! A database that was put back in time is noticed before anything can be claimed in it.

use domain::message::Lane;
use store::Store;
use store::audit::Act;
use store::error::Error;
use store::stop::Stop;

use crate::fixtures::{Fixture, claim, holding, replica};

const ACT: Act<'_> = Act { actor: "test", name: "sending.release" };

/// A store that has seen an hour of the installation's life.
async fn old_hand(f: &Fixture) -> Store {
    f.database.execute("UPDATE installation SET lived_seconds = lived_seconds + 3600").await;
    let store = f.database.another_store().await;
    store.live().await.expect("seen");
    store
}

/// Runs until the sessions that were cut are used up.
async fn again<T>(mut run: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..16 {
        match run().await {
            Err(Error::Unavailable(text)) if text.contains("older than") => return Err(Error::Unavailable(text)),
            Err(error) if error.is_transient() => {}
            other => return other,
        }
    }
    run().await
}

#[tokio::test]
async fn in_a_database_put_back_nothing_is_claimed_before_it_is_noticed_nor_after_until_it_is_released() {
    let f = Fixture::new().await;
    f.queue(Lane::Normal).await;
    let (store, replica) = (old_hand(&f).await, replica());
    let lease = store.hold_leases(holding(replica)).await.expect("the lease").leases[0];
    f.database.put_back(3600).await;
    let before =
        again(async || store.claim(replica, &[crate::fixtures::wanted(&lease, 10)], crate::fixtures::LONG).await);
    assert_eq!(before.await.expect("asked"), [], "its lease of then has lapsed");
    let refused = again(async || store.hold_leases(holding(replica)).await).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(store.stops(), [Stop::Restored]);
    let held = "SELECT count(*) FROM installation WHERE held_reason = 'restored' AND held_since <= clock_timestamp()";
    assert_eq!(f.database.number(held).await, 1);
    // Also one that knows nothing of the time before, and one that is renewed by now.
    let other = f.database.another_store().await;
    for store in [&store, &other] {
        let lease = store.hold_leases(holding(replica)).await.expect("the lease").leases[0];
        assert_eq!(claim(store, &lease, replica, 10).await, []);
        assert!(!store.may_send());
    }
    f.accept_one(&f.message()).await;
    store.release_sending(&ACT).await.expect("released");
    for store in [&store, &other] {
        let lease = store.hold_leases(holding(replica)).await.expect("the lease").leases[0];
        assert_eq!(claim(store, &lease, replica, 1).await.len(), 1);
        assert!(store.may_send());
    }
    let noted = "SELECT count(*) FROM audit WHERE act = 'sending.release' AND detail = 'restored'";
    assert_eq!(f.database.number(noted).await, 1);
}

#[tokio::test]
async fn who_comes_back_after_the_release_does_not_hold_again() {
    let f = Fixture::new().await;
    let (first, late) = (old_hand(&f).await, f.database.another_store().await);
    late.live().await.expect("seen");
    f.database.put_back(3600).await;
    again(async || first.live().await).await.expect("noticed");
    first.release_sending(&ACT).await.expect("released");
    again(async || late.live().await).await.expect("seen");
    assert!(late.may_send() && late.stops().is_empty());
    assert_eq!(f.database.number("SELECT count(*) FROM installation WHERE held_reason IS NULL").await, 1);
    f.database.put_back(61).await;
    again(async || late.live().await).await.expect("noticed");
    assert_eq!(late.stops(), [Stop::Restored], "once more");
}

#[tokio::test]
async fn less_than_a_minute_is_a_failover_and_no_backup() {
    let f = Fixture::new().await;
    let store = old_hand(&f).await;
    f.database.put_back(59).await;
    again(async || store.live().await).await.expect("seen");
    assert!(store.may_send());
}

#[tokio::test]
async fn what_a_process_remembered_when_it_ended_counts() {
    let f = Fixture::new().await;
    let mark = old_hand(&f).await.mark().expect("remembered");
    f.database.put_back(3600).await;
    let store = f.database.another_store().await;
    store.remember(mark);
    store.live().await.expect("noticed");
    assert_eq!(store.stops(), [Stop::Restored]);
    let elsewhere = Fixture::new().await;
    elsewhere.database.execute("UPDATE installation SET organization_id = gen_random_uuid()").await;
    elsewhere.store.remember(mark);
    assert!(matches!(elsewhere.store.live().await, Err(Error::Configuration(_))));
    let untouched = "SELECT count(*) FROM installation WHERE held_reason IS NULL AND lived_seconds = 0";
    assert_eq!(elsewhere.database.number(untouched).await, 1);
}

#[tokio::test]
async fn another_server_under_the_same_row_is_noticed_by_who_remembers_nothing() {
    let f = Fixture::new().await;
    f.database.pretend_clock().await;
    let store = f.database.another_store().await;
    store.live().await.expect("seen");
    assert!(store.may_send());
    f.database.move_to_server(42).await;
    let fresh = f.database.another_store().await;
    fresh.live().await.expect("noticed");
    assert_eq!(fresh.stops(), [Stop::OtherServer]);
    fresh.release_sending(&ACT).await.expect("released");
    fresh.live().await.expect("seen");
    assert!(fresh.may_send());
}

#[tokio::test]
async fn the_life_of_an_installation_is_counted_once_however_many_count_and_however_the_clock_is_set() {
    let f = Fixture::new().await;
    f.database.pretend_clock().await;
    f.database.execute("UPDATE installation SET lived_seconds = 0, lived_at = clock_timestamp()").await;
    let stores = [f.database.another_store().await, f.database.another_store().await];
    let lived = async |seconds: i64| {
        f.database.set_clock(seconds).await;
        for store in &stores {
            store.live().await.expect("counted");
        }
        f.database.number("SELECT lived_seconds::bigint FROM installation").await
    };
    let first = lived(12).await;
    assert!((12..=15).contains(&first), "{first}");
    let second = lived(86_400).await;
    assert_eq!(second - first, 15);
    assert_eq!(lived(-86_400).await, second);
    let third = lived(-86_388).await - second;
    assert!((12..=15).contains(&third), "{third}");
}

#[tokio::test]
async fn a_clock_that_was_set_is_held_until_it_is_back_or_released() {
    let f = Fixture::new().await;
    f.database.pretend_clock().await;
    let store = f.database.another_store().await;
    let read = async |seconds: i64| {
        f.database.set_clock(seconds).await;
        store.live().await.expect("seen");
        store.read_clock().await.expect("read");
        store.stops()
    };
    let started = store.now();
    for seconds in [3_600, -3_600, 86_400, 20, -20] {
        assert_eq!(read(seconds).await, [Stop::ClockStep], "{seconds}");
        assert!(!store.may_send() && store.now().duration_since(started).abs().as_secs() < 15, "{seconds}");
        assert_eq!(read(0).await, [], "back after {seconds}");
    }
    assert_eq!(read(3_600).await, [Stop::ClockStep]);
    f.database.another_store().await.release_sending(&ACT).await.expect("released");
    assert_eq!(read(3_600).await, []);
    assert!(store.now().duration_since(started).as_secs() >= 3_600);
}
