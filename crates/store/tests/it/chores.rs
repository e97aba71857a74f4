//! Regular work: taken by one, again by another when the first died, and noted only by who has it.

use std::time::Duration;

use crate::fixtures::{Fixture, later};

const KNOWN: [&str; 4] = ["partitions", "retention", "bodies", "erasures"];
const TAKEN: Duration = Duration::from_secs(900);

#[tokio::test]
async fn every_chore_is_due_at_first_and_taken_by_one() {
    let f = Fixture::new().await;
    let (other, now) = (f.database.another_store().await, f.store.now());
    let mut taken = Vec::new();
    for _ in 0..2 {
        let (one, another) = tokio::join!(f.store.take_chore(&KNOWN, now, TAKEN), other.take_chore(&KNOWN, now, TAKEN));
        taken.extend([one, another].into_iter().filter_map(|taken| taken.expect("read")).map(|taken| taken.chore));
    }
    while let Some(one) = f.store.take_chore(&KNOWN, now, TAKEN).await.expect("read") {
        taken.push(one.chore);
    }
    taken.sort_unstable();
    assert_eq!(taken, ["bodies", "erasures", "partitions", "retention"]);
}

#[tokio::test]
async fn a_chore_goes_on_where_it_ended_when_it_is_due_again() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let taken = f.store.take_chore(&["bodies"], now, TAKEN).await.expect("read").expect("due");
    assert_eq!(taken.position, "");
    assert!(f.store.finish_chore(&taken, "here", now, Duration::from_secs(60)).await.expect("noted"));
    assert_eq!(f.store.take_chore(&["bodies"], later(now, 59), TAKEN).await.expect("read"), None);
    let again = f.store.take_chore(&["bodies"], later(now, 60), TAKEN).await.expect("read").expect("due");
    assert_eq!(again.position, "here");
    f.store.postpone_chore(&again, later(now, 60), Duration::from_secs(60)).await.expect("noted");
    assert_eq!(f.store.take_chore(&["bodies"], later(now, 119), TAKEN).await.expect("read"), None);
    let third = f.store.take_chore(&["bodies"], later(now, 120), TAKEN).await.expect("read").expect("due");
    assert_eq!(third.position, "here");
}

#[tokio::test]
async fn a_replica_that_comes_back_late_notes_nothing() {
    let f = Fixture::new().await;
    let now = f.store.now();
    let late = f.store.take_chore(&["bodies"], now, TAKEN).await.expect("read").expect("due");
    let next = f.store.take_chore(&["bodies"], later(now, 900), TAKEN).await.expect("read").expect("due again");
    assert!(!f.store.finish_chore(&late, "late", now, Duration::ZERO).await.expect("refused"));
    f.store.postpone_chore(&late, now, Duration::ZERO).await.expect("refused");
    assert_eq!(f.store.take_chore(&["bodies"], later(now, 901), TAKEN).await.expect("read"), None);
    assert!(f.store.finish_chore(&next, "next", now, Duration::ZERO).await.expect("noted"));
}
