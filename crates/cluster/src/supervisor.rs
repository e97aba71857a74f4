//! Runs a server program so that it cannot outlive us.
//!
//! Between us and the program stands a small shell (`supervisor.sh`), which ends the program when
//! the pipe we hold closes: by our wish, by a drop, or because we were killed. It runs in a process
//! group of its own, so that Ctrl-C in a terminal reaches only us. It knows nothing of PostgreSQL
//! except the meaning of its signals.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::owner::Owner;

/// Bound of every wait for an end: the supervisor kills after 30 s, the rest is slack.
pub(crate) const STOP_SECONDS: u64 = 45;

/// Pause between two looks at the child: short against a shutdown, long against a system call.
const POLL: Duration = Duration::from_millis(10);

/// All that a server program sees of our environment: how to find programs and libraries. Settings
/// for other servers (`PG…`) and secrets stay with us.
const ENVIRONMENT_KEPT: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// What surrounds the program.
pub(crate) struct Surroundings<'a> {
    /// Who runs it.
    pub(crate) owner: &'a Owner,
    /// Its working folder.
    pub(crate) folder: &'a Path,
    /// A locked file; the lock is kept until the last process is gone.
    pub(crate) lock: File,
    /// Takes standard output and standard error.
    pub(crate) log: File,
}

/// A running program. Dropping it ends the program and waits for that.
#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Supervisor {
    /// Starts `program` with `arguments`.
    pub(crate) fn start(program: &Path, arguments: &[OsString], surroundings: Surroundings<'_>) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", include_str!("supervisor.sh"), "tuma-cluster"])
            .arg(program)
            .args(arguments)
            .current_dir(surroundings.folder)
            .env_clear()
            .envs(kept_environment())
            // TZ also spares initdb a search through all time zone files.
            .envs([("LANG", "C"), ("TZ", "UTC")])
            .stdin(Stdio::piped())
            .stdout(surroundings.lock)
            .stderr(surroundings.log)
            .process_group(0);
        surroundings.owner.run(&mut command);
        let mut child = command.spawn()?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    /// How the program ended, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the program to end by itself, `None` if it has not in time.
    pub(crate) async fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= deadline {
                return Ok(ended);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends the program and waits for that; `None` if it has not ended within [`STOP_SECONDS`].
    pub(crate) async fn stop(&mut self) -> io::Result<Option<ExitStatus>> {
        drop(self.pipe.take());
        self.wait(Duration::from_secs(STOP_SECONDS)).await
    }
}

impl Drop for Supervisor {
    #[allow(clippy::disallowed_methods, reason = "a drop cannot await; this one is short and bounded")]
    fn drop(&mut self) {
        drop(self.pipe.take());
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS);
        while matches!(self.ended(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "handed on to child processes, no setting of ours")]
fn kept_environment() -> impl Iterator<Item = (&'static str, OsString)> {
    ENVIRONMENT_KEPT.into_iter().filter_map(|name| Some((name, env::var_os(name)?)))
}
