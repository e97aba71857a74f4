//! Zones, and which instants readings of their wall clocks are.
//!
//! Only zones of the database inside the binary: replicas on different machines must not disagree, and an offset is no
//! zone, since it does not know when clocks change.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use crate::planted::{self, Bug};

/// Summer time elsewhere in the year.
const HALF_A_YEAR: SignedDuration = SignedDuration::from_hours(182 * 24);

/// A zone of the IANA database.
#[derive(Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of an IANA name, in upper or lower case; none for offsets, rules and unknown names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        (!zone.is_unknown() && zone.iana_name().is_some()).then_some(Self(zone))
    }

    /// The name as the database spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or_default()
    }

    /// The date that a calendar on the wall shows.
    pub(super) fn date_at(&self, at: Timestamp) -> Date {
        self.0.to_datetime(at).date()
    }

    /// The instant at which a closed time begins: of two readings the first. None past the end of all calendars.
    pub(super) fn begin(&self, reading: DateTime) -> Option<Timestamp> {
        if planted::is(Bug::FixedOffset) {
            return self.by_former_offset(reading);
        }
        let found = self.0.to_ambiguous_timestamp(reading);
        match found.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => found.earlier().ok(),
            AmbiguousOffset::Gap { after, .. } => self.gap_end(reading, after),
        }
    }

    /// The instant at which a closed time ends: of two readings the last.
    pub(super) fn end(&self, reading: DateTime) -> Option<Timestamp> {
        if planted::is(Bug::FixedOffset) {
            return self.by_former_offset(reading);
        }
        let found = self.0.to_ambiguous_timestamp(reading);
        match found.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => found.later().ok(),
            AmbiguousOffset::Gap { after, .. } => self.gap_end(reading, after),
        }
    }

    /// What [`Bug::FixedOffset`] reads: the instant by the offset that held half a year before.
    fn by_former_offset(&self, reading: DateTime) -> Option<Timestamp> {
        let former = self.0.to_ambiguous_timestamp(reading.checked_sub(HALF_A_YEAR).ok()?).later().ok()?;
        self.0.to_offset(former).to_timestamp(reading).ok()
    }

    /// The first instant after the gap that a reading falls into: the change to the later offset.
    fn gap_end(&self, reading: DateTime, after: Offset) -> Option<Timestamp> {
        // By the later offset the reading is an instant before the change, less than the gap is long.
        let before_change = after.to_timestamp(reading).ok()?;
        self.0.following(before_change).find(|change| change.offset() == after).map(|change| change.timestamp())
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beginning and end of a closed time at a reading, in UTC.
    fn check(zone: &str, reading: &str, begin: &str, end: &str) {
        let zone = Zone::named(zone).expect("a zone");
        let reading = reading.parse().expect("a reading");
        let found = [zone.begin(reading), zone.end(reading)].map(|at| at.expect("in range").to_string());
        assert_eq!(found, [begin, end], "{zone:?} {reading}");
    }

    #[test]
    fn names_are_those_of_the_database_in_any_case() {
        for (given, name) in [
            ("Africa/Nairobi", "Africa/Nairobi"),
            ("africa/NAIROBI", "Africa/Nairobi"),
            ("Africa/Kampala", "Africa/Kampala"),
            ("UTC", "UTC"),
            ("EST5EDT", "EST5EDT"),
        ] {
            assert_eq!(Zone::named(given).expect("a zone").name(), name);
        }
        for bad in
            ["", "+03:00", "+03", "UTC+3", "EAT-3", "EST5EDT,M3.2.0,M11.1.0", "Nairobi", "Etc/Unknown", "local", "Z"]
        {
            assert_eq!(Zone::named(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_reading_is_one_instant_on_most_days() {
        check("Africa/Nairobi", "2026-11-21T08:00", "2026-11-21T05:00:00Z", "2026-11-21T05:00:00Z");
        check("Europe/London", "2026-07-01T08:00", "2026-07-01T07:00:00Z", "2026-07-01T07:00:00Z");
    }

    #[test]
    fn a_reading_that_does_not_exist_is_the_first_instant_after_the_gap() {
        for reading in ["2026-03-29T01:00", "2026-03-29T01:01", "2026-03-29T01:59"] {
            check("Europe/London", reading, "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z");
        }
        check("Europe/London", "2026-03-29T02:00", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z");
        check("Europe/London", "2026-03-29T00:59", "2026-03-29T00:59:00Z", "2026-03-29T00:59:00Z");
        check("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30:00Z", "2026-10-03T15:30:00Z");
        // A whole day that did not exist.
        check("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z");
    }

    #[test]
    fn a_reading_that_occurs_twice_begins_with_the_first_and_ends_with_the_last() {
        check("Europe/London", "2026-10-25T01:00", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z");
        check("Europe/London", "2026-10-25T01:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z");
        check("Europe/London", "2026-10-25T02:00", "2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z");
        check("America/New_York", "2026-11-01T01:15", "2026-11-01T05:15:00Z", "2026-11-01T06:15:00Z");
        check("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z");
    }
}
