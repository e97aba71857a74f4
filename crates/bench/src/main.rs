//! Measures tuma beside the limits of the machine it runs on.
//!
//! Every scenario runs on a private PostgreSQL with `fsync` and `synchronous_commit` on, with load, sink and database on
//! one machine, and measures what the machine itself can do in the same run: figures drift with the machine, ratios do
//! not. The gateway is a process of its own. Results go to standard output, as text or one JSON object.

mod asker;

mod backlog;

mod bed;

mod figure;

mod figures;

mod limits;

mod load;

mod message;

mod meter;

mod peer;

mod program;

mod scenarios;

mod sink;

mod subject;

mod wire;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use bench::machine;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::scenarios::{
    Size, accept, accept_batch, accept_cost, bloat, drain, explain, fairness, flow, future, idle, lanes, latency,
    memory, pacing, peers, start, steer,
};

/// Measures tuma beside the limits of the machine.
#[derive(Parser)]
struct Cli {
    /// What to measure.
    scenario: Scenario,
    /// What `figure` draws: the JSON that `peers` or `all` printed.
    #[arg(required_if_eq("scenario", "figure"))]
    results: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// A size for trying; `all` always takes it.
    #[arg(long)]
    short: bool,
    /// Messages of a scenario, instead of its usual number.
    #[arg(long)]
    messages: Option<usize>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// Single messages over HTTP, accepted a second.
    Accept,
    /// The same, a hundred a call.
    AcceptBatch,
    /// Emptying a backlog.
    Drain,
    /// In and out together.
    Flow,
    /// Hand-in to arrival at the sink, one by one and at a steady 200 a second.
    Latency,
    /// The rate of one channel, with replicas, one of them killed.
    Pacing,
    /// One-time passwords while a bulk backlog waits.
    Lanes,
    /// Workspaces that share one limit: quiet ones beside a large backlog, and all with one.
    Fairness,
    /// `sendAt` of `explain` beside the arrival of messages of a backlog.
    Explain,
    /// Acts on a large backlog by selector while it is sent.
    Steer,
    /// Emptying a backlog while many messages wait for tomorrow.
    Future,
    /// In and out together while a snapshot is held.
    Bloat,
    /// Two replicas and a thousand channels with nothing to do.
    Idle,
    /// Resident memory while many messages wait.
    Memory,
    /// What accepting one text message costs the process besides the database.
    AcceptCost,
    /// The same work done by other queues and by a bare program of our shape.
    Peers,
    /// From the start of `tuma dev` to its ready line.
    Start,
    /// All of them, in their short sizes.
    All,
    /// Nothing: draws results of `peers` as SVG.
    Figure,
}

/// Runs of what is measured beside others; one is enough for trying.
const RUNS: usize = 3;

impl Scenario {
    async fn measure(self, size: Size) -> Result<Value, String> {
        match self {
            Self::Accept => Box::pin(accept::measure(size)).await,
            Self::AcceptBatch => Box::pin(accept_batch::measure(size)).await,
            Self::Drain => Box::pin(drain::measure(size)).await,
            Self::Flow => Box::pin(flow::measure(size)).await,
            Self::Latency => Box::pin(latency::measure(size)).await,
            Self::Pacing => Box::pin(pacing::measure(size)).await,
            Self::Lanes => Box::pin(lanes::measure(size)).await,
            Self::Fairness => Box::pin(fairness::measure(size)).await,
            Self::Explain => Box::pin(explain::measure(size)).await,
            Self::Steer => Box::pin(steer::measure(size)).await,
            Self::Future => Box::pin(future::measure(size)).await,
            Self::Bloat => Box::pin(bloat::measure(size)).await,
            Self::Idle => Box::pin(idle::measure(size)).await,
            Self::Memory => Box::pin(memory::measure(size)).await,
            Self::AcceptCost => Box::pin(accept_cost::measure()).await,
            Self::Peers => Box::pin(peers::measure(size)).await,
            Self::Start => start::measure(),
            Self::All | Self::Figure => Err(format!("{} is not one scenario", self.name())),
        }
    }

    /// Its figures, with the time it took.
    async fn figures(self, size: Size) -> Result<Value, String> {
        let started = Instant::now();
        let mut figures = Box::pin(self.measure(size)).await.map_err(|why| format!("{}: {why}", self.name()))?;
        figures["wallSeconds"] = json!(started.elapsed().as_secs());
        drop(writeln!(std::io::stderr(), "bench: {} took {} s", self.name(), started.elapsed().as_secs()));
        Ok(figures)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match (cli.scenario, &cli.results) {
        (Scenario::Figure, Some(results)) => draw(results),
        (_, _) => measure(&cli).await,
    };
    match done {
        Ok(text) => {
            drop(writeln!(std::io::stdout(), "{text}"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            drop(writeln!(std::io::stderr(), "bench: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// The text of a scenario's results, or of those of all.
async fn measure(cli: &Cli) -> Result<String, String> {
    let (started, load_before) = (Instant::now(), machine::load());
    let mut results = json!({});
    if cli.scenario == Scenario::All {
        // What is missing shall be told before the first figure is taken, not after the last.
        start::binary()?;
        let size = Size { short: true, messages: cli.messages, runs: RUNS };
        let is_one = |scenario: &Scenario| !matches!(scenario, Scenario::All | Scenario::Figure);
        for scenario in Scenario::value_variants().iter().copied().filter(is_one) {
            results[scenario.name()] = scenario.figures(size).await?;
        }
    } else {
        let size = Size { short: cli.short, messages: cli.messages, runs: if cli.short { 1 } else { RUNS } };
        results[cli.scenario.name()] = cli.scenario.figures(size).await?;
    }
    results["machine"] = machine::describe();
    results["machine"]["load"] = json!({ "before": load_before, "after": machine::load() });
    results["short"] = json!(cli.short || cli.scenario == Scenario::All);
    results["wallSeconds"] = json!(started.elapsed().as_secs());
    Ok(if cli.json { results.to_string() } else { format!("{results:#}") })
}

/// The figure of results in a file.
fn draw(file: &Path) -> Result<String, String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| told(&error))?;
    let results: Value = serde_json::from_str(&text).map_err(|error| told(&error))?;
    figure::draw(&results).map_err(|why| told(&why))
}
