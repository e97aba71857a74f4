//! Whether the judge finds the bugs of `domain::planted`: each is started in a run of its own and must be caught by a count that
//! fits it, within five minutes.
//!
//! A run that fails for another reason, as one that does not start, has caught nothing. A bug that several scenarios would show
//! has the one here that shows it soonest.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::planted::Bug;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::scenario::Scenario;
use crate::machine;

/// A bug that is not caught by then is missed.
const CAUGHT_WITHIN: Duration = Duration::from_secs(300);
/// Bugs at a time: a run is mostly waiting.
const SIDE_BY_SIDE: usize = 2;

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides every choice.
    pub seed: u64,
    /// The bugs; none means all.
    pub only: Vec<Bug>,
    /// The build with the feature `planted`; none means the one where cargo puts it.
    pub binary: Option<PathBuf>,
    /// Messages a second in place of the ordinary number.
    pub rate: Option<f64>,
}

/// What a bug is caught by: a scenario, and the counts that say so.
struct Trap {
    scenario: Scenario,
    counts: &'static [&'static str],
}

const fn trap(scenario: Scenario, counts: &'static [&'static str]) -> Trap {
    Trap { scenario, counts }
}

const fn trap_of(bug: Bug) -> Trap {
    match bug {
        Bug::AnswerBeforeCommit => trap(Scenario::PgKill, &["lost"]),
        // A message is lost, or its claim: then it passes for one that was never sent.
        Bug::AsynchronousCommit => trap(Scenario::PgKill, &["lost", "cancelled", "misjudged"]),
        Bug::LookThenInsert => trap(Scenario::Upstream5xx, &["unexpected"]),
        Bug::KeyOfAnyWorkspace => trap(Scenario::Upstream5xx, &["refused"]),
        Bug::ResultWithoutFence => trap(Scenario::Zombie, &["unfenced"]),
        // A result whose claim lapsed before it came is recorded by nobody, also where the next try waits for the call's end.
        Bug::ClaimShorterThanCall => trap(Scenario::UpstreamCut, &["overlapping", "unrecorded"]),
        Bug::NewIdEachTry => trap(Scenario::UpstreamCut, &["unexpected"]),
        Bug::AnySuccessIsSent => trap(Scenario::Credentials, &["lost"]),
        Bug::LostAnswerIsNotStored => trap(Scenario::LostCommit, &["denied"]),
        // One machine is ahead, the other behind.
        Bug::OwnClock => trap(Scenario::Clock, &["early", "stuck"]),
        Bug::ExpiryOnlyAtClaim => trap(Scenario::Crowd, &["late"]),
        Bug::FixedOffset => trap(Scenario::Quiet, &["quiet"]),
        Bug::LimitPerReplica => trap(Scenario::Tenants, &["overshoot"]),
        Bug::NoPoisonCap => trap(Scenario::Poison, &["poison"]),
        Bug::TurnsIgnoreTenants => trap(Scenario::Tenants, &["starved"]),
        Bug::UnrecordedClaim => trap(Scenario::Crash, &["misjudged"]),
        Bug::CancelWithoutCondition => trap(Scenario::Upstream5xx, &["cancelled"]),
        Bug::LibraryRetry => trap(Scenario::UpstreamCut, &["unrecorded"]),
    }
}

/// Runs them; answers what became of each, and whether all were caught.
///
/// # Errors
/// When there is no build with planted bugs.
pub async fn run(settings: &Settings) -> Result<(Value, bool), String> {
    let binary = settings.binary.clone().map_or_else(beside, Ok)?;
    if !binary.exists() {
        return Err(format!("{} is not built; build it as bench's README says", binary.display()));
    }
    let (began, load_before) = (Instant::now(), machine::load());
    let all = if settings.only.is_empty() { Bug::ALL.to_vec() } else { settings.only.clone() };
    let turns = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut running = JoinSet::new();
    for bug in all {
        let (turns, judging) = (turns.clone(), judging(bug, &binary, settings)?);
        running.spawn(async move {
            let turn = turns.acquire_owned().await;
            let result = match turn {
                Ok(_turn) => catch(bug, judging).await,
                Err(error) => json!({ "caught": false, "why": [error.to_string()] }),
            };
            (bug, result)
        });
    }
    let (mut bugs, mut missed) = (json!({}), Vec::new());
    while let Some(done) = running.join_next().await {
        let (bug, result) = done.map_err(|error| error.to_string())?;
        if result["caught"] != true {
            missed.push(bug.row().1);
        }
        bugs[bug.row().1] = result;
    }
    let mut described = machine::describe();
    described["load"] = json!({ "before": load_before, "after": machine::load() });
    let all_caught = missed.is_empty();
    let result = json!({
        "seed": settings.seed, "caughtAll": all_caught, "missed": missed, "wallSeconds": began.elapsed().as_secs(),
        "machine": described, "bugs": bugs
    });
    Ok((result, all_caught))
}

/// One bug from its start to its verdict.
async fn catch(bug: Bug, mut judging: Command) -> Value {
    let (trap, began) = (trap_of(bug), Instant::now());
    // A run ends by itself: each wait in it has a bound.
    let output = tokio::task::spawn_blocking(move || judging.output().map_err(|error| error.to_string())).await;
    let seconds = began.elapsed();
    let output = output.map_err(|error| error.to_string()).and_then(|output| output);
    let why = output.and_then(|output| why_not_passed(&output.stdout, trap.scenario));
    let why = why.unwrap_or_else(|why| vec![format!("no verdict: {why}")]);
    let by = why.iter().find(|why| is_one_of(why, trap.counts));
    json!({
        "number": bug.row().0, "scenario": trap.scenario.name(), "caught": by.is_some() && seconds <= CAUGHT_WITHIN, "by": by,
        "seconds": seconds.as_secs(), "why": why
    })
}

/// A judge of its own for a run with a bug, which is one of all that it starts.
fn judging(bug: Bug, binary: &Path, settings: &Settings) -> Result<Command, String> {
    let (scenario, seed) = (trap_of(bug).scenario.name(), settings.seed.to_string());
    let mut judge = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    judge.args(["run", "--json", "--seed", &seed, "--only", &scenario, "--bug", bug.row().1]);
    judge.args(settings.rate.map(|rate| format!("--rate={rate}")));
    judge.arg("--binary").arg(binary).stdin(Stdio::null()).stderr(Stdio::null());
    Ok(judge)
}

/// Why a run did not pass, as it says; nothing when it did.
fn why_not_passed(output: &[u8], scenario: Scenario) -> Result<Vec<String>, String> {
    let result: Value = serde_json::from_slice(output).map_err(|error| error.to_string())?;
    let verdict = &result["verdicts"][scenario.name()];
    if let Some(why) = verdict["skipped"].as_str() {
        return Err(why.to_owned());
    }
    let why = verdict["why"].as_array().ok_or("a run without a verdict")?;
    Ok(why.iter().filter_map(|why| why.as_str().map(str::to_owned)).collect())
}

/// Whether a reason is one of these counts: `lost: 3`.
fn is_one_of(why: &str, counts: &[&str]) -> bool {
    why.split_once(": ").is_some_and(|(name, _)| counts.contains(&name))
}

/// Where `cargo build --features planted --target-dir target/planted` puts it, seen from `target/release/chaos`.
fn beside() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let profile = own.parent().ok_or("a program without a folder")?;
    let (target, name) = profile.parent().zip(profile.file_name()).ok_or("a program without a folder")?;
    Ok(target.join("planted").join(name).join("tuma"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_that_fits_the_bug_catches_it() {
        assert!(is_one_of("lost: 3", &["lost"]));
        let output = br#"{"verdicts":{"kill9":{"passed":false,"why":["lost: 3"]}}}"#;
        assert_eq!(why_not_passed(output, Scenario::Kill9), Ok(vec!["lost: 3".to_owned()]));
        assert!(why_not_passed(output, Scenario::PgKill).is_err() && why_not_passed(b"", Scenario::Kill9).is_err());
        let skipped = br#"{"verdicts":{"clock":{"passed":false,"skipped":"lost: 1"}}}"#;
        assert_eq!(why_not_passed(skipped, Scenario::Clock), Err("lost: 1".to_owned()));
        for other in ["stuck: 1", "no verdict: it did not start", "lost", "nothing was acknowledged"] {
            assert!(!is_one_of(other, &["lost"]), "{other}");
        }
    }
}
