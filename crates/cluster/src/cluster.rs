//! The handle on a running cluster: what the rest of the program sees.
//!
//! Whoever holds it has the server; stopping or dropping it ends the server. Databases come and go
//! by name here, what is in them is for others.

use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;
use tokio_postgres::error::SqlState;

use crate::data;
use crate::error::Error;
use crate::folder::Folder;
use crate::owner::Owner;
use crate::programs::Programs;
use crate::server::{self, Access};
use crate::signal;
use crate::supervisor::{STOP_SECONDS, Supervisor};

/// The superuser that everything connects as.
pub(crate) const ROLE: &str = "tuma";

/// Longest identifier that PostgreSQL keeps whole.
const NAME_BYTES_MAX: usize = 63;

/// A running private cluster.
///
/// Dropping it stops the server as [`Cluster::stop`] does, blocking the thread for the fraction of
/// a second that this usually takes. Needs a tokio runtime with I/O and (running) time.
pub struct Cluster {
    // Dropped in this order: the server ends before the folder is free and before it is removed.
    supervisor: Supervisor,
    folder: Folder,
    temporary: Option<TempDir>,
    programs: Programs,
    access: Access,
}

impl Cluster {
    /// Starts the cluster in `folder`, making both unless they are there.
    ///
    /// The same folder gives the same data, the same password and, if it is free, the same port.
    /// The server runs as the user of this program; as `postgres`, else `nobody`, when that is root.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] but `InvalidName`, `Database` and `NotStopped`.
    pub async fn start(folder: &Path) -> Result<Self, Error> {
        let folder = Folder::open(folder).await?;
        Self::launch(folder, &[], None).await
    }

    /// Starts a new cluster in a temporary folder, which is removed at the end.
    ///
    /// Killed with SIGKILL, the program leaves that folder behind (but no server).
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub async fn ephemeral() -> Result<Self, Error> {
        let temporary = temporary_folder(&Owner::of_new_data()?)?;
        let folder = Folder::open(temporary.path()).await?;
        // Nobody comes back to this data, so it need not reach the disk before the first start.
        Self::launch(folder, &["--no-sync"], Some(temporary)).await
    }

    async fn launch(mut folder: Folder, initdb_options: &[&str], temporary: Option<TempDir>) -> Result<Self, Error> {
        let begun = Instant::now();
        let password = folder.password()?;
        let programs = match folder.data_version()? {
            Some(version) => Programs::find_version(version, folder.path())?,
            None => {
                let programs = Programs::find()?;
                data::make(&folder, &programs, &password, initdb_options).await?;
                programs
            }
        };
        let (supervisor, access) = server::start(&folder, &programs, &password).await?;
        folder.leave_to_server();
        tracing::info!(
            folder = %folder.path().display(), port = access.port, milliseconds = begun.elapsed().as_millis(),
            "private PostgreSQL server started"
        );
        Ok(Self { supervisor, folder, temporary, programs, access })
    }

    /// `postgres://tuma:PASSWORD@127.0.0.1:PORT/DATABASE`; the database need not exist yet.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.access.password, self.access.port)
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.access.port
    }

    /// Where the cluster lives: the folder asked for, or the one it was relocated to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the server has ended, which it never does by itself unless something went wrong.
    pub fn has_exited(&mut self) -> bool {
        !matches!(self.supervisor.ended(), Ok(None))
    }

    /// Makes an empty database unless it is there.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] and [`Error::Database`].
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        match self.execute(&format!("CREATE DATABASE {}", quote(name)?)).await {
            Err(Error::Database(error)) if already_there(&error) => Ok(()),
            result => result,
        }
    }

    /// Makes a new database as a copy of `template`, which nobody may be connected to.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] and [`Error::Database`], also when `name` is there already.
    pub async fn create_database_from(&self, name: &str, template: &str) -> Result<(), Error> {
        self.execute(&format!("CREATE DATABASE {} TEMPLATE {}", quote(name)?, quote(template)?)).await
    }

    /// Removes a database if it is there, ending the connections to it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] and [`Error::Database`].
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        self.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(name)?)).await
    }

    /// Stops the server, ending its connections, and waits until its last process is gone. A
    /// temporary folder is removed.
    ///
    /// # Errors
    ///
    /// [`Error::NotStopped`], [`Error::StillStopping`] and [`Error::Io`].
    pub async fn stop(mut self) -> Result<(), Error> {
        self.end().await?;
        if let Some(temporary) = self.temporary.take() {
            temporary.close().map_err(Error::at(self.folder.path()))?;
        }
        tracing::info!(folder = %self.folder.path().display(), "private PostgreSQL server stopped");
        Ok(())
    }

    /// Stops the server, ending its connections, and starts it again on the same data and port.
    ///
    /// # Errors
    ///
    /// As [`Cluster::stop`] and [`Cluster::start_again`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.end().await?;
        self.start_again().await
    }

    /// Ends the server by SIGKILL, as a crash would, and waits until its last process is gone. Nothing is there then
    /// until [`Cluster::start_again`].
    ///
    /// # Errors
    ///
    /// [`Error::NotStopped`], [`Error::StillStopping`] and [`Error::Io`].
    pub async fn kill(&mut self) -> Result<(), Error> {
        signal::kill(self.folder.server_pid()?).map_err(Error::at(self.folder.path()))?;
        self.end().await
    }

    /// Starts the server on the data of one that has ended, on the same port. Recovery may take its time.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while it runs, [`Error::PortTaken`], [`Error::StartFailed`] and [`Error::Io`].
    pub async fn start_again(&mut self) -> Result<(), Error> {
        if !self.has_exited() {
            return Err(Error::InUse { folder: self.folder.path().to_path_buf() });
        }
        self.folder.take_back().await?;
        let (supervisor, access) = server::start(&self.folder, &self.programs, &self.access.password).await?;
        self.folder.leave_to_server();
        let before = self.access.port;
        (self.supervisor, self.access) = (supervisor, access);
        if self.access.port != before {
            return Err(Error::PortTaken { port: before });
        }
        Ok(())
    }

    /// Ends one process that serves a connection by SIGKILL; the server then ends all others and recovers by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], also when there is no such process.
    pub fn kill_backend(&self, process: u32) -> Result<(), Error> {
        signal::kill(process).map_err(Error::at(self.folder.path()))
    }

    async fn end(&mut self) -> Result<(), Error> {
        let folder = self.folder.path().to_path_buf();
        let ended = self.supervisor.stop().await.map_err(Error::at(&folder))?;
        if ended.is_none() {
            return Err(Error::NotStopped { folder, seconds: STOP_SECONDS });
        }
        // Until the last process is gone.
        self.folder.take_back().await?;
        self.folder.leave_to_server();
        Ok(())
    }

    async fn execute(&self, statement: &str) -> Result<(), Error> {
        let client = self.access.connect("postgres").await?;
        Ok(client.batch_execute(statement).await?)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("folder", &self.folder.path())
            .field("port", &self.access.port)
            .field("password", &"[redacted]")
            .finish_non_exhaustive()
    }
}

/// A new folder that the owner can reach, in the first temporary folder that allows it.
fn temporary_folder(owner: &Owner) -> Result<TempDir, Error> {
    let standard = std::env::temp_dir();
    for candidate in [standard.as_path(), Path::new("/tmp"), Path::new("/var/tmp")] {
        let Ok(parent) = candidate.canonicalize() else {
            continue;
        };
        if owner.blocked_at(&parent)?.is_none() {
            let made = tempfile::Builder::new().prefix("tuma-").tempdir_in(&parent).map_err(Error::at(&parent))?;
            // Set explicitly: the mode given at creation is subject to the umask.
            let mode = Permissions::from_mode(owner.outer_mode());
            fs::set_permissions(made.path(), mode).map_err(Error::at(made.path()))?;
            return Ok(made);
        }
    }
    Err(Error::Unreachable { folder: standard.clone(), user: owner.name().to_owned(), ancestor: standard })
}

/// The second code is that of two who make the same database at the same moment.
fn already_there(error: &tokio_postgres::Error) -> bool {
    [&SqlState::DUPLICATE_DATABASE, &SqlState::UNIQUE_VIOLATION].into_iter().any(|code| error.code() == Some(code))
}

fn quote(name: &str) -> Result<String, Error> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(format!("\"{name}\""))
    } else {
        Err(Error::InvalidName { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_quoted() {
        let longest = "a".repeat(NAME_BYTES_MAX);
        for (name, valid) in [
            ("tuma", true),
            ("test_0123", true),
            (longest.as_str(), true),
            ("", false),
            ("Tuma", false),
            ("a-b", false),
            ("a\"b", false),
            ("ä", false),
            (&format!("{longest}a"), false),
        ] {
            assert_eq!(quote(name).is_ok(), valid, "{name}");
        }
    }
}
