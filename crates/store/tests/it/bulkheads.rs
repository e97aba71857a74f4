//! Each kind of work has its connections.

use std::time::Duration;

use store::access_key::KeyHash;
use store::error::Error;

use crate::fixtures::{Fixture, connect, replica};

/// More than a test's store has connections, of all kinds together.
const LOOK_UPS: usize = 20;
/// Half of what the others share.
const LOOKED_UP_AT_ONCE: i64 = 4;
const STUCK: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test]
async fn what_is_looked_up_keeps_nothing_from_being_stored_and_sent() {
    let f = Fixture::new().await;
    let holder = connect(&f.database.url).await;
    holder.batch_execute("BEGIN; LOCK TABLE access_keys").await.expect("locked");
    let find = |store: store::Store| async move { store.find_access_key(unknown_key()).await };
    let look_ups: Vec<_> = (0..LOOK_UPS).map(|_| tokio::spawn(find(f.store.clone()))).collect();
    // Those that find no connection hear of it; the others wait for their answer.
    let told = async {
        let mut told = 0;
        for look_up in look_ups {
            told += usize::from(matches!(look_up.await.expect("it ran"), Err(Error::Unavailable(_))));
        }
        told
    };
    let flow = async {
        while f.database.number(STUCK).await < LOOKED_UP_AT_ONCE {
            tokio::task::yield_now().await;
        }
        let replica = replica();
        let message = f.message();
        f.accept_one(&message).await;
        let lease = f.lease(replica).await;
        assert_eq!(f.claim_one(&lease, replica).await.id, message.id);
        f.store.read_clock().await.expect("the clock has a connection");
        holder.batch_execute("COMMIT").await.expect("free again");
    };
    let (told, flowed) = tokio::join!(told, tokio::time::timeout(Duration::from_secs(60), flow));
    flowed.expect("storing and sending went on");
    assert!(told < LOOK_UPS, "those that had a connection were answered");
    assert_eq!(f.store.find_access_key(unknown_key()).await.expect("answered"), None);
}

fn unknown_key() -> KeyHash {
    KeyHash([7; 32])
}
