//! Messages that wait, put into the database as accepting leaves them, without its cost.

use domain::id::{ChannelId, PartId, WorkspaceId};
use domain::message::Lane;
use tokio_postgres::types::Type;

use crate::bed::{Bed, describe};
use crate::message::{self, NUMBER_PLACE, RECIPIENT_PLACE, RECIPIENT_PREFIX, RECIPIENTS};

/// Rows in one statement.
const ROWS_A_STATEMENT: usize = 100_000;
/// Stands in the stored parts where the part's own id goes.
const PART_PLACE: &str = "00000000-0000-4000-8000-000000000000";

/// Ids are of version 7, as accepting makes them: by time, here with the number where others have chance.
const INSERT: &str = "WITH input AS MATERIALIZED (
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '70008'
            || lpad(to_hex(n), 15, '0'))::uuid AS message_id,
        ($2::uuid[])[1 + n % cardinality($2::uuid[])] AS channel_id, lpad(n::text, 9, '0') AS number,
        $7 || lpad((n % $8)::text, 6, '0') AS recipient,
        clock_timestamp() AS now, clock_timestamp() + make_interval(secs => $9) AS due_at
    FROM generate_series($3::bigint, $4::bigint) n
), stored AS (
    INSERT INTO messages (workspace_id, message_id, channel_id, contact_id, recipient, body, parts, reference, tags, meta,
        scheduled_for, expires_at, status, created_at, updated_at, last_status_at)
    SELECT $1, message_id, channel_id, md5(recipient)::uuid, recipient, replace($5, $10, number),
        replace(replace($6, $10, number), $11, gen_random_uuid()::text), '', '{}', '{}',
        CASE WHEN $9 > 0 THEN due_at END, due_at + interval '36 hours', 'waiting', now, now, now
    FROM input
)
INSERT INTO outbox (workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at)
SELECT $1, message_id, channel_id, $12, due_at, 'requested', due_at + interval '36 hours' FROM input";

/// What waits.
pub(crate) struct Backlog<'a> {
    /// Taken in turn.
    pub(crate) channels: &'a [ChannelId],
    pub(crate) lane: Lane,
    /// Number of the first message.
    pub(crate) from: usize,
    pub(crate) count: usize,
    /// From now on.
    pub(crate) due_in_seconds: f64,
}

impl Backlog<'_> {
    /// Puts it there.
    pub(crate) async fn insert(&self, bed: &Bed) -> Result<(), String> {
        self.insert_for(bed, bed.tenant.workspace).await
    }

    /// The same for another workspace.
    pub(crate) async fn insert_for(&self, bed: &Bed, workspace: WorkspaceId) -> Result<(), String> {
        self.put(bed, workspace).await?;
        bed.settle_down().await
    }

    /// The same, and leaves the rest to the background.
    pub(crate) async fn put(&self, bed: &Bed, workspace: WorkspaceId) -> Result<(), String> {
        let types = [
            Type::UUID,
            Type::UUID_ARRAY,
            Type::INT8,
            Type::INT8,
            Type::TEXT,
            Type::TEXT,
            Type::TEXT,
            Type::INT8,
            Type::FLOAT8,
            Type::TEXT,
            Type::TEXT,
            Type::INT2,
        ];
        let statement = bed.client().prepare_typed(INSERT, &types).await.map_err(|error| describe(&error))?;
        let workspace = workspace.0;
        let channels: Vec<_> = self.channels.iter().map(|channel| channel.0).collect();
        let part: PartId = PART_PLACE.parse().map_err(|_| "not an id")?;
        let parts = message::parts(part)?;
        let body = message::request()["body"].to_string().replace(RECIPIENT_PLACE, "");
        let recipients = i64::try_from(RECIPIENTS).map_err(|error| error.to_string())?;
        for start in (self.from..self.from + self.count).step_by(ROWS_A_STATEMENT) {
            let end = (start + ROWS_A_STATEMENT).min(self.from + self.count) - 1;
            let (first, last) = (i64::try_from(start), i64::try_from(end));
            let (first, last) = first.and_then(|first| Ok((first, last?))).map_err(|error| error.to_string())?;
            bed.client()
                .execute(
                    &statement,
                    &[
                        &workspace,
                        &channels,
                        &first,
                        &last,
                        &body,
                        &parts,
                        &RECIPIENT_PREFIX,
                        &recipients,
                        &self.due_in_seconds,
                        &NUMBER_PLACE,
                        &PART_PLACE,
                        &self.lane.number(),
                    ],
                )
                .await
                .map_err(|error| describe(&error))?;
        }
        Ok(())
    }
}
