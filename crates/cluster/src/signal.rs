//! Ends a process of the server the hard way.
//!
//! By the command `kill`, since the standard library signals only its own children.

use std::io;
use std::process::{Command, Stdio};

/// Sends SIGKILL to a process.
pub(crate) fn kill(process: u32) -> io::Result<()> {
    let mut command = Command::new("kill");
    command.args(["-s", "KILL", &process.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status()?.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("process {process} cannot be killed")))
}
