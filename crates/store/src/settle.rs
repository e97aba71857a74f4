//! Writing results: what became of claimed messages, many in one statement, each under its claim.
//!
//! A result whose claim has been superseded changes nothing and is counted. Status, outbox row and the record of the
//! attempt, or of what put it off, change together.

use domain::decision::Step;
use domain::event::Event;
use domain::id::{MessageId, ReplicaId, WorkspaceId};
use domain::lifecycle::Status;
use domain::outcome::{Outcome, Report};
use domain::schedule::DueReason;
use jiff::Timestamp;
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;
use crate::message::WAITING;
use crate::outbox::Claimed;

/// The result of one claim.
#[derive(Clone, PartialEq, Debug)]
pub struct Settlement {
    /// The message.
    pub message: MessageId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The claim it was taken under.
    pub claim: i64,
    /// The part whose turn it was, from 0.
    pub part: usize,
    /// Tries of that part, the one of this claim included.
    pub tries: u16,
    /// Whether the part may have been sent before this claim.
    pub maybe_sent: bool,
    /// What it waited for before this claim.
    pub waited_for: DueReason,
    /// The instant it fell due at then.
    pub due_at: Timestamp,
    /// What becomes of the message.
    pub step: Step,
    /// The call, if one was made.
    pub attempt: Option<Attempt>,
}

impl Settlement {
    /// What becomes of a claimed message, with the call that was made for it.
    #[must_use]
    pub fn of(claimed: &Claimed, step: Step, attempt: Option<Attempt>) -> Self {
        Self {
            message: claimed.id,
            workspace: claimed.workspace,
            claim: claimed.claim,
            part: claimed.part,
            tries: claimed.tries,
            maybe_sent: claimed.maybe_sent,
            waited_for: claimed.waited_for,
            due_at: claimed.due_at,
            step,
            attempt,
        }
    }

    /// What is noted of a message that waits on without a call. A claim that was merely given back changed nothing, unless its
    /// row forgets by it what was waited for.
    fn event(&self) -> Option<Event> {
        let Step::Wait { due_at, reason, .. } = &self.step else { return None };
        let says_nothing = match self.waited_for {
            DueReason::Requested | DueReason::Gate | DueReason::Claimed => {
                matches!(reason, DueReason::Requested | DueReason::Gate)
            }
            DueReason::BackOff
            | DueReason::QuietHours
            | DueReason::Released
            | DueReason::Paused
            | DueReason::Held
            | DueReason::Unknown
            | DueReason::Recipient
            | DueReason::Order => *reason == self.waited_for,
        };
        let is_as_before = says_nothing && *due_at == self.due_at;
        (self.attempt.is_none() && !is_as_before).then_some(Event::PutOff)
    }
}

/// The record of one call.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    /// Before the first byte.
    pub started_at: Timestamp,
    /// After the last.
    pub finished_at: Timestamp,
    /// What it came to.
    pub report: Report,
}

// Leave to repeat what may have been sent ends with the part, and with a call that may have been sent again.
// A row that is kept gets a new claim number, so that a statement repeated after a lost answer changes nothing twice.
pub(crate) const SETTLE: &str = "-- store.settle.settle
WITH input AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::text[],
        $9::timestamptz[], $10::text[], $11::smallint[], $12::smallint[], $13::boolean[], $14::text[],
        $15::smallint[], $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::integer[], $21::text[],
        $25::text[], $26::timestamptz[], $27::text[])
    AS t (workspace_id, message_id, claim, status, reason, failure_code, failure_source, failure_source_code,
        due_at, due_reason, part, tries, maybe_sent, platform_reference,
        tried_part, started_at, finished_at, outcome, rule, http_status, detail, waited_for, waited_until, event)
), ended AS (
    DELETE FROM outbox o USING input i
    WHERE i.status IS NOT NULL AND o.workspace_id = i.workspace_id AND o.message_id = i.message_id AND o.claim = i.claim
    RETURNING o.workspace_id, o.message_id, i.claim
), kept AS (
    UPDATE outbox o SET claim = o.claim + 1, claimed_until = NULL, due_at = i.due_at, due_reason = i.due_reason, part = i.part, tries = i.tries,
        maybe_sent = i.maybe_sent, begun = true, may_repeat = o.may_repeat AND i.due_reason <> $28 AND i.part = o.part
    FROM input i
    WHERE i.status IS NULL AND o.workspace_id = i.workspace_id AND o.message_id = i.message_id AND o.claim = i.claim
    RETURNING o.workspace_id, o.message_id, i.claim
), settled AS (
    SELECT workspace_id, message_id, claim FROM ended UNION ALL SELECT workspace_id, message_id, claim FROM kept
), shown AS (
    UPDATE messages m SET updated_at = $22, status = coalesce(i.status, m.status), reason = i.reason,
        last_status_at = CASE WHEN i.status IS NULL THEN m.last_status_at ELSE $22 END,
        failure_code = i.failure_code, failure_source = i.failure_source, failure_source_code = i.failure_source_code,
        platform_references = CASE WHEN i.platform_reference IS NULL THEN m.platform_references
            ELSE m.platform_references || i.platform_reference END
    FROM input i JOIN settled s ON s.workspace_id = i.workspace_id AND s.message_id = i.message_id AND s.claim = i.claim
    WHERE (i.status IS NOT NULL OR i.platform_reference IS NOT NULL)
    AND m.workspace_id = i.workspace_id AND m.message_id = i.message_id AND m.status = $23
), recorded AS (
    INSERT INTO attempts (workspace_id, message_id, claim, part, replica_id, started_at, finished_at, outcome, rule, http_status, detail,
        waited_for, due_at)
    SELECT i.workspace_id, i.message_id, i.claim, i.tried_part, $24, i.started_at, i.finished_at, i.outcome, i.rule, i.http_status, i.detail,
        i.waited_for, i.waited_until
    FROM input i JOIN settled s ON s.workspace_id = i.workspace_id AND s.message_id = i.message_id AND s.claim = i.claim
    WHERE i.outcome IS NOT NULL
), noted AS (
    INSERT INTO message_events (workspace_id, message_id, at, event, waited_for, due_at, reason, until)
    SELECT i.workspace_id, i.message_id, $22, i.event, i.waited_for, i.waited_until, i.due_reason, i.due_at
    FROM input i JOIN kept k ON k.workspace_id = i.workspace_id AND k.message_id = i.message_id AND k.claim = i.claim
    WHERE i.event IS NOT NULL
    ON CONFLICT (workspace_id, message_id, at, event) DO NOTHING
)
SELECT message_id, claim FROM settled";

impl Store {
    /// Writes results in one commit; answers message and claim of those that changed something. The others were superseded, or had been
    /// written by a former call whose answer was lost.
    ///
    /// # Errors
    /// When the database cannot be used; may be repeated.
    pub async fn settle(&self, replica: ReplicaId, results: &[Settlement]) -> Result<Vec<(MessageId, i64)>, Error> {
        let mut input = Input::default();
        for result in results {
            input.push(result, self.now());
        }
        let rows = self
            .query(
                SETTLE,
                &[
                    &input.workspaces,
                    &input.messages,
                    &input.claims,
                    &input.statuses,
                    &input.reasons,
                    &input.failure_codes,
                    &input.failure_sources,
                    &input.failure_source_codes,
                    &input.due,
                    &input.due_reasons,
                    &input.parts,
                    &input.tries,
                    &input.maybe_sent,
                    &input.references,
                    &input.tried_parts,
                    &input.started,
                    &input.finished,
                    &input.outcomes,
                    &input.rules,
                    &input.http_statuses,
                    &input.details,
                    &self.now(),
                    &WAITING,
                    &replica.0,
                    &input.waited_for,
                    &input.waited_until,
                    &input.events,
                    &DueReason::Unknown.as_str(),
                ],
            )
            .await?;
        rows.iter().map(|row| Ok((MessageId(get(row, 0)?), get(row, 1)?))).collect()
    }
}

/// Results by column.
#[derive(Default)]
struct Input {
    workspaces: Vec<Uuid>,
    messages: Vec<Uuid>,
    claims: Vec<i64>,
    statuses: Vec<Option<&'static str>>,
    reasons: Vec<String>,
    failure_codes: Vec<Option<i32>>,
    failure_sources: Vec<Option<&'static str>>,
    failure_source_codes: Vec<Option<String>>,
    due: Vec<Option<Timestamp>>,
    due_reasons: Vec<Option<&'static str>>,
    parts: Vec<i16>,
    tries: Vec<i16>,
    maybe_sent: Vec<bool>,
    references: Vec<Option<String>>,
    tried_parts: Vec<i16>,
    started: Vec<Option<Timestamp>>,
    finished: Vec<Option<Timestamp>>,
    outcomes: Vec<Option<&'static str>>,
    rules: Vec<Option<&'static str>>,
    http_statuses: Vec<Option<i32>>,
    details: Vec<Option<String>>,
    waited_for: Vec<&'static str>,
    waited_until: Vec<Timestamp>,
    events: Vec<Option<&'static str>>,
}

impl Input {
    fn push(&mut self, result: &Settlement, now: Timestamp) {
        self.workspaces.push(result.workspace.0);
        self.messages.push(result.message.0);
        self.claims.push(result.claim);
        self.waited_for.push(result.waited_for.as_str());
        self.waited_until.push(result.due_at);
        self.events.push(result.event().map(Event::as_str));
        self.push_step(result, now);
        self.push_attempt(result);
    }

    fn push_step(&mut self, result: &Settlement, now: Timestamp) {
        let failure = match &result.step {
            Step::Failed(failure) => Some(failure),
            Step::Sent | Step::NextPart | Step::Wait { .. } => None,
        };
        let (due_at, due_reason, part, tries, maybe_sent) = match &result.step {
            Step::Sent | Step::Failed(_) => (None, None, result.part, result.tries, result.maybe_sent),
            Step::NextPart => (Some(now), Some(DueReason::Requested), result.part + 1, 0, false),
            Step::Wait { due_at, reason, counted, maybe_sent } => {
                let tries = if *counted { result.tries } else { result.tries.saturating_sub(1) };
                (Some(*due_at), Some(*reason), result.part, tries, *maybe_sent)
            }
        };
        self.statuses.push(match &result.step {
            Step::Sent => Some(Status::Sent.as_str()),
            Step::Failed(failure) => Some(failure.code.row().2.as_str()),
            Step::NextPart | Step::Wait { .. } => None,
        });
        self.reasons.push(failure.map(|failure| failure.reason.clone()).unwrap_or_default());
        self.failure_codes.push(failure.map(|failure| failure.code.number()));
        self.failure_sources.push(failure.map(|failure| failure.source.as_str()));
        self.failure_source_codes.push(failure.map(|failure| failure.source_code.clone()));
        self.due.push(due_at);
        self.due_reasons.push(due_reason.map(DueReason::as_str));
        self.parts.push(small(part));
        self.tries.push(i16::try_from(tries).unwrap_or(i16::MAX));
        self.maybe_sent.push(maybe_sent);
    }

    fn push_attempt(&mut self, result: &Settlement) {
        let attempt = result.attempt.as_ref();
        let accepted = attempt.and_then(|attempt| match &attempt.report.outcome {
            Outcome::Sent { wa_id, message_id } => wa_id.clone().or_else(|| message_id.clone()),
            Outcome::CredentialsRefused
            | Outcome::RateLimited
            | Outcome::Refused(_)
            | Outcome::Duplicate
            | Outcome::TryAgain
            | Outcome::NotConnected
            | Outcome::Unknown => None,
        });
        self.references.push(accepted);
        self.tried_parts.push(small(result.part));
        self.started.push(attempt.map(|attempt| attempt.started_at));
        self.finished.push(attempt.map(|attempt| attempt.finished_at));
        self.outcomes.push(attempt.map(|attempt| attempt.report.outcome.as_str()));
        self.rules.push(attempt.map(|attempt| attempt.report.rule));
        self.http_statuses.push(attempt.and_then(|attempt| attempt.report.http_status.map(i32::from)));
        self.details.push(attempt.map(|attempt| attempt.report.detail.clone()));
    }
}

fn small(number: usize) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}
