//! The simulated account: takes one request after another and says how each ends.
//!
//! All state lives here behind one lock, held for no longer than one decision and never over an
//! await. Each request is in the ledger before its answer is on the way, so whoever has an answer
//! finds its entry. Wall time and random ids come in with the request.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::behaviour::{Refusal, Sendable, examine, text};
use crate::envelope;
use crate::error::Error;
use crate::journal::{Delivered, Journal, Line, hash};
use crate::known::{First, Known};
use crate::ledger::{Ledger, Record};
use crate::rate::{Limit, Rates};
use crate::reply::Reply;
use crate::request::Request;
use crate::rulebook::Rulebook;
use crate::script::Script;
use crate::settings::{Settings, digits};
use crate::switches::{Duplicates, MessageIdAnswer};
use crate::verdict::{Success, Verdict, action};

/// What a request brings from outside beside its bytes.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Timestamp,
    /// Number of the connection it came by.
    pub(crate) connection: u64,
    pub(crate) random: Uuid,
}

/// The account.
#[derive(Debug)]
pub(crate) struct Account {
    settings: Settings,
    started: Instant,
    state: Mutex<State>,
    /// Requests received since the last reset.
    received: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    rulebook: Rulebook,
    known: Known,
    rates: Rates,
    ledger: Ledger,
    journal: Option<Journal>,
}

impl Account {
    /// A new account, or one that goes on with the journal of an earlier one.
    pub(crate) fn new(settings: Settings, now: Timestamp) -> Result<Self, Error> {
        let mut state = State::new(settings.ledger_max, None);
        if let Some(path) = &settings.journal {
            let failed = |source| Error::Journal { path: path.clone(), source };
            let (journal, delivered) = Journal::open(path, now).map_err(failed)?;
            state.journal = Some(journal);
            for (id, result) in delivered {
                state.known.restore(&id, result);
            }
        }
        let (received, _) = watch::channel(0);
        Ok(Self { settings, started: Instant::now(), state: Mutex::new(state), received })
    }

    /// Decides one request, enters it in the ledger and returns its place there and how it ends.
    pub(crate) fn receive(&self, request: Request, arrival: &Arrival) -> (u64, Reply) {
        let body: Option<Value> = serde_json::from_slice(&request.body).ok();
        let field = |name| body.as_ref().and_then(|body| text(body, name));
        let message_id = field("messageId");
        let to = field("to");

        let mut state = self.lock();
        let micros = self.micros();
        let seq = state.ledger.next_seq();
        let attempt = message_id.map_or(seq, |id| state.known.count(id));
        let answer = state.rulebook.choose(&request, body.as_ref(), attempt).unwrap_or_default();
        let verdict = match examine(&request, body.as_ref(), &self.settings, &state.rulebook.script) {
            Ok(sendable) => state.admit(&sendable, arrival, micros),
            Err(refusal) => Verdict::Refuse(refusal),
        };
        let delivered = verdict.delivers().filter(|_| answer.accept);
        if let (Some(result), Some(id)) = (delivered, message_id) {
            state.known.accept(id, result.clone());
        }

        let script = &state.rulebook.script;
        let delay = Duration::from_millis(script.latency_millis + answer.delay_millis);
        let ordinary = verdict.response(script, arrival.at, &request.path);
        let action = action(&answer.kind, ordinary, arrival.at, &request.path);
        let fault = answer.kind.name();
        let told = if fault.is_none() { verdict.tells() } else { delivered };
        let record = Record {
            seq,
            arrival: arrival.at,
            arrival_monotonic_micros: micros,
            message_id: message_id.map(str::to_owned),
            to: to.map(|to| digits(to).to_owned()),
            outcome: verdict.outcome(&answer.kind),
            fault,
            accepted: delivered.is_some(),
            answer_status: action.status(),
            wa_id: told.map(|result| Arc::clone(&result.wa_id)),
            method: request.method,
            path: request.path,
            query: request.query,
            api_key: request.api_key,
            body: request.body,
        };
        let line = record.line(arrival.connection, field("from"), delivered);
        note(&mut state.journal, &line);
        state.ledger.push(record);
        self.received.send_replace(seq);
        (seq, Reply { delay, action })
    }

    /// Notes that a request has been answered, or that its connection has ended.
    pub(crate) fn ended(&self, seq: u64, at: Timestamp) {
        let line = Line::Ended { seq, at: at.as_microsecond(), micros: self.micros() };
        note(&mut self.lock().journal, &line);
    }

    /// Since the start, on a clock that never jumps.
    fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The script in force.
    pub(crate) fn script(&self) -> Script {
        self.lock().rulebook.script.clone()
    }

    /// Puts another script in force, its rules unused.
    pub(crate) fn set_script(&self, script: Script) -> Result<(), Error> {
        script.check()?;
        self.lock().rulebook = Rulebook::new(script);
        Ok(())
    }

    /// Forgets everything: ledger, ids, rates and script.
    pub(crate) fn reset(&self, at: Timestamp) {
        let mut state = self.lock();
        note(&mut state.journal, &Line::Reset { at: at.as_microsecond() });
        let journal = state.journal.take();
        let old = mem::replace(&mut *state, State::new(self.settings.ledger_max, journal));
        self.received.send_replace(0);
        // Requests need not wait until a long ledger is freed.
        drop(state);
        drop(old);
    }

    /// The ledger's records, oldest first, and how many were dropped.
    pub(crate) fn records(&self) -> (Vec<Arc<Record>>, u64) {
        self.lock().ledger.snapshot()
    }

    /// Watches how many requests were received since the last reset.
    pub(crate) fn received(&self) -> watch::Receiver<u64> {
        self.received.subscribe()
    }

    /// A panic elsewhere leaves the state whole: it is only ever changed by single steps.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(ledger_max: usize, journal: Option<Journal>) -> Self {
        Self {
            rulebook: Rulebook::default(),
            known: Known::new(ledger_max),
            rates: Rates::default(),
            ledger: Ledger::new(ledger_max),
            journal,
        }
    }

    /// What the earlier requests leave of a good send.
    fn admit(&mut self, sendable: &Sendable<'_>, arrival: &Arrival, micros: u64) -> Verdict {
        let script = &self.rulebook.script;
        match self.rates.take(&script.rate, sendable.from, sendable.to, micros) {
            Ok(()) => {}
            Err(Limit::Sender) => return Verdict::Refuse(Refusal::SenderRate),
            Err(Limit::Pair) => return Verdict::Refuse(Refusal::PairRate),
        }
        let status_desc = sendable.send.status_desc;
        if let Some(seconds) = script.duplicates_window_seconds {
            let window = SignedDuration::from_secs(i64::from(seconds));
            self.known.lapse(sendable.message_id, arrival.at.saturating_sub(window).unwrap_or(Timestamp::MIN));
        }
        match (self.known.first(sendable.message_id), script.duplicates) {
            (Some(first), Duplicates::Same) => Verdict::Repeat(Success { result: first.clone(), status_desc }),
            (Some(_), Duplicates::Error) => Verdict::Refuse(Refusal::DuplicateId),
            (None, _) | (Some(_), Duplicates::Second) => {
                let result = new_result(script.message_id_answer, sendable, arrival);
                Verdict::Deliver(Success { result, status_desc })
            }
        }
    }
}

/// Adds a line to the journal, if there is one. What cannot be written is missing to whoever reads it: that is told.
fn note(journal: &mut Option<Journal>, line: &Line<'_>) {
    if let Some(journal) = journal
        && let Err(error) = journal.write(line)
    {
        tracing::error!(%error, "the journal cannot be written");
    }
}

fn new_result(answer: MessageIdAnswer, sendable: &Sendable<'_>, arrival: &Arrival) -> First {
    let random = arrival.random;
    let message_id = match answer {
        MessageIdAnswer::Echo => sendable.message_id.into(),
        MessageIdAnswer::Other => random.to_string().into(),
    };
    First { message_id, wa_id: envelope::wa_id(sendable.to, random).into(), at: arrival.at }
}

impl Record {
    /// What the journal says of it.
    fn line<'a>(&'a self, connection: u64, from: Option<&'a str>, delivered: Option<&'a First>) -> Line<'a> {
        Line::Arrived {
            seq: self.seq,
            at: self.arrival.as_microsecond(),
            micros: self.arrival_monotonic_micros,
            connection,
            path: &self.path,
            message_id: self.message_id.as_deref(),
            from: from.map(digits),
            to: self.to.as_deref(),
            body_hash: hash(&self.body),
            body_bytes: self.body.len(),
            outcome: self.outcome,
            fault: self.fault,
            accepted: self.accepted,
            answer_status: self.answer_status,
            delivered: delivered.map(|first| Delivered { message_id: &first.message_id, wa_id: &first.wa_id }),
        }
    }
}
