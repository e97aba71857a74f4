//! Processes of the program `tuma`: started, signalled, killed, waited for. Each has its log in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::subject;

/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);
/// For a process to become ready on a busy machine.
const READY_WAIT: Duration = Duration::from_secs(60);
/// For a process that was asked to stop: its grace, its calls, its listeners.
const STOP_WAIT: Duration = Duration::from_secs(40);
/// What tuma logs: the evidence when a verdict is bad.
const LOG: &str = "info";

/// Signals, by the names that `kill` knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    Stop,
    Continue,
    Terminate,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Continue => "CONT",
            Self::Terminate => "TERM",
        }
    }
}

/// What a process is started with, each time again.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) log: PathBuf,
    /// Answers 200 when it is ready.
    pub(crate) ready_url: String,
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    child: Child,
}

impl Process {
    /// Starts it.
    pub(crate) fn start(program: Program) -> Result<Self, String> {
        let child = spawn(&program)?;
        Ok(Self { program, child })
    }

    /// Where it says whether it is ready.
    pub(crate) fn ready_url(&self) -> &str {
        &self.program.ready_url
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// Starts it again, after it has ended.
    pub(crate) fn start_again(&mut self) -> Result<(), String> {
        if matches!(self.child.try_wait(), Ok(None)) {
            return Err("a process was to start again that runs".to_owned());
        }
        self.child = spawn(&self.program)?;
        Ok(())
    }

    /// Adds to what it is told when it starts again.
    pub(crate) fn tell(&mut self, environment: impl IntoIterator<Item = (&'static str, String)>) {
        self.program.environment.extend(environment);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal.name(), &id]).status();
        if status.map_err(|error| error.to_string())?.success() { Ok(()) } else { Err(format!("no process {id}")) }
    }

    /// Waits until it has ended by itself; answers whether it ended well.
    pub(crate) async fn ended(&mut self) -> Result<bool, String> {
        let deadline = Instant::now() + STOP_WAIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Ok(status.success());
            }
            sleep(LOOK).await;
        }
        Err(format!("a process has not ended within {} s", STOP_WAIT.as_secs()))
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self, http: &reqwest::Client) -> Result<(), String> {
        let deadline = Instant::now() + READY_WAIT;
        while Instant::now() < deadline {
            if http.get(&self.program.ready_url).send().await.is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            if self.has_ended() {
                return Err(format!("a process ended at its start; its log: {}", self.program.log.display()));
            }
            sleep(LOOK).await;
        }
        Err(format!("a process is not ready; its log: {}", self.program.log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(program: &Program) -> Result<Child, String> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let log = &program.log;
    let log_file = File::options().create(true).append(true).open(log).map_err(|error| failed(log, error))?;
    let binary = binary()?;
    let mut command = Command::new(&binary);
    command.args(&program.arguments).env_clear().envs(program.environment.iter().cloned()).env("TUMA_LOG", LOG);
    command.envs(subject::environment());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
    command.spawn().map_err(|error| failed(&binary, error))
}

/// The program that is judged: the one beside this one, unless another was chosen.
pub(crate) fn binary() -> Result<PathBuf, String> {
    if let Some(chosen) = subject::binary() {
        return Ok(chosen);
    }
    let binary = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("tuma");
    if binary.exists() {
        Ok(binary)
    } else {
        Err(format!("{} is not built; build it with: cargo build -p server", binary.display()))
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> Result<u16, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}
