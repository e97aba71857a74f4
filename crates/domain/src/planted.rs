//! Bugs that are planted to see whether the judge finds them.
//!
//! Each is a true one: a line at the place where the rule lives, or a statement without its condition, and no imitation of what
//! would come of it. They are there only in a build with the feature `planted`, which nothing turns on by itself: without it
//! [`is`] is constant and false, and what hangs on it is not compiled in. One build holds all of them; which one a process has is
//! chosen once, at its start.
//!
//! The numbers are those of the failure model's list. Not there yet, because what they break is not: 13 and 14 (webhooks) and 20
//! (addresses of callbacks). 21 (the tenant as a session's setting) has no place here: no session knows a tenant.

use crate::id::PartId;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bug {
    /// 1: a message is answered as accepted before its commit.
    AnswerBeforeCommit,
    /// 2: commits of what is accepted, claimed and settled are answered before they are on disk.
    AsynchronousCommit,
    /// 3: whether a key is taken is looked up, and then it is written, whoever wrote it meanwhile.
    LookThenInsert,
    /// 4: a key that another workspace has used counts as taken.
    KeyOfAnyWorkspace,
    /// 5: a result is written whatever claim it belongs to.
    ResultWithoutFence,
    /// 6: a claim lapses while its call may still go on.
    ClaimShorterThanCall,
    /// 7: a part that is tried again carries another id.
    NewIdEachTry,
    /// 8: every 2xx counts as sent.
    AnySuccessIsSent,
    /// 9: a commit whose answer was lost is answered as one that was not made.
    LostAnswerIsNotStored,
    /// 10: instants are those of the process's machine, not the database's.
    OwnClock,
    /// 11: whether validity is over is asked when a message is claimed, and not before its call.
    ExpiryOnlyAtClaim,
    /// 12: quiet hours are read by the offset that held half a year before.
    FixedOffset,
    /// 15: each process has the whole limit of an account for itself.
    LimitPerReplica,
    /// 16: a message that ends its sender is tried again without end.
    NoPoisonCap,
    /// 17: whose turn it is among the channels of an account is decided without their workspaces.
    TurnsIgnoreTenants,
    /// 18: that a call may have begun is not known from before it.
    UnrecordedClaim,
    /// 19: a message is cancelled also while it is being sent.
    CancelWithoutCondition,
    /// 22: the HTTP client repeats requests by itself.
    LibraryRetry,
}

impl Bug {
    /// All.
    pub const ALL: [Self; 18] = [
        Self::AnswerBeforeCommit,
        Self::AsynchronousCommit,
        Self::LookThenInsert,
        Self::KeyOfAnyWorkspace,
        Self::ResultWithoutFence,
        Self::ClaimShorterThanCall,
        Self::NewIdEachTry,
        Self::AnySuccessIsSent,
        Self::LostAnswerIsNotStored,
        Self::OwnClock,
        Self::ExpiryOnlyAtClaim,
        Self::FixedOffset,
        Self::LimitPerReplica,
        Self::NoPoisonCap,
        Self::TurnsIgnoreTenants,
        Self::UnrecordedClaim,
        Self::CancelWithoutCondition,
        Self::LibraryRetry,
    ];

    /// Its number in the failure model's list, and its name.
    #[must_use]
    pub const fn row(self) -> (u8, &'static str) {
        match self {
            Self::AnswerBeforeCommit => (1, "answer-before-commit"),
            Self::AsynchronousCommit => (2, "asynchronous-commit"),
            Self::LookThenInsert => (3, "look-then-insert"),
            Self::KeyOfAnyWorkspace => (4, "key-of-any-workspace"),
            Self::ResultWithoutFence => (5, "result-without-fence"),
            Self::ClaimShorterThanCall => (6, "claim-shorter-than-call"),
            Self::NewIdEachTry => (7, "new-id-each-try"),
            Self::AnySuccessIsSent => (8, "any-success-is-sent"),
            Self::LostAnswerIsNotStored => (9, "lost-answer-is-not-stored"),
            Self::OwnClock => (10, "own-clock"),
            Self::ExpiryOnlyAtClaim => (11, "expiry-only-at-claim"),
            Self::FixedOffset => (12, "fixed-offset"),
            Self::LimitPerReplica => (15, "limit-per-replica"),
            Self::NoPoisonCap => (16, "no-poison-cap"),
            Self::TurnsIgnoreTenants => (17, "turns-ignore-tenants"),
            Self::UnrecordedClaim => (18, "unrecorded-claim"),
            Self::CancelWithoutCondition => (19, "cancel-without-condition"),
            Self::LibraryRetry => (22, "library-retry"),
        }
    }

    /// The bug of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| bug.row().1 == name)
    }
}

/// Whether this process has a bug: never.
#[cfg(not(feature = "planted"))]
#[inline]
#[must_use]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted")]
static CHOSEN: std::sync::OnceLock<Bug> = std::sync::OnceLock::new();

/// Whether this process has a bug.
#[cfg(feature = "planted")]
#[must_use]
pub fn is(bug: Bug) -> bool {
    CHOSEN.get() == Some(&bug)
}

/// Chooses the bug of this process.
///
/// # Errors
/// The bug, when one was chosen before.
#[cfg(feature = "planted")]
pub fn choose(bug: Bug) -> Result<(), Bug> {
    CHOSEN.set(bug)
}

/// The id that a part carries at a try: its own, unless [`Bug::NewIdEachTry`] is planted.
#[must_use]
pub fn id_of_try(part: PartId, tries: u16) -> PartId {
    if is(Bug::NewIdEachTry) && tries > 1 {
        return PartId(uuid::Uuid::from_u128(part.0.as_u128() ^ u128::from(tries)));
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_found_by_its_name_and_no_two_share_a_number() {
        let mut numbers: Vec<u8> = Bug::ALL.iter().map(|bug| bug.row().0).collect();
        assert!(Bug::ALL.iter().all(|bug| Bug::named(bug.row().1) == Some(*bug)));
        assert_eq!(Bug::named("no-such-bug"), None);
        numbers.dedup();
        assert_eq!(numbers.len(), Bug::ALL.len());
    }

    #[cfg(not(feature = "planted"))]
    #[test]
    fn without_the_feature_no_bug_is_there() {
        const NONE: bool = is(Bug::OwnClock);
        assert!(!NONE && Bug::ALL.into_iter().all(|bug| !is(bug)));
        let part = PartId(uuid::Uuid::nil());
        assert_eq!(id_of_try(part, 2), part);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn a_process_has_the_bug_that_was_chosen_first_and_no_other() {
        assert!(!is(Bug::NewIdEachTry));
        assert_eq!(choose(Bug::NewIdEachTry), Ok(()));
        assert_eq!(choose(Bug::OwnClock), Err(Bug::OwnClock));
        assert_eq!(Bug::ALL.into_iter().filter(|bug| is(*bug)).collect::<Vec<_>>(), [Bug::NewIdEachTry]);
        let part = PartId(uuid::Uuid::nil());
        assert!(id_of_try(part, 1) == part && id_of_try(part, 2) != part);
    }
}
