//! Workspaces that share the limit of one provider account: quiet ones beside a large backlog, and all with one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bench::child::Role;
use domain::message::Lane;
use serde_json::{Value, json};
use testkit::Tenant;

use super::flow::ways;
use super::{Size, owning};
use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::figures::{milliseconds, round};
use crate::limits::Limits;
use crate::load::{Load, Until, run};
use crate::program::single_of;
use crate::sink::Sink;

const WORKSPACES: usize = 20;
/// Of the account, and so of all channels together.
const ACCOUNT_RATE: u32 = 200;
/// Of all quiet workspaces together: a quarter of the limit, each far below its share.
const QUIET_GAP: Duration = Duration::from_millis(20);
const CONNECTIONS: usize = 8;
/// Numbers of the quiet ones begin here, above every backlog.
const QUIET_FROM: usize = 900_000_000;
/// The account has found its pace.
const FIRST: usize = 200;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let sink = Sink::start().await?;
    let limit_bed = Bed::make().await?;
    let limits = Limits::measure(&limit_bed, &sink).await?;
    limit_bed.remove().await?;
    let time = size.pick(Duration::from_secs(30), Duration::from_secs(8));
    Ok(json!({
        "workspaces": WORKSPACES, "accountMessagesPerSecond": ACCOUNT_RATE, "seconds": time.as_secs(),
        "quietBesideABacklog": quiet(&sink, size, time).await?,
        "allBackloggedShares": shares(&sink, time).await?,
        "limits": limits.figures()
    }))
}

/// Workspaces with a channel each, of one account with a limit.
async fn tenants(bed: &Bed) -> Result<Vec<Tenant>, String> {
    let mut tenants = Vec::with_capacity(WORKSPACES);
    for _ in 0..WORKSPACES {
        tenants.push(bed.further_tenant(ACCOUNT_RATE).await?);
    }
    Ok(tenants)
}

/// One workspace with a backlog, the others hand in now and then.
async fn quiet(sink: &Sink, size: Size, time: Duration) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let tenants = tenants(&bed).await?;
    let (noisy, quiet) = tenants.split_first().ok_or("no workspaces")?;
    let count = size.messages(100_000, 20_000);
    let channels = [noisy.channel.id];
    let backlog = Backlog { channels: &channels, lane: Lane::Normal, from: 0, count, due_in_seconds: 0.0 };
    backlog.insert_for(&bed, noisy.workspace).await?;
    let gateway = owning(Role::Whole, &bed, sink, WORKSPACES).await?;
    sink.wait_for(FIRST).await?;
    let load = Load {
        address: gateway.address()?,
        requests: quiet.iter().map(single_of).collect(),
        connections: CONNECTIONS,
        from: QUIET_FROM,
        until: Until::Requests((time.as_nanos() / QUIET_GAP.as_nanos()) as usize),
        gap: Some(QUIET_GAP),
    };
    let handed = run(load).await?;
    let ended = handed.started + handed.took;
    let of_quiet = format!("SELECT count(*) FROM outbox WHERE workspace_id <> '{}'", noisy.workspace);
    super::until(&bed, &of_quiet, 0).await?;
    drop(gateway);
    bed.remove().await?;
    let arrivals = sink.take();
    let during = arrivals.iter().filter(|arrival| arrival.at >= handed.started && arrival.at < ended).count();
    let ways = ways(&handed, &arrivals);
    Ok(json!({
        "backlog": count, "quietHandedIn": handed.messages(), "quietArrived": ways.len(),
        "quietHandInToArrivalMs": milliseconds(ways),
        "shareOfTheLimitUsed": round(during as f64 / (handed.took.as_secs_f64() * f64::from(ACCOUNT_RATE)))
    }))
}

/// All with a backlog that outlasts the time: how evenly the limit is shared.
async fn shares(sink: &Sink, time: Duration) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let tenants = tenants(&bed).await?;
    let count = 2 * time.as_secs() as usize * ACCOUNT_RATE as usize;
    for (place, tenant) in tenants.iter().enumerate() {
        let (channels, from) = ([tenant.channel.id], place * count);
        let backlog = Backlog { channels: &channels, lane: Lane::Normal, from, count, due_in_seconds: 0.0 };
        backlog.insert_for(&bed, tenant.workspace).await?;
    }
    drop(sink.take());
    let gateway = owning(Role::Worker, &bed, sink, WORKSPACES).await?;
    sink.wait_for(FIRST).await?;
    let started = Instant::now();
    tokio::time::sleep(time).await;
    drop(gateway);
    bed.remove().await?;
    let mut by_workspace: HashMap<usize, f64> = HashMap::new();
    for arrival in sink.take().iter().filter(|arrival| arrival.at >= started) {
        *by_workspace.entry(arrival.number as usize / count).or_default() += 1.0;
    }
    let shares: Vec<f64> = (0..WORKSPACES).map(|place| by_workspace.get(&place).copied().unwrap_or_default()).collect();
    Ok(json!({
        "jain": (jain(&shares) * 10_000.0).round() / 10_000.0,
        "least": shares.iter().copied().fold(f64::INFINITY, f64::min),
        "most": shares.iter().copied().fold(0.0, f64::max),
        "shareOfTheLimitUsed": round(shares.iter().sum::<f64>() / (time.as_secs_f64() * f64::from(ACCOUNT_RATE)))
    }))
}

/// Jain's index: 1 when all have the same, 1/n when one has everything.
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares): (f64, f64) = (shares.iter().sum(), shares.iter().map(|share| share * share).sum());
    sum * sum / (squares * shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_one_for_equal_shares_and_least_for_one_taker() {
        assert!((jain(&[3.0; 20]) - 1.0).abs() < 1e-9);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }
}
