//! One call: the last checks before the first byte, the call, the record.

use std::sync::Arc;
use std::time::Duration;

use domain::content::LongitudeSpelling;
use domain::decision::Progress;
use domain::phone::PhoneNumber;
use domain::planted::{self, Bug};
use domain::provider::{Call, Provider};
use domain::schedule::DueReason;
use jiff::Timestamp;
use prometheus::IntGauge;
use secrecy::SecretString;
use store::outbox::Claimed;
use store::settle::Attempt;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::starts::Starts;

/// A claimed message on its way to its call.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) message: Claimed,
    /// When it was claimed, by this process's monotonic clock, before the statement was sent.
    pub(crate) claimed_at: Instant,
    /// Whether it was claimed because its validity is over: then no try was counted.
    pub(crate) is_claimed_to_end: bool,
    /// Whether it has its recipient's turn: it waited for it, or has it from a former try.
    pub(crate) has_turn: bool,
    /// Whether it was looked at whether a turn that it has is over.
    pub(crate) is_checked: bool,
    /// Whether it has waited in memory for an earlier message to its recipient.
    pub(crate) was_aside: bool,
    /// Whether it was paid for out of the budget of repetitions.
    pub(crate) is_paid: bool,
    /// Whether its outcome decides about the channel's gate.
    pub(crate) is_probe: bool,
}

impl Ready {
    pub(crate) fn new(message: Claimed, claimed_at: Instant, is_claimed_to_end: bool) -> Self {
        let has_turn = match message.waited_for {
            DueReason::Recipient | DueReason::BackOff => true,
            DueReason::Requested
            | DueReason::Gate
            | DueReason::Order
            | DueReason::QuietHours
            | DueReason::Released
            | DueReason::Paused
            | DueReason::Held
            | DueReason::Unknown
            | DueReason::Claimed => false,
        };
        Self {
            message,
            claimed_at,
            is_claimed_to_end,
            has_turn,
            is_checked: false,
            was_aside: false,
            is_paid: false,
            is_probe: false,
        }
    }

    /// Whether it repeats a try that counted. What a lapsed claim left was perhaps never tried, and is not.
    pub(crate) fn is_repetition(&self) -> bool {
        self.message.tries > 1 && self.message.waited_for != DueReason::Claimed
    }

    /// Whether its call may begin: its claim is young, and its validity not over.
    pub(crate) fn is_usable(&self, now: Timestamp, claim_fresh: Duration) -> bool {
        self.claimed_at.elapsed() <= claim_fresh && !self.validity_left(now).is_zero()
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            parts: self.message.parts.len(),
            part: self.message.part,
            tries: self.message.tries,
            maybe_sent: self.message.maybe_sent,
            expires_at: self.message.expires_at,
        }
    }

    /// Time left of its validity; zero when it is over.
    pub(crate) fn validity_left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.message.expires_at.duration_since(now)).unwrap_or(Duration::ZERO)
    }
}

/// What a channel's calls are made with.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: PhoneNumber,
    pub(crate) key: SecretString,
    pub(crate) longitude_spelling: LongitudeSpelling,
}

/// What became of a message that had its turn.
#[derive(Debug)]
pub(crate) enum Ended {
    /// A call was made.
    Made(Made),
    /// No byte was sent.
    NotBegun(Ready),
}

/// A call that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) ready: Ready,
    pub(crate) attempt: Attempt,
}

/// Makes the call of the part whose turn it is, once its start is noted where that must be.
pub(crate) async fn begin<P: Provider>(
    shared: Arc<Shared<P>>,
    line: Arc<Line>,
    starts: Option<Starts>,
    ready: Ready,
) -> Option<Ended> {
    if let Some(starts) = starts {
        let may_begin = starts.begin(&ready).await;
        if !may_begin || ready.validity_left(shared.store.now()).is_zero() {
            return Some(Ended::NotBegun(ready));
        }
    }
    call(&shared, &line, ready).await.map(Ended::Made)
}

async fn call<P: Provider>(shared: &Shared<P>, line: &Line, mut ready: Ready) -> Option<Made> {
    let Shared { provider, store, metrics, settings, .. } = shared;
    let message = &mut ready.message;
    let part = message.parts.get_mut(message.part)?;
    part.id = planted::id_of_try(part.id, message.tries);
    let part = ready.message.parts.get(ready.message.part)?;
    let started_at = store.now();
    let knows_end = !planted::is(Bug::ExpiryOnlyAtClaim);
    let left = if knows_end { ready.validity_left(started_at) } else { settings.call_timeout };
    let timeout = settings.call_timeout.min(left);
    observe_wait(metrics, started_at, ready.message.due_at);
    let under_way = UnderWay::begin(&metrics.calls_in_flight);
    let clock = Instant::now();
    let call = Call {
        key: &line.key,
        from: &line.number,
        to: &ready.message.recipient,
        part,
        longitude_spelling: line.longitude_spelling,
        timeout,
    };
    let report = provider.call(call).await;
    drop(under_way);
    metrics.call_seconds.observe(clock.elapsed().as_secs_f64());
    metrics.calls.with_label_values(&[report.outcome.as_str(), report.rule]).inc();
    if !report.classified {
        metrics.unclassified_answers.inc();
        tracing::warn!(rule = report.rule, http_status = report.http_status, "an answer of the provider is not known");
    }
    let attempt = Attempt { started_at, finished_at: store.now(), report };
    Some(Made { ready, attempt })
}

/// Counts a call while it is under way, also when its task is aborted.
struct UnderWay(IntGauge);

impl UnderWay {
    fn begin(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn observe_wait(metrics: &Metrics, now: Timestamp, due_at: Timestamp) {
    metrics.due_to_call_seconds.observe(now.duration_since(due_at).as_secs_f64().max(0.0));
}
