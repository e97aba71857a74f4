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
use super::dice::Dice;
use super::facts::database::Rows;
use super::facts::{Facts, journal};
use super::lag::Lag;
use super::ledger::{self, Ledger, Line};
use super::nemesis::Strike;
use super::nemesis::upstream::Memory;
use super::order::Orders;
use super::process;
use super::scenario::{Plan, Scenario, Tier, rest};
use super::stage::{CHANNEL_RATE, REPLICAS, Stage};
use super::verdict::{Recovery, Struck, failures, told};
use crate::machine;

/// Scenarios at a time: most of one is waiting for leases and claims to lapse. With four of them two cores are so busy that a restart of the
/// database is judged as an overload; in a long run, whose tables and journals grow, with three.
const SIDE_BY_SIDE: (usize, usize) = (3, 2);
/// Load after the last fault, which shows when messages are taken again.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// What is due must have been tried by then (failure model, I11), what was tried again after a pause must be over, and ten
/// thousand messages that waited for it must have gone at the channels' rate; in the long tier, what came in half an hour. That
/// each is tried in time is a rule.
const DRAIN_MAX: (Duration, Duration) = (Duration::from_secs(150), Duration::from_secs(900));
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
    /// The scenarios; none means all of the tier.
    pub only: Vec<Scenario>,
    /// Messages a second in place of the ordinary number, for a machine that does other things; scenarios that are about more than
    /// may go at once keep theirs.
    pub rate: Option<f64>,
    /// So many faults in place of the tier's number, where they are counted.
    pub faults: Option<u64>,
}

/// Runs them; answers the verdicts and whether all passed.
///
/// # Errors
/// When the stage itself fails: that is no verdict.
pub async fn run(settings: &Settings) -> Result<(Value, bool), String> {
    process::binary()?;
    let (began, load_before) = (Instant::now(), machine::load());
    let all = if settings.only.is_empty() { Scenario::of(settings.tier) } else { settings.only.clone() };
    let folder = std::env::temp_dir().join(format!("tuma-chaos-{}-{}", settings.seed, std::process::id()));
    let turns = Arc::new(Semaphore::new(settings.tier.pick(SIDE_BY_SIDE.0, SIDE_BY_SIDE.1)));
    let mut running = JoinSet::new();
    for scenario in all {
        let (turns, folder, settings) = (turns.clone(), folder.join(scenario.name()), settings.clone());
        running.spawn(async move {
            let turn = turns.acquire_owned().await.map_err(|error| error.to_string());
            let verdict = match turn {
                Ok(_turn) => Box::pin(play(scenario, &settings, folder)).await,
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
        // What this machine cannot play is no pass, but stops only who asks for everything.
        passed &= verdict["passed"] == true || settings.tier == Tier::Short && verdict["skipped"].is_string();
        verdicts[scenario.name()] = verdict;
    }
    // Nothing is there when all was skipped.
    if passed && folder.exists() {
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
async fn play(scenario: Scenario, settings: &Settings, folder: PathBuf) -> Result<Value, String> {
    let (began, seed, tier) = (Instant::now(), settings.seed, settings.tier);
    if let Some(why) = scenario.hindrance() {
        return Ok(json!({ "passed": false, "skipped": why }));
    }
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let plan = scenario.plan();
    let mut stage = Stage::set(folder, plan.furniture).await?;
    let seen = Arc::new(Mutex::new(HashMap::new()));
    let lag = Lag::watch();
    let witness = tokio::spawn(witness(stage.database_url(), tier.pick(WITNESS.0, WITNESS.1), seen.clone()));
    if !Rows::connect(&stage.database_url()).await?.is_durable().await? {
        return Err("the database does not keep what it commits".to_owned());
    }
    stage.script(&before(scenario, plan.memory, seed)).await?;
    let (struck, faults_ended) = strike(scenario, settings, &plan, &mut stage).await?;
    let drained_at = drain(&stage.database_url(), tier.pick(DRAIN_MAX.0, DRAIN_MAX.1)).await?;
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
    let (found, struck) = (judge(&facts, CHANNEL_RATE), struck.ask(&facts));
    let recovery = Recovery {
        accepting_seconds: accepting_again(&facts.ledger, faults_ended),
        drained_seconds: drained_at.map(|at| seconds(at - faults_ended)),
    };
    let mut verdict = told(&found, plan.expected, &struck, recovery);
    verdict["judgeLag"] = lag.told();
    verdict["wallSeconds"] = json!(began.elapsed().as_secs());
    let folder = stage.file("");
    stage.strike_down().await?;
    if failures(&found, plan.expected, &struck, recovery).is_empty() {
        std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    }
    Ok(verdict)
}

/// Loads the stage while the nemesis is at work; answers what it did, and when it was over.
async fn strike(
    scenario: Scenario,
    settings: &Settings,
    plan: &Plan,
    stage: &mut Stage,
) -> Result<(Struck, i64), String> {
    let (ledger, written) = Ledger::begin(&stage.file("ledger.jsonl"))?;
    let client = Client::new(stage.entrances(), stage.doors.clone(), ledger)?;
    let load = Stop::default();
    let orders = Orders::of(settings.seed, plan.furniture.channels, plan.mix);
    let rate = settings.rate.filter(|_| plan.mix.may_be_slower()).unwrap_or(plan.rate);
    let loading = tokio::spawn({
        let stop = load.clone();
        async move { client.offer(orders, rate, stop).await }
    });
    let mut nemesis = Strike {
        stage,
        dice: Dice::of(settings.seed, &format!("nemesis {}", scenario.name())),
        tier: settings.tier,
        faults: settings.faults,
        rate,
        load: load.clone(),
    };
    let struck = scenario.strike(&mut nemesis).await;
    let faults_ended = clock::now();
    rest(AFTERWARDS).await;
    load.raise();
    loading.await.map_err(|error| error.to_string())??;
    // The last handle on the ledger went with the client.
    written.join().map_err(|_| "the ledger broke down")??;
    Ok((struck?, faults_ended))
}

/// How the upstream behaves from before the first message.
fn before(scenario: Scenario, memory: Memory, seed: u64) -> Value {
    let mut script = memory.script(seed);
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
async fn drain(url: &str, longest: Duration) -> Result<Option<i64>, String> {
    let rows = Rows::connect(url).await?;
    let deadline = Instant::now() + longest;
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
    let accepted = ledger.iter().filter_map(Line::accepted_at);
    accepted.filter(|at| *at >= faults_ended).min().map(|at| seconds(at - faults_ended))
}

fn seconds(micros: i64) -> f64 {
    (micros as f64 / 1e6).max(0.0)
}
