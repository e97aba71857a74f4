//! Running processes: their row, and the connection whose end shows that one is gone.
//!
//! A replica holds an advisory lock on a connection of its own, and hears hints there. When the process dies the database
//! drops the connection, and others need not wait for its lease to lapse. Behind a pooler in transaction mode neither lock
//! nor hints mean anything; a hint that a replica sends to itself and does not hear shows that. Leases and looking are
//! enough then, only slower.

use std::time::Duration;

use domain::id::ReplicaId;
use tokio::sync::oneshot;
use tokio_postgres::Client;

use crate::client::{ANSWER_WAIT, Store, get};
use crate::error::Error;
use crate::notify::{self, DueHint};

/// First half of the advisory lock's key; the second is the replica's number.
pub(crate) const PRESENCE_CLASS: i32 = 0x7475_6d61;
/// A hint to oneself is heard within this time, or never.
const ECHO_WAIT: Duration = Duration::from_secs(2);

const REGISTER: &str = "-- store.replica.register
INSERT INTO replicas (replica_id, has_presence) VALUES ($1, false)
ON CONFLICT (replica_id) DO UPDATE SET has_presence = false
RETURNING number";

const TRY_PRESENCE: &str = "-- store.replica.try_presence
SELECT pg_try_advisory_lock($1, $2)";

const LISTEN: &str = "-- store.replica.listen
LISTEN tuma_due";

const MARK_PRESENCE: &str = "-- store.replica.mark_presence
UPDATE replicas SET has_presence = $2 WHERE replica_id = $1";

const FORGET: &str = "-- store.replica.forget
DELETE FROM replicas WHERE replica_id = $1";

const FORGET_OLD: &str = "-- store.replica.forget_old
DELETE FROM replicas WHERE seen_at < clock_timestamp() - interval '1 day'";

/// A connection that shows that this replica runs.
#[derive(Debug)]
pub struct Presence(Client);

impl Presence {
    /// Whether the connection still stands.
    #[must_use]
    pub fn stands(&self) -> bool {
        !self.0.is_closed()
    }
}

impl Store {
    /// Makes the row of a replica, shows its presence, and hears what falls due on channels of others.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be reached, or what is between does not keep a connection for one
    /// client.
    pub async fn show_presence(
        &self,
        replica: ReplicaId,
        heard: impl Fn(DueHint) + Send + 'static,
    ) -> Result<Presence, Error> {
        let number: i32 = get(&self.one(REGISTER, &[&replica.0]).await?, 0)?;
        let (echo, heard_echo) = oneshot::channel();
        let (mut echo, word) = (Some(echo), replica.0.to_string());
        let expected = word.clone();
        let hear = move |payload: &str| match echo.take_if(|_| payload == expected) {
            // Whoever waits for it may have given up.
            Some(echo) => drop(echo.send(())),
            None => notify::read(payload).into_iter().for_each(&heard),
        };
        let client = self.database().connect_listening(hear).await?;
        let locked = async {
            client.batch_execute(LISTEN).await.map_err(|error| Error::of_statement("store.replica.listen", error))?;
            let row = client.query_one(TRY_PRESENCE, &[&PRESENCE_CLASS, &number]).await;
            get::<bool>(&row.map_err(|error| Error::of_statement("store.replica.try_presence", error))?, 0)
        };
        let locked = tokio::time::timeout(ANSWER_WAIT, locked)
            .await
            .map_err(|_| Error::Unavailable("presence: no answer in time".to_owned()))??;
        if !locked {
            return Err(Error::Unavailable("the former presence of this replica has not ended yet".to_owned()));
        }
        self.send_echo(&word).await?;
        if tokio::time::timeout(ECHO_WAIT, heard_echo).await.is_err() {
            return Err(Error::Unavailable("a hint to itself was not heard: is a pooler between?".to_owned()));
        }
        self.query(MARK_PRESENCE, &[&replica.0, &true]).await?;
        Ok(Presence(client))
    }

    /// Removes the row of a replica that stops, and those of replicas not seen for a day.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn forget_replica(&self, replica: ReplicaId) -> Result<(), Error> {
        self.query(FORGET, &[&replica.0]).await?;
        self.query(FORGET_OLD, &[]).await?;
        Ok(())
    }
}
