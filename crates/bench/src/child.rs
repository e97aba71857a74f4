//! A subject of measurement: starts, prints its first line, and answers each line on standard input with one line.
//!
//! The first line is the address of a server, `{"address":…}`, or `{}`. A server answers what it has used so far; a
//! worker works and answers what that took. A line is the pause between two pieces of work, in microseconds. The end of
//! standard input ends the process.

mod ceiling;

mod computing;

mod floor;

mod gateway;

pub mod storing;

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use api::steps::Ground;
use clap::{Parser, ValueEnum};
use domain::id::{ChannelId, WorkspaceId};
use prometheus::Registry;
use serde_json::{Value, json};
use store::Store;
use store::connect::{Database, POOL_SIZE_DEFAULT};
use store::metrics::Metrics;
use store::vault::Vault;
use tokio::runtime::Runtime;

use crate::usage::{Allocations, Usage};

/// Key of the vault that a benchmark's provider keys are sealed with.
pub const SECRET_KEY: [u8; 32] = [1; 32];

/// The body of one text message, as the load has it.
#[must_use]
pub fn text_body(number: usize) -> String {
    json!({
        "receiver": { "contacts": [{ "identifierValue": "+254712345678" }] },
        "body": { "type": "text", "text": { "text": format!("Your order {number:06} is ready") } }
    })
    .to_string()
}

/// What the process is.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// An HTTP server that reads the body and answers 202.
    Empty,
    /// An HTTP server that sends the body back.
    Echo,
    /// The same, with one row committed before the answer.
    OneRow,
    /// A bare program of the gateway's shape that hands committed messages over in memory; sends when it has a sink.
    Ceiling,
    /// The same, but it claims committed messages from its table.
    CeilingClaim,
    /// The gateway that takes requests and sends nothing, as `tuma serve --roles api` runs it.
    Gateway,
    /// The same without a log.
    GatewayWithoutLog,
    /// The gateway that sends and takes no requests, as `tuma serve --roles worker` runs it.
    Worker,
    /// The gateway that does both, as `tuma serve` runs it.
    Whole,
    /// Runs the computing part of accepting.
    Computing,
    /// Runs the storing part of accepting, one message at a time.
    StoringOne,
    /// Runs the storing part of accepting, many messages at a time.
    StoringMany,
}

#[derive(Parser)]
struct Cli {
    role: Role,
    /// A migrated database.
    #[arg(long)]
    database_url: String,
    #[arg(long)]
    workspace: WorkspaceId,
    #[arg(long)]
    channel: ChannelId,
    /// Where a gateway or a ceiling that sends sends to.
    #[arg(long)]
    sink: Option<String>,
}

/// Waits as long as an answer of the database takes, between two pieces of work: caches and processor cool down.
#[allow(clippy::disallowed_methods, reason = "timers of the runtime know no less than a millisecond")]
pub fn rest(pause: Duration) {
    if !pause.is_zero() {
        std::thread::sleep(pause);
    }
}

/// Answers a line: what has been used, or what work took.
type Answer = Box<dyn FnMut(&Runtime, Duration) -> Result<Value, String>>;

/// Means to read what the process has allocated; `None` when nobody counts.
pub type Counter = fn() -> Option<Allocations>;

/// Runs the process.
pub fn run(counter: Counter) -> ExitCode {
    let ended = match Runtime::new() {
        Ok(runtime) => attend(&runtime, Cli::parse(), counter),
        Err(error) => Err(error.to_string()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            drop(writeln!(std::io::stderr(), "bench-child: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn attend(runtime: &Runtime, cli: Cli, counter: Counter) -> Result<(), String> {
    let (first_line, mut answer) = runtime.block_on(start(cli, counter))?;
    print(&first_line)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let pause: u64 = line.trim().parse().map_err(|_| "a line is a pause in microseconds")?;
        print(&answer(runtime, Duration::from_micros(pause))?)?;
    }
    Ok(())
}

fn print(value: &Value) -> Result<(), String> {
    let mut out = std::io::stdout();
    writeln!(out, "{value}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}

async fn start(cli: Cli, counter: Counter) -> Result<(Value, Answer), String> {
    let database = Database::parse(&cli.database_url).map_err(|error| error.to_string())?;
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).map_err(|error| error.to_string())?;
    let vault = Vault::new(&SECRET_KEY, None);
    let store = Store::connect(database, POOL_SIZE_DEFAULT, vault, metrics).await.map_err(|error| error.to_string())?;
    let serve = |address: SocketAddr| (json!({ "address": address }), usage(counter));
    let worker = |answer: Answer| (json!({}), answer);
    let gateway = |roles: gateway::Roles| gateway::start(store.clone(), registry.clone(), roles, counter);
    let log = || server::logging::start("info", server::logging::LogFormat::Text);
    Ok(match cli.role {
        Role::Empty => serve(floor::start_empty()?),
        Role::Echo => serve(floor::start_echo()?),
        Role::OneRow => serve(floor::start_one_row(&cli.database_url).await?),
        Role::Ceiling => serve(ceiling::start(&cli.database_url, cli.sink.as_deref(), ceiling::Way::HandOver).await?),
        Role::CeilingClaim => serve(ceiling::start(&cli.database_url, cli.sink.as_deref(), ceiling::Way::Claim).await?),
        Role::Gateway => {
            log();
            gateway(gateway::Roles { listens: true, sends_to: None })?
        }
        Role::GatewayWithoutLog => gateway(gateway::Roles { listens: true, sends_to: None })?,
        Role::Worker => {
            log();
            gateway(gateway::Roles { listens: false, sends_to: Some(cli.sink.ok_or("a worker needs a sink")?) })?
        }
        Role::Whole => {
            log();
            gateway(gateway::Roles { listens: true, sends_to: Some(cli.sink.ok_or("a gateway needs a sink")?) })?
        }
        Role::Computing => worker(computing::worker(ground(&store, &cli).await?, store.now(), counter)),
        Role::StoringOne => worker(storing::worker(store.clone(), ground(&store, &cli).await?, 1, counter)),
        Role::StoringMany => {
            worker(storing::worker(store.clone(), ground(&store, &cli).await?, storing::MANY, counter))
        }
    })
}

fn usage(counter: Counter) -> Answer {
    Box::new(move |_, _| {
        let usage = Usage::read(counter())?;
        serde_json::to_value(usage).map_err(|error| error.to_string())
    })
}

async fn ground(store: &Store, cli: &Cli) -> Result<Ground, String> {
    let channel = store.channel(cli.workspace, cli.channel).await.map_err(|error| error.to_string())?;
    let workspace = store.workspace(cli.workspace).await.map_err(|error| error.to_string())?;
    channel
        .zip(workspace)
        .map(|(channel, workspace)| Ground { channel, workspace })
        .ok_or_else(|| "no such channel".to_owned())
}
