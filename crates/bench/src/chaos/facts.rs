//! What a verdict is made from: the client's ledger, the upstream's journal, and rows of the database. Never the
//! application's word.

pub(crate) mod database;

pub(crate) mod journal;

use std::collections::HashMap;

use serde::Serialize;

use super::ledger::Line;

/// A request that the upstream read.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Call {
    /// When, microseconds since 1970.
    pub(crate) at: i64,
    /// When it was answered or its connection ended; `None` when the upstream was killed before.
    pub(crate) ended_at: Option<i64>,
    /// The id it carried.
    pub(crate) part: Option<String>,
    /// The number it was to be sent from, digits.
    pub(crate) from: String,
    /// Hash of its body.
    pub(crate) body_hash: String,
    /// Whether it made a message for the recipient.
    pub(crate) accepted: bool,
    /// HTTP status of the answer, if one was given.
    pub(crate) answer_status: Option<u16>,
    /// What came of it, in the upstream's word.
    pub(crate) outcome: String,
}

/// A stored message.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    /// The `messageId` it came under, behind its workspace, as the ledger has it.
    pub(crate) key: Option<String>,
    pub(crate) status: String,
    pub(crate) failure_code: Option<i32>,
    /// The ids of its calls, in order.
    pub(crate) parts: Vec<String>,
    pub(crate) scheduled_for: Option<i64>,
    pub(crate) expires_at: i64,
    pub(crate) created_at: i64,
    /// When its state was written last.
    pub(crate) updated_at: i64,
    /// When its key was committed.
    pub(crate) stored_at: Option<i64>,
}

/// A row of what waits.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Waiting {
    pub(crate) message: String,
    pub(crate) due_at: i64,
    pub(crate) claimed_until: Option<i64>,
    /// Its channel's gate is closed until then.
    pub(crate) gate_until: Option<i64>,
}

/// A record of a call.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Attempt {
    pub(crate) message: String,
    pub(crate) claim: i64,
    pub(crate) part: usize,
    pub(crate) started_at: i64,
    pub(crate) finished_at: i64,
    pub(crate) outcome: String,
}

/// Everything known after a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Facts {
    pub(crate) ledger: Vec<Line>,
    pub(crate) calls: Vec<Call>,
    pub(crate) messages: Vec<Message>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) attempts: Vec<Attempt>,
    /// Messages seen ended while the run went on, with the status they had.
    pub(crate) ended_before: HashMap<String, String>,
    /// When the rows were read.
    pub(crate) judged_at: i64,
    /// How late the judge's own timers were at the most, microseconds: as late may any arrival be.
    pub(crate) lag: i64,
    /// When the last fault was over.
    pub(crate) faults_ended_at: i64,
}

/// Status of a message that has not ended.
pub(crate) const WAITING: &str = "waiting";
/// Status of one whose parts the provider has accepted.
pub(crate) const SENT: &str = "sent";
/// Status of a cancelled message.
pub(crate) const DELETED: &str = "deleted";
