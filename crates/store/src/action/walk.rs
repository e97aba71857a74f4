//! Looking over the messages that an action may concern, in order of acceptance, a page at a time.
//!
//! What waits is walked along the outbox, what has ended along its channel. The statuses of waiting messages are derived as in
//! `message`.

use domain::action::ActionKind;
use domain::id::MessageId;
use domain::lifecycle::Status;
use domain::message::Tag;
use domain::quiet_hours::{spellings, use_case};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Selector;
use crate::channel::Channel;
use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::message::first_id_at;

/// Rows looked at in one statement that counts: as many as of a list.
const COUNT_PAGE: i64 = 10_000;
/// Such statements: two million rows are counted while a client waits.
const COUNT_PAGES_MAX: usize = 200;

/// How many messages an action would concern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// How many.
    pub count: i64,
    /// The first ones.
    pub sample: Vec<MessageId>,
    /// They have ids above this one …
    pub above: MessageId,
    /// … and below this one.
    pub below: MessageId,
}

/// A selector as the statements take it.
pub(super) struct Criteria<'a> {
    pub(super) tags: Vec<&'a str>,
    pub(super) contact: Option<Uuid>,
    /// Spellings of the use case that is asked for.
    pub(super) use_cases: Option<Vec<String>>,
    /// The use case of messages that name none.
    pub(super) default_use_case: String,
    pub(super) statuses: Vec<&'static str>,
}

/// What was found on a page.
pub(super) struct Found {
    pub(super) messages: Vec<MessageId>,
    /// The last row looked at, if there may be more.
    pub(super) reached: Option<MessageId>,
}

const WAITING: &str = "-- store.action.walk.waiting
WITH looked AS MATERIALIZED (
    SELECT o.message_id, o.channel_id, o.claim,
        CASE $11::text WHEN 'hold' THEN o.claimed_until IS NULL AND o.due_reason NOT IN ('held', 'unknown')
            WHEN 'release' THEN o.claimed_until IS NULL AND o.due_reason = 'held'
            ELSE o.claimed_until IS NULL AND (o.claim = 0 OR o.part = 0 AND NOT o.maybe_sent) END AS is_open
    FROM outbox o WHERE o.workspace_id = $1 AND o.message_id > $3 AND o.message_id < $4
    ORDER BY o.message_id LIMIT $5
)
SELECT ARRAY(
        SELECT l.message_id FROM looked l CROSS JOIN LATERAL (
            SELECT b.tags, b.contact_id, b.use_case, b.scheduled_for FROM messages b
            WHERE b.workspace_id = $1 AND b.message_id = l.message_id OFFSET 0
        ) m
        WHERE l.is_open AND l.channel_id = $2 AND m.tags @> $6::text[] AND ($7::uuid IS NULL OR m.contact_id = $7)
        AND ($8::text[] IS NULL OR lower(coalesce(m.use_case, $9::text)) = ANY ($8))
        AND (cardinality($10::text[]) = 0 OR CASE l.claim
            WHEN 0 THEN CASE WHEN m.scheduled_for > $12::timestamptz THEN 'scheduled' ELSE 'accepted' END ELSE 'processing'
            END = ANY ($10))
        ORDER BY l.message_id
    ), (SELECT count(l.message_id) FROM looked l), (SELECT l.message_id FROM looked l ORDER BY l.message_id DESC LIMIT 1)";

// The workspace is checked of each row, so that the planner cannot walk along the workspace's messages instead.
const ENDED: &str = "-- store.action.walk.ended
WITH looked AS MATERIALIZED (
    SELECT m.message_id, m.tags @> $6::text[] AND ($7::uuid IS NULL OR m.contact_id = $7)
        AND ($8::text[] IS NULL OR lower(coalesce(m.use_case, $9::text)) = ANY ($8))
        AND (cardinality($10::text[]) = 0 OR m.status = ANY ($10))
        AND (m.status = ANY ('{sending_failed,delivery_failed,deleted,skipped}') OR m.status = 'rejected' AND m.failure_code = 16007)
        AND m.replayed_as IS NULL AND m.parts <> '[]' AND m.recipient IS NOT NULL AND m.direction = 'outgoing' AS fits
    FROM messages m
    WHERE (m.workspace_id = $1) IS TRUE AND m.channel_id = $2 AND m.message_id > $3 AND m.message_id < $4
    ORDER BY m.message_id LIMIT $5
)
SELECT ARRAY(SELECT l.message_id FROM looked l WHERE l.fits ORDER BY l.message_id),
    (SELECT count(l.message_id) FROM looked l), (SELECT l.message_id FROM looked l ORDER BY l.message_id DESC LIMIT 1)";

impl<'a> Criteria<'a> {
    pub(super) fn of(selector: &'a Selector, channel: &Channel) -> Self {
        Self {
            tags: selector.tags.iter().map(Tag::as_str).collect(),
            contact: selector.contact.map(|contact| contact.0),
            use_cases: selector.use_case.as_deref().map(spellings),
            default_use_case: use_case(None, channel.settings.message_type).into_owned(),
            statuses: selector.statuses.iter().copied().map(Status::as_str).collect(),
        }
    }
}

impl Store {
    /// Counts the messages that an act would concern now; `None` when there are too many to look at. The sample holds the
    /// first `sample_max`.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn count_action(
        &self,
        channel: &Channel,
        kind: ActionKind,
        selector: &Selector,
        sample_max: usize,
    ) -> Result<Option<Counted>, Error> {
        let next = self.now().checked_add(SignedDuration::from_millis(1)).map_err(Error::corrupt)?;
        let below = selector.end_at.map_or(next, |end| end.min(next));
        let above = selector.start_at.map_or(MessageId(Uuid::nil()), first_id_at);
        let mut counted = Counted { count: 0, sample: Vec::new(), above, below: first_id_at(below) };
        let mut beyond = above;
        for _ in 0..COUNT_PAGES_MAX {
            let found = self.walk(channel, kind, selector, (beyond, counted.below), COUNT_PAGE).await?;
            counted.count += i64::try_from(found.messages.len()).unwrap_or(i64::MAX);
            let room = sample_max.saturating_sub(counted.sample.len());
            counted.sample.extend(found.messages.into_iter().take(room));
            match found.reached {
                Some(reached) => beyond = reached,
                None => return Ok(Some(counted)),
            }
        }
        Ok(None)
    }

    /// Looks at up to `rows` rows between two ids for those that an act would concern.
    pub(super) async fn walk(
        &self,
        channel: &Channel,
        kind: ActionKind,
        selector: &Selector,
        (above, below): (MessageId, MessageId),
        rows: i64,
    ) -> Result<Found, Error> {
        let criteria = Criteria::of(selector, channel);
        let (word, now): (&str, Timestamp) = (kind.as_str(), self.now());
        let params: Params<'_> = &[
            &channel.workspace.0,
            &channel.id.0,
            &above.0,
            &below.0,
            &rows,
            &criteria.tags,
            &criteria.contact,
            &criteria.use_cases,
            &criteria.default_use_case,
            &criteria.statuses,
            &word,
            &now,
        ];
        let row = match kind {
            ActionKind::Hold | ActionKind::Release | ActionKind::Cancel => self.one(WAITING, params).await?,
            ActionKind::Replay => self.one(ENDED, &params[..params.len() - 2]).await?,
        };
        let (found, looked, last): (Vec<Uuid>, i64, Option<Uuid>) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        Ok(Found {
            messages: found.into_iter().map(MessageId).collect(),
            reached: last.map(MessageId).filter(|_| looked >= rows),
        })
    }
}
