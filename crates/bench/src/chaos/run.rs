//! Runs scenarios, some side by side, and puts their verdicts together.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::checker::judge;
use super::client::{Client, Stop};
use super::clock;
use super::facts::database::Rows;
use super::facts::{Facts, journal};
use super::lag::Lag;
use super::ledger::{self, Ledger, Line};
use super::order::{Mix, Orders};
use super::process;
use super::scenario::{Scenario, Tier, ordinary, rest};
use super::stage::{CHANNEL_RATE, REPLICAS, Stage};
use super::verdict::{Recovery, failures, told};
use crate::machine;

/// Scenarios at a time: most of one is waiting for leases and claims to lapse.
const SIDE_BY_SIDE: usize = 3;
/// Load after the last fault, which shows when messages are taken again.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// What is due must have been tried by then (failure model, I11), what was tried again after a pause must be over, and ten
/// thousand messages that waited for it must have gone at the channels' rate. That each is tried in time is a rule.
const DRAIN_MAX: Duration = Duration::from_secs(150);
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks at what has ended: each reads all that has, which is much in a long run.
const WITNESS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(20));

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides every choice.
    pub seed: u64,
    /// How long.
    pub tier: Tier,
    /// The scenarios; none means all.
    pub only: Vec<Scenario>,
    /// Messages a second in place of the ordinary number, for a machine that does other things; scenarios that are about more than
    /// may go at once keep theirs.
    pub rate: Option<f64>,
}

/// Runs them; answers the verdicts and whether all passed.
///
/// # Errors
/// When the stage itself fails: that is no verdict.
pub async fn run(settings: &Settings) -> Result<(Value, bool), String> {
    process::binary()?;
    let (began, load_before) = (Instant::now(), machine::load());
    let all = if settings.only.is_empty() { Scenario::value_variants() } else { &settings.only };
    let folder = std::env::temp_dir().join(format!("tuma-chaos-{}-{}", settings.seed, std::process::id()));
    let turns = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut running = JoinSet::new();
    for scenario in all.iter().copied() {
        let (turns, folder) = (turns.clone(), folder.join(scenario.name()));
        let (seed, tier, rate) = (settings.seed, settings.tier, settings.rate);
        running.spawn(async move {
            let turn = turns.acquire_owned().await.map_err(|error| error.to_string());
            let verdict = match turn {
                Ok(_turn) => Box::pin(play(scenario, seed, (tier, rate), folder)).await,
                Err(why) => Err(why),
            };
            (scenario, verdict)
        });
    }
    let mut verdicts = json!({});
    let mut passed = true;
    while let Some(done) = running.join_next().await {
        let (scenario, verdict) = done.map_err(|error| error.to_string())?;
        // A stage that broke down proves nothing, which is no pass.
        let verdict = verdict.unwrap_or_else(|why| json!({ "passed": false, "why": [format!("no verdict: {why}")] }));
        passed &= verdict["passed"] == true;
        verdicts[scenario.name()] = verdict;
    }
    if passed {
        std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    }
    let tier = settings.tier.to_possible_value().map(|value| value.get_name().to_owned());
    let mut described = machine::describe();
    described["load"] = json!({ "before": load_before, "after": machine::load() });
    let result = json!({
        "seed": settings.seed, "tier": tier, "rate": settings.rate, "passed": passed, "wallSeconds": began.elapsed().as_secs(),
        "settings": {
            "replicas": REPLICAS, "channelMessagesPerSecond": CHANNEL_RATE, "sideBySide": SIDE_BY_SIDE,
            "leaseSeconds": engine::Settings::default().lease.as_secs(),
            "claimSeconds": engine::Settings::default().claim_lasting().as_secs()
        },
        "files": (!passed).then(|| folder.display().to_string()),
        "machine": described, "verdicts": verdicts
    });
    Ok((result, passed))
}

/// One scenario from an empty stage to its verdict.
async fn play(scenario: Scenario, seed: u64, size: (Tier, Option<f64>), folder: PathBuf) -> Result<Value, String> {
    let began = Instant::now();
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (tier, plan) = (size.0, scenario.plan());
    let rate = size.1.filter(|_| plan.mix == Mix::Varied).unwrap_or(plan.rate);
    let mut stage = Stage::set(folder, plan.channels).await?;
    let seen = Arc::new(Mutex::new(HashMap::new()));
    let lag = Lag::watch();
    let witness = tokio::spawn(witness(stage.database_url(), tier.pick(WITNESS.0, WITNESS.1), seen.clone()));
    if !Rows::connect(&stage.database_url()).await?.is_durable().await? {
        return Err("the database does not keep what it commits".to_owned());
    }
    stage.script(&before(scenario, seed)).await?;
    let (ledger, written) = Ledger::begin(&stage.file("ledger.jsonl"))?;
    let client = Client::new(stage.bases.clone(), stage.doors.clone(), ledger)?;
    let stop = Stop::default();
    let orders = Orders::of(seed, plan.channels, plan.mix);
    let loading = tokio::spawn({
        let stop = stop.clone();
        async move { client.offer(orders, rate, stop).await }
    });
    let struck = scenario.strike(&mut stage, seed, tier).await;
    let faults_ended = clock::now();
    rest(AFTERWARDS).await;
    stop.raise();
    loading.await.map_err(|error| error.to_string())??;
    // The last handle on the ledger went with the client.
    written.join().map_err(|_| "the ledger broke down")??;
    let struck = struck?;
    let drained_at = drain(&stage.database_url()).await?;
    witness.abort();
    let mut facts = Facts {
        ledger: ledger::read(&stage.file("ledger.jsonl"))?,
        calls: journal::read(&stage.file("journal.jsonl"))?,
        ended_before: seen.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        ..Facts::default()
    };
    Rows::connect(&stage.database_url()).await?.read_into(&mut facts).await?;
    (facts.faults_ended_at, facts.lag) = (faults_ended, lag.most());
    let evidence = serde_json::to_vec(&facts).map_err(|error| error.to_string())?;
    std::fs::write(stage.file("facts.json"), evidence).map_err(|error| error.to_string())?;
    let found = judge(&facts, CHANNEL_RATE);
    let recovery = Recovery {
        accepting_seconds: accepting_again(&facts.ledger, faults_ended),
        drained_seconds: drained_at.map(|at| seconds(at - faults_ended)),
    };
    let mut verdict = told(&found, plan.expected, &struck, recovery);
    verdict["judgeLag"] = lag.told();
    verdict["wallSeconds"] = json!(began.elapsed().as_secs());
    let folder = stage.file("");
    let is_passed = failures(&found, plan.expected, &struck, recovery).is_empty();
    let Stage { replicas, cluster, .. } = stage;
    drop(replicas);
    cluster.stop().await.map_err(|error| error.to_string())?;
    if is_passed {
        std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    }
    Ok(verdict)
}

/// How the upstream behaves from before the first message.
fn before(scenario: Scenario, seed: u64) -> Value {
    let duplicates = if scenario == Scenario::UpstreamDoubles { "second" } else { "same" };
    let mut script = ordinary(seed, duplicates);
    if scenario == Scenario::Credentials {
        script["credentials"] = json!({ "refuseAll": true });
    }
    script
}

/// Looks again and again what has ended, and keeps what it saw first.
async fn witness(url: String, pause: Duration, seen: Arc<Mutex<HashMap<String, String>>>) {
    loop {
        rest(pause).await;
        // The database may be away: that is what some scenarios are about.
        let Ok(rows) = Rows::connect(&url).await else { continue };
        let Ok(ended) = rows.ended().await else { continue };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (message, status) in ended {
            seen.entry(message).or_insert(status);
        }
    }
}

/// Waits until nothing is open; answers when that was, or nothing when it takes too long.
async fn drain(url: &str) -> Result<Option<i64>, String> {
    let rows = Rows::connect(url).await?;
    let deadline = Instant::now() + DRAIN_MAX;
    while Instant::now() < deadline {
        if rows.open().await? == 0 {
            return Ok(Some(clock::now()));
        }
        rest(LOOK).await;
    }
    Ok(None)
}

/// From the last fault's end to the next acknowledged message.
fn accepting_again(ledger: &[Line], faults_ended: i64) -> Option<f64> {
    let accepted = ledger.iter().filter_map(|line| match line {
        Line::Accepted { at, .. } => Some(*at),
        Line::Offered { .. }
        | Line::Refused { .. }
        | Line::Unclear { .. }
        | Line::Denied { .. }
        | Line::Cancel { .. }
        | Line::GivenUp { .. } => None,
    });
    accepted.filter(|at| *at >= faults_ended).min().map(|at| seconds(at - faults_ended))
}

fn seconds(micros: i64) -> f64 {
    (micros as f64 / 1e6).max(0.0)
}
