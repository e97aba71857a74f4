//! From the start of `tuma dev` to its ready line, on a new data folder and on one that is there.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figures::milliseconds;

const RUNS: usize = 5;

/// The binary beside this one.
pub(crate) fn binary() -> Result<PathBuf, String> {
    let binary = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("tuma");
    if binary.exists() {
        Ok(binary)
    } else {
        Err(format!("{} is not built; build it with: cargo build --release", binary.display()))
    }
}

/// Measures the scenario.
pub(crate) fn measure() -> Result<Value, String> {
    let binary = binary()?;
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let folder = std::env::temp_dir().join(format!("tuma-bench-{}-{run}", std::process::id()));
        first.push(once(&binary, &folder)?);
        later.push(once(&binary, &folder)?);
        std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    }
    Ok(json!({ "newFolderMs": milliseconds(first), "sameFolderMs": milliseconds(later) }))
}

fn once(binary: &PathBuf, folder: &PathBuf) -> Result<Duration, String> {
    let started = Instant::now();
    let mut child = Command::new(binary)
        .args(["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut line = String::new();
    let read = child.stdout.take().map(|output| BufReader::new(output).read_line(&mut line));
    let took = started.elapsed();
    let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    child.wait().map_err(|error| error.to_string())?;
    stopped.map_err(|error| error.to_string())?;
    match read {
        Some(Ok(length)) if length > 0 => Ok(took),
        Some(_) | None => Err("tuma dev did not become ready".to_owned()),
    }
}
