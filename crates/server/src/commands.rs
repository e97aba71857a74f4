//! Commands: each in a file of its own, each answers with an exit code.

pub mod admin;

pub mod check;

pub mod dev;

pub mod migrate;

pub mod probe;

pub mod sandbox;

pub mod serve;

use std::io::Write;
use std::process::ExitCode;

use store::durability::UnsafeSetting;

use crate::cli::{Cli, Command};
use crate::config::{self, EXIT_CONFIG, Problems};

/// Runs a command.
pub async fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(args) => serve::run(&args).await,
        Command::Dev(args) => dev::run(args).await,
        Command::Sandbox(args) => sandbox::run(args).await,
        Command::Migrate(args) => migrate::run(&args).await,
        Command::Check => check::run().await,
        Command::Probe(args) => probe::run(&args).await,
        Command::Admin(args) => admin::run(args).await,
    }
}

/// Writes a line to standard output: the result of a command.
pub(crate) fn print(line: impl std::fmt::Display) {
    // A reader that went away is not a fault of the command.
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Writes a line to standard error: what went wrong.
pub(crate) fn complain(line: impl std::fmt::Display) {
    drop(writeln!(std::io::stderr(), "tuma: {line}"));
}

/// Starts logging as the environment says.
fn start_logging(environment: &std::collections::BTreeMap<String, String>) -> Result<(), Problems> {
    let (filter, format) = config::read_logging(environment)?;
    crate::logging::start(&filter, format);
    Ok(())
}

/// What is wrong with settings of the database, unless it is allowed; how it can be is said with each.
fn refusals(found: &[UnsafeSetting], is_allowed: bool) -> Problems {
    let refused = found.iter().filter(|_| !is_allowed);
    Problems(refused.map(|setting| format!("{setting}, or set TUMA_ALLOW_UNSAFE_DATABASE=true")).collect())
}

/// Says all problems of a configuration.
fn refuse(problems: &Problems) -> ExitCode {
    for problem in &problems.0 {
        complain(problem);
    }
    ExitCode::from(EXIT_CONFIG)
}
