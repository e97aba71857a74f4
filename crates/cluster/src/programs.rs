//! Finds the installed server programs.
//!
//! Searched in this order: `PATH`, `pg_config --bindir`, Debian's folders, Homebrew's folders;
//! within the last two the newest version first. Symbolic links are resolved, because `initdb`
//! looks for `postgres` beside itself. Old versions are passed over, not refused.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// The oldest major version that tuma works with.
const VERSION_MINIMUM: u32 = 14;

/// A folder with `initdb` and `postgres` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The first usable programs.
    pub(crate) fn find() -> Result<Self, Error> {
        search(|version| version >= VERSION_MINIMUM)
            .map_err(|searched| Error::ProgramsMissing { minimum: VERSION_MINIMUM, searched })
    }

    /// The first programs of the version that made the data in `cluster`: no other can read it.
    pub(crate) fn find_version(version: u32, cluster: &Path) -> Result<Self, Error> {
        search(|found| found == version).map_err(|searched| Error::VersionMissing {
            folder: cluster.to_path_buf(),
            version,
            searched,
        })
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }
}

/// Looks through the places one by one; on failure names them all.
fn search(accepts: impl Fn(u32) -> bool) -> Result<Programs, String> {
    let places: [fn() -> Vec<PathBuf>; 4] = [path_folders, pg_config_folder, debian_folders, homebrew_folders];
    for folder in places.iter().flat_map(|place| place()) {
        if let Some(folder) = programs_folder(&folder)
            && installed_version(&folder).is_some_and(&accepts)
        {
            return Ok(Programs { folder });
        }
    }
    Err(String::from(
        "PATH, `pg_config --bindir`, /usr/lib/postgresql/*/bin, \
         /opt/homebrew/opt/postgresql@*/bin, /opt/homebrew/bin, /usr/local/opt/postgresql@*/bin, /usr/local/bin",
    ))
}

/// Where the `initdb` of a folder really is, if `postgres` is beside it.
fn programs_folder(folder: &Path) -> Option<PathBuf> {
    let initdb = folder.join("initdb").canonicalize().ok()?;
    let folder = initdb.parent()?;
    folder.join("postgres").is_file().then(|| folder.to_path_buf())
}

fn installed_version(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    major_version(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in `postgres (PostgreSQL) 17.2 (Debian 17.2-1)` or `… 18beta1`.
fn major_version(line: &str) -> Option<u32> {
    let version = line.split(") ").nth(1)?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

#[allow(clippy::disallowed_methods, reason = "the search path of the system, no setting of ours")]
fn path_folders() -> Vec<PathBuf> {
    // An empty or relative entry means the current folder, where no server program belongs.
    env::var_os("PATH")
        .map_or_else(Vec::new, |path| env::split_paths(&path).filter(|folder| folder.is_absolute()).collect())
}

fn pg_config_folder() -> Vec<PathBuf> {
    let Ok(output) = Command::new("pg_config").arg("--bindir").output() else {
        return Vec::new();
    };
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if folder.is_absolute() { vec![folder] } else { Vec::new() }
}

fn debian_folders() -> Vec<PathBuf> {
    newest_first(Path::new("/usr/lib/postgresql"), "")
}

fn homebrew_folders() -> Vec<PathBuf> {
    ["/opt/homebrew", "/usr/local"]
        .iter()
        .map(Path::new)
        .flat_map(|root| {
            let mut folders = newest_first(&root.join("opt"), "postgresql@");
            folders.push(root.join("bin"));
            folders
        })
        .collect()
}

/// `bin` of every folder called `prefix` and a version number, newest first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        for (line, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 14.2\n", Some(14)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres (PostgreSQL) 9.6.24\n", Some(9)),
            ("command not found", None),
            ("", None),
        ] {
            assert_eq!(major_version(line), expected, "{line}");
        }
    }

    #[test]
    fn folders_of_versions_come_newest_first_by_number() -> std::io::Result<()> {
        let root = tempfile::tempdir()?;
        for name in ["postgresql@9", "postgresql@17", "postgresql@16", "postgresql@x", "other"] {
            fs::create_dir(root.path().join(name))?;
        }
        let names: Vec<PathBuf> = newest_first(root.path(), "postgresql@");
        let expected: Vec<PathBuf> =
            [17, 16, 9].iter().map(|v| root.path().join(format!("postgresql@{v}")).join("bin")).collect();
        assert_eq!(names, expected);
        Ok(())
    }
}
