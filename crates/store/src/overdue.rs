//! What should have gone: lanes whose first message has been due for too long with nothing that explains it.

use domain::id::{ChannelId, MessageId};
use domain::message::Lane;
use jiff::Timestamp;

use crate::client::{Store, get};
use crate::error::Error;
use crate::outbox::lane;

/// The first message of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The channel.
    pub channel: ChannelId,
    /// The lane.
    pub lane: Lane,
    /// The message.
    pub message: MessageId,
    /// Since when it is due.
    pub due_at: Timestamp,
}

// A message that is being sent is not looked at; one whose claim has lapsed is. What explains a wait: a channel that is
// switched off, a closed gate, a pause, a limit of the provider account: others of its channels may have the turns.
const HEADS: &str = "-- store.overdue.heads
SELECT c.channel_id, l.lane, h.message_id, h.due_at
FROM channels c
CROSS JOIN unnest($1::smallint[]) AS l (lane)
CROSS JOIN LATERAL (
    SELECT o.message_id, o.due_at FROM outbox o
    WHERE o.channel_id = c.channel_id AND o.lane = l.lane AND o.due_at <= $2
    AND (o.claimed_until IS NULL OR o.claimed_until <= $2)
    ORDER BY o.due_at, o.message_id LIMIT 1
) h
WHERE c.status = 'active' AND c.account_messages_per_second IS NULL
AND NOT EXISTS (SELECT 1 FROM channels s WHERE s.account_id = c.account_id AND s.account_messages_per_second IS NOT NULL)
AND NOT EXISTS (SELECT 1 FROM channel_gates g WHERE g.workspace_id = c.workspace_id AND g.channel_id = c.channel_id AND g.until > $2)
AND NOT EXISTS (SELECT 1 FROM pauses p WHERE p.workspace_id = c.workspace_id AND p.ended_at IS NULL
    AND (p.until IS NULL OR p.until > $2) AND (p.scope = 'workspace' OR p.channel_id = c.channel_id))
ORDER BY h.due_at, c.channel_id, l.lane LIMIT $3";

impl Store {
    /// The first messages of lanes that were due at an instant and that nothing explains, those due longest first.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn overdue_heads(&self, due_by: Timestamp, limit: i64) -> Result<Vec<Head>, Error> {
        let lanes: Vec<i16> = Lane::ALL.iter().map(|lane| lane.number()).collect();
        let rows = self.query(HEADS, &[&lanes, &due_by, &limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(Head {
                    channel: ChannelId(get(row, 0)?),
                    lane: lane(get(row, 1)?)?,
                    message: MessageId(get(row, 2)?),
                    due_at: get(row, 3)?,
                })
            })
            .collect()
    }
}
