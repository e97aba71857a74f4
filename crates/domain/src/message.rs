//! The words of a request that are not content: deduplication key, tags, reference, kind of channel.

use serde::{Deserialize, Serialize};

use crate::limits::{
    MESSAGE_KEY_CHARS_MAX, REFERENCE_CHARS_MAX, TAG_CHARS_MAX, VALIDITY_SECONDS_DEFAULT, VALIDITY_SECONDS_DEFAULT_2FA,
};

/// Deduplication key of a message, unique in its workspace.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MessageKey(String);

impl MessageKey {
    /// Takes 1 to 128 of `A–Z a–z 0–9 . _ : -`.
    ///
    /// # Errors
    /// The text of the violation.
    pub fn new(text: &str) -> Result<Self, String> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        if text.is_empty() || text.len() > MESSAGE_KEY_CHARS_MAX || !text.bytes().all(legal) {
            return Err(format!("must be 1 to {MESSAGE_KEY_CHARS_MAX} characters of A-Z a-z 0-9 . _ : -"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tag: lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag(String);

impl Tag {
    /// Takes 1 to 50 letters, digits, spaces, `-` and `_` (Channels API, send a message), and lower-cases them.
    ///
    /// # Errors
    /// The text of the violation.
    pub fn new(text: &str) -> Result<Self, String> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b' ');
        if text.is_empty() || text.len() > TAG_CHARS_MAX || !text.bytes().all(legal) {
            return Err(format!("must be 1 to {TAG_CHARS_MAX} letters, digits, spaces, - or _"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Checks a caller's reference.
///
/// # Errors
/// The text of the violation.
pub fn check_reference(text: &str) -> Result<(), String> {
    if text.chars().count() > REFERENCE_CHARS_MAX {
        return Err(format!("must not be longer than {REFERENCE_CHARS_MAX} characters"));
    }
    Ok(())
}

/// What a channel is used for; decides default validity and lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MessageType {
    /// Marketing.
    #[serde(rename = "promotional")]
    Promotional,
    /// Answers to people.
    #[serde(rename = "conversational")]
    Conversational,
    /// Receipts, reminders, alerts.
    #[serde(rename = "transactional")]
    Transactional,
    /// One-time passwords.
    #[serde(rename = "2fa")]
    TwoFactor,
}

impl MessageType {
    /// All, in the order they are documented.
    pub const ALL: [Self; 4] = [Self::Promotional, Self::Conversational, Self::Transactional, Self::TwoFactor];

    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promotional => "promotional",
            Self::Conversational => "conversational",
            Self::Transactional => "transactional",
            Self::TwoFactor => "2fa",
        }
    }

    /// Reads the word of the API.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// Seconds a message is valid where the request says nothing.
    #[must_use]
    pub fn validity_seconds_default(self) -> i64 {
        match self {
            Self::Promotional | Self::Conversational | Self::Transactional => VALIDITY_SECONDS_DEFAULT,
            Self::TwoFactor => VALIDITY_SECONDS_DEFAULT_2FA,
        }
    }

    /// The lane its messages wait in.
    #[must_use]
    pub fn lane(self) -> Lane {
        match self {
            Self::TwoFactor => Lane::Urgent,
            Self::Conversational | Self::Transactional => Lane::Normal,
            Self::Promotional => Lane::Bulk,
        }
    }
}

/// Which queue of a channel a message waits in; urgent goes first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Lane {
    /// One-time passwords.
    Urgent,
    /// The rest.
    Normal,
    /// Marketing.
    Bulk,
}

impl Lane {
    /// All, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];

    /// The lane of a message: by what the caller says it is for, else by what its channel is for.
    #[must_use]
    pub fn of(use_case: Option<&str>, message_type: MessageType) -> Self {
        match use_case {
            Some("authentication" | "2fa" | "otp") => Self::Urgent,
            Some("marketing" | "promotional") => Self::Bulk,
            Some("transactional" | "conversational") => Self::Normal,
            Some(_) | None => message_type.lane(),
        }
    }

    /// Its number in the outbox; lower goes first.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Urgent => 0,
            Self::Normal => 1,
            Self::Bulk => 2,
        }
    }

    /// Its place among all.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Urgent => 0,
            Self::Normal => 1,
            Self::Bulk => 2,
        }
    }

    /// The lane of a number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_a_small_alphabet() {
        for good in ["a", "order-7781", "A.b_c:9", &"x".repeat(128)] {
            assert!(MessageKey::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "é", "a/b", "a\0", &"x".repeat(129)] {
            assert!(MessageKey::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_are_lower_cased() {
        assert_eq!(Tag::new("Orders 2026").expect("legal").as_str(), "orders 2026");
        for bad in ["", "a,b", "ä", &"x".repeat(51)] {
            assert!(Tag::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_message_is_for_decides_its_lane_before_what_its_channel_is_for() {
        assert_eq!(Lane::of(Some("marketing"), MessageType::TwoFactor), Lane::Bulk);
        assert_eq!(Lane::of(Some("authentication"), MessageType::Promotional), Lane::Urgent);
        assert_eq!(Lane::of(Some("transactional"), MessageType::Promotional), Lane::Normal);
        assert_eq!(Lane::of(Some("something else"), MessageType::Promotional), Lane::Bulk);
        assert_eq!(Lane::of(None, MessageType::TwoFactor), Lane::Urgent);
        for lane in Lane::ALL {
            assert_eq!(Lane::from_number(lane.number()), Some(lane));
            assert_eq!(Lane::ALL[lane.index()], lane);
        }
        assert_eq!(Lane::from_number(3), None);
    }

    #[test]
    fn every_message_type_reads_its_own_word() {
        for known in MessageType::ALL {
            assert_eq!(MessageType::from_word(known.as_str()), Some(known));
        }
        assert_eq!(MessageType::from_word("2FA"), None);
    }
}
