//! Quiet hours: times of the week, and holidays, at which messages of some use cases are not sent.
//!
//! A setting is closed times on the wall clock of a zone. Here they become intervals of instants that hold their beginning
//! and not their end; an instant is closed when any of them, in any of the recipient's zones, holds it. This module must not know
//! what waits, nor for how long: it answers for an instant.
//!
//! The invariant: at the instant named as the end of a closed time every zone is open, and between the two none was.

mod closed;
mod draft;
mod week;
mod zone;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;

use std::borrow::Cow;

use jiff::civil::{Date, Time, Weekday};
use serde::{Deserialize, Serialize};

pub use self::closed::{Closed, LOOK_AHEAD_MAX, Rule};
pub use self::draft::{Draft, DraftWindow, Invalid};
pub use self::zone::Zone;

use crate::message::MessageType;
use crate::options::MARKETING;
use crate::phone::PhoneNumber;
use crate::recipient_zone;
use crate::violation::Violations;

/// Quiet hours of a workspace or a channel. As JSON it is a [`Draft`], which is checked when it is read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Draft", into = "Draft")]
pub struct QuietHours {
    enabled: bool,
    zone: Zone,
    recipient_time_zone: bool,
    windows: Vec<Window>,
    holidays: Vec<Date>,
    applies_to: Vec<String>,
    spread_seconds: u32,
}

/// A closed time that begins on some days of the week.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// The days it begins on, as given.
    pub days: Vec<Weekday>,
    /// When it begins, to the minute.
    pub start: Time,
    /// When it is over: on the same day if that is later than `start`, else on the next. Never equal to `start`.
    pub end: Time,
}

impl Window {
    /// Whether it ends on the day after the one it begins on.
    #[must_use]
    pub fn spans_midnight(&self) -> bool {
        self.end < self.start
    }
}

impl QuietHours {
    /// Reads what a caller wants; every violation is added. None if there is any.
    pub fn read(draft: &Draft, violations: &mut Violations) -> Option<Self> {
        draft::read(draft, violations)
    }

    /// Whether they hold at all.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// The zone they are told in where the recipient's is not asked for, or not known.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Whether the recipient's zones are used where they are known.
    #[must_use]
    pub fn recipient_time_zone(&self) -> bool {
        self.recipient_time_zone
    }

    /// The closed times of the week, as given.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Dates that are closed the whole day, as given.
    #[must_use]
    pub fn holidays(&self) -> &[Date] {
        &self.holidays
    }

    /// Seconds over which what was held is spread afterwards; 0 for at once.
    #[must_use]
    pub fn spread_seconds(&self) -> u32 {
        self.spread_seconds
    }

    /// Whether messages of a use case are held by them.
    #[must_use]
    pub fn applies_to(&self, use_case: &str) -> bool {
        let asked = canonical(use_case);
        self.enabled && self.applies_to.iter().any(|known| canonical(known) == asked)
    }

    /// The zones that must be open for a recipient: those of the number's prefix if they are wanted and known, else the setting's
    /// own.
    #[must_use]
    pub fn zones_for(&self, recipient: &PhoneNumber) -> Vec<Zone> {
        let names = if self.recipient_time_zone { recipient_zone::zones(recipient) } else { &[] };
        let zones: Vec<Zone> = names.iter().filter_map(|name| Zone::named(name)).collect();
        if zones.is_empty() { vec![self.zone.clone()] } else { zones }
    }
}

/// What a message is for: what its caller says, else what its channel is for. Lower case, in the words of quiet hours.
#[must_use]
pub fn use_case(meta_use_case: Option<&str>, message_type: MessageType) -> Cow<'_, str> {
    let word = match message_type {
        MessageType::Promotional => MARKETING,
        MessageType::Conversational => "conversational",
        MessageType::Transactional => "transactional",
        MessageType::TwoFactor => AUTHENTICATION,
    };
    meta_use_case.map_or(Cow::Borrowed(word), canonical)
}

/// Every spelling, in lower case, of the use case that a word means.
#[must_use]
pub fn spellings(use_case: &str) -> Vec<String> {
    match &*canonical(use_case) {
        MARKETING => [MARKETING, "promotional"].map(str::to_owned).to_vec(),
        AUTHENTICATION => [AUTHENTICATION, "2fa", "otp"].map(str::to_owned).to_vec(),
        other => vec![other.to_owned()],
    }
}

/// The use case of one-time passwords.
const AUTHENTICATION: &str = "authentication";

/// One word for each use case: lower case, and the channel's words like the message's, as [`crate::message::Lane::of`] has them.
/// Otherwise what is called `promotional` would pass by quiet hours for `marketing`.
fn canonical(use_case: &str) -> Cow<'_, str> {
    let has_upper = use_case.chars().any(char::is_uppercase);
    let lower = if has_upper { Cow::Owned(use_case.to_lowercase()) } else { Cow::Borrowed(use_case) };
    match &*lower {
        "promotional" => Cow::Borrowed(MARKETING),
        "2fa" | "otp" => Cow::Borrowed(AUTHENTICATION),
        _ => lower,
    }
}
