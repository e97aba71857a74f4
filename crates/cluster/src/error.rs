//! What can go wrong, sorted by what the caller can do about it.
//!
//! No variant carries the password. Log excerpts come from the private server, which is told not
//! to log statements or values.

use std::io;
use std::path::{Path, PathBuf};

/// Why a cluster could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No server programs: install them.
    #[error(
        "no PostgreSQL server programs (initdb, postgres) of version {minimum} or newer found; searched {searched}. \
         Install them with `apt install postgresql` (Debian, Ubuntu) or `brew install postgresql@17` (macOS)"
    )]
    ProgramsMissing {
        /// The oldest major version that would do.
        minimum: u32,
        /// The places searched, separated by commas.
        searched: String,
    },
    /// The folder was made by a version that is not installed: install it, or use another folder.
    #[error(
        "the cluster in {} was made by PostgreSQL {version}, which is not installed; searched {searched}. \
         Install that version or remove the folder",
        folder.display()
    )]
    VersionMissing {
        /// The cluster's folder.
        folder: PathBuf,
        /// The major version that made it.
        version: u32,
        /// The places searched, separated by commas.
        searched: String,
    },
    /// Another running program has the folder: stop it, or use another folder.
    #[error("the folder {} is in use by another program", folder.display())]
    InUse {
        /// The folder asked for.
        folder: PathBuf,
    },
    /// A server that an earlier program left behind has not stopped in time: try again later.
    #[error("an earlier server in {} has not stopped within {seconds} s", folder.display())]
    StillStopping {
        /// The cluster's folder.
        folder: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The system user that must run the server cannot reach the folder: use another folder.
    #[error(
        "the server would run as user {user}, which cannot reach {}: no search permission on {}",
        folder.display(), ancestor.display()
    )]
    Unreachable {
        /// The cluster's folder.
        folder: PathBuf,
        /// The system user.
        user: String,
        /// The first folder on the way that the user may not enter.
        ancestor: PathBuf,
    },
    /// Run as root, and there is neither a user `postgres` nor `nobody`: run as another user.
    #[error("PostgreSQL must not run as root, and there is no user `postgres` or `nobody` to run it")]
    NoServerUser,
    /// The data is there, its password is not: restore the file or remove the folder.
    #[error(
        "the cluster's password file {} is missing; restore it, or remove the folder to start afresh",
        file.display()
    )]
    PasswordMissing {
        /// The file that is missing.
        file: PathBuf,
    },
    /// The data folder could not be made: read the log.
    #[error("initdb failed; its last words:\n{log}")]
    InitFailed {
        /// The end of the log.
        log: String,
    },
    /// The server ended or stayed silent during start: read the log.
    #[error("the server did not start: {reason}; its last words:\n{log}")]
    StartFailed {
        /// What was observed from outside.
        reason: String,
        /// The end of the log.
        log: String,
    },
    /// The server has been told to stop and was still there at the end of the time for that.
    #[error("the server in {} has not stopped within {seconds} s", folder.display())]
    NotStopped {
        /// The cluster's folder.
        folder: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The server runs again, but on another port: connect anew.
    #[error("port {port} was taken meanwhile; the server listens on another one")]
    PortTaken {
        /// The port it had.
        port: u16,
    },
    /// Not a database name this crate accepts: correct it.
    #[error("{name:?} is not a database name: 1 to 63 of a-z, 0-9 and _")]
    InvalidName {
        /// The name given.
        name: String,
    },
    /// The running server refused a command.
    #[error("the private PostgreSQL server refused: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// The operating system refused: see path and source.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file, folder or program concerned.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Names the path an operating system error is about; for `map_err`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_path_buf(), source }
    }
}
