//! Doing an action, a page at a time: each page is one commit that also says how far the action is.
//!
//! A page that another process has done meanwhile, or whose answer was lost, is not done twice: it begins where the action
//! was seen to be, or not at all. No claim is waited for: a row that is locked is being sent.

use std::collections::HashSet;

use domain::action::ActionKind;
use domain::failure::{FailureCode, FailureSource};
use domain::id::MessageId;
use domain::message::Lane;
use domain::schedule::DueReason;
use jiff::Timestamp;
use uuid::Uuid;

use super::Action;
use super::walk::Criteria;
use crate::audit::Act;
use crate::channel::Channel;
use crate::client::{Params, Store, get};
use crate::error::Error;
use crate::outbox::lane;
use crate::replay::{Ground, Moving, Successor};
use crate::steer::CANCELLED_UNKNOWN;

/// Rows looked at in one commit: few enough that accepting and sending hardly wait for it.
const PAGE: i64 = 500;

/// How far an action is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The action as it stands.
    pub action: Action,
    /// What may go now, with the first instant of each lane.
    pub due: Vec<(Lane, Timestamp)>,
    /// The messages that this page has made, each with its lane and the instant from which on it may go.
    pub made: Vec<(Lane, Timestamp)>,
}

type Due = Vec<(Lane, Timestamp)>;

// What was looked at is locked as it stands then, and looked at once more: what got another time in between has another end of
// validity. What is locked by others is left, and so is what is held for proof: to repeat it is decided one by one.
const ACT: &str = "-- store.action.work.act
WITH place AS (
    SELECT action_id FROM actions WHERE workspace_id = $1 AND action_id = $2 AND reached = $3
    AND confirmed_at IS NOT NULL AND finished_at IS NULL
    FOR UPDATE
), looked AS MATERIALIZED (
    SELECT o.message_id, o.channel_id, o.claim FROM outbox o
    WHERE o.workspace_id = $1 AND o.message_id > $3 AND o.message_id < $4 AND EXISTS (SELECT FROM place)
    ORDER BY o.message_id LIMIT $5
), fitting AS MATERIALIZED (
    SELECT l.message_id, m.scheduled_for, m.expires_at FROM looked l CROSS JOIN LATERAL (
        SELECT b.tags, b.contact_id, b.use_case, b.scheduled_for, b.expires_at FROM messages b
        WHERE b.workspace_id = $1 AND b.message_id = l.message_id OFFSET 0
    ) m
    WHERE l.channel_id = $6 AND m.tags @> $7::text[] AND ($8::uuid IS NULL OR m.contact_id = $8)
    AND ($9::text[] IS NULL OR lower(coalesce(m.use_case, $10::text)) = ANY ($9))
    AND (cardinality($11::text[]) = 0 OR CASE l.claim
        WHEN 0 THEN CASE WHEN m.scheduled_for > $12::timestamptz THEN 'scheduled' ELSE 'accepted' END ELSE 'processing'
        END = ANY ($11))
), taken AS MATERIALIZED (
    SELECT o.message_id, o.lane, o.due_at, o.due_reason,
        CASE $13::text WHEN 'hold' THEN o.expires_at WHEN 'release' THEN greatest($12, f.scheduled_for) END AS next_at
    FROM fitting f JOIN outbox o ON o.workspace_id = $1 AND o.message_id = f.message_id
    WHERE o.claimed_until IS NULL AND o.expires_at = f.expires_at AND CASE $13 WHEN 'hold' THEN o.due_reason NOT IN ('held', 'unknown') WHEN 'release' THEN o.due_reason = 'held'
        ELSE o.claim = 0 OR o.part = 0 AND NOT o.maybe_sent END
    FOR UPDATE OF o SKIP LOCKED
), planned AS (
    UPDATE outbox o SET due_at = t.next_at, due_reason = $14
    FROM taken t WHERE $13 <> 'cancel' AND o.workspace_id = $1 AND o.message_id = t.message_id
    RETURNING o.message_id
), removed AS (
    DELETE FROM outbox o USING taken t WHERE $13 = 'cancel' AND o.workspace_id = $1 AND o.message_id = t.message_id
    RETURNING o.message_id, o.maybe_sent
), ended AS (
    UPDATE messages m SET status = 'deleted', updated_at = $12, last_status_at = $12,
        failure_code = CASE WHEN r.maybe_sent THEN $18::integer END, failure_source = CASE WHEN r.maybe_sent THEN $19 END,
        failure_source_code = CASE WHEN r.maybe_sent THEN $20 END
    FROM removed r WHERE m.workspace_id = $1 AND m.message_id = r.message_id
), done AS (
    SELECT message_id FROM planned UNION ALL SELECT message_id FROM removed
), told AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until, actor)
    SELECT $1, t.message_id, $12, $15, t.due_reason, t.due_at, CASE WHEN $13 <> 'cancel' THEN $14 END, t.next_at, $16
    FROM taken t JOIN done d ON d.message_id = t.message_id
), counted AS (
    SELECT (SELECT count(l.message_id) FROM looked l) AS looked, (SELECT count(f.message_id) FROM fitting f) AS fitting,
        (SELECT count(d.message_id) FROM done d) AS done,
        (SELECT l.message_id FROM looked l ORDER BY l.message_id DESC LIMIT 1) AS last
), moved AS (
    UPDATE actions a SET acted = a.acted + n.done, passed = a.passed + n.fitting - n.done, worked_at = $12,
        reached = CASE WHEN n.looked < $5 THEN a.below ELSE n.last END,
        finished_at = CASE WHEN n.looked < $5 THEN $12 END
    FROM place p, counted n WHERE a.workspace_id = $1 AND a.action_id = p.action_id
    RETURNING a.action_id, a.acted, a.passed, a.finished_at
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT $1, $16, $17, v.action_id::text, json_build_object('acted', v.acted, 'passed', v.passed)::text FROM moved v
    WHERE v.finished_at IS NOT NULL
), due AS (
    SELECT t.lane, min(t.next_at) AS due_at FROM taken t WHERE $13 = 'release' GROUP BY t.lane
)
SELECT (SELECT action_id FROM moved), ARRAY(SELECT lane FROM due ORDER BY lane), ARRAY(SELECT due_at FROM due ORDER BY lane)";

impl Store {
    /// Does a page of a confirmed action from where it was seen to be; `None` when it is no longer there, because it has
    /// ended or another process goes on with it.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn work_on_action(&self, action: &Action) -> Result<Option<Progress>, Error> {
        let Some(channel) = self.channel(action.workspace, action.channel).await? else { return Ok(None) };
        let name = format!("messages.{}.end", action.kind.as_str());
        let act = Act { actor: &action.actor, name: &name };
        let acted = match action.kind {
            ActionKind::Hold => self.act(action, &channel, DueReason::Held, &act).await?,
            ActionKind::Release | ActionKind::Cancel => self.act(action, &channel, DueReason::Requested, &act).await?,
            ActionKind::Replay => self.replay_page(action, &channel, &act).await?,
        };
        let Some((due, made)) = acted else { return Ok(None) };
        let action = self.action(action.workspace, action.id).await?;
        Ok(action.map(|action| Progress { action, due, made }))
    }

    /// Does a page of what waits; `None` when the action was not at its place.
    async fn act(
        &self,
        action: &Action,
        channel: &Channel,
        reason: DueReason,
        act: &Act<'_>,
    ) -> Result<Option<(Due, Due)>, Error> {
        let criteria = Criteria::of(&action.selector, channel);
        let now = self.now();
        let params: Params<'_> = &[
            &action.workspace.0,
            &action.id.0,
            &action.reached.0,
            &action.below.0,
            &PAGE,
            &channel.id.0,
            &criteria.tags,
            &criteria.contact,
            &criteria.use_cases,
            &criteria.default_use_case,
            &criteria.statuses,
            &now,
            &action.kind.as_str(),
            &reason.as_str(),
            &action.kind.event().as_str(),
            &act.actor,
            &act.name,
            &FailureCode::OutcomeUnknown.number(),
            &FailureSource::Tuma.as_str(),
            &CANCELLED_UNKNOWN,
        ];
        let row = self.one(ACT, params).await?;
        if get::<Option<Uuid>>(&row, 0)?.is_none() {
            return Ok(None);
        }
        let (lanes, due): (Vec<i16>, Vec<Timestamp>) = (get(&row, 1)?, get(&row, 2)?);
        let due: Due =
            lanes.into_iter().zip(due).map(|(number, due)| Ok((lane(number)?, due))).collect::<Result<_, _>>()?;
        Ok(Some((due, Vec::new())))
    }

    /// Sends a page of what has ended again; `None` when the action was not at its place.
    async fn replay_page(
        &self,
        action: &Action,
        channel: &Channel,
        act: &Act<'_>,
    ) -> Result<Option<(Due, Due)>, Error> {
        let range = (action.reached, action.below);
        let found = self.walk(channel, action.kind, &action.selector, range, PAGE).await?;
        let workspace = self.workspace(action.workspace).await?;
        let shared = workspace.as_ref().and_then(|workspace| workspace.quiet_hours.as_ref());
        let ground = Ground { channel, hours: channel.quiet_hours.as_ref().or(shared) };
        let now = self.now();
        let successors = self.successors(ground, &found.messages, now).await?;
        let fitting = i64::try_from(found.messages.len()).map_err(Error::corrupt)?;
        let moving = Moving { action: action.id.0, reached: action.reached, next: found.reached, fitting };
        let (done, is_moved) = self.insert_successors(ground, &successors, now, act, Some(moving)).await?;
        let done: HashSet<MessageId> = done.into_iter().collect();
        let made: Due = successors.iter().filter(|one| done.contains(&one.old())).map(Successor::due).collect();
        let first = |lane| made.iter().filter(|(known, _)| *known == lane).min_by_key(|(_, at)| *at).copied();
        let due = Lane::ALL.into_iter().filter_map(first).collect();
        Ok(is_moved.then_some((due, made)))
    }
}
