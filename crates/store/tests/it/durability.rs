//! A database that may lose what it acknowledges is noticed, and nothing is accepted in it.

use prometheus::Registry;
use store::Store;
use store::connect::Database;
use store::durability::{SETTINGS, look};
use store::error::Error;
use store::metrics::Metrics;
use store::vault::Vault;
use store::writer::AcceptWriter;

use crate::fixtures::Fixture;

const FOR_NEW_SESSIONS: &str =
    "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET synchronous_commit = local'', current_database()); END'";
const RESET: &str =
    "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I RESET synchronous_commit'', current_database()); END'";

async fn connect(database: Database) -> Result<Store, Error> {
    let metrics = Metrics::register(&Registry::new()).expect("fresh names");
    Store::connect(database, 2, Vault::new(&[7; 32], None), metrics).await
}

fn refused(answer: &Result<Vec<store::accept::Accepted>, Error>, name: &str) -> bool {
    matches!(answer, Err(Error::Unavailable(text)) if text.contains(&format!("setting {name} is")))
}

#[tokio::test]
async fn each_setting_that_becomes_unsafe_stops_accepting_and_sending_until_it_is_mended() {
    let f = Fixture::new().await;
    f.database.pretend_settings().await;
    let database = Database::parse(&f.database.url).expect("our own address");
    let store = connect(database.clone()).await.expect("safe");
    let writer = AcceptWriter::start(&store);
    assert!(look(&database).await.expect("an answer").is_empty());
    for name in SETTINGS {
        f.database.pretend_setting(name, "off").await;
        let found = look(&database).await.expect("an answer");
        assert_eq!(found.iter().map(|setting| setting.name).collect::<Vec<_>>(), [name]);
        assert_eq!(found[0].source.as_deref(), Some("configuration file"));
        store.read_clock().await.expect("an answer");
        let answer = writer.accept(vec![f.message()]).await;
        assert!(refused(&answer, name) && !store.may_send(), "{name}: {answer:?}");
        f.database.pretend_setting(name, "on").await;
        store.read_clock().await.expect("an answer");
        writer.accept(vec![f.message()]).await.expect("mended");
        assert!(store.may_send());
    }
    assert_eq!(f.rows("messages").await, 3);
}

#[tokio::test]
async fn a_session_that_began_unsafe_is_not_used() {
    let f = Fixture::new().await;
    let database = Database::parse(&f.database.url).expect("our own address");
    let store = connect(database.clone()).await.expect("safe");
    let writer = AcceptWriter::start(&store);
    writer.accept(vec![f.message()]).await.expect("a session that is kept");
    f.database.execute(FOR_NEW_SESSIONS).await;
    store.read_clock().await.expect("an answer");
    writer.accept(vec![f.message()]).await.expect("sessions of before are safe still");
    f.database.cut_sessions().await;
    // What was cut is found out by using it.
    while store.may_send() {
        assert!(writer.accept(vec![f.message()]).await.is_err());
    }
    let answer = writer.accept(vec![f.message()]).await;
    assert!(refused(&answer, "synchronous_commit"), "{answer:?}");
    assert!(store.read_clock().await.is_err());
    assert_eq!(f.rows("messages").await, 2);
    let found = look(&database).await.expect("an answer");
    assert_eq!(found[0].source.as_deref(), Some("database"));
    f.database.execute(RESET).await;
    store.read_clock().await.expect("a safe session");
    writer.accept(vec![f.message()]).await.expect("mended");
}

#[tokio::test]
async fn what_is_allowed_is_used_and_told() {
    let f = Fixture::new().await;
    f.database.execute(FOR_NEW_SESSIONS).await;
    let database = Database::parse(&f.database.url).expect("our own address");
    assert!(matches!(connect(database.clone()).await, Err(Error::Unavailable(_))));
    database.durability().allow();
    let store = connect(database).await.expect("allowed");
    AcceptWriter::start(&store).accept(vec![f.message()]).await.expect("allowed");
    assert_eq!(store.database().durability().found().len(), 1);
    assert!(store.may_send());
}
