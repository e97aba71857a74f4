//! What each program is asked to do, and the figures it leaves.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::Size;
use super::super::bank::Bank;
use super::super::drain::Waiting;
use crate::figures::quantile_milliseconds;
use crate::load::{Prepared, Until};
use crate::program::{Program, Stage};
use crate::sink::Sink;

/// Connections that hand in.
const CONNECTIONS: usize = 32;
const MANY_CONNECTIONS: usize = 128;
/// Messages before the first that counts of what goes in and out.
const WARM_UP: usize = 500;

/// Named figures of one run.
pub(super) type Figures = Vec<(&'static str, f64)>;

/// A phase.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Single messages by 32 connections, nothing is sent.
    Accept32,
    /// The same by 128.
    Accept128,
    /// A hundred a call, 32 connections.
    AcceptBatch,
    /// Emptying a backlog.
    Drain,
    /// In and out together, 32 producers.
    Flow,
    /// Hand-in to arrival at a steady 200 a second.
    Latency,
}

impl Phase {
    pub(super) const ALL: [Self; 6] =
        [Self::Accept32, Self::Accept128, Self::AcceptBatch, Self::Drain, Self::Flow, Self::Latency];

    /// Its name in results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accept32 => "accept32",
            Self::Accept128 => "accept128",
            Self::AcceptBatch => "acceptBatch",
            Self::Drain => "drain",
            Self::Flow => "flow",
            Self::Latency => "latency200",
        }
    }

    /// Whether a program goes through it: with many connections only ours and what bounds it.
    pub(super) fn is_for(self, program: Program) -> bool {
        self != Self::Accept128 || matches!(program, Program::Tuma | Program::Ceiling)
    }

    /// Runs it once.
    pub(super) async fn measure(self, stage: &Stage<'_>, sink: &Sink, size: Size) -> Result<Figures, String> {
        match self {
            Self::Accept32 => accept(stage, stage.singles(), sink, CONNECTIONS, size).await,
            Self::Accept128 => accept(stage, stage.singles(), sink, MANY_CONNECTIONS, size).await,
            Self::AcceptBatch => accept(stage, vec![stage.batch()], sink, CONNECTIONS, size).await,
            Self::Drain => drain(stage, sink, size).await,
            Self::Flow => flow(stage, sink, size).await,
            Self::Latency => latency(stage, sink, size).await,
        }
    }
}

/// How much a run of each is.
pub(super) fn sizes(size: Size) -> Value {
    json!({
        "acceptSeconds": accept_time(size).as_secs_f64(), "drainMessages": backlog(size),
        "flowSeconds": flow_time(size).as_secs_f64(), "latencyMessages": paced(size)
    })
}

fn accept_time(size: Size) -> Duration {
    size.pick(Duration::from_secs(5), Duration::from_secs(1))
}

fn flow_time(size: Size) -> Duration {
    size.pick(Duration::from_secs(8), Duration::from_secs(3))
}

fn backlog(size: Size) -> usize {
    size.messages(50_000, 10_000)
}

fn paced(size: Size) -> usize {
    size.pick(2_000, 600)
}

async fn accept(
    stage: &Stage<'_>,
    requests: Vec<Prepared>,
    sink: &Sink,
    connections: usize,
    size: Size,
) -> Result<Figures, String> {
    let crew = stage.start_accepting()?;
    let bank = Bank { requests, ..Bank::of_stage(stage, sink, &crew)? };
    bank.warm_up(connections).await?;
    let accepted = bank.accept(connections, accept_time(size)).await?;
    let times = accepted.handed.answer_times();
    let mut figures = vec![
        ("messagesPerSecond", accepted.handed.per_second()),
        ("answerP50Ms", quantile_milliseconds(&times, 0.5)),
        ("answerP99Ms", quantile_milliseconds(&times, 0.99)),
        ("walBytesPerMessage", accepted.log_bytes_a_message),
    ];
    figures.extend(processors(&accepted.spent, accepted.handed.messages()));
    Ok(figures)
}

async fn drain(stage: &Stage<'_>, sink: &Sink, size: Size) -> Result<Figures, String> {
    let count = backlog(size);
    stage.fill(count).await?;
    let unfinished = stage.program.unfinished();
    let waiting = Waiting { bed: &stage.bed, sink, from: 0, count, unfinished, others: 0 };
    let (drained, _crew) = waiting.drain(|| stage.start_sending(sink)).await?;
    let mut figures = vec![
        ("messagesPerSecond", drained.per_second),
        ("steadyMessagesPerSecond", drained.steady_per_second),
        ("peakMegabytes", drained.peak_megabytes),
        ("walBytesPerMessage", drained.log_bytes_a_message),
    ];
    figures.extend(processors(&drained.spent, count));
    Ok(figures)
}

async fn flow(stage: &Stage<'_>, sink: &Sink, size: Size) -> Result<Figures, String> {
    let crew = stage.start_whole(sink).await?;
    let bank = Bank::of_stage(stage, sink, &crew)?;
    bank.flow(CONNECTIONS, 0, Until::Requests(WARM_UP)).await?;
    let flowed = bank.flow(CONNECTIONS, 0, Until::Elapsed(flow_time(size))).await?;
    let mut figures = vec![
        ("messagesPerSecond", flowed.per_second),
        ("arrivalP50Ms", quantile_milliseconds(&flowed.ways, 0.5)),
        ("arrivalP99Ms", quantile_milliseconds(&flowed.ways, 0.99)),
        ("walBytesPerMessage", flowed.log_bytes_a_message),
    ];
    figures.extend(processors(&flowed.spent, flowed.ways.len()));
    Ok(figures)
}

async fn latency(stage: &Stage<'_>, sink: &Sink, size: Size) -> Result<Figures, String> {
    let crew = stage.start_whole(sink).await?;
    let ways = Bank::of_stage(stage, sink, &crew)?.steady(paced(size)).await?;
    Ok([("p50Ms", 0.5), ("p95Ms", 0.95), ("p99Ms", 0.99)]
        .map(|(name, share)| (name, quantile_milliseconds(&ways, share)))
        .to_vec())
}

/// Processor time a message by who used it, and the share of the machine that others took.
fn processors(spent: &Value, messages: usize) -> Figures {
    let seconds = |who: &str| spent[who].as_f64().unwrap_or(f64::NAN);
    let a_message = |who| seconds(who) * 1e6 / messages as f64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    vec![
        ("programMicrosecondsPerMessage", a_message("gateway")),
        ("databaseMicrosecondsPerMessage", a_message("database")),
        ("loadAndSinkMicrosecondsPerMessage", a_message("loadAndSink")),
        ("othersShare", seconds("others") / (seconds("elapsed") * cores as f64)),
    ]
}
