//! A small file system under the rows of a database, so that it can be full. It takes root to mount one.
//!
//! The server's log of changes is elsewhere: where that cannot be written the server ends, which is another fault.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::Cluster;
use tokio_postgres::NoTls;

/// Room for the rows of a scenario, several times over.
const SIZE: &str = "size=192m";
const FILLER: &str = "filler";
const FILLER_PIECE_BYTES: usize = 64 * 1024;
/// More than the file system holds.
const FILLER_PIECES_MAX: usize = 8_192;

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    mounted: PathBuf,
}

impl Disk {
    /// Why this machine cannot have one, if it cannot.
    pub(crate) fn hindrance() -> Option<String> {
        let place = std::env::temp_dir().join(format!("tuma-chaos-disk-probe-{}", std::process::id()));
        match Self::mount(place) {
            Ok(_unmounted) => None,
            Err(why) => Some(format!("a small file system cannot be mounted (it takes root): {why}")),
        }
    }

    /// Makes a database whose rows are on one.
    pub(crate) async fn under(cluster: &Cluster, database: &str) -> Result<Self, String> {
        let name = format!("tuma-chaos-disk-{}-{}", std::process::id(), cluster.port());
        let disk = Self::mount(std::env::temp_dir().join(name))?;
        let rows = disk.mounted.join("rows");
        std::fs::create_dir(&rows).map_err(|error| error.to_string())?;
        // The server runs as another user, who owns its data.
        let data = cluster.folder().join("data");
        run("chown", &[&format!("--reference={}", data.display()), &rows.display().to_string()])?;
        let (client, connection) =
            tokio_postgres::connect(&cluster.url("postgres"), NoTls).await.map_err(|error| error.to_string())?;
        let serving = tokio::spawn(connection);
        for statement in [
            format!("CREATE TABLESPACE small LOCATION '{}'", rows.display()),
            format!("CREATE DATABASE {database} TABLESPACE small"),
        ] {
            client.batch_execute(&statement).await.map_err(|error| format!("{statement}: {error}"))?;
        }
        drop(client);
        drop(serving.await);
        Ok(disk)
    }

    fn mount(mounted: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&mounted).map_err(|error| error.to_string())?;
        let place = mounted.display().to_string();
        match run("mount", &["-t", "tmpfs", "-o", &format!("{SIZE},mode=0755"), "tmpfs", &place]) {
            Ok(()) => Ok(Self { mounted }),
            Err(why) => {
                drop(std::fs::remove_dir(&mounted));
                Err(why)
            }
        }
    }

    /// Takes all room that there is.
    pub(crate) fn fill(&self) -> Result<(), String> {
        fill(&self.mounted.join(FILLER))
    }

    /// Gives it back.
    pub(crate) fn free(&self) -> Result<(), String> {
        std::fs::remove_file(self.mounted.join(FILLER)).map_err(|error| error.to_string())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that did not end well may still have files there.
        if run("umount", &["-l", &self.mounted.display().to_string()]).is_ok() {
            drop(std::fs::remove_dir(&self.mounted));
        }
    }
}

fn fill(path: &Path) -> Result<(), String> {
    let mut file = File::options().create(true).append(true).open(path).map_err(|error| error.to_string())?;
    let piece = vec![0; FILLER_PIECE_BYTES];
    for _ in 0..FILLER_PIECES_MAX {
        match file.write_all(&piece) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the file system does not fill up".to_owned())
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
