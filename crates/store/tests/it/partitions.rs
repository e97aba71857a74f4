//! Partitions by month: made ahead, without moving what the default one holds, and dropped when they are old.

use domain::id::MessageId;
use domain::message::Lane;
use jiff::{SignedDuration, Timestamp};
use store::accept::NewMessage;
use store::message::first_id_at;
use store::partition::Made;
use uuid::Uuid;

use crate::fixtures::{Fixture, connect, keyed};

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// A message accepted at an instant, with a tag and a key.
fn accepted_at(f: &Fixture, instant: &str) -> NewMessage {
    let low = first_id_at(at(instant)).0.as_u128();
    let id = MessageId(Uuid::from_u128(low | 0x7000_8000_0000_0000_0000 | u128::from(rand_bits())));
    let tags = vec![domain::message::Tag::new("kampeni").expect("a tag")];
    keyed(NewMessage { id, created_at: at(instant), tags, ..f.message() }, &format!("key-{id}"))
}

/// Bits that make ids of one instant differ.
fn rand_bits() -> u32 {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    u32::try_from(low >> 32).expect("32 bits")
}

async fn put(f: &Fixture, instant: &str) -> NewMessage {
    let message = accepted_at(f, instant);
    f.accept_one(&message).await;
    message
}

/// Where a message's rows are: its table, and that of its tag.
async fn places(f: &Fixture, message: &NewMessage) -> Vec<String> {
    let client = connect(&f.database.url).await;
    let sql = "SELECT tableoid::regclass::text FROM messages WHERE message_id = $1
        UNION ALL SELECT tableoid::regclass::text FROM message_tags WHERE message_id = $1 ORDER BY 1";
    client.query(sql, &[&message.id.0]).await.expect("rows").iter().map(|row| row.get(0)).collect()
}

async fn partitions(f: &Fixture) -> Vec<String> {
    let client = connect(&f.database.url).await;
    let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE c.relkind = 'r' ORDER BY 1";
    client.query(sql, &[]).await.expect("rows").iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_month_of_a_message_is_that_of_its_acceptance_in_utc() {
    let f = Fixture::new().await;
    let made = f.store.make_partitions(at("2026-12-15T12:00:00Z")).await.expect("made");
    assert_eq!(made, Made { made: 12, left: 0 });
    for (instant, place) in [
        ("2026-11-30T23:59:59.999Z", "default"),
        ("2026-12-01T00:00:00Z", "2026_12"),
        ("2026-12-31T23:59:59.999Z", "2026_12"),
        ("2027-01-01T00:00:00Z", "2027_01"),
        ("2027-02-28T23:59:59.999Z", "2027_02"),
        ("2027-03-01T00:00:00Z", "default"),
    ] {
        let message = put(&f, instant).await;
        assert_eq!(places(&f, &message).await, [format!("message_tags_{place}"), format!("messages_{place}")]);
    }
}

#[tokio::test]
async fn partitions_are_made_once() {
    let f = Fixture::new().await;
    let now = at("2026-12-15T12:00:00Z");
    let (first, second) = (f.store.clone(), f.database.another_store().await);
    let (one, other) = tokio::join!(first.make_partitions(now), second.make_partitions(now));
    // The one that came second to a table leaves it to the first, or finds it made.
    let made: u64 = [&one, &other].into_iter().flatten().map(|made| made.made).sum();
    f.store.make_partitions(now).await.expect("made");
    assert!(made <= 12, "{one:?} {other:?}");
    assert_eq!(f.store.make_partitions(now).await.expect("nothing to do"), Made::default());
    assert_eq!(partitions(&f).await.len(), 16);
    let next = f.store.make_partitions(at("2027-01-01T00:00:00Z")).await.expect("made");
    assert_eq!(next, Made { made: 4, left: 0 });
}

#[tokio::test]
async fn a_partition_has_the_indexes_and_the_storage_of_its_table() {
    let f = Fixture::new().await;
    f.store.make_partitions(at("2026-12-15T12:00:00Z")).await.expect("made");
    for table in ["messages", "attempts", "message_events", "message_tags"] {
        let indexes = |name: &str| format!("SELECT count(*) FROM pg_indexes WHERE tablename = '{name}'");
        let expected = f.database.number(&indexes(table)).await;
        assert!(expected > 0);
        assert_eq!(f.database.number(&indexes(&format!("{table}_2026_12"))).await, expected, "{table}");
        let differs = format!(
            "SELECT count(*) FROM pg_class a, pg_class b WHERE a.relname = '{table}_default' AND b.relname = '{table}_2027_01'
                AND (SELECT array_agg(o ORDER BY o) FROM unnest(a.reloptions) o)
                IS DISTINCT FROM (SELECT array_agg(o ORDER BY o) FROM unnest(b.reloptions) o)"
        );
        assert_eq!(f.database.number(&differs).await, 0, "{table}");
        let unattached = format!(
            "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            WHERE c.relname = '{table}_2026_12' AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)"
        );
        assert_eq!(f.database.number(&unattached).await, 0, "{table}");
    }
}

#[tokio::test]
async fn rows_in_the_default_partition_keep_their_month_and_hinder_no_later_one() {
    let f = Fixture::new().await;
    let message = put(&f, "2026-12-15T11:00:00Z").await;
    let made = f.store.make_partitions(at("2026-12-15T12:00:00Z")).await.expect("made");
    // Attempts and events have no rows, so all their months are made; the other two keep December where it is.
    assert_eq!(made, Made { made: 10, left: 2 });
    assert_eq!(places(&f, &message).await, ["message_tags_default", "messages_default"]);
    let later = put(&f, "2027-01-15T11:00:00Z").await;
    assert_eq!(places(&f, &later).await, ["message_tags_2027_01", "messages_2027_01"]);
    assert_eq!(promises(&f).await, 0);
}

#[tokio::test]
async fn a_month_about_to_begin_is_left_to_a_default_partition_that_holds_rows() {
    let f = Fixture::new().await;
    put(&f, "2026-12-15T11:00:00Z").await;
    let made = f.store.make_partitions(at("2026-12-31T12:00:00Z")).await.expect("made");
    assert_eq!(made, Made { made: 8, left: 4 });
}

#[tokio::test]
async fn what_a_dead_process_left_behind_is_removed() {
    let f = Fixture::new().await;
    put(&f, "2026-12-15T11:00:00Z").await;
    let (low, high) = (first_id_at(at("2027-01-01T00:00:00Z")), first_id_at(at("2027-02-01T00:00:00Z")));
    f.database
        .execute(&format!(
            "ALTER TABLE messages_default ADD CONSTRAINT messages_not_2027_01
            CHECK (message_id < '{low}' OR message_id >= '{high}') NOT VALID"
        ))
        .await;
    assert_eq!(promises(&f).await, 1);
    f.store.make_partitions(at("2027-01-01T12:00:00Z")).await.expect("made");
    assert_eq!(promises(&f).await, 0);
    put(&f, "2027-01-01T12:00:01Z").await;
}

#[tokio::test]
async fn a_lock_that_is_not_had_in_time_is_a_passing_fault_and_holds_nobody_up() {
    let f = Fixture::new().await;
    let mut client = connect(&f.database.url).await;
    let reading = client.transaction().await.expect("a transaction");
    reading.batch_execute("LOCK TABLE messages_default IN ACCESS SHARE MODE").await.expect("a reader's lock");
    let error = f.store.make_partitions(at("2026-12-15T12:00:00Z")).await.expect_err("locked");
    assert!(error.is_transient(), "{error}");
    f.queue(Lane::Normal).await;
    reading.rollback().await.expect("ends");
    f.store.make_partitions(at("2026-12-15T12:00:00Z")).await.expect("made");
}

#[tokio::test]
async fn a_month_goes_when_all_of_it_is_older_than_messages_are_kept() {
    let f = Fixture::new().await;
    f.store.make_partitions(at("2026-12-15T12:00:00Z")).await.expect("made");
    let (old, new) = (put(&f, "2026-12-31T23:59:59Z").await, put(&f, "2027-01-01T00:00:00Z").await);
    f.database.execute("DELETE FROM outbox").await;
    let end = at("2027-01-01T00:00:00Z");
    let kept = SignedDuration::from_hours(24 * 400);
    let just_before = end.checked_add(kept - SignedDuration::from_millis(1)).expect("in range");
    assert_eq!(f.store.expired_month(just_before).await.expect("read"), None);
    let then = end.checked_add(kept).expect("in range");
    let expired = f.store.expired_month(then).await.expect("read").expect("December");
    assert_eq!(expired.name(), "2026_12");
    // Keys first, a few at a time, and only those of the month.
    let ids = expired.ids().expect("ids");
    let (mut removed, mut beyond, mut batches) = (0, None, 0);
    loop {
        let (some, next) = f.store.remove_keys(beyond.as_ref(), ids, 1).await.expect("removed");
        (removed, beyond, batches) = (removed + some, next, batches + 1);
        if beyond.is_none() {
            break;
        }
    }
    assert_eq!((removed, batches), (1, 3), "two keys looked at one by one, and a look that finds the end");
    assert_eq!(f.store.drop_month(expired).await.expect("dropped"), 4);
    assert_eq!(f.store.drop_month(expired).await.expect("nothing left"), 0);
    assert_eq!(places(&f, &old).await, Vec::<String>::new());
    assert_eq!(places(&f, &new).await, ["message_tags_2027_01", "messages_2027_01"]);
    assert_eq!(f.rows("message_keys").await, 1);
    assert!(!partitions(&f).await.iter().any(|name| name.ends_with("2026_12")));
    assert_eq!(f.store.expired_month(then).await.expect("read"), None);
}

#[tokio::test]
async fn a_month_with_waiting_messages_stays_and_does_not_hide_the_next_one() {
    let f = Fixture::new().await;
    f.store.make_partitions(at("2026-12-15T12:00:00Z")).await.expect("made");
    put(&f, "2026-12-31T00:00:00Z").await;
    let expired = f.store.expired_month(at("2028-06-01T00:00:00Z")).await.expect("read").expect("January");
    assert_eq!(expired.name(), "2027_01");
    f.database.execute("DELETE FROM outbox").await;
    let expired = f.store.expired_month(at("2028-06-01T00:00:00Z")).await.expect("read").expect("December");
    assert_eq!(expired.name(), "2026_12");
}

#[tokio::test]
async fn messages_are_kept_as_long_as_the_workspace_that_keeps_texts_longest() {
    let f = Fixture::new().await;
    f.store.make_partitions(at("2026-12-15T12:00:00Z")).await.expect("made");
    f.database.execute("UPDATE workspaces SET body_retention_days = 3650").await;
    assert_eq!(f.store.expired_month(at("2036-12-01T00:00:00Z")).await.expect("read"), None);
    assert!(f.store.expired_month(at("2037-01-01T00:00:00Z")).await.expect("read").is_some());
}

async fn promises(f: &Fixture) -> i64 {
    f.database.number("SELECT count(*) FROM pg_constraint WHERE conname LIKE '%\\_not\\_20%' AND contype = 'c'").await
}
