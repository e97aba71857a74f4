//! Other queues behind a front of a few lines, as programs for Node.js: `peers/`.
//!
//! They are installed by npm into a folder beside the build, once for each set of versions. Where that fails, the reason
//! stands in the result instead of figures.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::bed::Bed;
use crate::subject::Subject;

/// Folder beside those of the build's profiles.
const FOLDER: &str = "bench-peers";
/// Written when an installation is whole; holds the lock file it was made from.
const INSTALLED: &str = "installed.json";
const LOCK: &str = include_str!("../peers/package-lock.json");
const FILES: [(&str, &str); 5] = [
    ("package.json", include_str!("../peers/package.json")),
    ("package-lock.json", LOCK),
    ("common.mjs", include_str!("../peers/common.mjs")),
    ("graphile.mjs", include_str!("../peers/graphile.mjs")),
    ("pgboss.mjs", include_str!("../peers/pgboss.mjs")),
];
/// End of a failed program's words that is shown, lines.
const WORDS_LINES: usize = 5;

/// Installed peers.
pub(crate) struct Peers {
    folder: PathBuf,
    node: PathBuf,
}

impl Peers {
    /// Installs them unless they are there.
    pub(crate) fn install() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let target = program.parent().and_then(Path::parent).ok_or("no folder of the build")?;
        let folder = target.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text).map_err(|error| error.to_string())?;
        }
        let mark = folder.join(INSTALLED);
        if !std::fs::read_to_string(&mark).is_ok_and(|lock| lock == LOCK) {
            let options = ["ci", "--no-audit", "--no-fund", "--fetch-retries=1"];
            run(Command::new("npm").args(options).current_dir(&folder))?;
            std::fs::write(&mark, LOCK).map_err(|error| error.to_string())?;
        }
        // The one that was installed, where there is one for this machine.
        let own = folder.join("node_modules/.bin/node");
        let node = if own.exists() { own } else { "node".into() };
        run(Command::new(&node).arg("--version"))?;
        Ok(Self { folder, node })
    }

    /// Makes a peer's tables.
    pub(crate) fn set_up(&self, file: &str, bed: &Bed) -> Result<(), String> {
        run(&mut self.command(file, &["setup", &bed.database_url])).map(drop)
    }

    /// Starts a peer's HTTP front.
    pub(crate) fn start_front(&self, file: &str, bed: &Bed) -> Result<Subject, String> {
        Subject::spawn(self.command(file, &["front", &bed.database_url]), bed)
    }

    /// Starts a peer's worker.
    pub(crate) fn start_worker(&self, file: &str, bed: &Bed, sink: &str) -> Result<Subject, String> {
        Subject::spawn(self.command(file, &["worker", &bed.database_url, sink]), bed)
    }

    fn command(&self, file: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(self.folder.join(file)).args(arguments).env("NODE_ENV", "production");
        command
    }
}

/// Runs a program to its end.
fn run(command: &mut Command) -> Result<Output, String> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = words.lines().collect();
    let last = lines.get(lines.len().saturating_sub(WORDS_LINES)..).unwrap_or_default();
    Err(format!("{name}: {}: {}", output.status, last.join(" ")))
}
