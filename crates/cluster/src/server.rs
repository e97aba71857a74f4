//! Starts the server on a folder and waits until it answers.
//!
//! All settings are given on the command line, so they hold for data made by any version of tuma.
//! Durability is the default and stays on: what `tuma dev` accepted survives a power cut.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::cluster::ROLE;
use crate::error::Error;
use crate::folder::Folder;
use crate::port;
use crate::programs::Programs;
use crate::supervisor::Supervisor;

/// How long a server may stay silent; usually it answers in a tenth of a second.
const SILENCE_SECONDS: u64 = 30;

/// How long a server may repeat its log after a crash, which it says when asked.
const RECOVERY_SECONDS: u64 = 300;

/// Bound of one try to connect, in case something else holds the port and says nothing.
const CONNECT_SECONDS: u64 = 5;

/// Pause between two tries to connect.
const POLL: Duration = Duration::from_millis(20);

/// Tries with another port, when the chosen one was taken before the server could.
const PORT_TRIES: usize = 5;

/// How the server says that its port was taken.
const PORT_TAKEN: &str = "could not create any TCP/IP sockets";

/// Where to reach a running server. Holds the password: no `Debug`.
pub(crate) struct Access {
    pub(crate) port: u16,
    pub(crate) password: String,
}

impl Access {
    /// A connection to `database`; it ends when the client is dropped.
    pub(crate) async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(ROLE).password(&self.password).dbname(database);
        config.application_name("tuma-cluster").connect_timeout(Duration::from_secs(CONNECT_SECONDS));
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the private server ended");
            }
        });
        Ok(client)
    }
}

/// Starts the server, on the port used last if that is free.
pub(crate) async fn start(folder: &Folder, programs: &Programs, password: &str) -> Result<(Supervisor, Access), Error> {
    folder.remove_stale_pid()?;
    let mut preferred = folder.port();
    let mut tries = 0;
    loop {
        tries += 1;
        let port = port::choose(preferred.take()).map_err(Error::at(folder.path()))?;
        let access = Access { port, password: password.to_owned() };
        let mut supervisor = folder.run(&programs.postgres(), &arguments(folder, port))?;
        match ready(&mut supervisor, &access, folder).await {
            Ok(()) => {
                folder.remember_port(port)?;
                return Ok((supervisor, access));
            }
            Err(Error::StartFailed { log, .. }) if tries < PORT_TRIES && log.contains(PORT_TAKEN) => {}
            Err(error) => return Err(error),
        }
    }
}

fn arguments(folder: &Folder, port: u16) -> Vec<OsString> {
    let settings = [
        // Reachable from this machine only, and only by password.
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "cluster_name=tuma",
        "fsync=on",
        "full_page_writes=on",
        "synchronous_commit=on",
        "shared_buffers=128MB",
        "max_connections=200",
        "timezone=UTC",
        "log_timezone=UTC",
        "lc_messages=C",
        // One file an hour of the day, overwritten a day later.
        "logging_collector=on",
        "log_filename=server-%H.log",
        "log_rotation_age=60min",
        "log_rotation_size=0",
        "log_truncate_on_rotation=on",
        // Neither statements nor values: they hold message texts and phone numbers.
        "log_statement=none",
        "log_min_error_statement=panic",
        "log_error_verbosity=terse",
    ];
    let mut arguments: Vec<OsString> = vec!["-D".into(), folder.data().into()];
    arguments.extend(["-p".into(), port.to_string().into()]);
    arguments.extend(settings.iter().flat_map(|setting| ["-c".into(), setting.into()]));
    if cfg!(target_os = "linux") {
        // Before it replays its log it makes sure that all files are on disk: at once, not one by one, of which the databases of tests
        // have tens of thousands.
        arguments.extend(["-c".into(), "recovery_init_sync_method=syncfs".into()]);
    }
    let mut log_folder = OsString::from("log_directory=");
    log_folder.push(folder.log().folder());
    arguments.extend(["-c".into(), log_folder]);
    arguments
}

/// Waits for an answer, or for a reason not to wait any longer.
async fn ready(supervisor: &mut Supervisor, access: &Access, folder: &Folder) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let attempt = tokio::time::timeout(Duration::from_secs(CONNECT_SECONDS), access.connect("postgres")).await;
        let (reason, patience) = match attempt {
            Ok(Ok(_client)) => return Ok(()),
            Ok(Err(error)) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => {
                (error.to_string(), RECOVERY_SECONDS)
            }
            Ok(Err(error)) => (error.to_string(), SILENCE_SECONDS),
            Err(_elapsed) => (String::from("no answer"), SILENCE_SECONDS),
        };
        if let Some(status) = supervisor.ended().map_err(Error::at(folder.path()))? {
            return Err(Error::StartFailed { reason: format!("it ended with {status}"), log: folder.log().tail() });
        }
        if started.elapsed() >= Duration::from_secs(patience) {
            let reason = format!("not ready after {patience} s ({reason})");
            return Err(Error::StartFailed { reason, log: folder.log().tail() });
        }
        tokio::time::sleep(POLL).await;
    }
}
