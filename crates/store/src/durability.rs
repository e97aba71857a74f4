//! Whether what is committed survives a crash of the server: three settings of PostgreSQL decide.
//!
//! A `202` is a promise; with one of them off the server acknowledges what it may lose. They are looked at before anything
//! else, on each new session, and whenever the database's clock is read. Where one is off, nothing is accepted and nothing is
//! sent, unless somebody said that this is meant.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::connect::Database;
use crate::error::Error;

/// The settings that decide.
pub const SETTINGS: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// Values that keep the promise; `remote_apply` waits for more than `on`.
const SAFE: [&str; 2] = ["on", "remote_apply"];

/// A setting with which an acknowledged commit may be lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnsafeSetting {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Where the server says that it has it from, where it was asked.
    pub source: Option<String>,
}

impl UnsafeSetting {
    /// Where to mend it.
    fn remedy(&self) -> String {
        let name = self.name;
        match self.source.as_deref() {
            Some("database") => format!("ALTER DATABASE … RESET {name}"),
            Some("user") => format!("ALTER ROLE … RESET {name}"),
            Some("database user") => format!("ALTER ROLE … IN DATABASE … RESET {name}"),
            Some("client") => "take it out of the options in the database's address".to_owned(),
            Some("command line") => "take it off the server's command line and restart it".to_owned(),
            Some(_) | None => format!("set {name} = on in postgresql.conf, or ALTER SYSTEM RESET {name}, and reload"),
        }
    }
}

impl std::fmt::Display for UnsafeSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = self.source.as_ref().map(|source| format!(" (from: {source})")).unwrap_or_default();
        let (name, value, remedy) = (self.name, &self.value, self.remedy());
        write!(f, "the database's setting {name} is {value}{source}: it may lose what it acknowledged; {remedy}")
    }
}

/// What is known of the settings. Cheap to clone; all clones share it.
#[derive(Clone, Debug, Default)]
pub struct Durability(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether unsafe settings were said to be meant.
    is_allowed: AtomicBool,
    /// A bit for each of the settings that is unsafe; asked before every call.
    bits: AtomicU8,
    found: RwLock<Vec<UnsafeSetting>>,
}

impl Durability {
    /// From now on unsafe settings are put up with.
    pub fn allow(&self) {
        self.0.is_allowed.store(true, Ordering::Relaxed);
    }

    /// Whether unsafe settings are put up with.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.0.is_allowed.load(Ordering::Relaxed)
    }

    /// What was found unsafe last, whether it is allowed or not.
    #[must_use]
    pub fn found(&self) -> Vec<UnsafeSetting> {
        self.0.found.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anything may be accepted or sent.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.0.bits.load(Ordering::Relaxed) == 0 || self.is_allowed()
    }

    /// The same, as an error that says why not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.holds() {
            return Ok(());
        }
        let found: Vec<String> = self.found().iter().map(ToString::to_string).collect();
        Err(Error::Unavailable(found.join("; ")))
    }

    /// Takes in the values of the settings, in their order.
    pub(crate) fn note(&self, values: [&str; 3]) {
        let found = judge(values.map(|value| (value, None)));
        let bits = SETTINGS.iter().enumerate().fold(0, |bits, (place, name)| {
            bits | (u8::from(found.iter().any(|setting| setting.name == *name)) << place)
        });
        let before = self.0.bits.swap(bits, Ordering::Relaxed);
        if before == bits {
            return;
        }
        for setting in &found {
            if self.is_allowed() {
                tracing::error!("{setting}; this was allowed");
            } else {
                tracing::error!("{setting}; nothing is accepted or sent until then");
            }
        }
        if found.is_empty() {
            tracing::info!("the database's settings keep what it acknowledges again");
        }
        *self.0.found.write().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// Those that are unsafe, of all settings in their order, each with its value and where it comes from.
fn judge(settings: [(&str, Option<&str>); 3]) -> Vec<UnsafeSetting> {
    let named = SETTINGS.into_iter().zip(settings);
    let unsafe_ones = named.filter(|(_, (value, _))| !SAFE.contains(value));
    unsafe_ones
        .map(|(name, (value, source))| UnsafeSetting {
            name,
            value: value.to_owned(),
            source: source.map(str::to_owned),
        })
        .collect()
}

const SOURCES: &str = "-- store.durability.sources
SELECT f.setting, f.source, p.setting, p.source, c.setting, c.source
FROM pg_settings f, pg_settings p, pg_settings c
WHERE f.name = 'fsync' AND p.name = 'full_page_writes' AND c.name = 'synchronous_commit'";

/// Looks at the settings of a session of our own; answers those that are unsafe, with where they come from.
///
/// # Errors
/// When the database cannot be reached.
pub async fn look(database: &Database) -> Result<Vec<UnsafeSetting>, Error> {
    let client = database.connect().await?;
    let asked = client.query_one(SOURCES, &[]);
    let row = tokio::time::timeout(crate::client::ANSWER_WAIT, asked)
        .await
        .map_err(|_| Error::Unavailable("no answer about the database's settings".to_owned()))?
        .map_err(|error| Error::of_statement("store.durability.sources", error))?;
    let text = |index| crate::client::get::<&str>(&row, index);
    Ok(judge([(text(0)?, Some(text(1)?)), (text(2)?, Some(text(3)?)), (text(4)?, Some(text(5)?))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: [&str; 3], expected: &[&str]) {
        let durability = Durability::default();
        durability.note(values);
        let found = durability.found();
        assert_eq!(found.iter().map(|setting| setting.name).collect::<Vec<_>>(), expected, "{values:?}");
        assert_eq!(durability.holds(), expected.is_empty(), "{values:?}");
        durability.allow();
        assert!(durability.holds(), "{values:?}");
        durability.note(["on"; 3]);
        assert!(durability.found().is_empty());
    }

    #[test]
    fn a_setting_below_on_is_unsafe() {
        check(["on", "on", "on"], &[]);
        check(["on", "on", "remote_apply"], &[]);
        check(["off", "on", "on"], &["fsync"]);
        check(["on", "off", "on"], &["full_page_writes"]);
        for value in ["off", "local", "remote_write"] {
            check(["on", "on", value], &["synchronous_commit"]);
        }
        check(["off", "off", "off"], &SETTINGS);
    }

    #[test]
    fn what_is_said_names_setting_value_source_and_remedy() {
        let found = judge([("off", Some("command line")), ("on", None), ("local", Some("user"))]);
        let said: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "the database's setting fsync is off (from: command line): it may lose what it acknowledged; \
                 take it off the server's command line and restart it",
                "the database's setting synchronous_commit is local (from: user): it may lose what it acknowledged; \
                 ALTER ROLE … RESET synchronous_commit"
            ]
        );
    }
}
