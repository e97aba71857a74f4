//! The installation as a whole: whether its database was put back in time, and the hold that follows.
//!
//! A database restored from a backup would send an hour's messages again. So the time for which any process was alive is
//! counted in one row, and each process remembers what it saw: a count that is more than a minute behind, or another server
//! under the same row, holds sending for all replicas until an operator releases it. The renewal of a lease looks at the same
//! row, and renews nothing where the count is behind: every lease of a restored database has lapsed, so nothing is claimed
//! before it is noticed. A process that remembers nothing cannot tell; that is what its state file is for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;

/// What was remembered may be so much ahead: a failover to an asynchronous standby loses a moment, a backup is older.
const BEHIND_MAX: Duration = Duration::from_secs(60);
/// Counted at once at the most: however long the gap or the step of the clock, no process is known to have lived longer.
const LIVED_MAX: Duration = Duration::from_secs(15);
/// Between two counts, however many processes there are.
const LIVED_MIN: Duration = Duration::from_secs(10);

/// How far an installation has come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mark {
    /// The installation.
    pub installation: Uuid,
    /// Releases by an operator.
    pub releases: i64,
    /// Seconds for which any process was alive.
    pub lived_seconds: f64,
}

/// Why an installation is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeldReason {
    /// Its database is older than what a process remembers.
    Restored,
    /// Its database is on another server than before.
    OtherServer,
}

impl HeldReason {
    /// The word in the database.
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "restored" => Some(Self::Restored),
            "other_server" => Some(Self::OtherServer),
            _ => None,
        }
    }
}

/// A hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Why.
    pub reason: HeldReason,
    /// Since when.
    pub since: Timestamp,
}

/// What a process remembers of the installation. Cheap to clone; all clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// Asked before every call.
    is_held: AtomicBool,
    /// The role may not ask for the server's identifier.
    is_barred: AtomicBool,
    state: Mutex<(Option<Mark>, Option<Held>)>,
}

impl Memory {
    /// Whether the installation is held, as far as is known.
    pub(crate) fn is_held(&self) -> bool {
        self.0.is_held.load(Ordering::Relaxed)
    }

    pub(crate) fn held(&self) -> Option<Held> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn mark(&self) -> Option<Mark> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The releases and the seconds below which the database is older than what is remembered.
    pub(crate) fn oldest(&self) -> (i64, f64) {
        self.mark().map_or((0, 0.0), |mark| (mark.releases, mark.lived_seconds - BEHIND_MAX.as_secs_f64()))
    }

    fn keep(&self, mark: Mark, held: Option<Held>) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (Some(mark), held);
        self.0.is_held.store(held.is_some(), Ordering::Relaxed);
    }
}

const SERVER: &str = "-- store.installation.server
SELECT system_identifier FROM pg_control_system()";

// The row is written only when there is something to write; whoever comes at the same time finds it done.
const LIVE: &str = "-- store.installation.live
WITH lived AS (
    UPDATE installation SET lived_at = clock_timestamp(), system_identifier = coalesce($3::bigint, system_identifier),
        lived_seconds = lived_seconds + greatest(0, least($4, extract(epoch FROM clock_timestamp() - lived_at)::float8)),
        held_reason = coalesce(held_reason, CASE WHEN (releases, lived_seconds) < ($1::bigint, $2::float8) THEN 'restored'
            WHEN system_identifier <> $3 THEN 'other_server' END),
        held_since = coalesce(held_since, CASE WHEN (releases, lived_seconds) < ($1, $2) OR system_identifier <> $3
            THEN clock_timestamp() END)
    WHERE organization_id = coalesce($6, organization_id) AND (
        (releases, lived_seconds) < ($1, $2) OR system_identifier IS DISTINCT FROM coalesce($3, system_identifier)
        OR abs(extract(epoch FROM clock_timestamp() - lived_at)::float8) >= $5)
    RETURNING organization_id, releases, lived_seconds, held_reason, held_since
)
SELECT organization_id, releases, lived_seconds, held_reason, held_since FROM lived
UNION ALL
SELECT organization_id, releases, lived_seconds, held_reason, held_since FROM installation
WHERE NOT EXISTS (SELECT 1 FROM lived)";

const RELEASE: &str = "-- store.installation.release
WITH released AS (
    UPDATE installation i SET releases = i.releases + 1, held_reason = NULL, held_since = NULL
    FROM (SELECT only_row, held_reason FROM installation FOR UPDATE) b WHERE b.only_row = i.only_row
    RETURNING i.organization_id, i.releases, i.lived_seconds, i.held_reason, i.held_since, b.held_reason AS was_held
), noted AS (
    INSERT INTO audit (actor, act, subject, detail)
    SELECT $1, $2, organization_id::text, coalesce(was_held, '') FROM released
)
SELECT organization_id, releases, lived_seconds, held_reason, held_since FROM released";

impl Store {
    /// Takes in what this process remembered when it ended.
    pub fn remember(&self, mark: Mark) {
        self.memory.keep(mark, None);
    }

    /// What this process remembers.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.memory.mark()
    }

    /// The hold of the installation, as far as this process knows.
    #[must_use]
    pub fn sending_hold(&self) -> Option<Held> {
        self.memory.held()
    }

    /// Counts that this process is alive, and holds the installation when its database was put back in time.
    ///
    /// # Errors
    /// When the database cannot be used; [`Error::Configuration`] when it is another installation than remembered.
    pub async fn live(&self) -> Result<(), Error> {
        let server = self.server().await?;
        let (releases, oldest) = self.memory.oldest();
        let installation = self.memory.mark().map(|mark| mark.installation);
        let (most, least) = (LIVED_MAX.as_secs_f64(), LIVED_MIN.as_secs_f64());
        let row = self.one(LIVE, &[&releases, &oldest, &server, &most, &least, &installation]).await?;
        self.take_in(&row)
    }

    /// Lets sending go on: what holds the installation, and what holds single replicas because the database's clock was set.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn release_sending(&self, act: &Act<'_>) -> Result<(), Error> {
        let row = self.one(RELEASE, &[&act.actor, &act.name]).await?;
        self.take_in(&row)
    }

    /// The server's identifier; `None` where the role may not ask.
    async fn server(&self) -> Result<Option<i64>, Error> {
        if self.memory.0.is_barred.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match self.one(SERVER, &[]).await {
            Ok(row) => Ok(Some(get(&row, 0)?)),
            Err(Error::Refused { source, .. }) if source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                tracing::warn!(
                    "the role may not ask for the server's identifier: a move to another server is not noticed"
                );
                self.memory.0.is_barred.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn take_in(&self, row: &Row) -> Result<(), Error> {
        let mark = Mark { installation: get(row, 0)?, releases: get(row, 1)?, lived_seconds: get(row, 2)? };
        let reason = get::<Option<&str>>(row, 3)?
            .map(|word| HeldReason::from_word(word).ok_or_else(|| Error::corrupt(format!("reason {word} of a hold"))))
            .transpose()?;
        let held = reason.zip(get(row, 4)?).map(|(reason, since)| Held { reason, since });
        let before = self.memory.mark();
        if before.is_some_and(|before| before.installation != mark.installation) {
            return Err(Error::Configuration("the database holds another installation than before".to_owned()));
        }
        if before.is_some_and(|before| before.releases < mark.releases) {
            self.clock.believe_next();
        }
        let was_held = self.memory.is_held();
        self.memory.keep(mark, held);
        if let Some(held) = held.filter(|_| !was_held) {
            let why = crate::stop::Stop::from(held.reason);
            tracing::error!(since = %held.since, "{why}; `tuma admin release-sending` lets it go on");
        } else if held.is_none() && was_held {
            tracing::info!("sending goes on, as an operator said");
        }
        self.show_stops();
        Ok(())
    }
}
