//! Quiet hours of a request: what is absent gets its default here, what the words mean is checked by `domain`.
//!
//! Where a property is missing or of another kind, something legal stands in for it, so that one look finds everything else.

use domain::options::MARKETING;
use domain::quiet_hours::{Draft, DraftWindow, QuietHours};
use domain::violation::Violations;
use serde_json::Value;

use crate::reader::Fields;

/// Seconds over which held messages are spread where nothing is said (contract, section 5).
const SPREAD_SECONDS_DEFAULT: i64 = 600;
const ZONE_STAND_IN: &str = "UTC";
const DAY_STAND_IN: &str = "mon";
const TIME_STAND_INS: [&str; 2] = ["00:00", "00:01"];

/// Reads quiet hours.
///
/// # Errors
/// All violations at once.
pub(crate) fn read(value: &Value) -> Result<QuietHours, Violations> {
    let mut violations = Violations::default();
    let read = Fields::of(value, "", &mut violations).and_then(|fields| {
        let draft = draft(fields, &mut violations);
        QuietHours::read(&draft, &mut violations)
    });
    read.filter(|_| violations.is_empty()).ok_or(violations)
}

fn draft(mut fields: Fields<'_>, violations: &mut Violations) -> Draft {
    let enabled = fields.boolean("enabled", violations).unwrap_or(true);
    let time_zone = fields.required("timeZone", violations).map_or(ZONE_STAND_IN.to_owned(), as_text);
    let recipient_time_zone = fields.boolean("recipientTimeZone", violations).unwrap_or_default();
    let windows = fields.required_array("windows", violations).map(|values| {
        let windows = values.iter().enumerate();
        windows.map(|(position, value)| window(value, &format!(".windows[{position}]"), violations)).collect()
    });
    let holidays = fields.array("holidays", violations).map(|values| values.iter().map(as_text).collect());
    let applies_to = fields.array("appliesTo", violations).map(|values| use_cases(values, violations));
    let spread_seconds = fields.integer("spreadSeconds", violations).unwrap_or(SPREAD_SECONDS_DEFAULT);
    fields.finish(violations);
    Draft {
        enabled,
        time_zone,
        recipient_time_zone,
        windows: windows.unwrap_or_default(),
        holidays: holidays.unwrap_or_default(),
        applies_to: applies_to.unwrap_or_else(|| vec![MARKETING.to_owned()]),
        spread_seconds,
    }
}

fn window(value: &Value, path: &str, violations: &mut Violations) -> DraftWindow {
    let (mut days, mut start, mut end) = (None, None, None);
    if let Some(mut fields) = Fields::of(value, path, violations) {
        days = fields.required_array("days", violations).map(|values| values.iter().map(as_text).collect());
        start = fields.required("start", violations).map(as_text);
        end = fields.required("end", violations).map(as_text);
        fields.finish(violations);
    }
    let days = days.unwrap_or_else(|| vec![DAY_STAND_IN.to_owned()]);
    let start = start.unwrap_or_else(|| time_beside(end.as_deref()));
    let end = end.unwrap_or_else(|| time_beside(Some(&start)));
    DraftWindow { days, start, end }
}

/// A time that differs from another.
fn time_beside(other: Option<&str>) -> String {
    let [first, second] = TIME_STAND_INS;
    if other == Some(first) { second.to_owned() } else { first.to_owned() }
}

fn use_cases(values: &[Value], violations: &mut Violations) -> Vec<String> {
    let mut use_cases = Vec::with_capacity(values.len());
    for (position, value) in values.iter().enumerate() {
        match value {
            Value::String(text) => use_cases.push(text.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                violations.add(format!(".appliesTo[{position}]"), "must be a string");
                // Of its own, so that it is not one named twice.
                use_cases.push(format!("stand-in {position}"));
            }
        }
    }
    use_cases
}

/// A text; what is none becomes its JSON, which is neither a zone nor a day, time or date.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: &Value, expected: &Value) {
        let violations = read(value).err().unwrap_or_default();
        assert_eq!(serde_json::to_value(violations.by_path()).expect("JSON"), *expected, "{value}");
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_named_once_and_beside_everything_else() {
        check(&json!({ "timeZone": "UTC", "windows": [] }), &json!({}));
        check(&json!([]), &json!({ ".": ["must be an object"] }));
        check(
            &json!({ "windows": [7, { "end": "00:00" }, { "days": ["mon"], "start": "00:00" }], "appliesTo": [1, 2] }),
            &json!({
                ".timeZone": ["is required"],
                ".windows[0]": ["must be an object"],
                ".windows[1].days": ["is required"],
                ".windows[1].start": ["is required"],
                ".windows[2].end": ["is required"],
                ".appliesTo[0]": ["must be a string"],
                ".appliesTo[1]": ["must be a string"],
            }),
        );
    }
}
