//! Ownership of channels: at most one replica sends for a channel at a time.
//!
//! A replica has one lease, which it renews however many channels it owns; a channel names its owner and an epoch, which
//! rises with every change of owner. Claims name both, so a superseded owner claims nothing. The database's clock alone
//! decides when a lease lapses.
//!
//! One statement renews the lease and takes channels that are free: given up, or owned by a replica whose lease has lapsed
//! or that is surely gone. A replica takes its share of them at once, and what nobody took for a while beyond it. Channels
//! that share an account's limit are owned together: who has one of them, the first where several have, may take the others.

use std::time::Duration;

use domain::id::{AccountId, ChannelId, ReplicaId, WorkspaceId};
use domain::limits::RATE_WINDOW;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;
use crate::replica::PRESENCE_CLASS;

/// What is left free for so long is taken by whoever can.
const LEFT_FREE: Duration = Duration::from_secs(3);

/// A channel that this replica owns.
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
    /// What is left of the time in which a former owner, or a former lane of this one, may have used up the channel's rate.
    pub rest: Duration,
    /// The limit it shares with other channels of its provider account.
    pub account: Option<AccountLimit>,
    /// Whether another replica owns the channels that it shares a limit with: it is to be given up.
    pub is_apart: bool,
}

/// A limit shared by the channels of a provider account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountLimit {
    /// The account.
    pub id: AccountId,
    /// Messages a second of all channels together.
    pub messages_per_second: u32,
}

/// Another replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Other {
    /// Its id.
    pub replica: ReplicaId,
    /// When it renewed its lease last.
    pub seen_at: Timestamp,
    /// Whether the connection that showed its presence is gone.
    pub is_absent: bool,
    /// Whether it has work.
    pub is_busy: bool,
}

/// What a renewal answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// Channels that this replica owns now, in order of id.
    pub leases: Vec<Lease>,
    /// The other replicas whose lease has not lapsed.
    pub others: Vec<Other>,
    /// Channels beyond this replica's share.
    pub excess: usize,
}

/// What a renewal is told.
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    /// Who renews.
    pub replica: ReplicaId,
    /// How long the lease lasts.
    pub lasting: Duration,
    /// Whether it has work.
    pub is_busy: bool,
    /// Channels that it cannot run: left to others.
    pub unusable: &'a [ChannelId],
    /// Replicas that were absent at the last renewal. One that still is, and was not seen since, is gone.
    pub suspects: &'a [Other],
}

const OTHER: i16 = 0;
const OWNED: i16 = 1;
const SHARES: i16 = 2;
const INSTALLATION: i16 = 3;

// A channel that another replica takes at the same time is skipped, or found to have another epoch. In a database that is older
// than this replica remembers nothing is renewed or taken.
pub(crate) const HOLD: &str = "-- store.lease.hold
WITH given AS MATERIALIZED (
    SELECT held_reason IS NOT NULL AS is_held, (releases, lived_seconds) >= ($10::bigint, $11::float8) AS is_ours
    FROM installation
), own AS (
    INSERT INTO replicas (replica_id, has_presence, lease_expires_at, is_busy)
    SELECT $1::uuid, false, clock_timestamp() + make_interval(secs => $2), $5::boolean FROM given WHERE is_ours
    ON CONFLICT (replica_id) DO UPDATE SET seen_at = clock_timestamp(), lease_expires_at = excluded.lease_expires_at,
        is_busy = excluded.is_busy
), others AS MATERIALIZED (
    SELECT r.replica_id, r.seen_at, r.is_busy, r.lease_expires_at,
        r.has_presence AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.classid = $3::int::oid AND l.objid = r.number::oid) AS is_absent
    FROM replicas r WHERE r.replica_id <> $1
), live AS MATERIALIZED (
    SELECT replica_id FROM others o WHERE o.lease_expires_at > clock_timestamp()
    AND NOT (o.is_absent AND EXISTS (SELECT 1 FROM unnest($6::uuid[], $7::timestamptz[]) AS s (replica_id, seen_at)
        WHERE s.replica_id = o.replica_id AND s.seen_at = o.seen_at))
), limited AS (
    SELECT l.workspace_id, l.channel_id, l.replica_id, l.epoch, l.free_since, c.revision, c.account_id,
        min(c.account_messages_per_second) OVER (PARTITION BY coalesce(c.account_id, c.channel_id)) AS account_limit
    FROM channel_leases l JOIN channels c ON c.workspace_id = l.workspace_id AND c.channel_id = l.channel_id
    WHERE c.status = 'active'
), active AS MATERIALIZED (
    SELECT workspace_id, channel_id, replica_id, epoch, free_since, revision, account_id, account_limit,
        first_value(channel_id) OVER together AS first_channel, first_value(replica_id) OVER together AS first_owner
    FROM limited
    WINDOW together AS (PARTITION BY CASE WHEN account_limit IS NULL THEN channel_id ELSE coalesce(account_id, channel_id) END
        ORDER BY CASE WHEN replica_id = $1 OR replica_id IN (SELECT replica_id FROM live) THEN 0 WHEN channel_id <> ALL ($4) THEN 1
            ELSE 2 END, channel_id)
), shares AS MATERIALIZED (
    SELECT count(channel_id) AS channels, count(channel_id) FILTER (WHERE replica_id = $1) AS own,
        (SELECT count(replica_id) + 1 FROM live) AS replicas
    FROM active
), free AS MATERIALIZED (
    SELECT a.workspace_id, a.channel_id, a.replica_id, a.epoch, a.revision, a.account_id, a.account_limit, a.first_channel,
        row_number() OVER (ORDER BY a.channel_id) AS place, coalesce(o.seen_at, a.free_since) AS left_at,
        CASE WHEN a.epoch = 0 THEN NULL WHEN a.replica_id IS NULL THEN a.free_since WHEN o.lease_expires_at <= clock_timestamp() THEN o.lease_expires_at
            ELSE clock_timestamp() END AS sent_until
    FROM active a LEFT JOIN others o ON o.replica_id = a.replica_id
    WHERE a.channel_id <> ALL ($4) AND a.replica_id IS DISTINCT FROM $1
    AND (a.replica_id IS NULL OR a.replica_id NOT IN (SELECT replica_id FROM live))
    AND (a.first_channel = a.channel_id OR a.first_owner = $1)
), takeable AS MATERIALIZED (
    SELECT f.workspace_id, f.channel_id, f.revision, f.account_id, f.account_limit, f.sent_until FROM channel_leases l JOIN free f ON f.workspace_id = l.workspace_id AND f.channel_id = l.channel_id
    WHERE l.epoch = f.epoch AND l.replica_id IS NOT DISTINCT FROM f.replica_id AND (SELECT is_ours FROM given)
    AND (f.first_channel <> f.channel_id OR f.left_at < clock_timestamp() - make_interval(secs => $8)
        OR (SELECT f.place + s.own <= ceil(s.channels::float8 / s.replicas) FROM shares s))
    ORDER BY l.channel_id FOR UPDATE OF l SKIP LOCKED
), yielded AS (
    UPDATE channel_leases SET replica_id = NULL, free_since = clock_timestamp()
    WHERE replica_id = $1 AND channel_id = ANY ($4)
), taken AS (
    UPDATE channel_leases l SET replica_id = $1, epoch = l.epoch + 1 FROM takeable t
    WHERE t.workspace_id = l.workspace_id AND t.channel_id = l.channel_id
    RETURNING l.workspace_id, l.channel_id, l.epoch, t.revision, t.account_id, t.account_limit,
        CASE WHEN t.sent_until IS NULL THEN 0
            ELSE greatest(0, least($9, $9 - extract(epoch FROM clock_timestamp() - t.sent_until)::float8)) END::float8 AS rest
)
SELECT 0::smallint, NULL::uuid, o.replica_id, 0::bigint, 0::bigint, 0::float8, NULL::uuid, NULL::integer, o.seen_at,
    o.is_absent, o.is_busy
FROM others o WHERE o.lease_expires_at > clock_timestamp()
UNION ALL
SELECT 1::smallint, a.workspace_id, a.channel_id, a.epoch, a.revision, $9::float8, a.account_id, a.account_limit, NULL,
    coalesce(a.first_owner IN (SELECT replica_id FROM live), false), false
FROM active a WHERE a.replica_id = $1 AND a.channel_id <> ALL ($4)
UNION ALL
SELECT 1::smallint, t.workspace_id, t.channel_id, t.epoch, t.revision, t.rest, t.account_id, t.account_limit, NULL, false, false
FROM taken t
UNION ALL
SELECT 2::smallint, NULL, NULL, s.channels, s.replicas, 0, NULL, NULL, NULL, false, false FROM shares s
UNION ALL
SELECT 3::smallint, NULL, NULL, 0, 0, 0, NULL, NULL, NULL, g.is_ours, g.is_held FROM given g";

const RELEASE: &str = "-- store.lease.release
UPDATE channel_leases SET replica_id = NULL, free_since = clock_timestamp() WHERE replica_id = $1 AND channel_id = ANY ($2)";

const RELEASE_ALL: &str = "-- store.lease.release_all
UPDATE channel_leases SET replica_id = NULL, free_since = clock_timestamp() WHERE replica_id = $1";

impl Store {
    /// Renews the lease of a replica and takes channels that are free; answers all that it owns now.
    ///
    /// # Errors
    /// When the database cannot be used, or was put back in time: then the lease was not renewed for sure.
    pub async fn hold_leases(&self, hold: Hold<'_>) -> Result<Held, Error> {
        let (releases, oldest) = self.memory.oldest();
        let unusable: Vec<Uuid> = hold.unusable.iter().map(|channel| channel.0).collect();
        let suspects: Vec<Uuid> = hold.suspects.iter().map(|other| other.replica.0).collect();
        let seen_at: Vec<Timestamp> = hold.suspects.iter().map(|other| other.seen_at).collect();
        let rows = self
            .query(
                HOLD,
                &[
                    &hold.replica.0,
                    &hold.lasting.as_secs_f64(),
                    &PRESENCE_CLASS,
                    &unusable,
                    &hold.is_busy,
                    &suspects,
                    &seen_at,
                    &LEFT_FREE.as_secs_f64(),
                    &RATE_WINDOW.as_secs_f64(),
                    &releases,
                    &oldest,
                ],
            )
            .await?;
        let (is_ours, is_held) = installation(&rows)?;
        if !is_ours || is_held != self.memory.is_held() {
            self.live().await?;
        }
        if !is_ours {
            return Err(Error::Unavailable("the database is older than what was seen of it".to_owned()));
        }
        held(&rows)
    }

    /// Gives up channels.
    ///
    /// # Errors
    /// When the database cannot be used: they stay this replica's.
    pub async fn release_leases(&self, replica: ReplicaId, channels: &[ChannelId]) -> Result<(), Error> {
        let channels: Vec<Uuid> = channels.iter().map(|channel| channel.0).collect();
        self.query(RELEASE, &[&replica.0, &channels]).await.map(drop)
    }

    /// Gives up all channels of a replica.
    ///
    /// # Errors
    /// When the database cannot be used; they are free when its lease lapses.
    pub async fn release_all_leases(&self, replica: ReplicaId) -> Result<(), Error> {
        self.query(RELEASE_ALL, &[&replica.0]).await.map(drop)
    }
}

/// Whether the database is no older than what is remembered, and whether the installation is held.
fn installation(rows: &[Row]) -> Result<(bool, bool), Error> {
    for row in rows {
        if get::<i16>(row, 0)? == INSTALLATION {
            return Ok((get(row, 9)?, get(row, 10)?));
        }
    }
    Err(Error::corrupt("the installation has no row"))
}

fn held(rows: &[Row]) -> Result<Held, Error> {
    let mut held = Held::default();
    let mut share = usize::MAX;
    for row in rows {
        match get::<i16>(row, 0)? {
            OTHER => held.others.push(Other {
                replica: ReplicaId(get(row, 2)?),
                seen_at: get(row, 8)?,
                is_absent: get(row, 9)?,
                is_busy: get(row, 10)?,
            }),
            OWNED => held.leases.push(lease(row)?),
            SHARES => share = self::share(get(row, 3)?, get(row, 4)?)?,
            INSTALLATION => {}
            kind => return Err(Error::corrupt(format!("kind {kind} of a row"))),
        }
    }
    held.leases.sort_unstable_by_key(|lease| lease.channel);
    held.excess = held.leases.len().saturating_sub(share);
    Ok(held)
}

fn share(channels: i64, replicas: i64) -> Result<usize, Error> {
    let number = |number: i64| usize::try_from(number).map_err(Error::corrupt);
    Ok(number(channels)?.div_ceil(number(replicas.max(1))?))
}

fn lease(row: &Row) -> Result<Lease, Error> {
    let (account, limit): (Option<Uuid>, Option<i32>) = (get(row, 6)?, get(row, 7)?);
    let limit = limit.map(u32::try_from).transpose().map_err(Error::corrupt)?;
    Ok(Lease {
        workspace: WorkspaceId(get(row, 1)?),
        channel: ChannelId(get(row, 2)?),
        epoch: get(row, 3)?,
        revision: get(row, 4)?,
        rest: Duration::try_from_secs_f64(get(row, 5)?).unwrap_or_default(),
        account: account
            .zip(limit)
            .map(|(id, messages_per_second)| AccountLimit { id: AccountId(id), messages_per_second }),
        is_apart: get(row, 9)?,
    })
}
