//! What a process remembers of its database beyond its own end: one small file, written whole or not at all.
//!
//! A process that starts after its database was put back in time can tell by it.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use store::installation::Mark;
use uuid::Uuid;

/// The file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateFile(PathBuf);

/// What is in it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    installation: Uuid,
    releases: i64,
    lived_seconds: f64,
}

impl StateFile {
    /// A file, which need not be there yet.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What it remembers; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read or understood: the text names it.
    pub fn read(&self) -> Result<Option<Mark>, String> {
        let text = match std::fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.said(&error)),
        };
        let State { installation, releases, lived_seconds } =
            serde_json::from_slice(&text).map_err(|error| self.said(&error))?;
        Ok(Some(Mark { installation, releases, lived_seconds }))
    }

    /// Writes it anew.
    ///
    /// # Errors
    /// When it cannot be written: the text names it.
    pub fn write(&self, mark: Mark) -> Result<(), String> {
        let Mark { installation, releases, lived_seconds } = mark;
        let text =
            serde_json::to_vec(&State { installation, releases, lived_seconds }).map_err(|error| self.said(&error))?;
        let mut draft = self.0.clone().into_os_string();
        draft.push(".new");
        let write = || {
            let mut file = std::fs::File::create(&draft)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&draft, &self.0)
        };
        write().map_err(|error| self.said(&error))
    }

    fn said(&self, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        let file = StateFile::at(&path);
        assert_eq!(file.read(), Ok(None));
        for lived_seconds in [12.5, 3600.25] {
            let mark = Mark { installation: Uuid::from_u128(7), releases: 2, lived_seconds };
            file.write(mark).expect("written");
            assert_eq!(file.read(), Ok(Some(mark)));
        }
        for damaged in ["", "{", r#"{"installation":"x","releases":1,"livedSeconds":1}"#, r#"{"releases":1}"#] {
            std::fs::write(&path, damaged).expect("a file");
            let error = file.read().expect_err(damaged);
            assert!(error.contains("state.json"), "{error}");
        }
        let nowhere = StateFile::at(&folder.path().join("no/such/folder"));
        let error = nowhere.write(Mark { installation: Uuid::nil(), releases: 0, lived_seconds: 0.0 });
        assert!(error.expect_err("no folder").contains("no/such/folder"));
    }
}
