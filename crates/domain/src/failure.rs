//! Why a message ended without delivery: one table of codes.

use crate::lifecycle::Status;

/// A failure code (contract, section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureCode {
    /// An item of a batch is malformed.
    InvalidInput,
    /// The provider was unreachable, overloaded or failing until tries or validity ran out.
    DependencyError,
    /// The provider refused the request.
    InvalidMessage,
    /// The end of validity was reached.
    ValidityExpired,
    /// Sent, but no answer and no later proof.
    OutcomeUnknown,
    /// The provider refused the key until the end of validity.
    CredentialsRefused,
    /// Free-form message outside the 24-hour window.
    SessionClosed,
    /// The recipient cannot be reached on WhatsApp.
    RecipientUnreachable,
    /// The template is unknown, paused or rejected.
    TemplateUnavailable,
    /// Over the cap of messages a recipient.
    FrequencyCapped,
    /// Replaced by a newer message with the same collapse key.
    Collapsed,
}

impl FailureCode {
    /// All, by number.
    pub const ALL: [Self; 11] = [
        Self::InvalidInput,
        Self::DependencyError,
        Self::InvalidMessage,
        Self::ValidityExpired,
        Self::OutcomeUnknown,
        Self::CredentialsRefused,
        Self::SessionClosed,
        Self::RecipientUnreachable,
        Self::TemplateUnavailable,
        Self::FrequencyCapped,
        Self::Collapsed,
    ];

    /// Number, description and the status of a message that ends with it while it waits.
    #[must_use]
    pub fn row(self) -> (i32, &'static str, Status) {
        match self {
            Self::InvalidInput => (11002, "INVALID_INPUT", Status::Rejected),
            Self::DependencyError => (12001, "DEPENDENCY_ERROR", Status::SendingFailed),
            Self::InvalidMessage => (12006, "INVALID_MESSAGE", Status::SendingFailed),
            Self::ValidityExpired => (16001, "VALIDITY_EXPIRED", Status::SendingFailed),
            Self::OutcomeUnknown => (16002, "OUTCOME_UNKNOWN", Status::SendingFailed),
            Self::CredentialsRefused => (16003, "CREDENTIALS_REFUSED", Status::SendingFailed),
            Self::SessionClosed => (16004, "SESSION_CLOSED", Status::SendingFailed),
            Self::RecipientUnreachable => (16005, "RECIPIENT_UNREACHABLE", Status::SendingFailed),
            Self::TemplateUnavailable => (16006, "TEMPLATE_UNAVAILABLE", Status::SendingFailed),
            Self::FrequencyCapped => (16007, "FREQUENCY_CAPPED", Status::Rejected),
            Self::Collapsed => (16008, "COLLAPSED", Status::Skipped),
        }
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.row().0
    }

    /// Finds a code by its number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.number() == number)
    }
}

/// Who found the failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureSource {
    /// tuma's own rules.
    Tuma,
    /// An answer of the provider.
    Lipachat,
}

impl FailureSource {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tuma => "tuma",
            Self::Lipachat => "lipachat",
        }
    }
}

/// A failure with its source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Which.
    pub code: FailureCode,
    /// Found by whom.
    pub source: FailureSource,
    /// The source's own code: the rule that classified the answer, or the rule of ours that ended the message.
    pub source_code: String,
    /// The source's own text, bounded; empty when there is none.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_found_again() {
        for known in FailureCode::ALL {
            assert_eq!(FailureCode::from_number(known.number()), Some(known));
        }
        assert_eq!(FailureCode::from_number(0), None);
    }
}
