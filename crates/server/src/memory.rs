//! Keeps what this process knows of its database: the reading of its clock, how far it has come, and the file that remembers
//! both beyond the process.

use std::time::Duration;

use store::Store;
use store::error::Error;

use crate::state_file::StateFile;

/// Between two looks: a step of the clock is not taken over before one, and nothing falls due by it.
const LOOK: Duration = Duration::from_secs(15);

/// Takes in what the file remembers, and whether the database is behind it.
///
/// # Errors
/// The database's, to be tried again where waiting helps; [`Error::Configuration`] when the file is no use.
pub async fn begin(store: &Store, file: Option<&StateFile>) -> Result<(), Error> {
    if let Some(mark) = file.map(StateFile::read).transpose().map_err(of_file)?.flatten() {
        store.remember(mark);
    }
    let lived = store.live().await;
    lived.map_err(|error| match (error, file) {
        (Error::Configuration(why), Some(_)) => of_file(format!("{why}: another file is needed")),
        (error, _) => error,
    })?;
    save(store, file).map_err(of_file)
}

fn of_file(why: String) -> Error {
    Error::Configuration(format!("TUMA_STATE_FILE: {why}"))
}

fn save(store: &Store, file: Option<&StateFile>) -> Result<(), String> {
    file.zip(store.mark()).map_or(Ok(()), |(file, mark)| file.write(mark))
}

/// Looks again and again, as long as the process lives.
pub(crate) async fn keep(store: Store, file: Option<StateFile>) {
    loop {
        tokio::time::sleep(LOOK).await;
        match store.live().await {
            Ok(()) => {}
            Err(error) if error.is_transient() => tracing::debug!(%error, "the installation cannot be looked at"),
            Err(error) => tracing::error!(%error, "the installation cannot be looked at"),
        }
        // Afterwards: a release makes the next reading be believed.
        if let Err(error) = store.read_clock().await {
            tracing::debug!(%error, "the database's clock cannot be read");
        }
        if let Err(why) = save(&store, file.as_ref()) {
            tracing::error!(why, "what this process knows of its database cannot be kept");
        }
    }
}
