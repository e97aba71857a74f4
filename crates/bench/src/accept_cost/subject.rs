//! A child process that is measured.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use bench::child::Role;
use bench::usage::Usage;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bed::Bed;

/// Program that is measured as it is, and the one under an allocator that counts.
pub(super) const PLAIN: &str = "bench-child";
pub(super) const COUNTED: &str = "bench-child-counted";

/// A running child; ends when dropped.
pub(super) struct Subject {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where it listens, if it is a server.
    pub(super) address: Option<String>,
}

impl Subject {
    /// Starts one of the programs beside this one.
    pub(super) fn start(program: &str, role: Role, bed: &Bed) -> Result<Self, String> {
        let binary = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name(program);
        let role = role.to_possible_value().ok_or("no role")?;
        let mut child = Command::new(&binary)
            .arg(role.get_name())
            .args(["--database-url", &bed.database_url])
            .args(["--workspace", &bed.tenant.workspace.to_string()])
            .args(["--channel", &bed.tenant.channel.id.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| format!("{}: {error}; build it with: cargo build --release -p bench", binary.display()))?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).ok_or("no pipes")?;
        let mut subject = Self { child, input, output: BufReader::new(output), address: None };
        let first: Value = subject.line()?;
        subject.address = first["address"].as_str().map(str::to_owned);
        Ok(subject)
    }

    /// What the process has used so far.
    pub(super) fn usage(&mut self) -> Result<Usage, String> {
        self.ask(Duration::ZERO)
    }

    /// Asks for an answer; a worker pauses so long between two pieces of work.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, pause: Duration) -> Result<T, String> {
        writeln!(self.input, "{}", pause.as_micros()).map_err(|error| format!("a child went away: {error}"))?;
        self.line()
    }

    fn line<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("a child said {line:?}: {error}"))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
