//! Running processes: their row, and the connection whose end shows that one is gone.
//!
//! A replica holds an advisory lock on a connection of its own. When the process dies the database drops the
//! connection, and others need not wait for its leases to lapse. Behind a pooler in transaction mode the lock means
//! nothing; leases alone are enough then, only slower.

use domain::id::ReplicaId;
use tokio_postgres::Client;

use crate::client::{ANSWER_WAIT, Store, get};
use crate::error::Error;

/// First half of the advisory lock's key; the second is the replica's number.
pub(crate) const PRESENCE_CLASS: i32 = 0x7475_6d61;

const REGISTER: &str = "-- store.replica.register
INSERT INTO replicas (replica_id, has_presence) VALUES ($1, false)
ON CONFLICT (replica_id) DO UPDATE SET seen_at = clock_timestamp()
RETURNING number";

const TRY_PRESENCE: &str = "-- store.replica.try_presence
SELECT pg_try_advisory_lock($1, $2)";

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
    /// Makes or renews the row of a replica and shows its presence.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn show_presence(&self, replica: ReplicaId) -> Result<Presence, Error> {
        let number: i32 = get(&self.one(REGISTER, &[&replica.0]).await?, 0)?;
        let client = self.database().connect().await?;
        let row = tokio::time::timeout(ANSWER_WAIT, client.query_one(TRY_PRESENCE, &[&PRESENCE_CLASS, &number]))
            .await
            .map_err(|_| Error::Unavailable("presence: no answer in time".to_owned()))?
            .map_err(|error| Error::of_statement("store.replica.try_presence", error))?;
        if !get::<bool>(&row, 0)? {
            return Err(Error::Unavailable("the former presence of this replica has not ended yet".to_owned()));
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
