//! The judge: see `bench::chaos`.

use std::io::Write;
use std::process::ExitCode;

use bench::chaos::{Scenario, Settings, Tier, run};
use clap::{Parser, Subcommand};

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
        /// Print one JSON object on one line.
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Run { seed, tier, only, json } = Cli::parse().command;
    drop(writeln!(std::io::stderr(), "chaos: seed {seed}"));
    match run(&Settings { seed, tier, only }).await {
        Ok((result, passed)) => {
            let text = if json { result.to_string() } else { format!("{result:#}") };
            drop(writeln!(std::io::stdout(), "{text}"));
            if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            drop(writeln!(std::io::stderr(), "chaos: {why}"));
            ExitCode::FAILURE
        }
    }
}
