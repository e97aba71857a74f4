//! How many processes answer requests.

use crate::fixtures::{Fixture, replica};

#[tokio::test]
async fn replicas_that_serve_count_each_other_until_they_leave() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    let (here, there) = (f.store.clone(), f.database.another_store().await);
    assert_eq!(here.serving_replicas(), 1, "itself, before anything was asked");
    here.show_serving(first).await.unwrap();
    there.show_serving(second).await.unwrap();
    assert_eq!((here.serving_replicas(), there.serving_replicas()), (1, 2));
    // Again is no further one.
    for _ in 0..3 {
        here.show_serving(first).await.unwrap();
    }
    assert_eq!(here.serving_replicas(), 2);
    there.leave_serving(second).await.unwrap();
    here.show_serving(first).await.unwrap();
    assert_eq!(here.serving_replicas(), 1);
    assert_eq!(f.rows("serving_replicas").await, 1);
}

#[tokio::test]
async fn a_replica_that_is_not_seen_for_a_while_is_not_counted_and_can_come_back() {
    let f = Fixture::new().await;
    let (first, second) = (replica(), replica());
    f.store.show_serving(second).await.unwrap();
    f.database.execute("UPDATE serving_replicas SET seen_at = seen_at - interval '1 minute'").await;
    f.store.show_serving(first).await.unwrap();
    assert_eq!(f.store.serving_replicas(), 1);
    assert_eq!(f.rows("serving_replicas").await, 1, "the other's row is cleared away");
    f.store.show_serving(second).await.unwrap();
    assert_eq!(f.store.serving_replicas(), 2);
}

#[tokio::test]
async fn the_last_count_stands_while_nothing_can_be_asked() {
    let f = Fixture::new().await;
    f.store.show_serving(replica()).await.unwrap();
    let here = replica();
    f.store.show_serving(here).await.unwrap();
    f.database.execute("DROP TABLE serving_replicas").await;
    assert!(f.store.show_serving(here).await.is_err());
    assert_eq!(f.store.serving_replicas(), 2);
}
