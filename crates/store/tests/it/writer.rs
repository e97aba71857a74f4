//! Group commit: many at once, one first, and no neighbour's fault.

use store::accept::{Accepted, NewMessage};
use store::error::Error;
use store::writer::AcceptWriter;
use tokio::task::JoinSet;

use crate::fixtures::{Fixture, keyed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_equal_requests_through_two_replicas_one_is_new() {
    let f = Fixture::new().await;
    let writers = [AcceptWriter::start(&f.store), AcceptWriter::start(&f.database.another_store().await)];
    let mut accepts = JoinSet::new();
    for number in 0..100 {
        let (writer, message) = (writers[number % 2].clone(), keyed(f.message(), "key-1"));
        accepts.spawn(async move { (message.id, writer.accept(vec![message]).await.expect("accepted")) });
    }
    let answers = accepts.join_all().await;
    let new: Vec<_> = answers.iter().filter(|(_, accepted)| *accepted == [Accepted::New]).map(|(id, _)| *id).collect();
    assert_eq!(new.len(), 1, "{answers:?}");
    let replayed = answers.iter().filter(|(_, accepted)| *accepted == [Accepted::Replayed(new[0])]).count();
    assert_eq!(replayed, 99);
    for table in ["messages", "outbox", "message_keys"] {
        assert_eq!(f.rows(table).await, 1, "{table}");
    }
}

/// On one thread, so that all requests wait before the writer sees the first: they share a commit.
#[tokio::test(flavor = "current_thread")]
async fn a_row_that_the_database_refuses_does_not_fail_its_neighbours() {
    let f = Fixture::new().await;
    let writer = AcceptWriter::start(&f.store);
    let mut accepts = JoinSet::new();
    for number in 0..20 {
        let reference = if number == 7 { "a\0b" } else { "order-1" }.to_owned();
        let (writer, message) = (writer.clone(), NewMessage { reference, ..f.message() });
        accepts.spawn(async move { (number, writer.accept(vec![message]).await) });
    }
    for (number, answer) in accepts.join_all().await {
        match answer {
            Ok(accepted) => assert_eq!((accepted, number == 7), (vec![Accepted::New], false)),
            Err(error) => assert!(number == 7 && matches!(error, Error::Refused { .. }), "{number}: {error}"),
        }
    }
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (19, 19));
}

#[tokio::test]
async fn messages_handed_over_together_are_stored_together_or_not_at_all() {
    let f = Fixture::new().await;
    let writer = AcceptWriter::start(&f.store);
    let bad = NewMessage { reference: "a\0b".to_owned(), ..f.message() };
    assert!(writer.accept(vec![f.message(), bad, f.message()]).await.is_err());
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (0, 0));
    assert_eq!(writer.accept(vec![f.message(), f.message()]).await.expect("accepted"), [Accepted::New; 2]);
    assert_eq!((f.rows("messages").await, f.rows("outbox").await), (2, 2));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_cancel_the_commit() {
    let f = Fixture::new().await;
    let writer = AcceptWriter::start(&f.store);
    let first = f.message();
    let gone = tokio::spawn({
        let (writer, message) = (writer.clone(), first.clone());
        async move { writer.accept(vec![message]).await }
    });
    // The next request comes after the first: once it is answered, the first has been handed over.
    tokio::task::yield_now().await;
    gone.abort();
    assert_eq!(writer.accept(vec![f.message()]).await.expect("accepted"), [Accepted::New]);
    let stored = async { while f.store.message(first.workspace, first.id).await.expect("read").is_none() {} };
    tokio::time::timeout(std::time::Duration::from_secs(5), stored).await.expect("the row appears");
}
