//! Measures tuma beside the limits of the machine it runs on.
//!
//! Every scenario runs on a private PostgreSQL with `fsync` and `synchronous_commit` on, with load, sink and database on
//! one machine, and measures what the machine itself can do in the same run: figures drift with the machine, ratios do
//! not. Results go to standard output, as text or one JSON object.

mod accept_cost;

mod figures;

mod latency;

mod limits;

mod rig;

mod start;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

/// Measures tuma beside the limits of the machine.
#[derive(Parser)]
struct Cli {
    /// What to measure.
    scenario: Scenario,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Messages of the latency scenario.
    #[arg(long, default_value_t = 500)]
    messages: usize,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// Hand-in to arrival at the sink, one message at a time on an idle gateway.
    Latency,
    /// What accepting one text message costs the process besides the database.
    AcceptCost,
    /// From the start of `tuma dev` to its ready line.
    Start,
    /// All of them.
    All,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let wants = |scenario| cli.scenario == scenario || cli.scenario == Scenario::All;
    let mut results = json!({});
    if wants(Scenario::Latency) {
        match latency::measure(cli.messages).await {
            Ok(figures) => results["latency"] = figures,
            Err(why) => return fail(&why),
        }
    }
    if wants(Scenario::AcceptCost) {
        match accept_cost::measure().await {
            Ok(figures) => results["acceptCost"] = figures,
            Err(why) => return fail(&why),
        }
    }
    if wants(Scenario::Start) {
        match start::measure() {
            Ok(figures) => results["start"] = figures,
            Err(why) => return fail(&why),
        }
    }
    show(&results, cli.json);
    ExitCode::SUCCESS
}

fn fail(why: &str) -> ExitCode {
    drop(writeln!(std::io::stderr(), "bench: {why}"));
    ExitCode::FAILURE
}

fn show(results: &Value, as_json: bool) {
    let text = if as_json { results.to_string() } else { format!("{results:#}") };
    drop(writeln!(std::io::stdout(), "{text}"));
}
