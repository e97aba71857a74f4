//! What the server wrote: kept for a day and one start back, and its end quoted in errors.
//!
//! `startup.log` takes what is said before the server opens its own log in `log/`, one file an hour
//! of the day, each overwritten a day later. A start moves `log/` to `log.previous/`.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::file::ignore_missing;
use crate::owner::Owner;

/// Quoted of each file: a screenful, whatever the file's size.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 20;

/// The log of one cluster folder.
#[derive(Debug)]
pub(crate) struct Log {
    cluster: PathBuf,
}

impl Log {
    /// Begins a new log in `cluster`, keeping the one before.
    pub(crate) fn begin(cluster: &Path, owner: &Owner) -> Result<Self, Error> {
        let log = Self { cluster: cluster.to_path_buf() };
        let (folder, previous) = (log.folder(), cluster.join("log.previous"));
        ignore_missing(fs::remove_dir_all(&previous)).map_err(Error::at(&previous))?;
        ignore_missing(fs::rename(&folder, &previous)).map_err(Error::at(&folder))?;
        ignore_missing(fs::remove_file(log.startup())).map_err(Error::at(&log.startup()))?;
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(Error::at(&folder))?;
        owner.adopt(&folder)?;
        Ok(log)
    }

    /// Where the server's own log files go.
    pub(crate) fn folder(&self) -> PathBuf {
        self.cluster.join("log")
    }

    /// For standard error of a program.
    pub(crate) fn open(&self) -> Result<File, Error> {
        let startup = self.startup();
        File::options().create(true).append(true).open(&startup).map_err(Error::at(&startup))
    }

    /// The last lines written, for an error; never fails.
    pub(crate) fn tail(&self) -> String {
        let mut files = vec![self.startup()];
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| entry.path()));
        let tails: Vec<String> = files.iter().filter_map(|file| tail(file).ok()).filter(|t| !t.is_empty()).collect();
        tails.join("\n")
    }

    fn startup(&self) -> PathBuf {
        self.cluster.join("startup.log")
    }
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
