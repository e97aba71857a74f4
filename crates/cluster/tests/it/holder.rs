//! A second program that has a cluster, for tests that kill it.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cluster::Cluster;

const FOLDER: &str = "HOLD_CLUSTER_IN";

/// A program that holds a cluster until it is killed, at most a minute.
pub(crate) struct Holder {
    pub(crate) program: Child,
    pub(crate) url: String,
    /// Another child of that program, started after the cluster; outlives the program.
    pub(crate) sibling: u32,
}

impl Holder {
    /// Starts it and waits until its cluster answers.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut program = Self::spawn(folder);
        let output = BufReader::new(program.stdout.take().expect("a pipe"));
        let mut told = output.lines().map_while(Result::ok).filter_map(|line| {
            let (_, told) = line.split_once("held: ")?;
            Some(told.to_owned())
        });
        let url = told.next().expect("a URL");
        let sibling = told.next().expect("a process id").parse().expect("a number");
        Self { program, url, sibling }
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(folder: &Path) -> Child {
        Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "holder::hold_a_cluster", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a second program")
    }
}

/// Not a test by itself: the program that other tests start and kill.
#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "how one test tells another program what to do")]
async fn hold_a_cluster() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let cluster = Cluster::start(Path::new(&folder)).await.expect("a cluster");
    let mut sibling = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().expect("sleep");
    let mut output = std::io::stdout();
    writeln!(output, "\nheld: {}\nheld: {}", cluster.url("postgres"), sibling.id()).expect("a reader");
    output.flush().expect("a reader");
    // Long enough to be killed, and bounded in case nobody does.
    let waited = tokio::task::spawn_blocking(move || sibling.wait()).await;
    waited.expect("no panic").expect("an end");
    cluster.stop().await.expect("a stop");
}
