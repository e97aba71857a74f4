//! Acts on all messages of a channel that a selector names: counted first, done when they are confirmed by their id.
//!
//! What an action has done, and where it goes on, is a row that changes in the commits that do it. So it may be repeated,
//! and whoever finds it unfinished goes on with it. A selector holds no number: who is erased leaves nothing here.

mod walk;

mod work;

use std::time::Duration;

use domain::action::ActionKind;
use domain::id::{ActionId, ChannelId, ContactId, MessageId, WorkspaceId};
use domain::lifecycle::Status;
use domain::message::Tag;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::client::{Params, Store, get};
use crate::error::Error;
pub use walk::Counted;
pub use work::Progress;

/// An action that nobody confirmed is kept for so long after it has lapsed: who asks for it is told that it has.
const LAPSED_KEPT: Duration = Duration::from_secs(24 * 3600);
/// What was done is kept in the audit, too.
const FINISHED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Rows of one statement that forgets.
const FORGOTTEN_MAX: i64 = 1_000;
/// Counts of a workspace that wait to be confirmed, about: more than people make in a quarter of an hour. Made side by side a few
/// more may pass.
pub const OPEN_COUNTS_MAX: i64 = 100;

/// What the messages of an action have in common.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector {
    /// With all of these tags.
    pub tags: Vec<Tag>,
    /// Shown with one of these statuses; with any when there is none.
    pub statuses: Vec<Status>,
    /// To this contact.
    pub contact: Option<ContactId>,
    /// For this use case, in any of its spellings.
    pub use_case: Option<String>,
    /// Accepted at or after this instant.
    pub start_at: Option<Timestamp>,
    /// Accepted before this instant.
    pub end_at: Option<Timestamp>,
}

/// An act on many messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    /// Its id, by which it is confirmed.
    pub id: ActionId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The channel of its messages.
    pub channel: ChannelId,
    /// What is done.
    pub kind: ActionKind,
    /// To which messages.
    pub selector: Selector,
    /// Messages with ids below this one.
    pub below: MessageId,
    /// How many there were when it was counted.
    pub counted: i64,
    /// Who confirmed it; until then, who asked for the count.
    pub actor: String,
    /// Counted at.
    pub created_at: Timestamp,
    /// May be confirmed before this instant.
    pub expires_at: Timestamp,
    /// Confirmed at.
    pub confirmed_at: Option<Timestamp>,
    /// Messages up to this one have been looked at.
    pub reached: MessageId,
    /// Of those, the ones that were changed.
    pub acted: i64,
    /// And the ones that were left as they are.
    pub passed: i64,
    /// Finished at.
    pub finished_at: Option<Timestamp>,
}

/// A selector as it is stored.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    status: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiver: Option<ContactId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    use_case: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_at: Option<String>,
}

const CREATE: &str = "-- store.action.create
INSERT INTO actions (workspace_id, action_id, channel_id, action, selector, below, counted, actor, created_at, expires_at, reached)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
WHERE (SELECT count(o.action_id) FROM actions o WHERE o.workspace_id = $1 AND o.confirmed_at IS NULL AND o.expires_at > $9) < $12
RETURNING action_id";

const GET: &str = "-- store.action.get
SELECT workspace_id, action_id, channel_id, action, selector, below, counted, actor, created_at, expires_at, confirmed_at, reached,
    acted, passed, finished_at
FROM actions WHERE workspace_id = $1 AND action_id = $2";

const CONFIRM: &str = "-- store.action.confirm
WITH confirmed AS (
    UPDATE actions SET confirmed_at = $4, worked_at = $4, actor = $5
    WHERE workspace_id = $1 AND action_id = $2 AND channel_id = $3 AND confirmed_at IS NULL AND expires_at > $4
    RETURNING workspace_id, action_id, selector, counted
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $5, $6, action_id::text, json_build_object('selector', selector::json, 'count', counted)::text FROM confirmed
)
SELECT action_id FROM confirmed";

const OPEN: &str = "-- store.action.open
SELECT workspace_id, action_id, channel_id, action, selector, below, counted, actor, created_at, expires_at, confirmed_at, reached,
    acted, passed, finished_at
FROM actions WHERE confirmed_at IS NOT NULL AND finished_at IS NULL AND worked_at <= $1
ORDER BY worked_at LIMIT $2";

const PUT_OFF: &str = "-- store.action.put_off
UPDATE actions SET worked_at = $4
WHERE workspace_id = $1 AND action_id = $2 AND reached = $3 AND confirmed_at IS NOT NULL AND finished_at IS NULL
RETURNING action_id";

const FORGET: &str = "-- store.action.forget
DELETE FROM actions a USING (
    (SELECT workspace_id, action_id FROM actions
    WHERE confirmed_at IS NULL AND expires_at < $1::timestamptz - make_interval(secs => $2)
    ORDER BY expires_at LIMIT $4)
    UNION ALL
    (SELECT workspace_id, action_id FROM actions WHERE finished_at < $1::timestamptz - make_interval(secs => $3)
    ORDER BY finished_at LIMIT $4)
) o
WHERE a.workspace_id = o.workspace_id AND a.action_id = o.action_id
RETURNING a.action_id";

impl Selector {
    /// As it is stored and shown.
    fn to_json(&self) -> Result<String, Error> {
        let stored = Stored {
            tags: self.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            status: self.statuses.iter().map(|status| status.as_str().to_owned()).collect(),
            receiver: self.contact,
            use_case: self.use_case.clone(),
            start_at: self.start_at.map(|at| at.to_string()),
            end_at: self.end_at.map(|at| at.to_string()),
        };
        serde_json::to_string(&stored).map_err(Error::corrupt)
    }

    fn from_json(text: &str) -> Result<Self, Error> {
        let stored: Stored = serde_json::from_str(text).map_err(Error::corrupt)?;
        let status = |word: &String| Status::from_word(word).ok_or_else(|| Error::corrupt(format!("status {word}")));
        let instant = |text: Option<String>| text.map(|text| text.parse()).transpose().map_err(Error::corrupt);
        Ok(Self {
            tags: stored.tags.iter().map(|tag| Tag::new(tag)).collect::<Result<_, _>>().map_err(Error::corrupt)?,
            statuses: stored.status.iter().map(status).collect::<Result<_, _>>()?,
            contact: stored.receiver,
            use_case: stored.use_case,
            start_at: instant(stored.start_at)?,
            end_at: instant(stored.end_at)?,
        })
    }
}

impl Store {
    /// Keeps an action that was counted; `false` when too many of its workspace wait to be confirmed.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn create_action(&self, action: &Action) -> Result<bool, Error> {
        let params: Params<'_> = &[
            &action.workspace.0,
            &action.id.0,
            &action.channel.0,
            &action.kind.as_str(),
            &action.selector.to_json()?,
            &action.below.0,
            &action.counted,
            &action.actor,
            &action.created_at,
            &action.expires_at,
            &action.reached.0,
            &OPEN_COUNTS_MAX,
        ];
        Ok(self.maybe_one(CREATE, params).await?.is_some())
    }

    /// An action of a workspace.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn action(&self, workspace: WorkspaceId, id: ActionId) -> Result<Option<Action>, Error> {
        self.maybe_one(GET, &[&workspace.0, &id.0]).await?.as_ref().map(action).transpose()
    }

    /// Confirms an action; `false` when it was before, has lapsed or is not there.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn confirm_action(&self, action: &Action, actor: &str) -> Result<bool, Error> {
        let name = format!("messages.{}", action.kind.as_str());
        let params: Params<'_> = &[&action.workspace.0, &action.id.0, &action.channel.0, &self.now(), &actor, &name];
        Ok(self.maybe_one(CONFIRM, params).await?.is_some())
    }

    /// Confirmed actions that are not finished and at which nobody has worked since an instant, the longest left first.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn open_actions(&self, worked_before: Timestamp, limit: i64) -> Result<Vec<Action>, Error> {
        let rows = self.query(OPEN, &[&worked_before, &limit]).await?;
        // One that cannot be read, as from a newer version, must not keep the others.
        let readable = rows.iter().filter_map(|row| match action(row) {
            Ok(action) => Some(action),
            Err(error) => {
                tracing::error!(%error, id = ?get::<Uuid>(row, 1).ok(), "an action cannot be read and is left");
                None
            }
        });
        Ok(readable.collect())
    }

    /// Lets an action whose page failed come behind those that nobody has tried since; `false` when somebody went on with it.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn put_off_action(&self, action: &Action, now: Timestamp) -> Result<bool, Error> {
        let params: Params<'_> = &[&action.workspace.0, &action.id.0, &action.reached.0, &now];
        Ok(self.maybe_one(PUT_OFF, params).await?.is_some())
    }

    /// Forgets some actions that lapsed or ended long ago; answers how many, 0 when there are none left.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn forget_actions(&self, now: Timestamp) -> Result<usize, Error> {
        let params: Params<'_> = &[&now, &LAPSED_KEPT.as_secs_f64(), &FINISHED_KEPT.as_secs_f64(), &FORGOTTEN_MAX];
        Ok(self.query(FORGET, params).await?.len())
    }
}

fn action(row: &Row) -> Result<Action, Error> {
    let word: &str = get(row, 3)?;
    Ok(Action {
        workspace: WorkspaceId(get(row, 0)?),
        id: ActionId(get(row, 1)?),
        channel: ChannelId(get(row, 2)?),
        kind: ActionKind::from_word(word).ok_or_else(|| Error::corrupt(format!("action {word}")))?,
        selector: Selector::from_json(get(row, 4)?)?,
        below: MessageId(get(row, 5)?),
        counted: get(row, 6)?,
        actor: get(row, 7)?,
        created_at: get(row, 8)?,
        expires_at: get(row, 9)?,
        confirmed_at: get(row, 10)?,
        reached: MessageId(get::<Uuid>(row, 11)?),
        acted: get(row, 12)?,
        passed: get(row, 13)?,
        finished_at: get(row, 14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_read_as_it_was_written() {
        let all = Selector {
            tags: vec![Tag::new("spring").expect("a tag")],
            statuses: vec![Status::Scheduled, Status::Accepted],
            contact: Some(ContactId(Uuid::from_u128(7))),
            use_case: Some("marketing".to_owned()),
            start_at: Some("2026-11-20T12:00:00.123Z".parse().expect("an instant")),
            end_at: Some("2026-11-21T12:00:00Z".parse().expect("an instant")),
        };
        for selector in [all, Selector::default()] {
            let text = selector.to_json().expect("JSON");
            assert_eq!(Selector::from_json(&text).expect("readable"), selector, "{text}");
        }
    }
}
