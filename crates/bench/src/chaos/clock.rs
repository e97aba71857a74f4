//! The judge's clock: instants in microseconds since 1970, by the clock of the machine that everything runs on.

use jiff::Timestamp;

/// Now.
#[allow(clippy::disallowed_methods, reason = "the judge compares files and rows of one machine, whose clock it is")]
pub(crate) fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// An instant as RFC 3339.
pub(crate) fn text(micros: i64) -> Result<String, String> {
    Timestamp::from_microsecond(micros).map(|at| at.to_string()).map_err(|error| error.to_string())
}
