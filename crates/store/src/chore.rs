//! Who does the regular work, and when it falls due.
//!
//! As with messages, taking a chore moves its due instant to the end of the taking: a chore whose replica died falls due
//! again by itself, and looking for work and taking it are one statement. A taking is numbered, so what comes late from a
//! replica that was away changes nothing.

use std::time::Duration;

use jiff::Timestamp;

use crate::client::{Store, get};
use crate::error::Error;

/// A chore that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Its name.
    pub chore: String,
    /// Number of this taking.
    pub run: i64,
    /// Where it goes on, in its own words; empty at the start.
    pub position: String,
}

const TAKE: &str = "-- store.chore.take
WITH due AS MATERIALIZED (
    SELECT chore FROM chores WHERE chore = ANY ($1) AND due_at <= $2 ORDER BY due_at, chore LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE chores c SET run = run + 1, due_at = $2::timestamptz + make_interval(secs => $3)
FROM due WHERE c.chore = due.chore
RETURNING c.chore, c.run, c.position";

const FINISH: &str = "-- store.chore.finish
UPDATE chores SET due_at = $3::timestamptz + make_interval(secs => $4), position = $5, succeeded_at = $3 WHERE chore = $1 AND run = $2
RETURNING chore";

const POSTPONE: &str = "-- store.chore.postpone
UPDATE chores SET due_at = $3::timestamptz + make_interval(secs => $4) WHERE chore = $1 AND run = $2
RETURNING chore";

impl Store {
    /// Takes a chore that is due, of those named; it is nobody else's for a time.
    ///
    /// # Errors
    /// When the database cannot be used; what was taken by a lost answer falls due again.
    pub async fn take_chore(&self, known: &[&str], now: Timestamp, lasting: Duration) -> Result<Option<Taken>, Error> {
        let row = self.maybe_one(TAKE, &[&known, &now, &lasting.as_secs_f64()]).await?;
        row.map(|row| Ok(Taken { chore: get(&row, 0)?, run: get(&row, 1)?, position: get(&row, 2)? })).transpose()
    }

    /// Notes that a chore was done and when it falls due again; `false` when another replica has taken it since.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn finish_chore(
        &self,
        taken: &Taken,
        position: &str,
        now: Timestamp,
        pause: Duration,
    ) -> Result<bool, Error> {
        let params: crate::client::Params<'_> = &[&taken.chore, &taken.run, &now, &pause.as_secs_f64(), &position];
        Ok(self.maybe_one(FINISH, params).await?.is_some())
    }

    /// Notes that a chore failed and when it is tried again.
    ///
    /// # Errors
    /// When the database cannot be used: it falls due when the taking ends.
    pub async fn postpone_chore(&self, taken: &Taken, now: Timestamp, pause: Duration) -> Result<(), Error> {
        self.query(POSTPONE, &[&taken.chore, &taken.run, &now, &pause.as_secs_f64()]).await.map(drop)
    }
}
