//! Looking at and killing processes, by portable commands.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cluster::Cluster;

/// Far more than any of the awaited things takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Process id of the server on a cluster's folder.
pub(crate) fn server_pid(folder: &Path) -> u32 {
    let file = fs::read_to_string(folder.join("data/postmaster.pid")).expect("a running server");
    file.lines().next().expect("a first line").parse().expect("a number")
}

pub(crate) fn signal(name: &str, pid: u32) -> bool {
    let mut kill = Command::new("kill");
    kill.args(["-s", name, &pid.to_string()]).stderr(Stdio::null());
    kill.status().expect("kill").success()
}

/// A column that `ps` knows, empty once the process is gone.
pub(crate) fn ps(column: &str, pid: u32) -> String {
    let output = Command::new("ps").args(["-o", &format!("{column}="), "-p", &pid.to_string()]).output().expect("ps");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn is_alive(pid: u32) -> bool {
    signal("0", pid)
}

pub(crate) fn am_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id");
    output.stdout.trim_ascii() == b"0"
}

/// Waits for something that other processes do (tidy: sleeps because no signal of theirs reaches us).
pub(crate) async fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// First column of the only row, as text.
pub(crate) async fn ask(cluster: &Cluster, database: &str, question: &str) -> String {
    let (client, connection) =
        tokio_postgres::connect(&cluster.url(database), tokio_postgres::NoTls).await.expect("a connection");
    let running = tokio::spawn(connection);
    let answer = client.query_one(question, &[]).await.expect("an answer").get(0);
    drop(client);
    running.await.expect("no panic").expect("a clean end");
    answer
}

/// Runs statements that answer nothing.
pub(crate) async fn run(cluster: &Cluster, database: &str, statements: &str) {
    let (client, connection) =
        tokio_postgres::connect(&cluster.url(database), tokio_postgres::NoTls).await.expect("a connection");
    let running = tokio::spawn(connection);
    client.batch_execute(statements).await.expect("success");
    drop(client);
    running.await.expect("no panic").expect("a clean end");
}

/// A folder that the server's user can reach, also when this is root: its parent is a temporary
/// folder with the mode of the system's own.
pub(crate) fn reachable_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("a mode");
    folder
}
