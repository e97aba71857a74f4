//! Whether windows leave an open minute in a week.
//!
//! The week is an abstract one, 10,080 minutes in which no clock changes: a setting is not refused for one odd night.

use jiff::civil::{Time, Weekday};

use super::Window;

const DAY_MINUTES: usize = 24 * 60;
const WEEK_MINUTES: usize = 7 * DAY_MINUTES;

/// Whether no minute of the week is open.
pub(super) fn is_closed(windows: &[Window]) -> bool {
    let mut closed = vec![false; WEEK_MINUTES];
    for window in windows {
        let end = minute(window.end) + if window.spans_midnight() { DAY_MINUTES } else { 0 };
        for start in window.days.iter().map(|day| first_minute(*day)) {
            for minute in minute(window.start)..end {
                closed[(start + minute) % WEEK_MINUTES] = true;
            }
        }
    }
    closed.iter().all(|closed| *closed)
}

fn first_minute(day: Weekday) -> usize {
    usize::from(day.to_monday_zero_offset().unsigned_abs()) * DAY_MINUTES
}

fn minute(time: Time) -> usize {
    usize::from(time.hour().unsigned_abs()) * 60 + usize::from(time.minute().unsigned_abs())
}
