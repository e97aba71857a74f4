//! The states of a message and the steps between them.
//!
//! A status never goes backwards. `accepted`, `scheduled` and `processing` are one stored state, *waiting*: which of
//! them is shown follows from what the message waits for, so that waiting costs no write.

/// Status of a message, in the words of the Channels API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Stored; has not been tried.
    Accepted,
    /// Stored; waits for its `scheduledFor`.
    Scheduled,
    /// Being sent, or between two tries.
    Processing,
    /// The provider has accepted every part.
    Sent,
    /// The platform reports delivery.
    Delivered,
    /// Could not be handed to the provider.
    SendingFailed,
    /// Handed over but not delivered.
    DeliveryFailed,
    /// Refused by tuma's own rules.
    Rejected,
    /// Deliberately not sent.
    Skipped,
    /// Cancelled.
    Deleted,
}

impl Status {
    /// All, in the order they are documented.
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Scheduled,
        Self::Processing,
        Self::Sent,
        Self::Delivered,
        Self::SendingFailed,
        Self::DeliveryFailed,
        Self::Rejected,
        Self::Skipped,
        Self::Deleted,
    ];

    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Processing => "processing",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::SendingFailed => "sending_failed",
            Self::DeliveryFailed => "delivery_failed",
            Self::Rejected => "rejected",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the word of the API.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// Whether the message is still in the outbox.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        self.rank() < Self::Sent.rank()
    }

    /// Whether a message in this state may take the other one.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match next {
            Self::Accepted => false,
            Self::Scheduled => self == Self::Accepted,
            Self::Processing | Self::Sent | Self::SendingFailed | Self::Rejected | Self::Skipped | Self::Deleted => {
                self.is_waiting() && self.rank() <= next.rank()
            }
            Self::Delivered => self.is_waiting() || matches!(self, Self::Sent | Self::DeliveryFailed),
            Self::DeliveryFailed => self.is_waiting() || self == Self::Sent,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Scheduled => 1,
            Self::Processing => 2,
            Self::Sent => 3,
            Self::SendingFailed | Self::DeliveryFailed | Self::Rejected | Self::Skipped | Self::Deleted => 4,
            Self::Delivered => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_its_own_word() {
        for known in Status::ALL {
            assert_eq!(Status::from_word(known.as_str()), Some(known));
        }
        assert_eq!(Status::from_word("read"), None);
    }

    #[test]
    fn a_status_never_goes_backwards() {
        for from in Status::ALL {
            for to in Status::ALL {
                if from.may_become(to) && from != to {
                    assert!(from.rank() <= to.rank(), "{from:?} -> {to:?}");
                    assert!(!to.may_become(from), "{from:?} <-> {to:?}");
                }
            }
        }
    }

    #[test]
    fn an_ended_message_is_never_sent() {
        for ended in [Status::SendingFailed, Status::Rejected, Status::Skipped, Status::Deleted, Status::Delivered] {
            assert!(!ended.may_become(Status::Sent), "{ended:?}");
            assert!(!ended.may_become(Status::Processing), "{ended:?}");
        }
        assert!(!Status::Sent.may_become(Status::Deleted));
    }
}
