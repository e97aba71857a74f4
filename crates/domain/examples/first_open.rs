//! Answers when messages may go, for `.ci/quiet_hours_reference.py`, which works it out by other means and compares.
//!
//! Each line of standard input is `{"quietHours":…,"zones":[…],"at":SECONDS,"horizon":SECONDS}`. Its answer is one line: the
//! second of the first open instant, `closed` if there is none before the horizon, `refused` if the setting is illegal.
//! With the argument `--zones` the names of all zones are printed instead.

use std::error::Error;
use std::io::{self, BufRead, Write};

use domain::quiet_hours::{Draft, QuietHours, Zone};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    quiet_hours: Draft,
    zones: Vec<String>,
    at: i64,
    horizon: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    if std::env::args().any(|argument| argument == "--zones") {
        for name in TimeZoneDatabase::bundled().available() {
            writeln!(out, "{}", name.as_str())?;
        }
        return Ok(());
    }
    for line in io::stdin().lock().lines() {
        let answer = answer(serde_json::from_str(&line?)?)?;
        writeln!(out, "{answer}")?;
        // Whoever asks waits for it.
        out.flush()?;
    }
    Ok(())
}

fn answer(case: Case) -> Result<String, Box<dyn Error>> {
    let Ok(hours) = QuietHours::try_from(case.quiet_hours) else {
        return Ok("refused".to_owned());
    };
    let named = |name: &String| Zone::named(name).ok_or_else(|| format!("unknown zone {name}"));
    let zones: Vec<Zone> = case.zones.iter().map(named).collect::<Result<_, _>>()?;
    let (at, horizon) = (Timestamp::from_second(case.at)?, Timestamp::from_second(case.horizon)?);
    Ok(match hours.closed_at(&zones, at, horizon) {
        None => at.as_second().to_string(),
        Some(closed) if closed.until >= horizon => "closed".to_owned(),
        Some(closed) if closed.until.subsec_nanosecond() != 0 => format!("within a second: {}", closed.until),
        Some(closed) => closed.until.as_second().to_string(),
    })
}
