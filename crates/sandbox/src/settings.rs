//! How a sandbox is set up before it starts.
//!
//! These are facts of the simulated account and of the machine; how it behaves is the script's
//! part and may change while it runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Entries the ledger keeps unless told otherwise: a benchmark of some minutes.
const LEDGER_ENTRIES: usize = 1_000_000;

/// Set-up of one sandbox: one simulated Lipachat account on one address.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The one key the account takes; `None` takes every key that is not empty.
    pub api_key: Option<String>,
    /// Sender numbers of the account, digits with or without `+`; empty takes any `from`.
    pub numbers: Vec<String>,
    /// Entries the ledger keeps; when it is full, the oldest are dropped and counted.
    pub ledger_max: usize,
    /// File that every request is added to; the sandbox also knows what is in it from before.
    pub journal: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: None,
            numbers: Vec::new(),
            ledger_max: LEDGER_ENTRIES,
            journal: None,
        }
    }
}

impl Settings {
    /// Whether the account takes this `apiKey`.
    pub(crate) fn takes_key(&self, key: Option<&str>) -> bool {
        match (key, &self.api_key) {
            (None | Some(""), _) => false,
            (Some(_), None) => true,
            (Some(key), Some(expected)) => key == expected,
        }
    }

    /// Whether `from` is one of the account's numbers.
    pub(crate) fn owns_number(&self, from: &str) -> bool {
        self.numbers.is_empty() || contains(&self.numbers, from)
    }
}

/// Whether `numbers` has `number`, whichever of them carries a `+`.
pub(crate) fn contains(numbers: &[String], number: &str) -> bool {
    numbers.iter().any(|known| digits(known) == digits(number))
}

/// A number without its `+`.
pub(crate) fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}
