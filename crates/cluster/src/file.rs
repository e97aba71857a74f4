//! Small file operations that are whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::Error;

/// Writes one line to `name` in `folder`, mode 0600; a crash leaves the old file or the new one.
pub(crate) fn write_line(folder: &Path, name: &str, line: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let write = || -> io::Result<()> {
        let mut file = NamedTempFile::new_in(folder)?;
        writeln!(file, "{line}")?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        sync_folder(folder)
    };
    write().map_err(Error::at(&path))
}

/// The line in `path`, `None` if there is no such file.
pub(crate) fn read_line(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::at(path)(error)),
    }
}

/// Makes what was created or renamed in `folder` last.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Turns "there was none" into success, for removals.
pub(crate) fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
