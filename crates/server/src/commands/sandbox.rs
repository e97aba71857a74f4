//! `tuma sandbox`: the Lipachat simulator, until asked to stop.

use std::process::ExitCode;

use sandbox::{Sandbox, Settings};

use super::{complain, print, refuse, start_logging};
use crate::cli::SandboxArgs;
use crate::config;
use crate::signals::asked_to_stop;

/// Runs the command.
pub async fn run(args: SandboxArgs) -> ExitCode {
    if let Err(problems) = start_logging(&config::environment()) {
        return refuse(&problems);
    }
    let settings = Settings {
        listen: args.listen,
        api_key: args.api_key,
        numbers: args.numbers,
        journal: args.journal,
        ..Settings::default()
    };
    let sandbox = match Sandbox::start(settings).await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            complain(error);
            return ExitCode::FAILURE;
        }
    };
    print(format_args!("sandbox: {}  ledger: {}/_sandbox/ledger", sandbox.url(), sandbox.url()));
    let stopped = asked_to_stop().await;
    sandbox.stop().await;
    if stopped.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
