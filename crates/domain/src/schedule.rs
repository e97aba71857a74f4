//! When a message may go: every instant a message waits for comes out of this module.
//!
//! Waiting is one idea: a due instant with its reason. Schedule, retry and gates only propose instants; `fit` moves a
//! proposal to the first instant that is allowed, or answers that there is none before the end of validity.

use jiff::{SignedDuration, Timestamp};

use crate::limits::{SCHEDULE_AHEAD_MAX, VALIDITY_SECONDS_MAX};
use crate::quiet_hours::{QuietHours, Zone};

/// What a message waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DueReason {
    /// Its own `scheduledFor`, or nothing but its turn.
    Requested,
    /// The pause after a try that failed.
    BackOff,
    /// The end of quiet hours.
    QuietHours,
    /// Its place in the time over which quiet hours let go what they held.
    Released,
    /// The end of a pause of one of its tags; with a pause that names none, the end of its validity.
    Paused,
    /// Its release: an operator holds it. Its instant is the end of its validity.
    Held,
    /// Proof of what became of it: it may have been sent, and its channel does not repeat what may have been. Its instant is the
    /// end of its validity.
    Unknown,
    /// The channel's gate, which closed while the message was being sent.
    Gate,
    /// The recipient's own pace: one number may not write to another as often as it likes.
    Recipient,
    /// An earlier message to the same recipient.
    Order,
    /// The result of a call. The row falls due again by itself if no result is settled.
    Claimed,
}

impl DueReason {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::Requested,
        Self::BackOff,
        Self::QuietHours,
        Self::Released,
        Self::Paused,
        Self::Held,
        Self::Unknown,
        Self::Gate,
        Self::Recipient,
        Self::Order,
        Self::Claimed,
    ];

    /// The word stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::BackOff => "back_off",
            Self::QuietHours => "quiet_hours",
            Self::Released => "released",
            Self::Paused => "paused",
            Self::Held => "held",
            Self::Unknown => "unknown",
            Self::Gate => "gate",
            Self::Recipient => "recipient",
            Self::Order => "order",
            Self::Claimed => "claimed",
        }
    }

    /// Reads the word stored.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// The answer of [`fit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// May go from this instant on, for this reason.
    At(Timestamp, DueReason),
    /// No instant before the end of validity is allowed.
    Never,
}

/// The quiet hours that hold for a message, and the zones in which they do.
#[derive(Clone, Copy, Debug)]
pub struct Quiet<'a> {
    /// The setting, of which the message's use case is one it applies to.
    pub hours: &'a QuietHours,
    /// The recipient's zones: all must be open.
    pub zones: &'a [Zone],
}

/// The first instant at or after a proposed one at which a message may go.
#[must_use]
pub fn fit(proposed: Timestamp, reason: DueReason, expires_at: Timestamp, quiet: Option<Quiet<'_>>) -> Fit {
    if proposed >= expires_at {
        return Fit::Never;
    }
    match quiet.and_then(|quiet| quiet.hours.closed_at(quiet.zones, proposed, expires_at)) {
        None => Fit::At(proposed, reason),
        Some(closed) if closed.until >= expires_at => Fit::Never,
        Some(closed) => Fit::At(closed.until, DueReason::QuietHours),
    }
}

/// The first instant a new message waits for: its `scheduledFor`, or now.
#[must_use]
pub fn first_due(accepted_at: Timestamp, scheduled_for: Option<Timestamp>) -> Timestamp {
    scheduled_for.map_or(accepted_at, |at| at.max(accepted_at))
}

/// End of validity: counted from the later of acceptance and `scheduledFor`.
#[must_use]
pub fn expires_at(accepted_at: Timestamp, scheduled_for: Option<Timestamp>, validity_seconds: i64) -> Timestamp {
    let start = first_due(accepted_at, scheduled_for);
    let seconds = SignedDuration::from_secs(validity_seconds.clamp(1, VALIDITY_SECONDS_MAX));
    start.saturating_add(seconds).unwrap_or(Timestamp::MAX)
}

/// Checks how far ahead a message is scheduled; the past is legal and means at once.
///
/// # Errors
/// The text of the violation.
pub fn check_scheduled_for(now: Timestamp, scheduled_for: Timestamp) -> Result<(), String> {
    if scheduled_for.duration_since(now) > SCHEDULE_AHEAD_MAX {
        return Err("must not be more than 35 days ahead".to_owned());
    }
    Ok(())
}

/// Checks a validity in seconds.
///
/// # Errors
/// The text of the violation.
pub fn check_validity(seconds: i64) -> Result<(), String> {
    if (1..=VALIDITY_SECONDS_MAX).contains(&seconds) {
        return Ok(());
    }
    Err(format!("must be 1 to {VALIDITY_SECONDS_MAX} seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn an_instant_at_or_past_the_end_of_validity_is_never() {
        let end = at("2026-11-20T12:00:00Z");
        assert_eq!(
            fit(at("2026-11-20T11:59:59Z"), DueReason::BackOff, end, None),
            Fit::At(at("2026-11-20T11:59:59Z"), DueReason::BackOff)
        );
        assert_eq!(fit(end, DueReason::BackOff, end, None), Fit::Never);
        assert_eq!(fit(at("2026-11-20T12:00:01Z"), DueReason::Requested, end, None), Fit::Never);
    }

    #[test]
    fn validity_counts_from_the_later_of_acceptance_and_schedule() {
        let accepted = at("2026-11-20T12:00:00Z");
        assert_eq!(expires_at(accepted, None, 600), at("2026-11-20T12:10:00Z"));
        assert_eq!(expires_at(accepted, Some(at("2026-11-20T11:00:00Z")), 600), at("2026-11-20T12:10:00Z"));
        assert_eq!(expires_at(accepted, Some(at("2026-11-21T12:00:00Z")), 600), at("2026-11-21T12:10:00Z"));
    }

    #[test]
    fn thirty_five_days_exactly_are_legal_and_one_second_more_is_not() {
        let now = at("2026-11-20T12:00:00Z");
        assert!(check_scheduled_for(now, at("2026-12-25T12:00:00Z")).is_ok());
        assert!(check_scheduled_for(now, at("2026-12-25T12:00:01Z")).is_err());
        assert!(check_scheduled_for(now, at("1999-01-01T00:00:00Z")).is_ok());
    }

    #[test]
    fn validity_has_bounds() {
        for good in [1, 600, 3_024_000] {
            assert!(check_validity(good).is_ok(), "{good}");
        }
        for bad in [0, -5, 3_024_001, i64::MIN, i64::MAX] {
            assert!(check_validity(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_reason_reads_its_own_word() {
        for known in DueReason::ALL {
            assert_eq!(DueReason::from_word(known.as_str()), Some(known));
        }
    }
}
