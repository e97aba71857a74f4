//! Query strings: known parameters, each once unless it is a list; anything else is refused, not ignored.

use std::collections::BTreeMap;

use domain::violation::Violations;
use jiff::Timestamp;
use store::list::Order;

use crate::errors::ApiError;
use crate::wire::request::instant;

/// Page length where none is asked for, and the longest.
const LIMIT_DEFAULT: i64 = 10;
const LIMIT_MAX: i64 = 1000;
/// Longest page token (Channels API, pagination).
const TOKEN_CHARS_MAX: usize = 8000;
/// Characters shown of a parameter's name, and of a value that is refused.
const CHARS_SHOWN: usize = 40;

/// The parameters of a request that is being read. Call [`Parameters::finish`] at the end: it reports what nobody
/// asked for.
#[derive(Debug)]
pub(crate) struct Parameters {
    given: BTreeMap<String, Vec<String>>,
    violations: Violations,
}

impl Parameters {
    /// Starts to read a query string.
    pub(crate) fn of(query: &str) -> Self {
        let mut parameters = Self { given: BTreeMap::new(), violations: Violations::default() };
        let Ok(pairs) = actix_web::web::Query::<Vec<(String, String)>>::from_query(query) else {
            parameters.refuse("", "the query string is malformed");
            return parameters;
        };
        for (name, value) in pairs.into_inner() {
            let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
            let name: String = name.chars().map(visible).take(CHARS_SHOWN).collect();
            parameters.given.entry(name).or_default().push(value);
        }
        parameters
    }

    /// A parameter that may be given once.
    pub(crate) fn one(&mut self, name: &str) -> Option<String> {
        let mut values = self.given.remove(name)?;
        if values.len() > 1 {
            self.refuse(name, "is given more than once");
        }
        values.pop()
    }

    /// A parameter that may be given several times, and each time several values joined with commas.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let values = self.given.remove(name).unwrap_or_default();
        values.iter().flat_map(|value| value.split(',')).map(str::to_owned).collect()
    }

    /// `limit`, `pageToken` and `reverse`.
    pub(crate) fn page(&mut self) -> Page {
        let limit = self.one("limit").and_then(|text| {
            let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
            self.keep("limit", limit.ok_or(format!("must be an integer from 1 to {LIMIT_MAX}")))
        });
        let is_reversed = self.truth("reverse");
        let token = self.one("pageToken").filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| token.chars().count() > TOKEN_CHARS_MAX) {
            self.refuse("pageToken", format!("must not be longer than {TOKEN_CHARS_MAX} characters"));
        }
        Page { limit: limit.unwrap_or(LIMIT_DEFAULT), is_reversed: is_reversed.unwrap_or_default(), token }
    }

    /// A truth value.
    pub(crate) fn truth(&mut self, name: &str) -> Option<bool> {
        let text = self.one(name)?;
        self.keep(name, text.parse().map_err(|_| "must be true or false".to_owned()))
    }

    /// An instant.
    pub(crate) fn instant(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.one(name)?;
        self.keep(name, instant(&text))
    }

    /// Takes the result of a check, or notes its text.
    pub(crate) fn keep<T>(&mut self, name: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|text| self.refuse(name, text)).ok()
    }

    /// Notes what is wrong with a parameter.
    pub(crate) fn refuse(&mut self, name: &str, text: impl Into<String>) {
        self.violations.add(format!(".{name}"), text);
    }

    /// Hands out what was read if nothing was wrong with it.
    ///
    /// # Errors
    /// All violations at once.
    pub(crate) fn finish<T>(mut self, read: T) -> Result<T, Violations> {
        for (name, values) in std::mem::take(&mut self.given) {
            if values.len() > 1 {
                self.refuse(&name, "is given more than once");
            }
            self.refuse(&name, format!("parameter \"{name}\" is unsupported"));
        }
        if self.violations.is_empty() { Ok(read) } else { Err(self.violations) }
    }
}

/// Text for a value that is none of those known.
pub(crate) fn not_one_of<'a>(value: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let shown: String = value.chars().take(CHARS_SHOWN).collect();
    let known: Vec<String> = known.into_iter().map(|word| format!("\"{word}\"")).collect();
    format!("Invalid value: \"{shown}\", expected one of: {}", known.join(", "))
}

/// A page that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    pub(crate) limit: i64,
    pub(crate) is_reversed: bool,
    pub(crate) token: Option<String>,
}

impl Page {
    /// Messages are listed newest first.
    pub(crate) fn order(&self) -> Order {
        if self.is_reversed { Order::OldestFirst } else { Order::NewestFirst }
    }

    /// Where the page starts, as its token says.
    ///
    /// # Errors
    /// 422 for a token that does not open.
    pub(crate) fn beyond<T>(&self, open: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        let opened = |token: &String| {
            open(token).ok_or_else(|| ApiError::violation(".pageToken", "is not a token of this list"))
        };
        self.token.as_ref().map(opened).transpose()
    }

    /// Cuts what was read of one item more than asked for; the last item left, if there is a next page.
    pub(crate) fn cut<'a, T>(&self, items: &'a mut Vec<T>) -> Option<&'a T> {
        let asked = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = items.len() > asked;
        items.truncate(asked);
        items.last().filter(|_| has_more)
    }
}

/// Reads `limit`, `pageToken` and `reverse`.
///
/// # Errors
/// All violations at once.
pub(crate) fn read_page(query: &str) -> Result<Page, Violations> {
    let mut parameters = Parameters::of(query);
    let page = parameters.page();
    parameters.finish(page)
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
    let mut parameters = Parameters::of(query);
    let is_dry = parameters.truth("dryRun").unwrap_or_default();
    let at = parameters.instant("at");
    if at.is_some() && !is_dry {
        parameters.refuse("at", "needs dryRun=true");
    }
    parameters.finish(is_dry.then_some(DryRun { at }))
}

/// Reads `at`.
///
/// # Errors
/// All violations at once.
pub(crate) fn read_at(query: &str) -> Result<Option<Timestamp>, Violations> {
    let mut parameters = Parameters::of(query);
    let at = parameters.instant("at");
    parameters.finish(at)
}

/// Checks that there are no parameters.
///
/// # Errors
/// All of them.
pub(crate) fn read_none(query: &str) -> Result<(), Violations> {
    Parameters::of(query).finish(())
}
