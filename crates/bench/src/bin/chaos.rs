//! The judge: see `bench::chaos`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use bench::chaos::{Scenario, Settings, Subject, Tier, planted, run, table};
use clap::{Parser, Subcommand};
use domain::planted::Bug;
use serde_json::Value;

/// Finds out what tuma loses, doubles, sends early or late when things break.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scenarios and prints their verdicts; exit code 1 unless all passed.
    Run {
        /// Decides every choice.
        #[arg(long)]
        seed: u64,
        /// How long.
        #[arg(long, value_enum, default_value = "short")]
        tier: Tier,
        /// Only these.
        #[arg(long, value_delimiter = ',')]
        only: Vec<Scenario>,
        /// So many faults in place of the tier's number, where they are counted.
        #[arg(long)]
        faults: Option<u64>,
        /// Judge this program in place of the one beside this.
        #[arg(long)]
        binary: Option<PathBuf>,
        /// Messages a second in place of 200, for a machine that does other things.
        #[arg(long)]
        rate: Option<f64>,
        /// The bug that it has, where it is a build with planted bugs.
        #[arg(long, value_parser = bug, requires = "binary")]
        bug: Option<Bug>,
        /// Print one JSON object on one line.
        #[arg(long)]
        json: bool,
        /// Print a line for each verdict.
        #[arg(long, conflicts_with = "json")]
        table: bool,
    },
    /// Runs a build with each planted bug; exit code 1 unless all were caught.
    Planted {
        /// Decides every choice.
        #[arg(long)]
        seed: u64,
        /// Only these bugs.
        #[arg(long, value_delimiter = ',', value_parser = bug)]
        only: Vec<Bug>,
        /// Messages a second in place of 200, for a machine that does other things.
        #[arg(long)]
        rate: Option<f64>,
        /// The build with the feature `planted`, in place of the one in `target/planted`.
        #[arg(long)]
        binary: Option<PathBuf>,
        /// Print one JSON object on one line.
        #[arg(long)]
        json: bool,
    },
}

/// How a result is printed.
#[derive(Clone, Copy)]
enum Form {
    /// JSON on one line.
    Line,
    /// JSON for people.
    Lines,
    /// A line for each verdict.
    Table,
}

impl Form {
    fn json(on_one_line: bool) -> Self {
        if on_one_line { Self::Line } else { Self::Lines }
    }
}

fn bug(name: &str) -> Result<Bug, String> {
    let names = || Bug::ALL.map(|bug| bug.row().1).join(", ");
    Bug::named(name).ok_or_else(|| format!("one of: {}", names()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let (form, result) = match Cli::parse().command {
        Command::Run { seed, tier, only, faults, binary, rate, bug, json, table: as_table } => {
            drop(writeln!(std::io::stderr(), "chaos: seed {seed}"));
            let chosen = binary.map_or(Ok(()), |binary| Subject { binary, bug }.choose());
            let result = match chosen {
                Ok(()) => run(&Settings { seed, tier, only, rate, faults }).await,
                Err(why) => Err(why),
            };
            (if as_table { Form::Table } else { Form::json(json) }, result)
        }
        Command::Planted { seed, only, binary, rate, json } => {
            drop(writeln!(std::io::stderr(), "chaos: seed {seed}"));
            (Form::json(json), planted::run(&planted::Settings { seed, only, binary, rate }).await)
        }
    };
    said(result, form)
}

fn said(result: Result<(Value, bool), String>, form: Form) -> ExitCode {
    match result {
        Ok((result, passed)) => {
            let text = match form {
                Form::Line => result.to_string(),
                Form::Lines => format!("{result:#}"),
                Form::Table => table(&result),
            };
            drop(writeln!(std::io::stdout(), "{text}"));
            if let Some(files) = result["files"].as_str() {
                drop(writeln!(std::io::stderr(), "chaos: what did not pass has left its files in {files}"));
            }
            if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            drop(writeln!(std::io::stderr(), "chaos: {why}"));
            ExitCode::FAILURE
        }
    }
}
