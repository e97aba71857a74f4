//! How many messages wait of which a part may have been sent.

use crate::client::{Store, get};
use crate::error::Error;

const COUNT: &str = "-- store.unknown.count
SELECT count(u.message_id) FROM (SELECT message_id FROM outbox WHERE maybe_sent LIMIT $1) u";

impl Store {
    /// Messages of the installation that wait and of which a part may have been sent, counted up to `limit`. What a process
    /// that died was sending counts from when it is taken again.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn unknown_outcomes(&self, limit: i64) -> Result<i64, Error> {
        get(&self.one(COUNT, &[&limit]).await?, 0)
    }
}
