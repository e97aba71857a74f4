//! Months as partitions see them: a name and a range of message ids.
//!
//! Ids are time-ordered, so a calendar month in UTC is a range of ids. A partition's name says which month it holds; its
//! bounds are never read back.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use domain::id::MessageId;

use crate::error::Error;
use crate::message::first_id_at;

/// A calendar month, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Month {
    first: Date,
}

impl Month {
    /// The month of an instant.
    pub(crate) fn of(at: Timestamp) -> Self {
        Self { first: at.to_zoned(TimeZone::UTC).date().first_of_month() }
    }

    /// The month after.
    pub(crate) fn next(self) -> Result<Self, Error> {
        Ok(Self { first: self.first.checked_add(1.month()).map_err(Error::corrupt)? })
    }

    /// Its first instant.
    pub(crate) fn start(self) -> Result<Timestamp, Error> {
        Ok(self.first.to_zoned(TimeZone::UTC).map_err(Error::corrupt)?.timestamp())
    }

    /// The first instant after it.
    pub(crate) fn end(self) -> Result<Timestamp, Error> {
        self.next()?.start()
    }

    /// Ids from the first one on, below the second one.
    pub(crate) fn ids(self) -> Result<(MessageId, MessageId), Error> {
        Ok((first_id_at(self.start()?), first_id_at(self.end()?)))
    }

    /// The end of its partitions' names.
    pub(crate) fn suffix(self) -> String {
        format!("{:04}_{:02}", self.first.year(), self.first.month())
    }

    /// Reads the end of a partition's name.
    pub(crate) fn from_suffix(suffix: &str) -> Option<Self> {
        let (year, month) = suffix.split_once('_')?;
        let first = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        Some(Self { first }).filter(|read| read.suffix() == suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(at: &str) -> Month {
        Month::of(at.parse().expect("an instant"))
    }

    #[test]
    fn a_month_begins_and_ends_in_utc() {
        for (at, suffix, end) in [
            ("2026-12-31T23:59:59.999Z", "2026_12", "2027-01-01T00:00:00Z"),
            ("2027-01-01T00:00:00Z", "2027_01", "2027-02-01T00:00:00Z"),
            ("2028-02-29T12:00:00Z", "2028_02", "2028-03-01T00:00:00Z"),
        ] {
            let month = month(at);
            assert_eq!((month.suffix().as_str(), month.end().expect("in range").to_string().as_str()), (suffix, end));
            assert_eq!(Month::from_suffix(suffix), Some(month));
        }
    }

    #[test]
    fn other_names_are_no_months() {
        for name in ["default", "2026_13", "2026_1", "2026", "2026_12_old", ""] {
            assert_eq!(Month::from_suffix(name), None, "{name}");
        }
    }

    #[test]
    fn the_ids_of_a_month_are_those_made_in_it() {
        let (low, high) = month("2026-12-05T00:00:00Z").ids().expect("in range");
        let id = |at: &str| first_id_at(at.parse().expect("an instant"));
        assert!(low <= id("2026-12-01T00:00:00Z") && id("2026-11-30T23:59:59.999Z") < low);
        assert!(id("2026-12-31T23:59:59.999Z") < high && high <= id("2027-01-01T00:00:00Z"));
    }
}
