//! The layout of a cluster's folder, and the locks on it.
//!
//! | name | |
//! | --- | --- |
//! | `lock` | locked by the program that has the folder; in the folder asked for, even when relocated |
//! | `server.lock` | locked by the server's processes, until the last of them is gone |
//! | `password`, `port` | of the role `tuma` (mode 0600); used last |
//! | `data/` | the server's, mode 0700; there only once it is complete |
//! | `init/` | data in the making |
//! | `log/`, `log.previous/`, `startup.log` | see `log` |

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::file::{ignore_missing, read_line, sync_folder, write_line};
use crate::location;
use crate::log::Log;
use crate::owner::Owner;
use crate::supervisor::{Supervisor, Surroundings};

/// The server's data, within a cluster's folder.
pub(crate) const DATA: &str = "data";

/// Where the server notes its process id, within its data.
const PID_FILE: &str = "postmaster.pid";

/// How long a server that lost its program may take to stop: a fast shutdown takes well under a
/// second, its fallback begins after 20.
const EARLIER_SERVER_SECONDS: u64 = 30;

/// How long another program may take to go: the system frees the locks of a killed one a few
/// milliseconds after it has reported its end.
const PROGRAM_SECONDS: u64 = 1;

/// Pause between two tries for a lock.
const POLL: Duration = Duration::from_millis(20);

/// A cluster's folder, held by this program alone and without a running server.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    owner: Owner,
    log: Log,
    /// Given to every process of a server; not ours while one runs.
    server_lock: Option<File>,
    /// Kept by us.
    _program_lock: File,
}

impl Folder {
    /// Makes or takes over the folder, waiting for an earlier server to be gone.
    pub(crate) async fn open(requested: &Path) -> Result<Self, Error> {
        let owner = Owner::of_new_data()?;
        let requested = location::make_folder(requested, &owner)?;
        let program_lock = lock_program(&requested).await?;
        let owner = owner.of(&requested.join(DATA));
        let path = location::locate(&requested, &owner).await?;
        let owner = owner.of(&path.join(DATA));
        let server_lock = lock_server(&path).await?;
        let log = Log::begin(&path, &owner)?;
        Ok(Self { path, owner, log, server_lock: Some(server_lock), _program_lock: program_lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path.join(DATA)
    }

    /// Leaves the right to start programs to the server that runs, keeping the folder from other programs.
    pub(crate) fn leave_to_server(&mut self) {
        self.server_lock = None;
    }

    /// Takes it back, once no process of the server is left.
    pub(crate) async fn take_back(&mut self) -> Result<(), Error> {
        self.server_lock = None;
        self.server_lock = Some(lock_server(&self.path).await?);
        Ok(())
    }

    /// Process id of the server, as it noted it itself.
    pub(crate) fn server_pid(&self) -> Result<u32, Error> {
        let file = self.data().join(PID_FILE);
        let text = fs::read_to_string(&file).map_err(Error::at(&file))?;
        let number = text.lines().next().and_then(|line| line.trim().parse().ok());
        number.ok_or_else(|| Error::at(&file)(io::Error::other("names no process")))
    }

    /// The major version that made the data, `None` if there is none yet.
    pub(crate) fn data_version(&self) -> Result<Option<u32>, Error> {
        if !self.data().exists() {
            return Ok(None);
        }
        let file = self.data().join("PG_VERSION");
        let text = fs::read_to_string(&file).map_err(Error::at(&file))?;
        text.trim().parse().map(Some).map_err(|error| Error::at(&file)(io::Error::other(error)))
    }

    /// The password, made when there is neither password nor data.
    pub(crate) fn password(&self) -> Result<String, Error> {
        let file = self.path.join("password");
        if let Some(password) = read_line(&file)? {
            return Ok(password);
        }
        if self.data().exists() {
            return Err(Error::PasswordMissing { file });
        }
        let password: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        write_line(&self.path, "password", &password)?;
        Ok(password)
    }

    /// The port used last.
    pub(crate) fn port(&self) -> Option<u16> {
        fs::read_to_string(self.path.join("port")).ok()?.trim().parse().ok()
    }

    pub(crate) fn remember_port(&self, port: u16) -> Result<(), Error> {
        write_line(&self.path, "port", &port.to_string())
    }

    /// An empty place to make data in, owned by the server's user, with the password in a file.
    pub(crate) fn begin_data(&self, password: &str) -> Result<(PathBuf, PathBuf), Error> {
        let place = self.path.join("init");
        ignore_missing(fs::remove_dir_all(&place)).map_err(Error::at(&place))?;
        fs::DirBuilder::new().mode(0o700).create(&place).map_err(Error::at(&place))?;
        let file = place.join("password");
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        let written = options.open(&file).and_then(|mut open| writeln!(open, "{password}"));
        written.map_err(Error::at(&file))?;
        // Given away last: until then nobody else can put anything in our way.
        self.owner.adopt(&file)?;
        self.owner.adopt(&place)?;
        Ok((place.join(DATA), file))
    }

    /// Puts complete data in its place.
    pub(crate) fn complete_data(&self) -> Result<(), Error> {
        let (place, data) = (self.path.join("init"), self.data());
        fs::rename(place.join(DATA), &data).map_err(Error::at(&data))?;
        fs::remove_dir_all(&place).map_err(Error::at(&place))?;
        sync_folder(&self.path).map_err(Error::at(&self.path))
    }

    /// Removes what a killed server left to say that it runs. We hold the server lock, so no process
    /// of it is alive; but its number may have gone to another process, which would mislead the
    /// next server. One started by hand is still noticed by its shared memory.
    pub(crate) fn remove_stale_pid(&self) -> Result<(), Error> {
        let file = self.data().join(PID_FILE);
        ignore_missing(fs::remove_file(&file)).map_err(Error::at(&file))
    }

    /// Starts a server program.
    pub(crate) fn run(&self, program: &Path, arguments: &[OsString]) -> Result<Supervisor, Error> {
        let lock = self.server_lock.as_ref().ok_or_else(|| Error::InUse { folder: self.path.clone() })?;
        let surroundings = Surroundings {
            owner: &self.owner,
            folder: &self.path,
            lock: lock.try_clone().map_err(Error::at(&self.path))?,
            log: self.log.open()?,
        };
        Supervisor::start(program, arguments, surroundings).map_err(Error::at(program))
    }
}

/// Takes `folder` for this program, or says that another one has it.
async fn lock_program(folder: &Path) -> Result<File, Error> {
    let lock = wait_for_lock(&folder.join("lock"), PROGRAM_SECONDS).await?;
    lock.ok_or_else(|| Error::InUse { folder: folder.to_path_buf() })
}

/// Waits until no process of a server in `folder` is left, and keeps the next one out.
pub(crate) async fn lock_server(folder: &Path) -> Result<File, Error> {
    let lock = wait_for_lock(&folder.join("server.lock"), EARLIER_SERVER_SECONDS).await?;
    let seconds = EARLIER_SERVER_SECONDS;
    lock.ok_or_else(|| Error::StillStopping { folder: folder.to_path_buf(), seconds })
}

/// `None` if another process holds the lock to the end.
async fn wait_for_lock(path: &Path, seconds: u64) -> Result<Option<File>, Error> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let lock = try_lock(path)?;
        if lock.is_some() || Instant::now() >= deadline {
            return Ok(lock);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// `None` while another process holds the lock.
fn try_lock(path: &Path) -> Result<Option<File>, Error> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(Error::at(path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Error::at(path)(error)),
    }
}
