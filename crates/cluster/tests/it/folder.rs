//! Folders in every condition: private, half made, damaged, out of reach.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cluster::{Cluster, Error};

use crate::holder::Holder;
use crate::processes::{am_root, ask, eventually, reachable_folder, run};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").mode() & 0o777
}

#[tokio::test]
async fn data_and_password_are_private() {
    let parent = reachable_folder();
    let cluster = Cluster::start(&parent.path().join("new/folder")).await.expect("a cluster");
    assert_eq!(mode(&cluster.folder().join("data")), 0o700);
    assert_eq!(mode(&cluster.folder().join("log")), 0o700);
    assert_eq!(mode(&cluster.folder().join("password")), 0o600);
    assert!(!cluster.folder().join("init").exists(), "nothing is left of the making");
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_first_start_that_was_killed_is_done_afresh() {
    let folder = reachable_folder();
    let mut program = Holder::spawn(folder.path());
    let half_made = folder.path().join("init/data/global");
    eventually("initdb has begun", || half_made.exists()).await;
    program.kill().expect("SIGKILL");
    program.wait().expect("an end");
    assert!(!folder.path().join("data").exists());

    let cluster = Cluster::start(folder.path()).await.expect("a next start");
    assert_eq!(ask(&cluster, "postgres", "SELECT 'whole'::text").await, "whole");
    cluster.stop().await.expect("a stop");
}

#[tokio::test]
async fn data_without_its_password_is_refused() {
    let folder = reachable_folder();
    Cluster::start(folder.path()).await.expect("a cluster").stop().await.expect("a stop");
    fs::remove_file(folder.path().join("password")).expect("the password");
    let refused = Cluster::start(folder.path()).await.expect_err("no password");
    assert!(matches!(refused, Error::PasswordMissing { .. }), "{refused}");
}

#[tokio::test]
async fn data_of_a_version_that_is_not_installed_is_refused() {
    let folder = reachable_folder();
    Cluster::start(folder.path()).await.expect("a cluster").stop().await.expect("a stop");
    fs::write(folder.path().join("data/PG_VERSION"), "9\n").expect("the version");
    let refused = Cluster::start(folder.path()).await.expect_err("no such version");
    assert!(matches!(refused, Error::VersionMissing { version: 9, .. }), "{refused}");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let folder = reachable_folder();
    Cluster::start(folder.path()).await.expect("a cluster").stop().await.expect("a stop");
    fs::write(folder.path().join("data/postgresql.conf"), "nonsense = 1\n").expect("the settings");
    let failed = Cluster::start(folder.path()).await.expect_err("bad settings");
    assert!(matches!(failed, Error::StartFailed { .. }), "{failed}");
    assert!(failed.to_string().contains("nonsense"), "{failed}");
}

#[tokio::test]
async fn a_folder_out_of_reach_for_the_servers_user_is_relocated() {
    if !am_root() {
        writeln!(std::io::stderr(), "skipped: only root's server runs as another user").expect("stderr");
        return;
    }
    let parent = tempfile::tempdir().expect("a folder");
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    let folder = parent.path().join("data");

    let first = Cluster::start(&folder).await.expect("a cluster");
    let home = first.folder().to_path_buf();
    assert_eq!(home.parent(), Some(Path::new("/var/lib/tuma")));
    let pointer = fs::read_to_string(folder.join("cluster-location")).expect("a pointer");
    assert_eq!(Path::new(pointer.trim_end()), home);
    run(&first, "postgres", "CREATE TABLE kept AS SELECT 'kept'::text AS value").await;
    let refused = Cluster::start(&folder).await.expect_err("in use");
    assert!(matches!(refused, Error::InUse { .. }), "{refused}");
    first.stop().await.expect("a stop");

    let second = Cluster::start(&folder).await.expect("a second start");
    assert_eq!(second.folder(), home);
    assert_eq!(ask(&second, "postgres", "SELECT value FROM kept").await, "kept");
    second.stop().await.expect("a stop");

    // A removed folder takes its claim on the data with it.
    fs::remove_dir_all(&folder).expect("the folder");
    let third = Cluster::start(&folder).await.expect("a third start");
    let tables = "SELECT count(*)::text FROM pg_tables WHERE tablename = 'kept'";
    assert_eq!(ask(&third, "postgres", tables).await, "0");
    third.stop().await.expect("a stop");
    for left in [home.clone(), home.with_extension("previous")] {
        fs::remove_dir_all(left).expect("what is left");
    }
}

#[tokio::test]
async fn data_in_a_folder_that_went_out_of_reach_is_not_silently_replaced() {
    if !am_root() {
        writeln!(std::io::stderr(), "skipped: only root's server runs as another user").expect("stderr");
        return;
    }
    let folder = reachable_folder();
    Cluster::start(folder.path()).await.expect("a cluster").stop().await.expect("a stop");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    let refused = Cluster::start(folder.path()).await.expect_err("out of reach");
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
}
