//! Whether an instant is closed, by which rule, and until when.
//!
//! Closed times of the dates around an instant are made as they are asked for and nothing is kept: a setting is a few
//! windows, and an answer takes microseconds.

use std::cmp::Reverse;
use std::fmt;

use jiff::civil::Date;
use jiff::{SignedDuration, Span, Timestamp};

use super::{QuietHours, Zone};

/// How far ahead the end of a closed time is looked for; longer than validity and schedule together.
pub const LOOK_AHEAD_MAX: SignedDuration = SignedDuration::from_hours(400 * 24);

/// Dates whose closed times may hold an instant, counted from the one that the calendar shows at it. A window of
/// yesterday may end today, and a clock that is set back past midnight shows a date before and after the next one.
const DATES_AROUND: std::ops::RangeInclusive<i64> = -2..=1;

/// Why an instant is closed, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closed {
    /// When the closed time of this rule began.
    pub since: Timestamp,
    /// The first later instant at which all zones are open, or the horizon if there is none before it.
    pub until: Timestamp,
    /// The rule that holds the instant; of several the one that ends last, and the first of those.
    pub rule: Rule,
    /// The name of the zone in which it does.
    pub zone: String,
}

/// A part of quiet hours, by its place in the setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// A window.
    Window(usize),
    /// A holiday.
    Holiday(usize),
}

/// `windows[0], zone Africa/Nairobi`.
impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Rule::Window(index) => write!(f, "windows[{index}], zone {}", self.zone),
            Rule::Holiday(index) => write!(f, "holidays[{index}], zone {}", self.zone),
        }
    }
}

/// A closed time in one zone; `until` is open.
#[derive(Clone, Copy)]
struct Interval {
    since: Timestamp,
    until: Timestamp,
    rule: Rule,
}

impl QuietHours {
    /// Why an instant is closed; none when all of the zones are open, or the setting is off. No end is looked for past the
    /// horizon, nor past [`LOOK_AHEAD_MAX`].
    #[must_use]
    pub fn closed_at(&self, zones: &[Zone], at: Timestamp, horizon: Timestamp) -> Option<Closed> {
        if !self.enabled {
            return None;
        }
        let horizon = horizon.min(at.saturating_add(LOOK_AHEAD_MAX).unwrap_or(Timestamp::MAX)).max(at);
        let holding = zones.iter().filter_map(|zone| Some((zone, self.interval_at(zone, at)?)));
        let (zone, first) = holding.min_by_key(|(_, interval)| Reverse(interval.until))?;
        let mut until = first.until;
        // Each round goes on to the end of a closed time, so the horizon is reached.
        while until < horizon {
            let next =
                zones.iter().filter_map(|zone| self.interval_at(zone, until)).map(|interval| interval.until).max();
            let Some(next) = next else { break };
            until = next;
        }
        Some(Closed { since: first.since, until: until.min(horizon), rule: first.rule, zone: zone.name().to_owned() })
    }

    /// The closed time that holds an instant in one zone; of several the one that ends last.
    fn interval_at(&self, zone: &Zone, at: Timestamp) -> Option<Interval> {
        let today = zone.date_at(at);
        let dates = DATES_AROUND.filter_map(|days| today.checked_add(Span::new().days(days)).ok());
        dates
            .flat_map(|date| self.intervals_from(zone, date, at))
            .min_by_key(|interval| (Reverse(interval.until), place(interval.rule)))
    }

    /// The closed times that begin on a date and hold an instant.
    fn intervals_from(&self, zone: &Zone, date: Date, at: Timestamp) -> impl Iterator<Item = Interval> {
        let windows = self.windows.iter().enumerate().filter(move |(_, window)| window.days.contains(&date.weekday()));
        let windows = windows.filter_map(move |(index, window)| {
            let since = zone.begin(date.to_datetime(window.start)).filter(|since| *since <= at)?;
            let last_date = if window.spans_midnight() { date.tomorrow().ok()? } else { date };
            let until = zone.end(last_date.to_datetime(window.end))?;
            Some(Interval { since, until, rule: Rule::Window(index) })
        });
        let holidays = self.holidays.iter().enumerate().filter(move |(_, holiday)| **holiday == date);
        let holidays = holidays.filter_map(move |(index, _)| {
            let since = zone.begin(date.into()).filter(|since| *since <= at)?;
            let until = zone.end(date.tomorrow().ok()?.into())?;
            Some(Interval { since, until, rule: Rule::Holiday(index) })
        });
        windows.chain(holidays).filter(move |interval| at < interval.until)
    }
}

/// Windows before holidays, each in the order of the setting.
fn place(rule: Rule) -> (u8, usize) {
    match rule {
        Rule::Window(index) => (0, index),
        Rule::Holiday(index) => (1, index),
    }
}
