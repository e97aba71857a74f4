//! What can go wrong with the database, by what the caller can do about it.

use tokio_postgres::error::SqlState;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used right now, and the statement was surely not carried out. Wait and repeat.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The statement was sent and no answer came: it may have been carried out. Read back before repeating.
    #[error("database gave no answer: {0}")]
    Unknown(String),
    /// The database refused the statement. Repeating does not help.
    #[error("database refused {statement}: {source}")]
    Refused {
        /// Name of the statement.
        statement: &'static str,
        /// The database's error.
        source: tokio_postgres::Error,
    },
    /// The row is there already.
    #[error("exists already")]
    Exists,
    /// A stored value is not one that this version understands.
    #[error("stored value not understood: {0}")]
    Corrupt(String),
    /// The database cannot be used with this configuration.
    #[error("{0}")]
    Configuration(String),
    /// A migration failed.
    #[error("migration failed: {0}")]
    Migration(String),
}

impl Error {
    /// Whether waiting may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unknown(_))
    }

    /// Whether a value in the statement is what the database refuses (class 22): without it the rest goes through.
    #[must_use]
    pub fn is_of_a_value(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if source.code().is_some_and(|state| state.code().starts_with("22")))
    }

    /// Sorts an error of a statement that was handed to the driver.
    pub(crate) fn of_statement(statement: &'static str, source: tokio_postgres::Error) -> Self {
        let Some(state) = source.code() else {
            return Self::Unknown(format!("{statement}: {}", chain(&source)));
        };
        if *state == SqlState::UNIQUE_VIOLATION {
            return Self::Exists;
        }
        if is_passing(state) || is_stale_plan(&source) {
            return Self::Unavailable(format!("{statement}: {}", chain(&source)));
        }
        Self::Refused { statement, source }
    }

    /// Sorts an error of making a connection: what waiting does not mend is said as such.
    pub(crate) fn of_connecting(source: &tokio_postgres::Error) -> Self {
        let lasting =
            [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION, SqlState::INVALID_CATALOG_NAME];
        match source.code() {
            Some(state) if lasting.contains(state) => {
                Self::Configuration(format!("the database refuses us: {}", chain(source)))
            }
            Some(_) | None => Self::Unavailable(chain(source)),
        }
    }

    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }
}

/// Whether a statement that failed so was not carried out, and may succeed later as it is.
fn is_passing(state: &SqlState) -> bool {
    // Class 08 connection, 40 roll-back, 53 resources (disk, memory, connections), 57 operator, 58 the system below (input and
    // output).
    let is_of_class = ["08", "40", "53", "57", "58"].iter().any(|class| state.code().starts_with(class));
    // A standby, or a database that was made read-only as it filled.
    let is_passing = is_of_class || *state == SqlState::READ_ONLY_SQL_TRANSACTION;
    // A lock that others hold; a month that was made at this moment: its rows no longer belong into the default partition.
    is_passing || *state == SqlState::LOCK_NOT_AVAILABLE || *state == SqlState::CHECK_VIOLATION
}

/// Whether a prepared statement was refused because the type of a column it answers has changed since.
pub(crate) fn is_stale_plan(error: &tokio_postgres::Error) -> bool {
    // Several refusals have the code, and the text is in the server's language.
    let routine = error.as_db_error().and_then(tokio_postgres::error::DbError::routine);
    error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) && routine == Some("RevalidateCachedQuery")
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_the_database_from_storing_passes_and_what_is_wrong_with_a_statement_does_not() {
        for (code, expected) in [
            ("53100", true),  // disk full
            ("53200", true),  // out of memory
            ("53300", true),  // too many connections
            ("25006", true),  // read-only
            ("57014", true),  // cancelled
            ("57P01", true),  // shut down by an operator
            ("57P02", true),  // crash of another backend
            ("57P03", true),  // starting up
            ("58000", true),  // the system
            ("58030", true),  // input and output
            ("08006", true),  // connection
            ("40001", true),  // serialisation
            ("40P01", true),  // deadlock
            ("55P03", true),  // lock not available
            ("22021", false), // a value
            ("23503", false), // a reference
            ("42P01", false), // no such table
            ("25P02", false), // our own transaction has failed
        ] {
            assert_eq!(is_passing(&SqlState::from_code(code)), expected, "{code}");
        }
    }
}
