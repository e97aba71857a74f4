//! Query strings: known parameters, each once; anything else is refused, not ignored.

use std::collections::BTreeMap;

use domain::violation::Violations;
use jiff::Timestamp;
use store::message::Order;

use crate::wire::request::instant;

/// Page length where none is asked for, and the longest.
const LIMIT_DEFAULT: i64 = 10;
const LIMIT_MAX: i64 = 1000;
/// Longest page token (Channels API, pagination).
const TOKEN_CHARS_MAX: usize = 8000;

/// A page that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    pub(crate) limit: i64,
    pub(crate) order: Order,
    pub(crate) token: Option<String>,
}

/// Reads `limit`, `pageToken` and `reverse`.
///
/// # Errors
/// All violations at once.
pub(crate) fn read_page(query: &str) -> Result<Page, Violations> {
    let mut violations = Violations::default();
    let parameters = parameters(query, &mut violations);
    let mut page = Page { limit: LIMIT_DEFAULT, order: Order::NewestFirst, token: None };
    for (name, value) in parameters {
        match name.as_str() {
            "limit" => match value.parse() {
                Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => page.limit = limit,
                _ => violations.add(".limit", format!("must be an integer from 1 to {LIMIT_MAX}")),
            },
            "reverse" => match value.as_str() {
                "true" => page.order = Order::OldestFirst,
                "false" => page.order = Order::NewestFirst,
                _ => violations.add(".reverse", "must be true or false"),
            },
            "pageToken" if value.chars().count() > TOKEN_CHARS_MAX => {
                violations.add(".pageToken", format!("must not be longer than {TOKEN_CHARS_MAX} characters"));
            }
            "pageToken" => page.token = Some(value).filter(|token| !token.is_empty()),
            other => violations.add(format!(".{other}"), format!("parameter \"{other}\" is unsupported")),
        }
    }
    if violations.is_empty() { Ok(page) } else { Err(violations) }
}

/// A request that asks what would become of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DryRun {
    /// As if it were this instant.
    pub(crate) at: Option<Timestamp>,
}

/// Reads `dryRun` and `at`.
///
/// # Errors
/// All violations at once.
pub(crate) fn read_dry_run(query: &str) -> Result<Option<DryRun>, Violations> {
    let mut violations = Violations::default();
    let (mut is_dry, mut at) = (false, None);
    for (name, value) in parameters(query, &mut violations) {
        match (name.as_str(), value.as_str()) {
            ("dryRun", "true") => is_dry = true,
            ("dryRun", "false") => {}
            ("dryRun", _) => violations.add(".dryRun", "must be true or false"),
            ("at", text) => match instant(text) {
                Ok(instant) => at = Some(instant),
                Err(why) => violations.add(".at", why),
            },
            (other, _) => violations.add(format!(".{other}"), format!("parameter \"{other}\" is unsupported")),
        }
    }
    if at.is_some() && !is_dry {
        violations.add(".at", "needs dryRun=true");
    }
    if violations.is_empty() { Ok(is_dry.then_some(DryRun { at })) } else { Err(violations) }
}

/// Checks that there are no parameters.
///
/// # Errors
/// All of them.
pub(crate) fn read_none(query: &str) -> Result<(), Violations> {
    let mut violations = Violations::default();
    for name in parameters(query, &mut violations).into_keys() {
        violations.add(format!(".{name}"), format!("parameter \"{name}\" is unsupported"));
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

fn parameters(query: &str, violations: &mut Violations) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(pairs) = actix_web::web::Query::<Vec<(String, String)>>::from_query(query) else {
        violations.add(".", "the query string is malformed");
        return found;
    };
    for (name, value) in pairs.into_inner() {
        let name: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(40).collect();
        if found.insert(name.clone(), value).is_some() {
            violations.add(format!(".{name}"), "is given more than once");
        }
    }
    found
}
