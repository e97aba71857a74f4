//! Claiming: what is due, once, in order, and only by the owner of the channel.

use std::collections::BTreeSet;

use domain::message::Lane;
use domain::schedule::DueReason;
use store::lease::Lease;
use store::outbox::Wanted;
use tokio::task::JoinSet;

use crate::fixtures::{Fixture, LONG, claim, held, hold, later, message_of, replica, wanted};

#[tokio::test]
async fn only_due_rows_are_claimed_lanes_first_and_in_order_of_time() {
    let f = Fixture::new().await;
    let replica = replica();
    let now = f.store.now();
    let bulk = f.queue_at(Lane::Bulk, later(now, -90)).await;
    let normal_late = f.queue_at(Lane::Normal, later(now, -10)).await;
    let normal_early = f.queue_at(Lane::Normal, later(now, -60)).await;
    let urgent = f.queue_at(Lane::Urgent, later(now, -1)).await;
    let ahead = f.queue_at(Lane::Urgent, later(now, 60)).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim(&lease, replica).await;
    let ids: Vec<_> = claimed.iter().map(|claimed| claimed.id).collect();
    assert_eq!(ids, [urgent.id, normal_early.id, normal_late.id, bulk.id]);
    assert!(claimed.iter().all(|c| (c.claim, c.part, c.tries, c.maybe_sent) == (1, 0, 1, false)), "{claimed:?}");
    assert_eq!(
        (claimed[0].due_at, &claimed[0].parts, Some(&claimed[0].recipient)),
        (urgent.due_at, &urgent.parts, urgent.recipient.as_ref().map(|(_, number)| number))
    );
    f.database
        .execute("UPDATE outbox SET due_at = clock_timestamp() - interval '1 second' WHERE due_reason = 'requested'")
        .await;
    assert_eq!(f.claim_one(&lease, replica).await.id, ahead.id);
}

#[tokio::test]
async fn rows_due_at_one_instant_go_in_order_of_acceptance() {
    let f = Fixture::new().await;
    let replica = replica();
    let now = f.store.now();
    let mut accepted = Vec::new();
    for _ in 0..5 {
        accepted.push(f.queue_at(Lane::Normal, now).await.id);
    }
    let lease = f.lease(replica).await;
    let claimed = claim(&f.store, &lease, replica, 3).await;
    assert_eq!(claimed.iter().map(|c| c.id).collect::<Vec<_>>(), accepted[..3]);
    let rest = f.claim(&lease, replica).await;
    assert_eq!(rest.iter().map(|c| c.id).collect::<Vec<_>>(), accepted[3..]);
}

#[tokio::test]
async fn a_claimed_row_is_not_claimed_again() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim_one(&lease, replica).await;
    assert!(f.claim(&lease, replica).await.is_empty());
    let stored = f.store.message(claimed.workspace, claimed.id).await.expect("read").expect("stored");
    assert_eq!(stored.waiting.map(|waiting| waiting.reason), Some(DueReason::Claimed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_claims_share_the_rows_without_overlap() {
    let f = Fixture::new().await;
    let replica = replica();
    let messages: Vec<_> = (0..60).map(|_| f.message()).collect();
    f.store.accept(&messages).await.expect("accepted");
    let lease = f.lease(replica).await;
    let mut claims = JoinSet::new();
    for _ in 0..12 {
        let store = f.store.clone();
        claims.spawn(async move { claim(&store, &lease, replica, 5).await });
    }
    let mut claimed: Vec<_> = claims.join_all().await.into_iter().flatten().map(|c| c.id).collect();
    claimed.extend(f.claim(&lease, replica).await.into_iter().map(|c| c.id));
    assert_eq!(claimed.len(), 60);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 60);
}

#[tokio::test]
async fn a_lapsed_claim_falls_due_again_and_says_that_it_may_have_been_sent() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    let first = f.claim_one(&lease, replica).await;
    assert!(!first.maybe_sent);
    f.let_claims_lapse().await;
    let second = f.claim_one(&lease, replica).await;
    assert_eq!((second.id, second.claim, second.tries, second.maybe_sent), (first.id, 2, 2, true));
    assert_eq!(second.parts, first.parts);
    assert!(f.claim(&lease, replica).await.is_empty());
}

#[tokio::test]
async fn a_superseded_owner_claims_nothing() {
    let f = Fixture::new().await;
    let (old, new) = (replica(), replica());
    f.queue(Lane::Normal).await;
    let old_lease = f.lease(old).await;
    f.let_leases_lapse().await;
    let new_lease = hold(&f.store, new).await.expect("a lapsed lease is free");
    assert!(f.claim(&old_lease, old).await.is_empty());
    assert!(f.claim(&Lease { epoch: new_lease.epoch, ..old_lease }, old).await.is_empty());
    assert!(f.claim(&old_lease, new).await.is_empty());
    assert_eq!(f.claim(&new_lease, new).await.len(), 1);
}

#[tokio::test]
async fn a_lapsed_lease_claims_nothing_though_nobody_else_took_it() {
    let f = Fixture::new().await;
    let replica = replica();
    f.queue(Lane::Normal).await;
    let lease = f.lease(replica).await;
    f.let_leases_lapse().await;
    assert!(f.claim(&lease, replica).await.is_empty());
    let renewed = f.lease(replica).await;
    assert_eq!(f.claim(&renewed, replica).await.len(), 1);
}

#[tokio::test]
async fn a_channel_claims_only_its_own_rows() {
    let f = Fixture::new().await;
    let replica = replica();
    let lease = f.lease(replica).await;
    let other = testkit::Tenant::create(&f.store, "another-key").await;
    f.store.accept(&[message_of(&other, f.store.now())]).await.expect("accepted");
    assert!(f.claim(&lease, replica).await.is_empty());
    let leases = held(&f.store, replica).await.leases;
    let theirs = leases.iter().find(|lease| lease.channel == other.channel.id).expect("held too");
    assert_eq!(f.claim(theirs, replica).await.len(), 1);
}

#[tokio::test]
async fn channels_claimed_together_each_get_what_they_have_room_for() {
    let f = Fixture::new().await;
    let replica = replica();
    let other = testkit::Tenant::create(&f.store, "another-key").await;
    for _ in 0..3 {
        f.queue(Lane::Normal).await;
        f.queue(Lane::Bulk).await;
        f.store.accept(&[message_of(&other, f.store.now())]).await.expect("accepted");
    }
    let leases = held(&f.store, replica).await.leases;
    let lease = |channel| *leases.iter().find(|lease| lease.channel == channel).expect("held");
    let mut own = wanted(&lease(f.tenant.channel.id), 2);
    // Of both lanes there would be four: the more urgent ones have it.
    own.room.total = 3;
    let theirs = wanted(&lease(other.channel.id), 1);
    let superseded = Lease { epoch: 99, ..theirs.lease };
    let all = [own, theirs, wanted(&superseded, 10)];
    let claimed = f.store.claim(replica, &all, LONG).await.expect("claimed");
    let count = |channel, lane| claimed.iter().filter(|c| c.channel == channel && c.lane == lane).count();
    assert_eq!((count(f.tenant.channel.id, Lane::Normal), count(f.tenant.channel.id, Lane::Bulk)), (2, 1));
    assert_eq!((count(other.channel.id, Lane::Normal), claimed.len()), (1, 4));
}

#[tokio::test]
async fn a_claim_begins_where_it_is_told_to() {
    let f = Fixture::new().await;
    let replica = replica();
    let now = f.store.now();
    let early = f.queue_at(Lane::Normal, later(now, -60)).await;
    let late = f.queue_at(Lane::Normal, later(now, -30)).await;
    let lease = f.lease(replica).await;
    let from = Wanted { due_from: [late.due_at; 3], ..wanted(&lease, 10) };
    let claimed = f.store.claim(replica, &[from], LONG).await.expect("claimed");
    assert_eq!(claimed.iter().map(|c| (c.id, c.waited_for)).collect::<Vec<_>>(), [(late.id, DueReason::Requested)]);
    assert_eq!(f.claim_one(&lease, replica).await.id, early.id);
}

#[tokio::test]
async fn claiming_writes_no_index_entry() {
    let f = Fixture::new().await;
    let replica = replica();
    let messages: Vec<_> = (0..20).map(|_| f.message()).collect();
    f.store.accept(&messages).await.expect("accepted");
    let lease = f.lease(replica).await;
    assert_eq!(f.claim(&lease, replica).await.len(), 20);
    let hot = "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'outbox'";
    let updated = async { while f.database.number(hot).await < 20 {} };
    tokio::time::timeout(LONG / 20, updated).await.expect("all updates stay on their pages");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_take_the_others_along() {
    let f = Fixture::new().await;
    let replica = replica();
    let (first, bad, last) = (f.queue(Lane::Normal).await, f.queue(Lane::Normal).await, f.queue(Lane::Normal).await);
    // As a newer version would write a kind that this one does not know.
    let unknown = format!(r#"UPDATE messages SET parts = '[{{"kind":"hologram"}}]' WHERE message_id = '{}'"#, bad.id);
    f.database.execute(&unknown).await;
    let lease = f.lease(replica).await;
    let claimed = f.claim(&lease, replica).await;
    assert_eq!(claimed.iter().map(|c| c.id).collect::<Vec<_>>(), [first.id, last.id]);
    assert!(f.claim(&lease, replica).await.is_empty());
}
