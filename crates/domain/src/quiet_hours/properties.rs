//! Properties of every closed time, over zones with odd clocks and settings nobody would think of.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

/// Zones whose clocks change by an hour, by half of one, by two, at midnight, in Ramadan, from negative or far offsets, or never.
const ZONES: [&str; 16] = [
    "Africa/Nairobi",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Asia/Beirut",
    "America/Havana",
    "Africa/Casablanca",
    "Pacific/Kiritimati",
    "Pacific/Chatham",
    "America/St_Johns",
    "Asia/Gaza",
    "America/Nuuk",
    "Pacific/Pago_Pago",
    "Antarctica/Casey",
    "Europe/Dublin",
];

/// 2020 to 2040, in seconds.
const YEARS: std::ops::Range<i64> = 1_577_836_800..2_208_988_800;

const SEARCHED: SignedDuration = SignedDuration::from_hours(24 * 40);

fn window() -> impl Strategy<Value = DraftWindow> {
    let days = prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..=7);
    let minute = || 0..1440_u32;
    let time = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
    (days, minute(), minute()).prop_map(move |(days, start, end)| DraftWindow {
        days: days.into_iter().map(str::to_owned).collect(),
        start: time(start),
        end: time(end),
    })
}

/// A setting, zones, and an instant near the setting's holidays.
fn case() -> impl Strategy<Value = (QuietHours, Vec<Zone>, Timestamp)> {
    let zones = prop::sample::subsequence(ZONES.to_vec(), 1..=3);
    let windows = prop::collection::vec(window(), 0..4);
    let holidays = prop::collection::btree_set(-3..4_i64, 0..3);
    let drawn = (zones, windows, holidays, YEARS, 0..1_000_000_000_i32);
    drawn.prop_filter_map("a legal setting", |(zones, windows, holidays, second, nanosecond)| {
        let now = Timestamp::new(second, nanosecond).ok()?;
        let zones: Vec<Zone> = zones.iter().filter_map(|name| Zone::named(name)).collect();
        let today = zones.first()?.date_at(now);
        let date = |days: i64| today.checked_add(jiff::Span::new().days(days)).expect("in range").to_string();
        let draft = Draft {
            enabled: true,
            time_zone: "UTC".to_owned(),
            recipient_time_zone: false,
            windows,
            holidays: holidays.into_iter().map(date).collect(),
            applies_to: vec!["marketing".to_owned()],
            spread_seconds: 0,
        };
        Some((QuietHours::try_from(draft).ok()?, zones, now))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_closed_time_is_closed_to_its_end_and_open_there((hours, zones, now) in case(), share in 0.0..1.0_f64) {
        let horizon = now + SEARCHED;
        let closed_at = |at: Timestamp| hours.closed_at(&zones, at, horizon);
        let Some(closed) = closed_at(now) else { return Ok(()) };
        prop_assert!(closed.since <= now && now < closed.until && closed.until <= horizon);
        if closed.until < horizon {
            prop_assert_eq!(closed_at(closed.until), None);
        }
        let moment = SignedDuration::from_nanos(1);
        let between = now + closed.until.duration_since(now).mul_f64(share);
        for at in [closed.since, between.min(closed.until - moment), closed.until - moment] {
            prop_assert_eq!(closed_at(at).map(|found| found.until), Some(closed.until), "{}", at);
        }
    }

    #[test]
    fn who_asks_later_is_not_let_through_earlier((hours, zones, now) in case(), later in 0..200_000_i64) {
        let horizon = now + SEARCHED;
        let later = now + SignedDuration::from_secs(later);
        let first_open = |at: Timestamp| hours.closed_at(&zones, at, horizon).map_or(at, |closed| closed.until);
        prop_assert!(first_open(now) <= first_open(later));
    }

    #[test]
    fn more_zones_are_never_open_earlier((hours, zones, now) in case()) {
        let horizon = now + SEARCHED;
        let first_open = |zones: &[Zone]| hours.closed_at(zones, now, horizon).map_or(now, |closed| closed.until);
        for zone in &zones {
            prop_assert!(first_open(std::slice::from_ref(zone)) <= first_open(&zones));
        }
    }

    #[test]
    fn a_setting_is_read_as_it_was_written((hours, _, _) in case()) {
        let text = serde_json::to_string(&hours).expect("serializable");
        prop_assert_eq!(serde_json::from_str::<QuietHours>(&text).expect("readable"), hours);
    }
}
