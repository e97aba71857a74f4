//! Named cases of closed and open instants: nights, change nights, holidays, several zones.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::schedule::{DueReason, Fit, Quiet, fit};

const ALL_DAYS: &str = "mon tue wed thu fri sat sun";
/// Every night.
const NIGHTS: &[(&str, &str, &str)] = &[(ALL_DAYS, "21:00", "08:00")];

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn zones(names: &[&str]) -> Vec<Zone> {
    names.iter().map(|name| Zone::named(name).expect("a zone")).collect()
}

fn hours(windows: &[(&str, &str, &str)], holidays: &[&str]) -> QuietHours {
    let window = |(days, start, end): &(&str, &str, &str)| DraftWindow {
        days: days.split(' ').map(str::to_owned).collect(),
        start: (*start).to_owned(),
        end: (*end).to_owned(),
    };
    let draft = Draft {
        enabled: true,
        time_zone: "Africa/Nairobi".to_owned(),
        recipient_time_zone: false,
        windows: windows.iter().map(window).collect(),
        holidays: holidays.iter().map(|date| (*date).to_owned()).collect(),
        applies_to: vec!["marketing".to_owned()],
        spread_seconds: 0,
    };
    draft.try_into().expect("legal")
}

/// A closed time in these zones: open before it, closed from its first instant to its last in every minute, and open after it.
fn check(names: &[&str], hours: &QuietHours, since: &str, until: &str) {
    let (zones, since, until) = (zones(names), at(since), at(until));
    let found = |at: Timestamp| hours.closed_at(&zones, at, at + LOOK_AHEAD_MAX).map(|closed| closed.until);
    let moment = SignedDuration::from_nanos(1);
    assert_eq!(found(since - moment), None, "before");
    let mut within = since;
    while within < until {
        for at in [within, within + SignedDuration::from_mins(1) - moment] {
            assert_eq!(found(at), Some(until), "{at}");
        }
        within += SignedDuration::from_mins(1);
    }
    assert_eq!(found(until), None, "after");
}

fn check_open(names: &[&str], hours: &QuietHours, from: &str, to: &str) {
    let (zones, mut now, to) = (zones(names), at(from), at(to));
    while now <= to {
        assert_eq!(hours.closed_at(&zones, now, to), None, "{now}");
        now += SignedDuration::from_mins(5);
    }
}

#[test]
fn a_night_is_closed_from_its_first_instant_to_its_last() {
    check(&["Africa/Nairobi"], &hours(NIGHTS, &[]), "2026-11-20T18:00:00Z", "2026-11-21T05:00:00Z");
    check_open(&["Africa/Nairobi"], &hours(NIGHTS, &[]), "2026-11-20T05:00:00Z", "2026-11-20T17:59:59Z");
    check(&["Pacific/Kiritimati"], &hours(NIGHTS, &[]), "2026-12-31T07:00:00Z", "2026-12-31T18:00:00Z");
    check(&["Asia/Kathmandu"], &hours(NIGHTS, &[]), "2026-12-31T15:15:00Z", "2027-01-01T02:15:00Z");
}

#[test]
fn the_days_of_a_window_are_those_it_begins_on() {
    let fridays = hours(&[("fri", "21:00", "08:00")], &[]);
    // 2026-11-20 is a Friday.
    check(&["Africa/Nairobi"], &fridays, "2026-11-20T18:00:00Z", "2026-11-21T05:00:00Z");
    check_open(&["Africa/Nairobi"], &fridays, "2026-11-21T05:00:00Z", "2026-11-27T17:59:00Z");
    check_open(&["Africa/Nairobi"], &fridays, "2026-11-14T05:00:00Z", "2026-11-20T17:59:00Z");
}

#[test]
fn a_night_on_which_clocks_change_is_told_by_the_clock_on_the_wall() {
    let nights = hours(NIGHTS, &[]);
    check(&["Europe/London"], &nights, "2026-03-28T21:00:00Z", "2026-03-29T07:00:00Z");
    check(&["Europe/London"], &nights, "2026-10-24T20:00:00Z", "2026-10-25T08:00:00Z");
    check(&["America/New_York"], &nights, "2026-03-08T02:00:00Z", "2026-03-08T12:00:00Z");
    check(&["America/New_York"], &nights, "2026-11-01T01:00:00Z", "2026-11-01T13:00:00Z");
    check(&["Australia/Lord_Howe"], &nights, "2026-04-04T10:00:00Z", "2026-04-04T21:30:00Z");
    check(&["Australia/Lord_Howe"], &nights, "2026-10-03T10:30:00Z", "2026-10-03T21:00:00Z");
}

#[test]
fn a_time_that_does_not_exist_is_the_first_instant_after_the_gap() {
    // London skips 01:00 to 02:00, New York 02:00 to 03:00, Lord Howe 02:00 to 02:30.
    let window = |start, end| hours(&[("sun", start, end)], &[]);
    check(&["Europe/London"], &window("00:30", "01:30"), "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z");
    check(&["Europe/London"], &window("01:30", "03:00"), "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z");
    check(&["Europe/London"], &window("00:30", "02:30"), "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z");
    check_open(&["Europe/London"], &window("01:15", "01:45"), "2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z");
    check(&["America/New_York"], &window("02:30", "04:00"), "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z");
    check(&["America/New_York"], &window("01:00", "02:59"), "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z");
    check(&["Australia/Lord_Howe"], &window("02:15", "03:00"), "2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z");
    check_open(&["Australia/Lord_Howe"], &window("02:10", "02:20"), "2026-10-03T10:00:00Z", "2026-10-03T20:00:00Z");
}

#[test]
fn a_time_that_occurs_twice_is_closed_from_its_first_to_its_last() {
    // London repeats 01:00 to 02:00, New York 01:00 to 02:00, Lord Howe 01:30 to 02:00.
    let window = |start, end| hours(&[("sun", start, end)], &[]);
    check(&["Europe/London"], &window("00:30", "01:30"), "2026-10-24T23:30:00Z", "2026-10-25T01:30:00Z");
    check(&["Europe/London"], &window("01:15", "01:45"), "2026-10-25T00:15:00Z", "2026-10-25T01:45:00Z");
    check(&["Europe/London"], &window("01:30", "03:00"), "2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z");
    check(&["America/New_York"], &window("00:00", "01:30"), "2026-11-01T04:00:00Z", "2026-11-01T06:30:00Z");
    check(&["America/New_York"], &window("01:59", "02:00"), "2026-11-01T05:59:00Z", "2026-11-01T07:00:00Z");
    check(&["Australia/Lord_Howe"], &window("01:00", "01:45"), "2026-04-04T14:00:00Z", "2026-04-04T15:15:00Z");
}

#[test]
fn a_window_over_midnight_meets_a_change_at_midnight() {
    // Beirut skips 00:00 to 01:00 on 2026-03-29, and repeats 23:00 to 24:00 on 2026-10-24.
    let window = |start, end| hours(&[("sat", start, end)], &[]);
    check(&["Asia/Beirut"], &window("22:00", "00:30"), "2026-03-28T20:00:00Z", "2026-03-28T22:00:00Z");
    check(&["Asia/Beirut"], &window("23:30", "02:00"), "2026-10-24T20:30:00Z", "2026-10-25T00:00:00Z");
    check(&["Asia/Beirut"], &window("20:00", "23:15"), "2026-10-24T17:00:00Z", "2026-10-24T21:15:00Z");
}

#[test]
fn a_clock_that_is_set_back_past_midnight_shows_a_date_twice() {
    // In 2010 St. John's went from Sunday 00:01, at 02:31Z, back to Saturday 23:01.
    let st_johns = ["America/St_Johns"];
    let sunday = hours(&[("sun", "00:00", "05:00")], &[]);
    check(&st_johns, &sunday, "2010-11-07T02:30:00Z", "2010-11-07T08:30:00Z");
    let friday = hours(&[("fri", "23:45", "23:30")], &[]);
    check(&st_johns, &friday, "2010-11-06T02:15:00Z", "2010-11-07T03:00:00Z");
    check(&st_johns, &hours(&[], &["2010-11-07"]), "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
    check(&st_johns, &hours(&[], &["2010-11-06"]), "2010-11-06T02:30:00Z", "2010-11-07T03:30:00Z");
}

#[test]
fn a_holiday_is_closed_from_the_start_of_its_date_to_the_start_of_the_next() {
    let on = |date| hours(&[], &[date]);
    check(&["Africa/Nairobi"], &on("2026-12-25"), "2026-12-24T21:00:00Z", "2026-12-25T21:00:00Z");
    check(&["Pacific/Kiritimati"], &on("2027-01-01"), "2026-12-31T10:00:00Z", "2027-01-01T10:00:00Z");
    check(&["Europe/London"], &on("2026-03-29"), "2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z");
    check(&["Europe/London"], &on("2026-10-25"), "2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z");
    check(&["Asia/Beirut"], &on("2026-03-29"), "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z");
    // Havana repeats 00:00 to 01:00 on 2026-11-01: the day before ends with the last midnight, the day begins with the first.
    check(&["America/Havana"], &on("2026-10-31"), "2026-10-31T04:00:00Z", "2026-11-01T05:00:00Z");
    check(&["America/Havana"], &on("2026-11-01"), "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
}

#[test]
fn closed_times_that_adjoin_or_overlap_are_one() {
    let christmas = hours(NIGHTS, &["2026-12-25", "2026-12-26"]);
    check(&["Africa/Nairobi"], &christmas, "2026-12-24T18:00:00Z", "2026-12-27T05:00:00Z");
    let weekend = hours(&[("fri", "18:00", "00:00"), ("sat sun", "00:00", "12:00"), ("sat", "12:00", "00:00")], &[]);
    check(&["Africa/Nairobi"], &weekend, "2026-11-20T15:00:00Z", "2026-11-22T09:00:00Z");
}

#[test]
fn the_rule_that_is_named_holds_the_instant_and_ends_last() {
    let hours = hours(&[(ALL_DAYS, "22:00", "06:00"), (ALL_DAYS, "21:00", "08:00")], &["2026-12-26", "2026-12-25"]);
    let nairobi = zones(&["Africa/Nairobi"]);
    for (now, since, named) in [
        ("2026-12-24T18:30:00Z", "2026-12-24T18:00:00Z", "windows[1], zone Africa/Nairobi"),
        ("2026-12-24T20:00:00Z", "2026-12-24T18:00:00Z", "windows[1], zone Africa/Nairobi"),
        ("2026-12-24T21:00:00Z", "2026-12-24T21:00:00Z", "holidays[1], zone Africa/Nairobi"),
        ("2026-12-25T19:30:00Z", "2026-12-25T18:00:00Z", "windows[1], zone Africa/Nairobi"),
    ] {
        let closed = hours.closed_at(&nairobi, at(now), Timestamp::MAX).expect("closed");
        assert_eq!((closed.to_string().as_str(), closed.since), (named, at(since)), "{now}");
    }
}

#[test]
fn all_zones_must_be_open() {
    let nights = hours(NIGHTS, &[]);
    // Nairobi opens at 05:00Z, when it is midnight in New York, which opens at 13:00Z.
    check(&["Africa/Nairobi", "America/New_York"], &nights, "2026-11-20T18:00:00Z", "2026-11-21T13:00:00Z");
    let both = zones(&["America/New_York", "Africa/Nairobi"]);
    let closed = |now| hours(NIGHTS, &[]).closed_at(&both, at(now), Timestamp::MAX).expect("closed").to_string();
    assert_eq!(closed("2026-11-20T20:00:00Z"), "windows[0], zone Africa/Nairobi");
    assert_eq!(closed("2026-11-21T06:00:00Z"), "windows[0], zone America/New_York");
    let kiribati = ["Pacific/Tarawa", "Pacific/Kanton", "Pacific/Kiritimati"];
    check(&kiribati, &nights, "2026-11-20T07:00:00Z", "2026-11-20T20:00:00Z");
}

#[test]
fn zones_that_are_never_open_together_are_closed_to_the_horizon() {
    // 09:00 to 20:00 is 06:00Z to 17:00Z in Nairobi, and 19:00Z to 06:00Z on Kiritimati.
    let hours = hours(&[(ALL_DAYS, "20:00", "09:00")], &[]);
    let apart = zones(&["Africa/Nairobi", "Pacific/Kiritimati"]);
    let now = at("2026-11-20T12:00:00Z");
    for horizon in ["2026-11-21T12:00:00Z", "2026-12-25T12:00:00Z"].map(at) {
        assert_eq!(hours.closed_at(&apart, now, horizon).map(|closed| closed.until), Some(horizon));
        let quiet = Quiet { hours: &hours, zones: &apart };
        assert_eq!(fit(now, DueReason::Requested, horizon, Some(quiet)), Fit::Never);
    }
    let closed = hours.closed_at(&apart, now, Timestamp::MAX).expect("closed");
    assert_eq!(closed.until, now + LOOK_AHEAD_MAX);
}

#[test]
fn a_proposal_is_moved_to_the_end_of_quiet_hours_if_its_validity_is_longer() {
    let hours = hours(NIGHTS, &[]);
    let nairobi = zones(&["Africa/Nairobi"]);
    let fitted = |proposed, reason, expires| {
        fit(at(proposed), reason, at(expires), Some(Quiet { hours: &hours, zones: &nairobi }))
    };
    let morning = "2026-11-21T05:00:00Z";
    let held = Fit::At(at(morning), DueReason::QuietHours);
    assert_eq!(fitted("2026-11-20T19:00:00Z", DueReason::Requested, "2026-11-22T19:00:00Z"), held);
    assert_eq!(fitted("2026-11-20T18:00:00Z", DueReason::BackOff, "2026-11-21T05:00:01Z"), held, "a retry");
    assert_eq!(fitted("2026-11-20T19:00:00Z", DueReason::Requested, morning), Fit::Never, "over at the end");
    assert_eq!(fitted("2026-11-20T19:00:00Z", DueReason::BackOff, "2026-11-21T01:00:00Z"), Fit::Never, "over within");
    let open = "2026-11-20T17:59:59Z";
    let stays = Fit::At(at(open), DueReason::BackOff);
    assert_eq!(fitted(open, DueReason::BackOff, "2026-11-20T19:00:00Z"), stays, "an open instant stays as it is");
    assert_eq!(fitted(morning, DueReason::BackOff, "2026-11-21T19:00:00Z"), Fit::At(at(morning), DueReason::BackOff));
}

#[test]
fn what_is_off_closes_nothing() {
    let mut draft = Draft::from(hours(NIGHTS, &[]));
    draft.enabled = false;
    let off = QuietHours::try_from(draft).expect("legal");
    check_open(&["Africa/Nairobi"], &off, "2026-11-20T17:00:00Z", "2026-11-21T06:00:00Z");
    assert!(!off.applies_to("marketing"));
}

#[test]
fn the_zones_of_a_recipient_are_asked_only_if_wanted_and_known() {
    let of = |wanted: bool, number: &str| {
        let draft = Draft { recipient_time_zone: wanted, ..hours(NIGHTS, &[]).into() };
        let hours = QuietHours::try_from(draft).expect("legal");
        let zones = hours.zones_for(&PhoneNumber::from_stored(number.to_owned()));
        zones.iter().map(|zone| zone.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(true, "+447700900123"), ["Europe/London"]);
    assert_eq!(of(false, "+447700900123"), ["Africa/Nairobi"]);
    assert_eq!(of(true, "+88235123456789"), ["Africa/Nairobi"], "a number of no country");
}

#[test]
fn a_use_case_is_what_the_caller_says_else_what_the_channel_is_for() {
    for (said, channel, expected) in [
        (None, MessageType::Promotional, "marketing"),
        (None, MessageType::Conversational, "conversational"),
        (None, MessageType::Transactional, "transactional"),
        (None, MessageType::TwoFactor, "authentication"),
        (Some("Reminder"), MessageType::Promotional, "reminder"),
        (Some("promotional"), MessageType::Transactional, "marketing"),
        (Some("OTP"), MessageType::Promotional, "authentication"),
    ] {
        assert_eq!(use_case(said, channel), expected);
    }
    let mut draft = Draft::from(hours(NIGHTS, &[]));
    draft.applies_to = ["Promotional", "Reminder"].map(str::to_owned).to_vec();
    let hours = QuietHours::try_from(draft).expect("legal");
    for (use_case, applies) in [("marketing", true), ("reminder", true), ("REMINDER", true), ("transactional", false)] {
        assert_eq!(hours.applies_to(use_case), applies, "{use_case}");
    }
}

#[test]
fn a_use_case_is_found_under_each_of_its_spellings() {
    for word in ["marketing", "Promotional", "2FA", "otp", "authentication", "Reminder"] {
        let meant = use_case(Some(word), MessageType::Transactional);
        let spellings = spellings(word);
        assert!(spellings.contains(&word.to_lowercase()), "{word}");
        for spelling in spellings {
            assert_eq!(use_case(Some(&spelling), MessageType::Transactional), meant);
        }
    }
}
