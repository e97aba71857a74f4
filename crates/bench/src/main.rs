//! Measures tuma beside the limits of the machine it runs on.
//!
//! Every scenario runs on a private PostgreSQL with `fsync` and `synchronous_commit` on, with load, sink and database on
//! one machine, and measures what the machine itself can do in the same run: figures drift with the machine, ratios do
//! not. The gateway is a process of its own. Results go to standard output, as text or one JSON object.

mod backlog;

mod bed;

mod figures;

mod limits;

mod load;

mod machine;

mod message;

mod meter;

mod scenarios;

mod sink;

mod subject;

mod wire;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::scenarios::{
    Size, accept, accept_batch, accept_cost, bloat, drain, flow, future, idle, lanes, latency, memory, pacing, start,
};

/// Measures tuma beside the limits of the machine.
#[derive(Parser)]
struct Cli {
    /// What to measure.
    scenario: Scenario,
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
    /// From the start of `tuma dev` to its ready line.
    Start,
    /// All of them, in their short sizes.
    All,
}

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
            Self::Future => Box::pin(future::measure(size)).await,
            Self::Bloat => Box::pin(bloat::measure(size)).await,
            Self::Idle => Box::pin(idle::measure(size)).await,
            Self::Memory => Box::pin(memory::measure(size)).await,
            Self::AcceptCost => Box::pin(accept_cost::measure()).await,
            Self::Start => start::measure(),
            Self::All => Box::pin(all(size)).await,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let (size, load_before) = (Size { short: cli.short, messages: cli.messages }, machine::load());
    let is_all = cli.scenario == Scenario::All;
    let results = if is_all {
        all(Size { short: true, ..size }).await
    } else {
        cli.scenario.measure(size).await.map(|figures| json!({ cli.scenario.name(): figures }))
    };
    match results {
        Ok(mut results) => {
            results["machine"] = machine::describe();
            results["machine"]["load"] = json!({ "before": load_before, "after": machine::load() });
            results["short"] = json!(cli.short || is_all);
            show(&results, cli.json);
            ExitCode::SUCCESS
        }
        Err(why) => {
            drop(writeln!(std::io::stderr(), "bench: {why}"));
            ExitCode::FAILURE
        }
    }
}

async fn all(size: Size) -> Result<Value, String> {
    let mut results = json!({});
    for scenario in Scenario::value_variants().iter().copied().filter(|scenario| *scenario != Scenario::All) {
        let (name, started) = (scenario.name(), Instant::now());
        results[&name] = Box::pin(scenario.measure(size)).await.map_err(|why| format!("{name}: {why}"))?;
        drop(writeln!(std::io::stderr(), "bench: {name} took {} s", started.elapsed().as_secs()));
    }
    Ok(results)
}

fn show(results: &Value, as_json: bool) {
    let text = if as_json { results.to_string() } else { format!("{results:#}") };
    drop(writeln!(std::io::stdout(), "{text}"));
}
