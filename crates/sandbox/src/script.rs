//! The script: every switch by which the sandbox can be told to behave otherwise.
//!
//! The switches are the ten groups of things Lipachat's pages leave open. The default script is the
//! provider as its documentation shows it. No setting is silently ignored: an unknown name, a value
//! out of range and a switch that is not built yet are all refused, and the refusal names the field.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::rule::Rule;
use crate::switches::{Credentials, Duplicates, Errors, MessageIdAnswer, NotYet, Rate, Session, Strictness, Window};

/// Longest delay a script may ask for: an hour, far beyond any client's patience.
pub(crate) const DELAY_MILLIS_MAX: u64 = 3_600_000;
/// Rules a script may hold: they are tried one after another for every request.
const RULES_MAX: usize = 1_000;

/// How the sandbox behaves from now on. In JSON all names are camelCase and all fields optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Script {
    /// Milliseconds every answer is held back; a rule's `delayMillis` comes on top.
    pub latency_millis: u64,
    /// Group 1: what a wrong key gets.
    pub credentials: Credentials,
    /// Group 2: the HTTP status of business errors; single faults are `rules`.
    pub errors: Errors,
    /// Group 3: what a `messageId` already taken gets.
    pub duplicates: Duplicates,
    /// Group 3, too: seconds for which an accepted `messageId` is remembered; absent: for good.
    pub duplicates_window_seconds: Option<u32>,
    /// Group 4: the `data.messageId` of an answer.
    pub message_id_answer: MessageIdAnswer,
    /// Group 5: the 24-hour session of the shared sandbox number.
    pub session: Session,
    /// Group 6: the 24-hour customer service window of a live number.
    pub window: Window,
    /// Group 7: status webhooks. Not built yet.
    pub statuses: NotYet,
    /// Group 8: inbound webhooks. Not built yet.
    pub inbound: NotYet,
    /// Group 9: which spellings are taken and whether limits are enforced.
    pub strictness: Strictness,
    /// Group 10: rates.
    pub rate: Rate,
    /// Faults for chosen requests: the first rule that matches and has times left applies.
    pub rules: Vec<Rule>,
}

impl Script {
    /// Reads and checks a script in JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Script`] naming the first part that is refused.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let value: Value = serde_json::from_slice(json).map_err(|error| Error::script(WHOLE, error.to_string()))?;
        if !value.is_object() {
            return Err(Error::script(WHOLE, "expected an object"));
        }
        let script: Self =
            serde_json::from_value(value.clone()).map_err(|error| Error::script(culprit(&value), error.to_string()))?;
        script.check()?;
        Ok(script)
    }

    /// Refuses values that have the right type but no meaning.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_delay("latencyMillis", self.latency_millis)?;
        check_status("errors.status", self.errors.status)?;
        if self.duplicates_window_seconds == Some(0) {
            return Err(Error::script("duplicatesWindowSeconds", "must be at least 1"));
        }
        self.rate.check()?;
        if self.rules.len() > RULES_MAX {
            return Err(Error::script("rules", format!("more than {RULES_MAX} rules")));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check(&format!("rules[{index}]"))?;
        }
        Ok(())
    }
}

/// Refuses a delay beyond [`DELAY_MILLIS_MAX`].
pub(crate) fn check_delay(field: &str, millis: u64) -> Result<(), Error> {
    if millis <= DELAY_MILLIS_MAX {
        return Ok(());
    }
    Err(Error::script(field, format!("longer than {DELAY_MILLIS_MAX} ms")))
}

/// Refuses what is not the status of a final HTTP answer.
pub(crate) fn check_status(field: &str, status: u16) -> Result<(), Error> {
    if (200..=599).contains(&status) {
        return Ok(());
    }
    Err(Error::script(field, "an HTTP status is 200 to 599"))
}

/// Name of the whole in refusals.
const WHOLE: &str = "script";

/// The dotted path of the smallest part of a script that is refused when it stands alone.
///
/// The parser tells only what it expected, not where; since most fields are optional, each part can
/// be tried on its own. What is refused for lacking a field is told to the item of a list.
fn culprit(script: &Value) -> String {
    let has_fault = |part: Value| refusal(part).is_some_and(|text| !text.contains("missing field"));
    let found = narrow(script, WHOLE, &has_fault);
    if found != WHOLE {
        return found;
    }
    let lacks_field = |part: Value| refusal(part).is_some();
    let found = narrow(script, WHOLE, &lacks_field);
    match found.split_once(']') {
        Some((item, _)) => format!("{item}]"),
        None => found,
    }
}

fn narrow(value: &Value, path: &str, is_refused: &dyn Fn(Value) -> bool) -> String {
    for (name, part) in value.as_object().into_iter().flatten() {
        let alone = |part: Value| is_refused(json!({ name: part }));
        if alone(part.clone()) {
            let deeper = if path == WHOLE { name.clone() } else { format!("{path}.{name}") };
            return narrow(part, &deeper, &alone);
        }
    }
    for (index, part) in value.as_array().into_iter().flatten().enumerate() {
        let alone = |part: Value| is_refused(json!([part]));
        if alone(part.clone()) {
            return narrow(part, &format!("{path}[{index}]"), &alone);
        }
    }
    path.to_owned()
}

/// What the parser has against a script.
fn refusal(script: Value) -> Option<String> {
    serde_json::from_value::<Script>(script).err().map(|error| error.to_string())
}
