//! Quiet hours as they are written, and what is wrong with them.

use std::fmt;

use jiff::civil::{Date, Time, Weekday};
use serde::{Deserialize, Serialize};

use super::{QuietHours, Window, Zone, week};
use crate::limits::{
    QUIET_HOLIDAYS_MAX, QUIET_SPREAD_SECONDS_MAX, QUIET_USE_CASES_MAX, QUIET_WINDOWS_MAX, USE_CASE_CHARS_MAX,
};
use crate::violation::Violations;

/// The words of the days, Monday first.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Quiet hours as JSON has them (contract, section 5), unchecked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// Whether they hold at all; true where nothing is said.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// IANA name of a zone.
    pub time_zone: String,
    /// Whether the recipient's zones are used where they are known.
    #[serde(default)]
    pub recipient_time_zone: bool,
    /// Closed times of the week; none where only holidays are closed.
    #[serde(default)]
    pub windows: Vec<DraftWindow>,
    /// Dates, `2026-12-25`.
    #[serde(default)]
    pub holidays: Vec<String>,
    /// Use cases that are held, at least one: nobody should hold back one-time passwords by leaving something out.
    pub applies_to: Vec<String>,
    /// Seconds over which what was held is spread afterwards.
    #[serde(default)]
    pub spread_seconds: i64,
}

/// A window as JSON has it, unchecked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DraftWindow {
    /// `mon` to `sun`: the days it begins on.
    pub days: Vec<String>,
    /// `21:00`.
    pub start: String,
    /// `08:00`, on the next day if that is not later than `start`.
    pub end: String,
}

fn yes() -> bool {
    true
}

/// Quiet hours that cannot be read, with every violation.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Invalid(pub Violations);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts =
            self.0.by_path().iter().flat_map(|(path, texts)| texts.iter().map(move |text| format!("{path} {text}")));
        write!(f, "quiet hours: {}", texts.collect::<Vec<_>>().join("; "))
    }
}

impl TryFrom<Draft> for QuietHours {
    type Error = Invalid;

    fn try_from(draft: Draft) -> Result<Self, Invalid> {
        let mut violations = Violations::default();
        read(&draft, &mut violations).ok_or(Invalid(violations))
    }
}

impl From<QuietHours> for Draft {
    fn from(hours: QuietHours) -> Self {
        Self {
            enabled: hours.enabled,
            time_zone: hours.zone.name().to_owned(),
            recipient_time_zone: hours.recipient_time_zone,
            windows: hours.windows.iter().map(DraftWindow::from).collect(),
            holidays: hours.holidays.iter().map(Date::to_string).collect(),
            applies_to: hours.applies_to,
            spread_seconds: hours.spread_seconds.into(),
        }
    }
}

impl From<&Window> for DraftWindow {
    fn from(window: &Window) -> Self {
        let word = |day: &Weekday| DAYS.iter().find(|(_, known)| known == day).map(|(word, _)| (*word).to_owned());
        let time = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        Self { days: window.days.iter().filter_map(word).collect(), start: time(window.start), end: time(window.end) }
    }
}

/// Reads a draft; every violation is added. None if there is any.
pub(super) fn read(draft: &Draft, violations: &mut Violations) -> Option<QuietHours> {
    let zone = Zone::named(&draft.time_zone);
    if zone.is_none() {
        violations.add(".timeZone", "must be the IANA name of a time zone, such as Africa/Nairobi; an offset is none");
    }
    let windows = read_windows(&draft.windows, violations);
    let holidays = read_holidays(&draft.holidays, violations);
    let applies_to = read_use_cases(&draft.applies_to, violations);
    let spread_seconds =
        u32::try_from(draft.spread_seconds).ok().filter(|seconds| *seconds <= QUIET_SPREAD_SECONDS_MAX);
    if spread_seconds.is_none() {
        violations.add(".spreadSeconds", format!("must be 0 to {QUIET_SPREAD_SECONDS_MAX} seconds"));
    }
    Some(QuietHours {
        enabled: draft.enabled,
        zone: zone?,
        recipient_time_zone: draft.recipient_time_zone,
        windows: windows?,
        holidays: holidays?,
        applies_to: applies_to?,
        spread_seconds: spread_seconds?,
    })
}

fn read_windows(given: &[DraftWindow], violations: &mut Violations) -> Option<Vec<Window>> {
    if given.len() > QUIET_WINDOWS_MAX {
        violations.add(".windows", format!("must not hold more than {QUIET_WINDOWS_MAX} windows"));
        return None;
    }
    let windows =
        given.iter().enumerate().map(|(index, window)| read_window(&format!(".windows[{index}]"), window, violations));
    // All are looked at, so that all violations are found.
    let windows: Vec<Option<Window>> = windows.collect();
    let windows: Vec<Window> = windows.into_iter().collect::<Option<_>>()?;
    if week::is_closed(&windows) {
        violations.add(".windows", "leave no open minute in a week: no message could ever go");
        return None;
    }
    Some(windows)
}

fn read_window(path: &str, given: &DraftWindow, violations: &mut Violations) -> Option<Window> {
    let days = read_days(&format!("{path}.days"), &given.days, violations);
    let start = read_time(&format!("{path}.start"), &given.start, violations);
    let end = read_time(&format!("{path}.end"), &given.end, violations);
    let (start, end) = (start?, end?);
    if start == end {
        violations.add(format!("{path}.end"), "must differ from start: for a whole day, name the date under holidays");
        return None;
    }
    Some(Window { days: days?, start, end })
}

fn read_days(path: &str, given: &[String], violations: &mut Violations) -> Option<Vec<Weekday>> {
    let mut days = Vec::new();
    if given.is_empty() {
        violations.add(path, "must name at least one day: the days on which the window begins");
        return None;
    }
    if given.len() > DAYS.len() {
        violations.add(path, "must not name more than seven days");
        return None;
    }
    for (index, word) in given.iter().enumerate() {
        match DAYS.iter().find(|(known, _)| known == word) {
            Some((_, day)) if days.contains(day) => violations.add(format!("{path}[{index}]"), "is named twice"),
            Some((_, day)) => days.push(*day),
            None => violations.add(format!("{path}[{index}]"), "must be one of mon, tue, wed, thu, fri, sat, sun"),
        }
    }
    (days.len() == given.len()).then_some(days)
}

fn read_time(path: &str, given: &str, violations: &mut Violations) -> Option<Time> {
    let time = time_of(given);
    if time.is_none() {
        violations.add(path, "must be a time of day as HH:MM, 00:00 to 23:59");
    }
    time
}

fn time_of(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let legal = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        if legal { digits.parse::<i8>().ok() } else { None }
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

fn read_holidays(given: &[String], violations: &mut Violations) -> Option<Vec<Date>> {
    if given.len() > QUIET_HOLIDAYS_MAX {
        violations.add(".holidays", format!("must not hold more than {QUIET_HOLIDAYS_MAX} dates"));
        return None;
    }
    let mut holidays = Vec::new();
    for (index, text) in given.iter().enumerate() {
        let path = format!(".holidays[{index}]");
        // Dates have other spellings; one is enough to keep, and to compare.
        match text.parse::<Date>().ok().filter(|date| date.to_string() == *text) {
            Some(date) if holidays.contains(&date) => violations.add(path, "is named twice"),
            Some(date) => holidays.push(date),
            None => violations.add(path, "must be a date as YYYY-MM-DD"),
        }
    }
    (holidays.len() == given.len()).then_some(holidays)
}

fn read_use_cases(given: &[String], violations: &mut Violations) -> Option<Vec<String>> {
    if given.is_empty() {
        violations.add(".appliesTo", "must name at least one use case, such as marketing");
        return None;
    }
    if given.len() > QUIET_USE_CASES_MAX {
        violations.add(".appliesTo", format!("must not hold more than {QUIET_USE_CASES_MAX} use cases"));
        return None;
    }
    let mut use_cases = Vec::new();
    for (index, text) in given.iter().enumerate() {
        let path = format!(".appliesTo[{index}]");
        let word = text.to_lowercase();
        let legal = (1..=USE_CASE_CHARS_MAX).contains(&text.chars().count()) && !text.trim().is_empty();
        if !legal || text.chars().any(char::is_control) {
            violations.add(path, format!("must be a use case of 1 to {USE_CASE_CHARS_MAX} characters"));
        } else if use_cases.contains(&word) {
            violations.add(path, "is named twice");
        } else {
            use_cases.push(word);
        }
    }
    (use_cases.len() == given.len()).then_some(use_cases)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The example of the contract, in which one property is replaced.
    fn example(property: &str, value: Value) -> Draft {
        let mut draft = json!({
            "enabled": true,
            "timeZone": "Africa/Nairobi",
            "recipientTimeZone": true,
            "windows": [{ "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "21:00", "end": "08:00" }],
            "holidays": ["2026-12-25"],
            "appliesTo": ["marketing"],
            "spreadSeconds": 600
        });
        draft[property] = value;
        serde_json::from_value(draft).expect("of its shape")
    }

    fn paths(draft: &Draft) -> Vec<String> {
        let mut violations = Violations::default();
        let read = QuietHours::read(draft, &mut violations);
        assert_eq!(read.is_none(), !violations.is_empty(), "{violations:?}");
        violations.by_path().keys().cloned().collect()
    }

    fn check(property: &str, value: Value, expected: &[&str]) {
        let shown = value.to_string();
        assert_eq!(paths(&example(property, value)), expected, "{property} {shown}");
    }

    fn window(days: &Value, start: &str, end: &str) -> Value {
        json!({ "days": days, "start": start, "end": end })
    }

    #[test]
    fn the_example_is_legal_and_is_written_as_it_was_read() {
        let draft = example("enabled", json!(true));
        let hours = QuietHours::try_from(draft.clone()).expect("legal");
        assert_eq!(Draft::from(hours.clone()), draft);
        let text = serde_json::to_string(&hours).expect("serializable");
        assert!(text.starts_with(
            r#"{"enabled":true,"timeZone":"Africa/Nairobi","recipientTimeZone":true,"windows":[{"days":"#
        ));
        assert!(text.ends_with(r#""start":"21:00","end":"08:00"}],"holidays":["2026-12-25"],"appliesTo":["marketing"],"spreadSeconds":600}"#));
        assert_eq!(serde_json::from_str::<QuietHours>(&text).expect("readable"), hours);
    }

    #[test]
    fn what_is_left_out_is_on_without_holidays_and_spread() {
        let draft: Draft =
            serde_json::from_value(json!({ "timeZone": "UTC", "appliesTo": ["marketing"] })).expect("a draft");
        let hours = QuietHours::try_from(draft).expect("legal");
        assert!(
            hours.enabled()
                && !hours.recipient_time_zone()
                && hours.windows().is_empty()
                && hours.holidays().is_empty()
        );
        assert_eq!(hours.spread_seconds(), 0);
    }

    #[test]
    fn a_zone_is_a_name_and_never_an_offset() {
        for good in ["Africa/Nairobi", "africa/nairobi", "UTC", "EST5EDT", "America/Argentina/Buenos_Aires"] {
            check("timeZone", json!(good), &[]);
        }
        for bad in ["", "+03:00", "UTC+3", "EST5EDT,M3.2.0,M11.1.0", "Kenya", "Africa/Nairob"] {
            check("timeZone", json!(bad), &[".timeZone"]);
        }
    }

    #[test]
    fn a_window_names_days_and_two_times() {
        let nights = |days: Value| json!([window(&days, "21:00", "08:00")]);
        check("windows", nights(json!([])), &[".windows[0].days"]);
        check("windows", nights(json!(["mon", "mon"])), &[".windows[0].days[1]"]);
        check(
            "windows",
            nights(json!(["Mon", "monday", ""])),
            &[".windows[0].days[0]", ".windows[0].days[1]", ".windows[0].days[2]"],
        );
        check("windows", nights(json!(vec!["mon"; 8])), &[".windows[0].days"]);
        let at = |start: &str, end: &str| json!([window(&json!(["mon"]), start, end)]);
        check("windows", at("00:00", "23:59"), &[]);
        check("windows", at("08:00", "08:00"), &[".windows[0].end"]);
        for bad in ["24:00", "8:00", "08:60", "08:00:00", "", "ab:cd", "+8:00", "08-00", "０８:00"] {
            check("windows", at(bad, bad), &[".windows[0].end", ".windows[0].start"]);
        }
    }

    #[test]
    fn a_week_without_an_open_minute_is_refused() {
        let all = json!(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
        let two = |first_end: &str| json!([window(&all, "00:00", first_end), window(&all, "12:00", "00:00")]);
        check("windows", two("12:00"), &[".windows"]);
        check("windows", two("11:59"), &[]);
        check("windows", json!([window(&all, "00:01", "00:00")]), &[]);
        let sundays = [window(&json!(["mon", "tue", "wed", "thu", "fri", "sat"]), "00:00", "23:59")];
        check("windows", json!(sundays), &[]);
        let rest = [
            window(&all, "22:00", "12:00"),
            window(&json!(["mon", "tue", "wed", "thu", "fri", "sat"]), "12:00", "22:00"),
        ];
        check("windows", json!(rest), &[]);
        check("windows", json!([&rest[..], &[window(&json!(["sun"]), "12:00", "22:00")]].concat()), &[".windows"]);
    }

    #[test]
    fn holidays_are_dates_that_exist_each_once() {
        check("holidays", json!([]), &[]);
        check("holidays", json!(["2028-02-29", "2026-12-25"]), &[]);
        check("holidays", json!(["2026-02-29", "2026-12-25", "2026-12-25"]), &[".holidays[0]", ".holidays[2]"]);
        for bad in ["", "20261225", "2026-12-25T00:00", "25.12.2026", "2026-1-1", "2026-12-25[UTC]"] {
            check("holidays", json!([bad]), &[".holidays[0]"]);
        }
    }

    #[test]
    fn use_cases_are_words_each_once() {
        check("appliesTo", json!(["marketing", "transactional", "my own"]), &[]);
        check("appliesTo", json!([]), &[".appliesTo"]);
        check("appliesTo", json!(["", " ", "a\n"]), &[".appliesTo[0]", ".appliesTo[1]", ".appliesTo[2]"]);
        check("appliesTo", json!(["Marketing", "marketing"]), &[".appliesTo[1]"]);
        check("appliesTo", json!(["x".repeat(64), "x".repeat(65)]), &[".appliesTo[1]"]);
    }

    #[test]
    fn numbers_are_bounded() {
        check("spreadSeconds", json!(86_400), &[]);
        for bad in [-1, 86_401, i64::MAX, i64::MIN] {
            check("spreadSeconds", json!(bad), &[".spreadSeconds"]);
        }
        let minutes = |count: usize| json!(vec![window(&json!(["mon"]), "00:00", "00:01"); count]);
        check("windows", minutes(QUIET_WINDOWS_MAX), &[]);
        check("windows", minutes(QUIET_WINDOWS_MAX + 1), &[".windows"]);
        let dates = |count: usize| json!((0..count).map(|day| format!("{:04}-01-01", 2000 + day)).collect::<Vec<_>>());
        check("holidays", dates(QUIET_HOLIDAYS_MAX), &[]);
        check("holidays", dates(QUIET_HOLIDAYS_MAX + 1), &[".holidays"]);
        let words = |count: usize| json!((0..count).map(|word| format!("use case {word}")).collect::<Vec<_>>());
        check("appliesTo", words(QUIET_USE_CASES_MAX), &[]);
        check("appliesTo", words(QUIET_USE_CASES_MAX + 1), &[".appliesTo"]);
    }

    #[test]
    fn all_violations_are_named_at_once_with_their_texts() {
        let draft = Draft {
            time_zone: "+03:00".to_owned(),
            holidays: vec!["Christmas".to_owned()],
            applies_to: Vec::new(),
            spread_seconds: -1,
            ..example(
                "windows",
                json!([window(&json!(["mon"]), "25:00", "08:00"), window(&json!(["mon"]), "08:00", "08:00")]),
            )
        };
        assert_eq!(
            paths(&draft),
            [".appliesTo", ".holidays[0]", ".spreadSeconds", ".timeZone", ".windows[0].start", ".windows[1].end"]
        );
        let text = QuietHours::try_from(draft).expect_err("illegal").to_string();
        assert!(text.contains(".timeZone must be the IANA name of a time zone"), "{text}");
        assert!(text.contains("; .windows[1].end must differ from start"), "{text}");
    }
}
