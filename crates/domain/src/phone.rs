//! Telephone numbers in E.164 form.
//!
//! A number with `+` is taken when its country code exists and its length fits that country. A number without `+`
//! is taken only when it is a number that the country's plan really has: `0712…` and `712…` are refused, since a
//! guess would write to a stranger.

use phonenumber::Mode;
use serde::{Deserialize, Serialize};

/// Digits of an E.164 number (ITU-T E.164).
const DIGITS_MAX: usize = 15;
/// No country has shorter subscriber numbers with its country code.
const DIGITS_MIN: usize = 7;
/// Longest text looked at; anything longer is no number.
const TEXT_BYTES_MAX: usize = 64;

/// A number in E.164 form: `+`, country code, subscriber number.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

/// The text is not an international telephone number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be an international telephone number in E.164 form, such as +254712345678")]
pub struct NotAPhoneNumber;

impl PhoneNumber {
    /// Reads a number; spaces, dashes, dots and brackets are dropped, a missing `+` is added.
    ///
    /// # Errors
    /// When the rest is not an international number.
    pub fn parse(text: &str) -> Result<Self, NotAPhoneNumber> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(NotAPhoneNumber);
        }
        let bare: String =
            text.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')).collect();
        let (with_plus, digits) = match bare.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, bare.as_str()),
        };
        let fits = (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len());
        if !fits || !digits.bytes().all(|b| b.is_ascii_digit()) || digits.starts_with('0') {
            return Err(NotAPhoneNumber);
        }
        let number = phonenumber::parse(None, format!("+{digits}")).map_err(|_| NotAPhoneNumber)?;
        if !with_plus && !phonenumber::is_valid(&number) {
            return Err(NotAPhoneNumber);
        }
        // The plan may drop digits it takes for a trunk prefix; what we send is what was given, or nothing.
        let as_parsed = number.format().mode(Mode::E164).to_string();
        if as_parsed != format!("+{digits}") {
            return Err(NotAPhoneNumber);
        }
        Ok(Self(as_parsed))
    }

    /// A number that was stored by us, taken as it is.
    #[must_use]
    pub fn from_stored(e164: String) -> Self {
        Self(e164)
    }

    /// `+254712345678`.
    #[must_use]
    pub fn e164(&self) -> &str {
        &self.0
    }

    /// `254712345678`.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// ISO 3166 code of the country, where the prefix belongs to one: `KE`.
    #[must_use]
    pub fn country_code(&self) -> Option<String> {
        let number = phonenumber::parse(None, &self.0).ok()?;
        number.country().id().map(|id| id.as_ref().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(PhoneNumber::parse(text).ok().as_ref().map(PhoneNumber::e164), expected, "{text:?}");
    }

    #[test]
    fn numbers_are_read_or_refused() {
        for (text, expected) in [
            ("+254712345678", Some("+254712345678")),
            ("254712345678", Some("+254712345678")),
            ("254 712 345-678", Some("+254712345678")),
            ("+254 (712) 345.678", Some("+254712345678")),
            ("+254700000000", Some("+254700000000")),
            ("+4915550100001", Some("+4915550100001")),
            ("+15550100123", Some("+15550100123")),
            ("+256712345678", Some("+256712345678")),
            ("0712345678", None),
            ("712345678", None),
            ("+0712345678", None),
            ("12", None),
            ("", None),
            ("+", None),
            ("++254712345678", None),
            ("+254712345678,+254712345679", None),
            ("+25471234567812345678", None),
            ("+٢٥٤٧١٢٣٤٥٦٧٨", None),
            ("tel:+254712345678", None),
            ("asha@example.org", None),
            ("+254712345678x12", None),
            ("+999712345678", None),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn the_country_follows_from_the_prefix() {
        let of = |text| PhoneNumber::parse(text).expect("a number").country_code();
        assert_eq!(of("+254712345678").as_deref(), Some("KE"));
        assert_eq!(of("+256712345678").as_deref(), Some("UG"));
    }
}
