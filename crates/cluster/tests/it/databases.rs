//! Making, copying and removing databases.

use cluster::{Cluster, Error};

use crate::processes::{ask, run};

#[tokio::test]
async fn databases_are_made_copied_and_removed() {
    let cluster = Cluster::ephemeral().await.expect("a cluster");
    cluster.create_database("template").await.expect("a database");
    cluster.create_database("template").await.expect("still there");
    run(&cluster, "template", "CREATE TABLE copied AS SELECT 'copied'::text AS value").await;

    cluster.create_database_from("copy", "template").await.expect("a copy");
    assert_eq!(ask(&cluster, "copy", "SELECT value FROM copied").await, "copied");
    let refused = cluster.create_database_from("copy", "template").await.expect_err("there already");
    assert!(matches!(refused, Error::Database(_)), "{refused}");

    cluster.drop_database("copy").await.expect("a removal");
    cluster.drop_database("copy").await.expect("still gone");
    let names = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
    assert_eq!(ask(&cluster, "postgres", names).await, "postgres template");

    let refused = cluster.create_database("no;name").await.expect_err("not a name");
    assert!(matches!(refused, Error::InvalidName { .. }), "{refused}");
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn two_who_make_the_same_database_at_once_both_succeed() {
    let cluster = Cluster::ephemeral().await.expect("a cluster");
    let (one, other) = tokio::join!(cluster.create_database("same"), cluster.create_database("same"));
    one.expect("one");
    other.expect("the other");
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn neither_password_nor_values_are_shown() {
    let cluster = Cluster::ephemeral().await.expect("a cluster");
    let url = cluster.url("postgres");
    let password = url.split([':', '@']).nth(2).expect("a password");
    assert_eq!(password.len(), 64);
    assert!(!format!("{cluster:?}").contains(password));

    let failing = "SELECT 1 / 0 /* +254700000000 */";
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("a connection");
    let _running = tokio::spawn(connection);
    client.batch_execute(failing).await.expect_err("a division by zero");
    let entries = std::fs::read_dir(cluster.folder().join("log")).expect("the log");
    let log: String =
        entries.map(|entry| std::fs::read_to_string(entry.expect("a file").path()).expect("its text")).collect();
    assert!(!log.contains("254700000000"), "{log}");
    drop(client);
    cluster.stop().await.expect("a stop");
}
