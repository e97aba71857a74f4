//! Where processor time went: by group of processes, from `/proc` (Linux), in hundredths of a second.

use std::time::Instant;

use serde_json::{Value, json};

use crate::bed::Bed;
use crate::figures::round;

/// Units of `/proc/PID/stat` a second; Linux shows this number to every program.
const TICKS: f64 = 100.0;
/// Position of user time among the fields after the name, in `/proc/PID/stat`; system time and those of ended children
/// follow.
const USER_TIME: usize = 11;
/// Position of the parent among the same fields.
const PARENT: usize = 1;
/// Position of idle time and of waiting for the disk in the first line of `/proc/stat`.
const IDLE: [usize; 2] = [3, 4];

/// Readings at the beginning of something.
pub(crate) struct Meter {
    started: Instant,
    gateways: Vec<u32>,
    server: u32,
    before: Reading,
}

struct Reading {
    gateways: f64,
    database: f64,
    bench: f64,
    machine: f64,
}

impl Meter {
    /// Begins to measure these gateways, the bed's database, this process and the machine.
    pub(crate) fn start(bed: &Bed, gateways: &[u32]) -> Result<Self, String> {
        let file = bed.folder().join("data").join("postmaster.pid");
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let server = text.lines().next().and_then(|line| line.trim().parse().ok()).ok_or("no process of PostgreSQL")?;
        let gateways = gateways.to_vec();
        let before = Reading::take(&gateways, server)?;
        Ok(Self { started: Instant::now(), gateways, server, before })
    }

    /// Seconds of processor time since then; `others` is what the rest of the machine did.
    pub(crate) fn stop(&self) -> Result<Value, String> {
        let elapsed = self.started.elapsed().as_secs_f64();
        let (before, after) = (&self.before, Reading::take(&self.gateways, self.server)?);
        let (gateways, database) = (after.gateways - before.gateways, after.database - before.database);
        let bench = after.bench - before.bench;
        let others = after.machine - before.machine - gateways - database - bench;
        Ok(json!({
            "elapsed": round(elapsed), "gateway": round(gateways), "database": round(database),
            "loadAndSink": round(bench), "others": round(others.max(0.0))
        }))
    }
}

impl Reading {
    fn take(gateways: &[u32], server: u32) -> Result<Self, String> {
        let own = |fields: &[f64]| fields.iter().take(2).sum::<f64>() / TICKS;
        let of = |process: u32| times(process).map_or(0.0, |(_, fields)| own(&fields));
        let mut database = 0.0;
        for entry in std::fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten() {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            database += match times(process) {
                // Those that have ended are in the server's own account.
                Some((_, fields)) if process == server => fields.iter().sum::<f64>() / TICKS,
                Some((parent, fields)) if parent == server => own(&fields),
                Some(_) | None => 0.0,
            };
        }
        let gateways = gateways.iter().map(|process| of(*process)).sum();
        Ok(Self { gateways, database, bench: of(std::process::id()), machine: busy()? })
    }
}

/// Parent of a process, and its times: user, system, and both of its ended children. `None` when it has ended.
fn times(process: u32) -> Option<(u32, Vec<f64>)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // A name may hold anything, also brackets.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let times = fields.get(USER_TIME..USER_TIME + 4)?.iter().filter_map(|field| field.parse().ok()).collect();
    Some((fields.get(PARENT)?.parse().ok()?, times))
}

/// Seconds that the machine's processors have worked.
fn busy() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/stat").map_err(|error| error.to_string())?;
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let busy = fields.enumerate().filter(|(position, _)| !IDLE.contains(position));
    Ok(busy.filter_map(|(_, field)| field.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

/// A line of `/proc/PID/status` in megabytes: `VmRSS` now, `VmHWM` at the most.
pub(crate) fn memory_megabytes(process: u32, line: &str) -> Result<f64, String> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).map_err(|error| error.to_string())?;
    let found = text.lines().find_map(|candidate| candidate.strip_prefix(line)?.strip_prefix(':'));
    let kilobytes: f64 =
        found.and_then(|value| value.split_whitespace().next()?.parse().ok()).ok_or("no such line in status")?;
    Ok(round(kilobytes / 1024.0))
}
