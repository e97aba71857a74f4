//! Starting, stopping, and what is left after kills.

use std::fs;

use cluster::{Cluster, Error};

use crate::holder::Holder;
use crate::processes::{am_root, ask, eventually, is_alive, ps, reachable_folder, run, server_pid, signal};

#[tokio::test]
async fn a_new_cluster_answers_with_the_promised_settings() {
    let cluster = Cluster::ephemeral().await.expect("a cluster");
    let question = "SELECT concat_ws(' ', current_user, current_setting('server_encoding'), \
        current_setting('TimeZone'), current_setting('fsync'), current_setting('listen_addresses'), \
        current_setting('unix_socket_directories'), current_setting('password_encryption'), datcollate, datctype) \
        FROM pg_database WHERE datname = current_database()";
    let answer = ask(&cluster, "postgres", question).await;
    assert!(answer.starts_with("tuma UTF8 UTC on 127.0.0.1  scram-sha-256 C C"), "{answer}");
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_second_start_has_the_same_data_password_and_port() {
    let folder = reachable_folder();
    let first = Cluster::start(folder.path()).await.expect("a cluster");
    let url = first.url("postgres");
    run(&first, "postgres", "CREATE TABLE kept AS SELECT 'kept'::text AS value").await;
    first.stop().await.expect("a stop");

    let second = Cluster::start(folder.path()).await.expect("a second start");
    assert_eq!(ask(&second, "postgres", "SELECT value FROM kept").await, "kept");
    assert_eq!(second.url("postgres"), url);
    second.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_taken_port_is_replaced() {
    let folder = reachable_folder();
    let first = Cluster::start(folder.path()).await.expect("a cluster");
    let port = first.port();
    first.stop().await.expect("a stop");

    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port");
    let second = Cluster::start(folder.path()).await.expect("a second start");
    assert_ne!(second.port(), port);
    second.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_stop_leaves_no_process_and_a_temporary_cluster_no_folder() {
    let cluster = Cluster::ephemeral().await.expect("a cluster");
    let (folder, pid) = (cluster.folder().to_path_buf(), server_pid(cluster.folder()));
    assert!(is_alive(pid));
    cluster.stop().await.expect("a stop");
    assert!(!is_alive(pid));
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_drop_stops_as_well() {
    let cluster = Cluster::ephemeral().await.expect("a cluster");
    let (folder, pid) = (cluster.folder().to_path_buf(), server_pid(cluster.folder()));
    drop(cluster);
    assert!(!is_alive(pid));
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_killed_program_leaves_no_server_and_its_data_is_there_again() {
    let folder = reachable_folder();
    let mut holder = Holder::start(folder.path());
    let pid = server_pid(folder.path());
    holder.program.kill().expect("SIGKILL");
    holder.program.wait().expect("an end");

    // At once, while the server is still shutting down.
    let next = Cluster::start(folder.path()).await.expect("a next start");
    assert!(!is_alive(pid));
    assert_eq!(next.url("postgres"), holder.url);
    // The pipe was not inherited by what the program started later.
    assert!(is_alive(holder.sibling));
    signal("TERM", holder.sibling);
    next.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_killed_program_leaves_no_server_when_nobody_starts_again() {
    let folder = reachable_folder();
    let mut holder = Holder::start(folder.path());
    let pid = server_pid(folder.path());
    holder.program.kill().expect("SIGKILL");
    holder.program.wait().expect("an end");
    eventually("the server is gone", || !is_alive(pid)).await;
    assert!(!folder.path().join("data/postmaster.pid").exists(), "a clean shutdown");
    signal("TERM", holder.sibling);
}

#[tokio::test]
async fn a_killed_server_is_noticed_and_recovers_on_the_next_start() {
    let folder = reachable_folder();
    let mut cluster = Cluster::start(folder.path()).await.expect("a cluster");
    run(&cluster, "postgres", "CREATE TABLE kept AS SELECT 'kept'::text AS value").await;
    assert!(!cluster.has_exited());
    assert!(signal("KILL", server_pid(folder.path())));
    eventually("the end is noticed", || cluster.has_exited()).await;
    drop(cluster);

    let next = Cluster::start(folder.path()).await.expect("a next start");
    assert_eq!(ask(&next, "postgres", "SELECT value FROM kept").await, "kept");
    next.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_restart_keeps_data_port_and_folder() {
    let mut cluster = Cluster::ephemeral().await.expect("a cluster");
    run(&cluster, "postgres", "CREATE TABLE kept AS SELECT 'kept'::text AS value").await;
    let (url, before) = (cluster.url("postgres"), server_pid(cluster.folder()));
    cluster.restart().await.expect("a restart");
    assert_eq!(cluster.url("postgres"), url);
    assert_ne!(server_pid(cluster.folder()), before);
    assert_eq!(ask(&cluster, "postgres", "SELECT value FROM kept").await, "kept");
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_server_killed_on_purpose_is_gone_until_it_is_started_again() {
    let mut cluster = Cluster::ephemeral().await.expect("a cluster");
    run(&cluster, "postgres", "CREATE TABLE kept AS SELECT 'kept'::text AS value").await;
    assert!(matches!(cluster.start_again().await, Err(Error::InUse { .. })), "it runs");
    let pid = server_pid(cluster.folder());
    cluster.kill().await.expect("a kill");
    assert!(!is_alive(pid));
    assert!(tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.is_err());
    cluster.start_again().await.expect("a start");
    assert_eq!(ask(&cluster, "postgres", "SELECT value FROM kept").await, "kept");
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_killed_backend_ends_the_others_and_the_server_goes_on() {
    let cluster = Cluster::ephemeral().await.expect("a cluster");
    let (client, connection) =
        tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.expect("a connection");
    let ended = tokio::spawn(connection);
    let (victim, other) =
        tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.expect("another");
    let other = tokio::spawn(other);
    let process: i32 = victim.query_one("SELECT pg_backend_pid()", &[]).await.expect("an answer").get(0);
    cluster.kill_backend(u32::try_from(process).expect("a process id")).expect("a kill");
    assert!(other.await.expect("no panic").is_err());
    assert!(ended.await.expect("no panic").is_err(), "all sessions end");
    drop(client);
    // It answers again as soon as it has recovered.
    let mut patience = 0;
    while tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.is_err() {
        patience += 1;
        assert!(patience < 100_000, "no recovery");
    }
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_number_of_a_killed_server_that_went_to_another_process_does_not_matter() {
    let folder = reachable_folder();
    let cluster = Cluster::start(folder.path()).await.expect("a cluster");
    let other = Cluster::ephemeral().await.expect("another cluster");
    let (pid, reused) = (server_pid(folder.path()), server_pid(other.folder()));
    let file = folder.path().join("data/postmaster.pid");
    let stale = fs::read_to_string(&file).expect("the file");
    signal("KILL", pid);
    drop(cluster);
    fs::write(&file, stale.replacen(&pid.to_string(), &reused.to_string(), 1)).expect("the file");

    let next = Cluster::start(folder.path()).await.expect("a next start");
    next.stop().await.expect("a stop");
    other.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_killed_supervisor_does_not_free_the_server() {
    let folder = reachable_folder();
    let mut cluster = Cluster::start(folder.path()).await.expect("a cluster");
    let pid = server_pid(folder.path());
    let supervisor = ps("ppid", pid).parse().expect("a parent");
    assert!(signal("KILL", supervisor));
    eventually("the end is noticed", || cluster.has_exited()).await;
    cluster.stop().await.expect("a stop");
    // Nobody of ours is its parent now, so its remains are cleared away by the system.
    eventually("the server is gone", || !is_alive(pid)).await;
}

#[tokio::test]
async fn the_server_never_runs_as_root_nor_in_our_process_group() {
    let cluster = Cluster::ephemeral().await.expect("a cluster");
    let pid = server_pid(cluster.folder());
    let user = ps("user", pid);
    assert_ne!(user, "root");
    assert!(!am_root() || ["postgres", "nobody", "_postgres"].contains(&user.as_str()), "{user}");
    assert_ne!(ps("pgid", pid), ps("pgid", std::process::id()));
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_second_program_on_the_same_folder_is_refused() {
    let folder = reachable_folder();
    let cluster = Cluster::start(folder.path()).await.expect("a cluster");
    let refused = Cluster::start(folder.path()).await.expect_err("in use");
    assert!(matches!(refused, Error::InUse { .. }), "{refused}");
    let name = folder.path().file_name().expect("a name").to_string_lossy().into_owned();
    assert!(refused.to_string().contains(&name), "{refused}");
    cluster.stop().await.expect("a stop");
}
