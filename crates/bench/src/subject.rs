//! A child process that is measured.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bench::child::Role;
use bench::usage::Usage;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bed::Bed;

/// Program that is measured as it is, and the one under an allocator that counts.
pub(crate) const PLAIN: &str = "bench-child";
pub(crate) const COUNTED: &str = "bench-child-counted";
/// End of a child's log that is shown when it breaks down, bytes.
const LOG_TAIL_BYTES: usize = 2_000;

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running child; ends when dropped.
pub(crate) struct Subject {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    log: PathBuf,
    /// Where it listens, if it is a server.
    pub(crate) address: Option<String>,
}

impl Subject {
    /// Starts one of the programs beside this one.
    pub(crate) fn start(program: &str, role: Role, bed: &Bed) -> Result<Self, String> {
        Self::launch(program, role, bed, &[])
    }

    /// Starts a gateway that sends to a sink.
    pub(crate) fn start_sending(role: Role, bed: &Bed, sink: &str) -> Result<Self, String> {
        Self::launch(PLAIN, role, bed, &["--sink", sink])
    }

    fn launch(program: &str, role: Role, bed: &Bed, arguments: &[&str]) -> Result<Self, String> {
        let binary = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name(program);
        let role = role.to_possible_value().ok_or("no role")?;
        let mut command = Command::new(&binary);
        command
            .arg(role.get_name())
            .args(["--database-url", &bed.database_url])
            .args(["--workspace", &bed.tenant.workspace.to_string()])
            .args(["--channel", &bed.tenant.channel.id.to_string()])
            .args(arguments);
        let built = |why| format!("{why}; build it with: cargo build --release -p bench");
        Self::spawn(command, bed).map_err(built)
    }

    /// Starts any program that says on its first line where it listens.
    pub(crate) fn spawn(mut command: Command, bed: &Bed) -> Result<Self, String> {
        // A log costs what it costs in production, and is not printed.
        let log = bed.folder().join(format!("child-{}.log", STARTED.fetch_add(1, Ordering::Relaxed)));
        let log_file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).ok_or("no pipes")?;
        let mut subject = Self { child, input, output: BufReader::new(output), log, address: None };
        let first: Value = subject.line()?;
        subject.address = first["address"].as_str().map(str::to_owned);
        Ok(subject)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<String, String> {
        self.address.clone().ok_or_else(|| "no address".to_owned())
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// What the process has used so far.
    pub(crate) fn usage(&mut self) -> Result<Usage, String> {
        self.ask(Duration::ZERO)
    }

    /// Asks for an answer; a worker pauses so long between two pieces of work.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, pause: Duration) -> Result<T, String> {
        writeln!(self.input, "{}", pause.as_micros()).map_err(|error| format!("a child went away: {error}"))?;
        self.line()
    }

    fn line<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line)
            .map_err(|error| format!("a child said {line:?}: {error}; its log: {}", self.log_tail()))
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(log.get(log.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default()).into_owned()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
