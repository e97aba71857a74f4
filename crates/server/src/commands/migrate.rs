//! `tuma migrate`: applies migrations, or prints what it would apply.

use std::process::ExitCode;

use store::connect::Database;

use super::{complain, print, refuse, start_logging};
use crate::cli::MigrateArgs;
use crate::config::{self, EXIT_CONFIG};

/// Runs the command. Only the database's address is needed.
pub async fn run(args: &MigrateArgs) -> ExitCode {
    let environment = config::environment();
    if let Err(problems) = start_logging(&environment) {
        return refuse(&problems);
    }
    let Some(url) = environment.get("TUMA_DATABASE_URL") else {
        complain("TUMA_DATABASE_URL: is required");
        return ExitCode::from(EXIT_CONFIG);
    };
    let database = match Database::parse(url) {
        Ok(database) => database,
        Err(error) => {
            complain(format!("TUMA_DATABASE_URL: {error}"));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let done = if args.plan { store::migrate::plan(&database).await } else { store::migrate::run(&database).await };
    match done {
        Ok(steps) if steps.is_empty() => print("nothing to apply"),
        Ok(steps) => {
            for step in steps {
                let what = if args.plan { "would apply" } else { "applied" };
                print(format_args!("{what} V{:04}__{}", step.version, step.name));
                if args.plan {
                    print(step.sql);
                }
            }
        }
        Err(error) => {
            complain(error);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
