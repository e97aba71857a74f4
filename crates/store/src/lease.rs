//! Ownership of channels: at most one replica sends for a channel at a time.
//!
//! A lease has an epoch, which rises with every change of owner; claims name it, so a superseded owner claims nothing.
//! The database's clock alone decides when a lease lapses. One statement renews all leases of a replica and takes those
//! that are free: lapsed, released, or held by a replica whose presence has ended.

use std::time::Duration;

use domain::id::{ChannelId, ReplicaId, WorkspaceId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;
use crate::replica::PRESENCE_CLASS;

/// A lease that this replica holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The workspace of the channel.
    pub workspace: WorkspaceId,
    /// The channel.
    pub channel: ChannelId,
    /// Rises with every change of owner.
    pub epoch: i64,
    /// Revision of the channel's settings.
    pub revision: i64,
    /// What is left of the second in which a former owner may have used up the channel's rate.
    pub rest: Duration,
}

const HOLD: &str = "-- store.lease.hold
WITH seen AS (
    INSERT INTO replicas (replica_id, has_presence) VALUES ($1, false)
    ON CONFLICT (replica_id) DO UPDATE SET seen_at = clock_timestamp()
), gone AS (
    SELECT r.replica_id FROM replicas r
    WHERE r.replica_id <> $1 AND r.has_presence AND r.seen_at < clock_timestamp() - interval '1500 milliseconds'
    AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.classid = $3::int::oid AND l.objid = r.number::oid)
), takeable AS MATERIALIZED (
    SELECT l.workspace_id, l.channel_id, c.revision,
        CASE WHEN l.replica_id = $1 OR l.expires_at <= clock_timestamp() - interval '1 second' THEN 0
            WHEN l.expires_at <= clock_timestamp() THEN 1 - extract(epoch FROM clock_timestamp() - l.expires_at)
            ELSE 1 END::float8 AS rest
    FROM channel_leases l
    JOIN channels c ON c.workspace_id = l.workspace_id AND c.channel_id = l.channel_id AND c.status = 'active'
    WHERE l.channel_id <> ALL ($4) AND (l.replica_id = $1 OR l.replica_id IS NULL OR l.expires_at < clock_timestamp()
        OR l.replica_id IN (SELECT replica_id FROM gone))
    ORDER BY l.channel_id FOR UPDATE OF l
), yielded AS (
    UPDATE channel_leases SET replica_id = NULL, expires_at = clock_timestamp()
    WHERE replica_id = $1 AND channel_id = ANY ($4)
), held AS (
    UPDATE channel_leases l
    SET replica_id = $1, expires_at = clock_timestamp() + make_interval(secs => $2),
        epoch = CASE WHEN l.replica_id = $1 THEN l.epoch ELSE l.epoch + 1 END
    FROM takeable t WHERE t.workspace_id = l.workspace_id AND t.channel_id = l.channel_id
    RETURNING l.workspace_id, l.channel_id, l.epoch, t.revision, t.rest
)
SELECT workspace_id, channel_id, epoch, revision, rest FROM held ORDER BY channel_id";

const RELEASE: &str = "-- store.lease.release
UPDATE channel_leases SET replica_id = NULL, expires_at = clock_timestamp() WHERE replica_id = $1";

impl Store {
    /// Renews the leases of a replica and takes those that are free, for a time; answers all that it holds now. Those of
    /// channels that it cannot run are left to others.
    ///
    /// # Errors
    /// When the database cannot be used: then no lease was renewed for sure.
    pub async fn hold_leases(
        &self,
        replica: ReplicaId,
        lasting: Duration,
        unusable: &[ChannelId],
    ) -> Result<Vec<Lease>, Error> {
        let unusable: Vec<Uuid> = unusable.iter().map(|channel| channel.0).collect();
        let seconds = lasting.as_secs_f64();
        self.query(HOLD, &[&replica.0, &seconds, &PRESENCE_CLASS, &unusable]).await?.iter().map(lease).collect()
    }

    /// Gives up all leases of a replica.
    ///
    /// # Errors
    /// When the database cannot be used; they lapse by themselves then.
    pub async fn release_leases(&self, replica: ReplicaId) -> Result<(), Error> {
        self.query(RELEASE, &[&replica.0]).await.map(drop)
    }
}

fn lease(row: &Row) -> Result<Lease, Error> {
    let rest: f64 = get(row, 4)?;
    Ok(Lease {
        workspace: WorkspaceId(get(row, 0)?),
        channel: ChannelId(get(row, 1)?),
        epoch: get(row, 2)?,
        revision: get(row, 3)?,
        rest: Duration::try_from_secs_f64(rest).unwrap_or_default(),
    })
}
