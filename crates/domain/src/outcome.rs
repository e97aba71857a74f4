//! What an answer of the provider means: every call ends in exactly one outcome.
//!
//! An answer is never an error of ours; a 2xx is not success by itself. The table that maps answers to outcomes
//! belongs to the provider's crate; what follows from an outcome is decided in `decision`.

use std::time::Duration;

use crate::failure::FailureCode;

/// Longest text kept of an answer, bytes: enough to recognise it, too little to become a burden.
pub const DETAIL_BYTES_MAX: usize = 500;

/// What one call came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The provider has the part: it named it.
    Sent {
        /// The provider's id of the call.
        message_id: Option<String>,
        /// WhatsApp's id of the message (`wamid.…`).
        wa_id: Option<String>,
    },
    /// The provider refused our key. Surely not sent.
    CredentialsRefused,
    /// The provider asks us to slow down. Surely not sent.
    RateLimited,
    /// The provider refused the part for good.
    Refused(FailureCode),
    /// The provider says that it has seen the id before.
    Duplicate,
    /// The provider failed and said so. Worth another try.
    TryAgain,
    /// Nothing was written. Surely not sent.
    NotConnected,
    /// The request was written and no clear answer came. Perhaps sent.
    Unknown,
}

impl Outcome {
    /// The word for logs, metrics and the record of attempts.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::CredentialsRefused => "credentials_refused",
            Self::RateLimited => "rate_limited",
            Self::Refused(_) => "refused",
            Self::Duplicate => "duplicate",
            Self::TryAgain => "try_again",
            Self::NotConnected => "not_connected",
            Self::Unknown => "unknown",
        }
    }
}

/// What a channel does with a part that may have been sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnUnknown {
    /// Repeats it under the same id.
    #[default]
    Repeat,
    /// Holds it for proof: it is not sent again by itself.
    Hold,
}

impl OnUnknown {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Repeat, Self::Hold];

    /// The word stored, and of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Hold => "hold",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// An outcome with its evidence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What it means.
    pub outcome: Outcome,
    /// Name of the row of the provider's table that decided it.
    pub rule: &'static str,
    /// HTTP status, when there was an answer.
    pub http_status: Option<u16>,
    /// The provider's own text or the transport's error, at most [`DETAIL_BYTES_MAX`] bytes.
    pub detail: String,
    /// Whether the row knows this answer; `false` when it only makes the best of an unknown one.
    pub classified: bool,
    /// How long the provider asks us to make no call, as it said it: where it limits the rate, or fails for a while.
    pub retry_after: Option<Duration>,
    /// Whether the provider may have taken the part, whatever the outcome says to do: an answer that proves nothing. It counts
    /// for channels that hold what may have been sent ([`OnUnknown::Hold`]).
    pub may_be_taken: bool,
}

/// Cuts a text to [`DETAIL_BYTES_MAX`] at a character boundary and drops control characters.
#[must_use]
pub fn bounded_detail(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > DETAIL_BYTES_MAX {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_with_the_unknown_reads_its_own_word() {
        for known in OnUnknown::ALL {
            assert_eq!(OnUnknown::from_word(known.as_str()), Some(known));
        }
        assert_eq!(OnUnknown::from_word("Hold"), None);
    }

    #[test]
    fn detail_is_cut_at_a_character_boundary() {
        assert_eq!(bounded_detail("a\0b\n"), "ab");
        assert!(bounded_detail(&"é".repeat(400)).len() <= DETAIL_BYTES_MAX);
        assert_eq!(bounded_detail(&"é".repeat(400)).chars().count(), 250);
    }
}
