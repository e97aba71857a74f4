//! Where the cluster of a folder really lives.
//!
//! Usually in the folder itself. When root asks for a folder that the server's user cannot reach
//! (such as one below `/root`), it lives in `/var/lib/tuma/<hash of the folder>`, and the file
//! `cluster-location` in the folder says so. That file is the folder's claim on the data: without
//! it, data from an earlier folder of the same name is set aside, since that folder was removed.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::file::{ignore_missing, read_line, write_line};
use crate::folder::{DATA, lock_server};
use crate::owner::Owner;

/// Parent of all clusters that could not live where they were asked for.
const RELOCATED: &str = "/var/lib/tuma";

/// Holds the absolute path of the cluster, in the folder asked for.
const POINTER: &str = "cluster-location";

/// Enough of the hash that two folders never meet.
const HASH_BYTES: usize = 16;

/// Makes `folder` and those above it unless they are there, with a mode that lets `owner` pass;
/// returns its true path.
pub(crate) fn make_folder(folder: &Path, owner: &Owner) -> Result<PathBuf, Error> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for path in missing.into_iter().rev() {
        fs::create_dir_all(path).map_err(Error::at(path))?;
        // Set explicitly: the mode given at creation is subject to the umask.
        fs::set_permissions(path, fs::Permissions::from_mode(owner.outer_mode())).map_err(Error::at(path))?;
    }
    folder.canonicalize().map_err(Error::at(folder))
}

/// The folder of the cluster asked for in `requested`, an absolute path locked by the caller.
pub(crate) async fn locate(requested: &Path, owner: &Owner) -> Result<PathBuf, Error> {
    if let Some(home) = read_pointer(requested)? {
        return reachable_home(&home, owner);
    }
    match owner.blocked_at(requested)? {
        None => Ok(requested.to_path_buf()),
        Some(ancestor) if requested.join(DATA).exists() => Err(unreachable(requested, owner, ancestor)),
        Some(_) => relocate(requested, owner).await,
    }
}

async fn relocate(requested: &Path, owner: &Owner) -> Result<PathBuf, Error> {
    let home = Path::new(RELOCATED).join(hash(requested));
    if home.exists() {
        set_aside(&home).await?;
    }
    write_line(requested, POINTER, &home.to_string_lossy())?;
    let home = reachable_home(&home, owner)?;
    tracing::warn!(
        folder = %requested.display(), home = %home.display(), user = owner.name(),
        "the server's user cannot reach the folder; the cluster lives elsewhere"
    );
    Ok(home)
}

/// Keeps one earlier cluster of the same name, in case its folder was removed by mistake.
async fn set_aside(home: &Path) -> Result<(), Error> {
    let _stopped = lock_server(home).await?;
    let previous = home.with_extension("previous");
    ignore_missing(fs::remove_dir_all(&previous)).map_err(Error::at(&previous))?;
    fs::rename(home, &previous).map_err(Error::at(home))
}

fn reachable_home(home: &Path, owner: &Owner) -> Result<PathBuf, Error> {
    make_folder(Path::new(RELOCATED), owner)?;
    let home = make_folder(home, owner)?;
    match owner.blocked_at(&home)? {
        None => Ok(home),
        Some(ancestor) => Err(unreachable(&home, owner, ancestor)),
    }
}

fn unreachable(folder: &Path, owner: &Owner, ancestor: PathBuf) -> Error {
    Error::Unreachable { folder: folder.to_path_buf(), user: owner.name().to_owned(), ancestor }
}

fn read_pointer(requested: &Path) -> Result<Option<PathBuf>, Error> {
    let pointer = requested.join(POINTER);
    let Some(line) = read_line(&pointer)? else {
        return Ok(None);
    };
    let home = PathBuf::from(line);
    // We act as root here, so the file may name nothing but a cluster of ours.
    if home.parent() == Some(Path::new(RELOCATED)) && home.file_name().is_some() {
        Ok(Some(home))
    } else {
        Err(Error::at(&pointer)(io::Error::other(format!("does not name a folder in {RELOCATED}"))))
    }
}

fn hash(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_bytes());
    digest.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
}
