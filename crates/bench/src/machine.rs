//! When, of what and on what something was measured.

use std::process::Command;

use serde_json::{Value, json};

/// What a result is to be read with.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "a result carries the date on which it was taken")]
pub fn describe() -> Value {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({
        "date": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "commit": commit(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "processor": line_of("/proc/cpuinfo", "model name"),
        "cores": cores,
        "memory": line_of("/proc/meminfo", "MemTotal"),
        "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned())
    })
}

/// Load averages, where the system tells them: others may be at work on the same machine.
#[must_use]
pub fn load() -> Option<String> {
    std::fs::read_to_string("/proc/loadavg").ok().map(|line| line.trim().to_owned())
}

/// The commit of the sources, marked when they were changed since; `None` outside a repository.
fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}

fn line_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
