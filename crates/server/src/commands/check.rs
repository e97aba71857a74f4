//! `tuma check`: looks at configuration, database, secrets, clock and reachability; names each problem.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use domain::id::ChannelId;
use prometheus::Registry;
use store::Store;
use store::connect::Database;
use store::durability;
use store::metrics::Metrics;
use uuid::Uuid;

use super::{print, start_logging};
use crate::config::{self, Config};

/// Difference between this machine's clock and the database's that is worth a word.
const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(2);
/// Reaching the provider.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);
/// Provider keys looked at in one statement.
const KEYS_PAGE: i64 = 500;

/// What was found, line by line.
#[derive(Debug, Default)]
struct Findings {
    problems: usize,
}

impl Findings {
    fn note(&mut self, what: &str, result: Result<String, String>) {
        match result {
            Ok(text) => print(format_args!("ok    {what}: {text}")),
            Err(why) => {
                self.problems += 1;
                print(format_args!("FAIL  {what}: {why}"));
            }
        }
    }
}

/// Runs the command.
pub async fn run() -> ExitCode {
    let environment = config::environment();
    let mut findings = Findings::default();
    // Logs are not wanted here; what is wrong is printed.
    drop(start_logging(&BTreeMap::from([("TUMA_LOG".to_owned(), "off".to_owned())])));
    match config::read(&environment) {
        Ok(config) => {
            findings.note("configuration", Ok(format!("{} variables set", environment.len())));
            check_database(&config, &mut findings).await;
            findings.note("provider", reach(&config.lipachat_url).await);
        }
        Err(problems) => {
            for problem in problems.0 {
                findings.note("configuration", Err(problem));
            }
        }
    }
    if findings.problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn check_database(config: &Config, findings: &mut Findings) {
    let pending = match store::migrate::plan(&config.database).await {
        Ok(pending) => pending,
        Err(error) => return findings.note("database", Err(error.to_string())),
    };
    findings.note("database", Ok("reachable".to_owned()));
    if !is_durable(&config.database, findings).await {
        return;
    }
    if !pending.is_empty() {
        let names: Vec<String> = pending.iter().map(|step| format!("V{:04}", step.version)).collect();
        return findings.note("migrations", Err(format!("pending: {}; `tuma migrate` applies them", names.join(", "))));
    }
    findings.note("migrations", Ok("all applied".to_owned()));
    let metrics = match Metrics::register(&Registry::new()) {
        Ok(metrics) => metrics,
        Err(error) => return findings.note("database", Err(error.to_string())),
    };
    match Store::connect(config.database.clone(), 1, config.vault.clone(), metrics).await {
        Ok(store) => {
            findings.note("server", check_server(&store).await);
            findings.note("clock", check_clock(&store));
            findings.note("secrets", check_secrets(&store).await);
        }
        Err(error) => findings.note("database", Err(error.to_string())),
    }
}

/// Whether it may be used: one that is not safe and not allowed is not looked into.
async fn is_durable(database: &Database, findings: &mut Findings) -> bool {
    let found = match durability::look(database).await {
        Ok(found) => found,
        Err(error) => {
            findings.note("durability", Err(error.to_string()));
            return false;
        }
    };
    let refusals = super::refusals(&found, database.durability().is_allowed());
    if refusals.0.is_empty() {
        let allowed: Vec<String> = found.iter().map(|setting| format!("allowed: {setting}")).collect();
        let said = if found.is_empty() { "what is committed stays".to_owned() } else { allowed.join("; ") };
        findings.note("durability", Ok(said));
        return true;
    }
    for refusal in refusals.0 {
        findings.note("durability", Err(refusal));
    }
    false
}

async fn check_server(store: &Store) -> Result<String, String> {
    let version = store.server_version().await.map_err(|error| error.to_string())?;
    let major = version / 10_000;
    if major < 14 {
        Err(format!("PostgreSQL {major}; 14 or newer is needed"))
    } else {
        Ok(format!("PostgreSQL {major}"))
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "compares this machine's clock with the database's; nothing is decided by it"
)]
fn check_clock(store: &Store) -> Result<String, String> {
    let database: SystemTime = store.now().into();
    let here = SystemTime::now();
    let offset = here.duration_since(database).unwrap_or_else(|error| error.duration());
    if offset > CLOCK_OFFSET_MAX {
        return Err(format!("this machine and the database differ by {:.1} s", offset.as_secs_f64()));
    }
    Ok(format!("{} ms from the database's", offset.as_millis()))
}

async fn check_secrets(store: &Store) -> Result<String, String> {
    let mut after = ChannelId(Uuid::nil());
    let mut looked = 0;
    loop {
        let page = store.check_provider_keys(after, KEYS_PAGE).await.map_err(|error| error.to_string())?;
        for (channel, result) in &page {
            if let Err(error) = result {
                return Err(format!("the provider key of channel {channel}: {error}"));
            }
        }
        looked += page.len();
        match page.last() {
            Some((last, _)) => after = *last,
            None => return Ok(format!("{looked} provider keys open")),
        }
    }
}

/// Any answer will do: only name, route and certificate are looked at.
async fn reach(url: &str) -> Result<String, String> {
    let client = super::admin::http_client(REACH_TIMEOUT)?;
    let answer = client.get(url).send().await.map_err(|error| super::admin::describe(&error))?;
    let clear = if url.starts_with("http://") { "; not encrypted: the provider keys travel in the clear" } else { "" };
    Ok(format!("{url} is reachable (HTTP {}){clear}", answer.status().as_u16()))
}
