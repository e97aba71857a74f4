//! Lists of messages: by what they can be narrowed down to, in order of acceptance, a page at a time.
//!
//! A list is walked along the index that narrows it most; what else is asked for is looked at row by row. Rows are
//! looked at in rounds of a bounded number, and a page is given up after the last round: it may then be short, or even
//! empty, and still have a next one. Ids are time-ordered, so a window of time is a range of ids, and what is accepted
//! meanwhile never moves what was there.

use domain::id::{ChannelId, ContactId, MessageId, WorkspaceId};
use domain::lifecycle::Status;
use domain::message::{MessageKey, Tag};
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;
use crate::message::{Direction, Message};

/// Rows looked at in one round after the other: few when most of them fit, and 50,000 a page at most, which the
/// database reads in well under the wait for an answer.
pub const ROUNDS: &[i64] = &[1_000, 9_000, 10_000, 10_000, 10_000, 10_000];

/// Which end of a list a page starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The last accepted first.
    NewestFirst,
    /// The first accepted first.
    OldestFirst,
}

impl Order {
    /// Both.
    pub const ALL: [Self; 2] = [Self::NewestFirst, Self::OldestFirst];
}

/// What the messages of a list have in common; nothing asked for means all of a workspace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of this channel.
    pub channel: Option<ChannelId>,
    /// To or from this contact.
    pub contact: Option<ContactId>,
    /// Of this batch.
    pub batch: Option<Uuid>,
    /// With this reference, which is not empty.
    pub reference: Option<String>,
    /// Accepted under this key.
    pub key: Option<MessageKey>,
    /// With all of these tags.
    pub tags: Vec<Tag>,
    /// Sent or received.
    pub direction: Option<Direction>,
    /// Shown with one of these statuses; with any when there is none.
    pub statuses: Vec<Status>,
    /// Only those of which a part may have been sent, and nothing has proven whether it was: they wait, or have ended so.
    pub is_unknown: bool,
    /// Ids above this one.
    pub above: Option<MessageId>,
    /// Ids below this one.
    pub below: Option<MessageId>,
}

/// A page of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct MessagePage {
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// The next page lies beyond this id; `None` at the end of the list.
    pub next: Option<MessageId>,
}

/// The index that a list is walked along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driver {
    /// `message_keys`: one message at most.
    Key,
    /// `outbox_unknown` and `messages_unknown`, in one order.
    Unknown,
    /// `messages_batch`: a hundred at most.
    Batch,
    /// `messages_reference`.
    Reference,
    /// `messages_contact`.
    Contact,
    /// `message_tags`, by the first tag.
    Tag,
    /// `messages_channel`.
    Channel,
    /// The primary key of `messages`.
    Workspace,
}

// Parameters: 1 workspace, 2 channel, 3 contact, 4 batch, 5 reference, 6 tags, 7 direction, 8 statuses, 9 now, 10 and 11
// the range of ids, 12 rows to look at, 13 rows to find, 14 key. The status that is shown is derived as in `message`, and
// only for rows that fit otherwise. The answer is one row: what was found, how many rows were looked at, and the last. Rows of
// another workspace, whose contact or batch was asked for, are as if they were not there.
macro_rules! statement {
    ($head:literal, $driver:literal, $id:literal, $forwards:literal, $backwards:literal) => {
        concat!(
            $head,
            " m.message_id, m.status, m.scheduled_for, m.workspace_id = $1 AS is_own,
        ($2::uuid IS NULL OR m.channel_id = $2) AND ($3::uuid IS NULL OR m.contact_id = $3) AND ($4::uuid IS NULL OR m.batch_id = $4)
        AND ($5::text IS NULL OR m.reference = $5) AND m.tags @> $6::text[] AND ($7::text IS NULL OR m.direction = $7) AS fits
    FROM ",
            $driver, " AND ", $id, " > $10 AND ", $id, " < $11
    ORDER BY ", $id, " ", $forwards, " LIMIT $12
), found AS (
    SELECT l.message_id FROM looked l
    WHERE l.is_own AND l.fits AND (cardinality($8::text[]) = 0 OR CASE WHEN l.status <> 'waiting' THEN l.status ELSE
        CASE (SELECT o.claim FROM outbox o WHERE o.workspace_id = $1 AND o.message_id = l.message_id)
        WHEN 0 THEN CASE WHEN l.scheduled_for > $9::timestamptz THEN 'scheduled' ELSE 'accepted' END ELSE 'processing' END
    END = ANY ($8))
    ORDER BY l.message_id ", $forwards, " LIMIT $13
)
SELECT ARRAY(SELECT f.message_id FROM found f ORDER BY f.message_id ", $forwards, "),
    (SELECT count(l.message_id) FROM looked l WHERE l.is_own),
    (SELECT l.message_id FROM looked l WHERE l.is_own ORDER BY l.message_id ", $backwards, " LIMIT 1)"
        )
    };
}

macro_rules! in_order {
    ($order:expr, $newest_first:literal, $oldest_first:literal, $driver:literal, $id:literal) => {
        match $order {
            Order::NewestFirst => statement!($newest_first, $driver, $id, "DESC", "ASC"),
            Order::OldestFirst => statement!($oldest_first, $driver, $id, "ASC", "DESC"),
        }
    };
}

impl Driver {
    /// All, the one that narrows most first.
    pub const ALL: [Self; 8] = [
        Self::Key,
        Self::Unknown,
        Self::Batch,
        Self::Reference,
        Self::Contact,
        Self::Tag,
        Self::Channel,
        Self::Workspace,
    ];

    /// The statement that walks along it. Beside the messages (key, unknown, tag) ids are walked, and each message is read by its
    /// primary key: OFFSET 0 leaves no other way. Along the indexes of channel, contact and batch the workspace is checked of
    /// each row, so that the planner cannot walk along the workspace's messages instead.
    #[must_use]
    pub const fn statement(self, order: Order) -> &'static str {
        match self {
            Self::Key => in_order!(
                order,
                "-- store.list.of_key_newest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "-- store.list.of_key_oldest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "message_keys d CROSS JOIN LATERAL (SELECT b.workspace_id, b.message_id, b.channel_id, b.contact_id, b.batch_id, b.reference, b.tags,
            b.direction, b.status, b.scheduled_for
        FROM messages b WHERE b.workspace_id = $1 AND b.message_id = d.message_id OFFSET 0) m
    WHERE d.workspace_id = $1 AND d.message_key = $14",
                "d.message_id"
            ),
            Self::Unknown => of_unknown(order),
            Self::Batch => in_order!(
                order,
                "-- store.list.of_batch_newest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "-- store.list.of_batch_oldest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "messages m WHERE m.batch_id = $4",
                "m.message_id"
            ),
            Self::Reference => in_order!(
                order,
                "-- store.list.of_reference_newest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "-- store.list.of_reference_oldest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "messages m WHERE m.workspace_id = $1 AND m.reference = $5 AND m.reference <> ''",
                "m.message_id"
            ),
            Self::Contact => in_order!(
                order,
                "-- store.list.of_contact_newest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "-- store.list.of_contact_oldest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "messages m WHERE m.contact_id = $3",
                "m.message_id"
            ),
            Self::Tag => in_order!(
                order,
                "-- store.list.of_tag_newest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "-- store.list.of_tag_oldest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "message_tags d CROSS JOIN LATERAL (SELECT b.workspace_id, b.message_id, b.channel_id, b.contact_id, b.batch_id, b.reference, b.tags,
            b.direction, b.status, b.scheduled_for
        FROM messages b WHERE b.workspace_id = $1 AND b.message_id = d.message_id OFFSET 0) m
    WHERE d.workspace_id = $1 AND d.tag = ($6::text[])[1]",
                "d.message_id"
            ),
            Self::Channel => in_order!(
                order,
                "-- store.list.of_channel_newest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "-- store.list.of_channel_oldest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "messages m WHERE m.channel_id = $2",
                "m.message_id"
            ),
            Self::Workspace => in_order!(
                order,
                "-- store.list.of_workspace_newest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "-- store.list.of_workspace_oldest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
                "messages m WHERE m.workspace_id = $1",
                "m.message_id"
            ),
        }
    }
}

/// Each half is in order and cut by itself: together they would be read as a whole and sorted.
const fn of_unknown(order: Order) -> &'static str {
    match order {
        Order::NewestFirst => statement!(
            "-- store.list.of_unknown_newest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
            "(
        (SELECT o.message_id FROM outbox o WHERE o.workspace_id = $1 AND o.maybe_sent AND o.message_id > $10 AND o.message_id < $11
        ORDER BY o.message_id DESC LIMIT $12)
        UNION ALL
        (SELECT e.message_id FROM messages e WHERE e.workspace_id = $1 AND e.failure_code = 16002 AND e.message_id > $10
        AND e.message_id < $11 ORDER BY e.message_id DESC LIMIT $12)
    ) d CROSS JOIN LATERAL (SELECT b.workspace_id, b.message_id, b.channel_id, b.contact_id, b.batch_id, b.reference, b.tags,
            b.direction, b.status, b.scheduled_for
        FROM messages b WHERE b.workspace_id = $1 AND b.message_id = d.message_id OFFSET 0) m
    WHERE true",
            "d.message_id",
            "DESC",
            "ASC"
        ),
        Order::OldestFirst => statement!(
            "-- store.list.of_unknown_oldest_first\nWITH looked AS MATERIALIZED (\n    SELECT",
            "(
        (SELECT o.message_id FROM outbox o WHERE o.workspace_id = $1 AND o.maybe_sent AND o.message_id > $10 AND o.message_id < $11
        ORDER BY o.message_id ASC LIMIT $12)
        UNION ALL
        (SELECT e.message_id FROM messages e WHERE e.workspace_id = $1 AND e.failure_code = 16002 AND e.message_id > $10
        AND e.message_id < $11 ORDER BY e.message_id ASC LIMIT $12)
    ) d CROSS JOIN LATERAL (SELECT b.workspace_id, b.message_id, b.channel_id, b.contact_id, b.batch_id, b.reference, b.tags,
            b.direction, b.status, b.scheduled_for
        FROM messages b WHERE b.workspace_id = $1 AND b.message_id = d.message_id OFFSET 0) m
    WHERE true",
            "d.message_id",
            "ASC",
            "DESC"
        ),
            }
}

impl Filter {
    /// The index that narrows the list most.
    #[must_use]
    pub fn driver(&self) -> Driver {
        let asked = [
            (Driver::Key, self.key.is_some()),
            (Driver::Unknown, self.is_unknown),
            (Driver::Batch, self.batch.is_some()),
            (Driver::Reference, self.reference.is_some()),
            (Driver::Contact, self.contact.is_some()),
            (Driver::Tag, !self.tags.is_empty()),
            (Driver::Channel, self.channel.is_some()),
        ];
        asked.into_iter().find(|(_, is_asked)| *is_asked).map_or(Driver::Workspace, |(driver, _)| driver)
    }

    /// Whether every row that is walked over fits.
    fn is_all_of_its_driver(&self) -> bool {
        let asked = [
            usize::from(self.key.is_some()),
            usize::from(self.is_unknown),
            usize::from(self.batch.is_some()),
            usize::from(self.reference.is_some()),
            usize::from(self.contact.is_some()),
            self.tags.len(),
            usize::from(self.channel.is_some()),
            usize::from(self.direction.is_some()),
            self.statuses.len(),
        ];
        let driven = usize::from(self.driver() != Driver::Workspace);
        asked.into_iter().sum::<usize>() == driven
    }
}

/// A list that is being walked.
struct Walk<'a> {
    workspace: WorkspaceId,
    filter: &'a Filter,
    order: Order,
    now: Timestamp,
    tags: Vec<&'a str>,
    statuses: Vec<&'static str>,
}

/// What one round found.
struct Round {
    found: Vec<MessageId>,
    /// The last row looked at, if there may be more.
    reached: Option<MessageId>,
}

impl Store {
    /// Up to `limit` messages beyond one of them (or from the end when `None`), found by looking at no more rows than the
    /// rounds allow.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn list_messages(
        &self,
        workspace: WorkspaceId,
        filter: &Filter,
        order: Order,
        mut beyond: Option<MessageId>,
        limit: i64,
        rounds: &[i64],
    ) -> Result<MessagePage, Error> {
        let walk = Walk {
            workspace,
            filter,
            order,
            now: self.now(),
            tags: filter.tags.iter().map(Tag::as_str).collect(),
            statuses: filter.statuses.iter().map(|status| status.as_str()).collect(),
        };
        let exact = [limit.saturating_add(1)];
        let rounds = if filter.is_all_of_its_driver() { &exact } else { rounds };
        let asked = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut ids, mut next) = (Vec::new(), None);
        for rows in rounds {
            // One more than asked for tells whether there is a next page.
            let round = self.look(&walk, beyond, *rows, limit.saturating_add(1)).await?;
            ids.extend(round.found);
            next = round.reached;
            if ids.len() > asked {
                ids.truncate(asked);
                next = ids.last().copied();
                break;
            }
            if next.is_none() {
                break;
            }
            beyond = next;
        }
        let mut messages = self.messages_at(workspace, &ids, walk.now).await?;
        // What has changed since it was found no longer belongs here.
        messages.retain(|message| filter.statuses.is_empty() || filter.statuses.contains(&message.status));
        messages.retain(|message| !filter.is_unknown || message.is_unknown());
        Ok(MessagePage { messages, next })
    }

    /// Looks at up to `rows` rows beyond a message for up to `wanted` that fit.
    async fn look(&self, walk: &Walk<'_>, beyond: Option<MessageId>, rows: i64, wanted: i64) -> Result<Round, Error> {
        let filter = walk.filter;
        let (above, below) = match walk.order {
            Order::NewestFirst => (filter.above, lower(filter.below, beyond)),
            Order::OldestFirst => (filter.above.max(beyond), filter.below),
        };
        let driver = filter.driver();
        let (channel, contact) = (filter.channel.map(|id| id.0), filter.contact.map(|id| id.0));
        let direction = filter.direction.map(Direction::as_str);
        let above = above.map_or(Uuid::nil(), |id| id.0);
        let below = below.map_or(Uuid::max(), |id| id.0);
        let key = filter.key.as_ref().map(MessageKey::as_str);
        let params: [&(dyn ToSql + Sync); 14] = [
            &walk.workspace.0,
            &channel,
            &contact,
            &filter.batch,
            &filter.reference,
            &walk.tags,
            &direction,
            &walk.statuses,
            &walk.now,
            &above,
            &below,
            &rows,
            &wanted,
            &key,
        ];
        let used = if driver == Driver::Key { &params[..] } else { &params[..params.len() - 1] };
        let row = self.one(driver.statement(walk.order), used).await?;
        let found: Vec<Uuid> = get(&row, 0)?;
        let looked: i64 = get(&row, 1)?;
        let last: Option<Uuid> = get(&row, 2)?;
        Ok(Round {
            found: found.into_iter().map(MessageId).collect(),
            reached: last.map(MessageId).filter(|_| looked >= rows),
        })
    }
}

/// The lower of two ids, where `None` is above all.
fn lower(one: Option<MessageId>, other: Option<MessageId>) -> Option<MessageId> {
    one.into_iter().chain(other).min()
}
