//! Statements without their rules, and the wrong clock: what of `domain::planted` lives in the database's words.
//!
//! A plant names the text of a rule in its statement and what stands there instead. A test looks for each text, also in builds
//! without the feature: a rule that is worded anew takes its plant along.

#[cfg(any(feature = "planted", test))]
use domain::planted::Bug;
#[cfg(not(feature = "planted"))]
use jiff::Timestamp;

/// A statement with a bug.
#[cfg(any(feature = "planted", test))]
struct Plant {
    bug: Bug,
    statement: &'static str,
    /// The rule as it is worded, and what stands there instead.
    changes: &'static [(&'static str, &'static str)],
}

/// Whether a commit is waited for is asked when it is made: for the transaction of the statement alone, so that what
/// looks after the settings of sessions sees nothing of it.
#[cfg(any(feature = "planted", test))]
macro_rules! asynchronous {
    ($rule:literal, $joined:literal) => {
        ($rule, concat!($rule, $joined, "set_config('synchronous_commit', 'off', true) AS commits"))
    };
}

#[cfg(any(feature = "planted", test))]
const KEYS_WANTED: &str = "WHERE message_key IS NOT NULL ORDER BY workspace_id, message_key";

#[cfg(any(feature = "planted", test))]
const PLANTS: &[Plant] = &[
    Plant {
        bug: Bug::AsynchronousCommit,
        statement: crate::accept::ACCEPT,
        changes: &[asynchronous!("failure_code, reason, status, due_reason)", ", ")],
    },
    Plant {
        bug: Bug::AsynchronousCommit,
        statement: crate::outbox::CLAIM,
        changes: &[asynchronous!("AND r.lease_expires_at > clock_timestamp()", " CROSS JOIN ")],
    },
    Plant {
        bug: Bug::AsynchronousCommit,
        statement: crate::settle::SETTLE,
        changes: &[asynchronous!("detail, waited_for, waited_until, event)", ", ")],
    },
    // Its commits would take the others to the disk.
    Plant {
        bug: Bug::AsynchronousCommit,
        statement: crate::lease::HOLD,
        changes: &[(
            "FROM replicas r WHERE r.replica_id <> $1",
            "FROM replicas r CROSS JOIN set_config('synchronous_commit', 'off', true) AS commits WHERE r.replica_id <> $1",
        )],
    },
    Plant {
        bug: Bug::LookThenInsert,
        statement: crate::accept::ACCEPT,
        changes: &[
            (
                KEYS_WANTED,
                "WHERE message_key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM message_keys k
        WHERE k.workspace_id = input.workspace_id AND k.message_key = input.message_key) ORDER BY workspace_id, message_key",
            ),
            (
                "ON CONFLICT (workspace_id, message_key) DO NOTHING",
                "ON CONFLICT (workspace_id, message_key) DO UPDATE SET message_id = excluded.message_id",
            ),
        ],
    },
    Plant {
        bug: Bug::KeyOfAnyWorkspace,
        statement: crate::accept::ACCEPT,
        changes: &[(
            KEYS_WANTED,
            "WHERE message_key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM message_keys k
        WHERE k.message_key = input.message_key) ORDER BY workspace_id, message_key",
        )],
    },
    Plant {
        bug: Bug::KeyOfAnyWorkspace,
        statement: crate::accept::FIRST_OF_KEYS,
        changes: &[
            ("SELECT k.workspace_id,", "SELECT t.workspace_id,"),
            ("ON k.workspace_id = t.workspace_id AND k.message_key = t.message_key", "ON k.message_key = t.message_key"),
        ],
    },
    Plant {
        bug: Bug::ResultWithoutFence,
        statement: crate::settle::SETTLE,
        changes: &[("AND o.message_id = i.message_id AND o.claim = i.claim", "AND o.message_id = i.message_id")],
    },
    Plant {
        bug: Bug::LimitPerReplica,
        statement: crate::lease::HOLD,
        changes: &[(
            "PARTITION BY CASE WHEN account_limit IS NULL THEN channel_id ELSE coalesce(account_id, channel_id) END",
            "PARTITION BY channel_id",
        )],
    },
    Plant {
        bug: Bug::UnrecordedClaim,
        statement: crate::outbox::CLAIM,
        changes: &[("maybe_sent = maybe_sent OR o.due_reason = $11 AND o.begun,", "maybe_sent = maybe_sent,")],
    },
    Plant {
        bug: Bug::UnrecordedClaim,
        statement: crate::outbox::CLAIM_EXPIRED,
        changes: &[("maybe_sent = maybe_sent OR o.due_reason = $8 AND o.begun,", "maybe_sent = maybe_sent,")],
    },
    Plant {
        bug: Bug::CancelWithoutCondition,
        statement: crate::steer::CANCEL,
        changes: &[("AND claimed_until IS NULL AND (claim = 0 OR part = 0 AND NOT maybe_sent)", "")],
    },
];

#[cfg(any(feature = "planted", test))]
impl Plant {
    /// The statement with the bug; nothing when a rule is not worded as the plant knows it.
    fn sql(&self) -> Option<String> {
        self.changes.iter().try_fold(self.statement.to_owned(), |sql, (rule, instead)| {
            sql.contains(rule).then(|| sql.replace(rule, instead))
        })
    }
}

/// A statement as this process runs it: as it is written.
#[cfg(not(feature = "planted"))]
#[inline]
pub(crate) const fn sql(statement: &'static str) -> &'static str {
    statement
}

/// The time of the process's own machine, where it counts: nowhere.
#[cfg(not(feature = "planted"))]
#[inline]
pub(crate) const fn own_clock() -> Option<Timestamp> {
    None
}

#[cfg(feature = "planted")]
pub(crate) use chosen::{own_clock, sql};

/// What the process with a bug does.
#[cfg(feature = "planted")]
mod chosen {
    use std::sync::LazyLock;

    use domain::planted::{self, Bug};
    use jiff::Timestamp;

    use super::PLANTS;

    /// The statements that the bug of this process changes, made once.
    static CHANGED: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
        let plants = PLANTS.iter().filter(|plant| planted::is(plant.bug));
        plants.filter_map(|plant| Some((plant.statement, &*plant.sql()?.leak()))).collect()
    });

    pub(crate) fn sql(statement: &'static str) -> &'static str {
        CHANGED.iter().find(|(from, _)| *from == statement).map_or(statement, |(_, to)| to)
    }

    #[allow(clippy::disallowed_methods, reason = "it is the bug")]
    pub(crate) fn own_clock() -> Option<Timestamp> {
        planted::is(Bug::OwnClock).then(Timestamp::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_a_plant_takes_out_is_in_its_statement() {
        for plant in PLANTS {
            let sql = plant.sql().unwrap_or_else(|| panic!("{:?}: no such rule in {}", plant.bug, plant.statement));
            assert_ne!(sql, plant.statement);
        }
    }
}
