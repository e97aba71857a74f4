//! Quiet hours that are over within a minute, in a zone that had another offset half a year ago.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{BEFORE, Strike};
use crate::chaos::clock;
use crate::chaos::facts::{Call, journal};
use crate::chaos::scenario::rest;
use crate::chaos::stage::digits;
use crate::chaos::verdict::Struck;

/// Zones whose clocks change at different times of the year: one of them has another offset than half a year ago.
const ZONES: [&str; 3] = ["Europe/London", "America/New_York", "Australia/Sydney"];
const HALF_A_YEAR: SignedDuration = SignedDuration::from_hours(182 * 24);
/// Channels that are closed; the others are not.
const CLOSED: [usize; 2] = [0, 1];
/// They were closed so long before: less than clocks are set by.
const SINCE: SignedDuration = SignedDuration::from_mins(30);
/// Owners hear of a setting within 4 s, and what is under way goes on for a moment.
const HEARD: i64 = 6_000_000;
/// They stay closed for so long after that at least; windows end with a minute.
const SHORTEST: i64 = 8_000_000;
const MINUTE: i64 = 60_000_000;
/// Instants are compared with this tolerance, microseconds.
const TOLERANCE: i64 = 50_000;
/// For what was held to go.
const AFTERWARDS: Duration = Duration::from_secs(8);

/// Some channels are closed until a minute is over, while messages come for all.
pub(crate) async fn close(strike: &mut Strike<'_>) -> Result<Struck, String> {
    rest(BEFORE).await;
    let from = clock::now() + HEARD;
    let until = (from + SHORTEST).div_euclid(MINUTE) * MINUTE + MINUTE;
    let zone = ZONES.into_iter().find(|name| has_changed(name, until)).ok_or("no zone has changed its offset")?;
    let window = window(zone, until)?;
    for channel in CLOSED {
        strike.stage.close_daily(channel, zone, window.clone()).await?;
    }
    let left = u64::try_from(until - clock::now()).unwrap_or_default();
    rest(Duration::from_micros(left)).await;
    rest(AFTERWARDS).await;
    let calls = journal::read(&strike.stage.file("journal.jsonl"))?;
    let (mut wrong, mut let_go) = (Vec::new(), 0);
    for number in CLOSED.map(digits) {
        let own: Vec<&Call> = calls.iter().filter(|call| call.from == number).collect();
        let within = within(&own, from, until);
        if within > 0 {
            wrong.push(format!("quiet: {number} made {within} calls in quiet hours"));
        }
        let_go += own.iter().filter(|call| call.at >= until).count();
    }
    let seconds = (until - from) / 1_000_000;
    Ok(Struck::with(let_go as u64, json!({ "zone": zone, "closedSeconds": seconds, "sentAfterwards": let_go }), wrong))
}

/// Calls in a closed time.
fn within(calls: &[&Call], from: i64, until: i64) -> usize {
    calls.iter().filter(|call| call.at >= from && call.at < until - TOLERANCE).count()
}

/// Whether the offset of a zone is another one than half a year before.
fn has_changed(zone: &str, at: i64) -> bool {
    let changed = || {
        let (zone, at) = (TimeZone::get(zone).ok()?, Timestamp::from_microsecond(at).ok()?);
        Some(zone.to_offset(at) != zone.to_offset(at.checked_sub(HALF_A_YEAR).ok()?))
    };
    changed().unwrap_or_default()
}

/// Beginning and end on the wall clock of a zone.
fn window(zone: &str, until: i64) -> Result<(String, String), String> {
    let zone = TimeZone::get(zone).map_err(|error| error.to_string())?;
    let until = Timestamp::from_microsecond(until).map_err(|error| error.to_string())?;
    let since = until.checked_sub(SINCE).map_err(|error| error.to_string())?;
    let told = |at| zone.to_datetime(at).strftime("%H:%M").to_string();
    Ok((told(since), told(until)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-15T08:00:00Z.
    const NOW: i64 = 1_800_000_000_000_000;

    #[test]
    fn a_window_is_told_on_the_wall_clock_and_its_zone_changes_offsets() {
        assert_eq!(window("America/New_York", NOW).expect("a window"), ("02:30".to_owned(), "03:00".to_owned()));
        assert!(ZONES.iter().all(|zone| has_changed(zone, NOW)));
        assert!(!has_changed("Africa/Nairobi", NOW));
    }

    #[test]
    fn only_calls_in_the_closed_time_count() {
        let call = |at| Call { at, ..Call::default() };
        let calls = [NOW - 1, NOW, NOW + 999_999 - TOLERANCE, NOW + 1_000_000 - TOLERANCE, NOW + 1_000_000].map(call);
        assert_eq!(within(&calls.iter().collect::<Vec<_>>(), NOW, NOW + 1_000_000), 2);
    }
}
