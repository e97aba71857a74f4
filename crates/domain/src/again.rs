//! Another time for a message that is stored already: rescheduled, or replayed.
//!
//! Its validity keeps its length, and quiet hours are asked again. The instants are `schedule`'s.

use jiff::{SignedDuration, Timestamp};

use crate::limits::VALIDITY_SECONDS_MAX;
use crate::message::MessageType;
use crate::phone::PhoneNumber;
use crate::quiet_hours::{QuietHours, use_case};
use crate::schedule::{self, DueReason, Fit, Quiet};

/// What decides when a stored message may go.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The recipient.
    pub recipient: &'a PhoneNumber,
    /// What it is for, as the caller says.
    pub use_case: Option<&'a str>,
    /// Whether it goes in quiet hours, too.
    pub ignores_quiet_hours: bool,
    /// What its channel is used for.
    pub message_type: MessageType,
    /// Seconds for which it is valid.
    pub validity_seconds: i64,
}

/// When it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Again {
    /// The first instant at which it may go, if one is in time.
    pub fit: Fit,
    /// End of validity.
    pub expires_at: Timestamp,
    /// Until when quiet hours would hold it, also past its validity.
    pub closed_until: Option<Timestamp>,
}

impl Kept<'_> {
    /// Its timing when it is to go at an instant, which is not past, under the quiet hours of its channel.
    #[must_use]
    pub fn timing(&self, at: Timestamp, hours: Option<&QuietHours>) -> Again {
        let expires_at = schedule::expires_at(at, None, self.validity_seconds);
        let applies = |hours: &&QuietHours| hours.applies_to(&use_case(self.use_case, self.message_type));
        let Some(hours) = hours.filter(|_| !self.ignores_quiet_hours).filter(applies) else {
            return Again {
                fit: schedule::fit(at, DueReason::Requested, expires_at, None),
                expires_at,
                closed_until: None,
            };
        };
        let zones = hours.zones_for(self.recipient);
        let fit = schedule::fit(at, DueReason::Requested, expires_at, Some(Quiet { hours, zones: &zones }));
        let closed_until = hours.closed_at(&zones, at, Timestamp::MAX).map(|closed| closed.until);
        Again { fit, expires_at, closed_until }
    }
}

/// Seconds for which a message was valid: counted from the later of acceptance and `scheduledFor`, like its end was.
#[must_use]
pub fn validity_seconds(accepted_at: Timestamp, scheduled_for: Option<Timestamp>, expires_at: Timestamp) -> i64 {
    let length = expires_at.duration_since(schedule::first_due(accepted_at, scheduled_for));
    // To the full second: part of one is what clocks round.
    let seconds = length.saturating_add(SignedDuration::from_millis(999)).as_secs();
    seconds.clamp(1, VALIDITY_SECONDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn night() -> QuietHours {
        let setting = r#"{"enabled":true,"timeZone":"Africa/Nairobi","recipientTimeZone":false,"holidays":[],
            "appliesTo":["marketing"],"spreadSeconds":0,
            "windows":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"start":"21:00","end":"08:00"}]}"#;
        serde_json::from_str(setting).expect("quiet hours")
    }

    #[test]
    fn validity_keeps_its_length() {
        let accepted = at("2026-11-20T12:00:00.25Z");
        for (scheduled_for, seconds) in
            [(None, 600), (Some("2026-11-21T05:00:00Z"), 3600), (Some("2026-11-01T00:00:00Z"), 1)]
        {
            let scheduled_for = scheduled_for.map(at);
            let expires_at = schedule::expires_at(accepted, scheduled_for, seconds);
            assert_eq!(validity_seconds(accepted, scheduled_for, expires_at), seconds);
        }
        assert_eq!(validity_seconds(accepted, None, accepted), 1);
    }

    #[test]
    fn quiet_hours_are_asked_again() {
        let (recipient, hours) = (PhoneNumber::parse("+254712345678").expect("a number"), night());
        let kept = Kept {
            recipient: &recipient,
            use_case: Some("marketing"),
            ignores_quiet_hours: false,
            message_type: MessageType::Transactional,
            validity_seconds: 86_400,
        };
        let (evening, morning) = (at("2026-11-20T19:00:00Z"), at("2026-11-21T05:00:00Z"));
        let open = Fit::At(evening, DueReason::Requested);
        for (kept, hours, fit, closed_until) in [
            (kept, Some(&hours), Fit::At(morning, DueReason::QuietHours), Some(morning)),
            (kept, None, open, None),
            (Kept { ignores_quiet_hours: true, ..kept }, Some(&hours), open, None),
            (Kept { use_case: None, ..kept }, Some(&hours), open, None),
            (Kept { validity_seconds: 3600, ..kept }, Some(&hours), Fit::Never, Some(morning)),
        ] {
            let expires_at = schedule::expires_at(evening, None, kept.validity_seconds);
            assert_eq!(kept.timing(evening, hours), Again { fit, expires_at, closed_until }, "{kept:?}");
        }
    }
}
