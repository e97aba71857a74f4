//! The ledger: every request received, in order, with what it led to.
//!
//! It is the evidence a checker compares with what the gateway claims, so it holds what arrived and
//! no opinion of it. It is bounded in entries and in bytes; what it dropped is counted. Entries are
//! shared, so that reading a long ledger does not hold up requests.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Bytes of one body the ledger keeps; more is cut and shown as text.
const BODY_BYTES_KEPT: usize = 64 * 1024;
/// Bytes of all bodies the ledger keeps: a million of the usual ones fit several times.
const LEDGER_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// One request as the ledger shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Entry {
    /// Place in the order of arrival, from 1; a reset starts again.
    pub seq: u64,
    /// When it had been read, UTC with microseconds.
    #[serde(serialize_with = "with_microseconds")]
    pub arrival: Timestamp,
    /// The same in microseconds since the sandbox started, on a clock that never jumps.
    pub arrival_monotonic_micros: u64,
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The `apiKey` header as received.
    pub api_key: Option<String>,
    /// The body, if it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The body, if it is not JSON or longer than 64 KiB: as text, cut to 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_text: Option<String>,
    /// The body's `messageId`, if it is a string.
    pub message_id: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// The `kind` of the rule's answer it got, if it was not the ordinary one.
    pub fault: Option<&'static str>,
    /// Whether it caused a message to be delivered to the recipient.
    pub accepted: bool,
    /// HTTP status of the answer; `None` if it got none, or none that is HTTP.
    pub answer_status: Option<u16>,
    /// The WhatsApp id of the message it caused, or repeated.
    pub wa_id: Option<String>,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Outcome {
    /// Answered as sent.
    Sent,
    /// The id was accepted before: the first result again, or an error.
    Duplicate,
    /// Wrong key.
    InvalidCredentials,
    /// Not JSON, or not the fields the endpoint wants.
    BadRequest,
    /// A business error.
    Error,
    /// Over a rate limit.
    RateLimited,
    /// No such path, or not with this method.
    NoSuchEndpoint,
    /// An endpoint the sandbox does not play yet.
    NotImplemented,
    /// Some other answer of a rule; `fault` says which.
    Faulted,
    /// No answer at all; `fault` says how.
    Dropped,
}

/// One request as the ledger keeps it: the body unparsed, to be small.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    pub(crate) arrival: Timestamp,
    pub(crate) arrival_monotonic_micros: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) message_id: Option<String>,
    /// The body's `to`, digits.
    pub(crate) to: Option<String>,
    pub(crate) outcome: Outcome,
    pub(crate) fault: Option<&'static str>,
    pub(crate) accepted: bool,
    pub(crate) answer_status: Option<u16>,
    pub(crate) wa_id: Option<Arc<str>>,
}

impl Record {
    /// The entry to show.
    pub(crate) fn entry(&self) -> Entry {
        let is_whole = self.body.len() <= BODY_BYTES_KEPT;
        let body: Option<Value> = is_whole.then(|| serde_json::from_slice(&self.body).ok()).flatten();
        let has_text = body.is_none() && !self.body.is_empty();
        let kept = &self.body[..self.body.len().min(BODY_BYTES_KEPT)];
        Entry {
            seq: self.seq,
            arrival: self.arrival,
            arrival_monotonic_micros: self.arrival_monotonic_micros,
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            api_key: self.api_key.clone(),
            body,
            body_text: has_text.then(|| String::from_utf8_lossy(kept).into_owned()),
            message_id: self.message_id.clone(),
            outcome: self.outcome,
            fault: self.fault,
            accepted: self.accepted,
            answer_status: self.answer_status,
            wa_id: self.wa_id.as_deref().map(str::to_owned),
        }
    }
}

/// The requests received.
#[derive(Debug)]
pub(crate) struct Ledger {
    max: usize,
    records: VecDeque<Arc<Record>>,
    body_bytes: usize,
    /// Number of the latest record.
    latest: u64,
    dropped: u64,
}

impl Ledger {
    /// An empty ledger for `max` entries.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, records: VecDeque::new(), body_bytes: 0, latest: 0, dropped: 0 }
    }

    /// The number the next record gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.latest + 1
    }

    /// Adds a record, and drops the oldest ones if there are too many.
    pub(crate) fn push(&mut self, mut record: Record) {
        // One byte more than is shown, so that the cut is not mistaken for a whole body.
        record.body.truncate(BODY_BYTES_KEPT + 1);
        self.latest = record.seq;
        self.body_bytes += record.body.len();
        self.records.push_back(Arc::new(record));
        while self.records.len() > self.max || self.body_bytes > LEDGER_BYTES_MAX {
            let Some(oldest) = self.records.pop_front() else {
                return;
            };
            self.body_bytes -= oldest.body.len();
            self.dropped += 1;
        }
    }

    /// The records kept, and how many were dropped.
    pub(crate) fn snapshot(&self) -> (Vec<Arc<Record>>, u64) {
        (self.records.iter().cloned().collect(), self.dropped)
    }
}

fn with_microseconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.6}"))
}
