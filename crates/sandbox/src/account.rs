//! The simulated account: takes one request after another and says how each ends.
//!
//! All state lives here behind one lock, held for no longer than one decision and never over an
//! await. Each request is in the ledger before its answer is on the way, so whoever has an answer
//! finds its entry. Wall time and random ids come in with the request.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::behaviour::{Refusal, Sendable, examine, text};
use crate::envelope;
use crate::error::Error;
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
}

impl Account {
    /// A new account.
    pub(crate) fn new(settings: Settings) -> Self {
        let state = Mutex::new(State::new(settings.ledger_max));
        let (received, _) = watch::channel(0);
        Self { settings, started: Instant::now(), state, received }
    }

    /// Decides one request, enters it in the ledger and returns how it ends.
    pub(crate) fn receive(&self, request: Request, arrival: &Arrival) -> Reply {
        let body: Option<Value> = serde_json::from_slice(&request.body).ok();
        let field = |name| body.as_ref().and_then(|body| text(body, name));
        let message_id = field("messageId");
        let to = field("to");

        let mut state = self.lock();
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
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
        state.ledger.push(Record {
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
        });
        self.received.send_replace(seq);
        Reply { delay, action }
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
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        let old = mem::replace(&mut *state, State::new(self.settings.ledger_max));
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
    fn new(ledger_max: usize) -> Self {
        Self {
            rulebook: Rulebook::default(),
            known: Known::new(ledger_max),
            rates: Rates::default(),
            ledger: Ledger::new(ledger_max),
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
        match (self.known.first(sendable.message_id), script.duplicates) {
            (Some(first), Duplicates::Same) => Verdict::Repeat(Success { result: first.clone(), status_desc }),
            (Some(_), Duplicates::Error) => Verdict::Refuse(Refusal::DuplicateId),
            (None, _) | (Some(_), Duplicates::Second) => {
                let result = new_result(script.message_id_answer, sendable, arrival.random);
                Verdict::Deliver(Success { result, status_desc })
            }
        }
    }
}

fn new_result(answer: MessageIdAnswer, sendable: &Sendable<'_>, random: Uuid) -> First {
    let message_id = match answer {
        MessageIdAnswer::Echo => sendable.message_id.into(),
        MessageIdAnswer::Other => random.to_string().into(),
    };
    First { message_id, wa_id: envelope::wa_id(sendable.to, random).into() }
}
