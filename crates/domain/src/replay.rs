//! Sending again what ended without delivery: whether that may be, and which parts go.
//!
//! A part that the provider never accepted keeps its id, so that one whose outcome was unknown is repeated under the same
//! id. What the provider accepted is not sent again, unless the platform reports that it was not delivered.

use crate::failure::FailureCode;
use crate::lifecycle::Status;

/// A message that is to be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Past {
    /// Where it stands.
    pub status: Status,
    /// Why it ended, if something failed.
    pub failure: Option<FailureCode>,
    /// Its parts; 0 when they are no longer kept.
    pub parts: usize,
    /// Parts that the provider accepted.
    pub accepted: usize,
}

/// What goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replay {
    /// The parts from one on, under their ids.
    Rest {
        /// The first part that goes, from 0.
        part: usize,
        /// Whether it may have been sent already.
        maybe_sent: bool,
    },
    /// All parts, under new ids.
    Anew,
}

/// Why a message is not sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It has not ended, or it was sent.
    NotFailed,
    /// It could not be read when it came.
    Unreadable,
    /// Its content is no longer kept.
    ContentGone,
}

impl Past {
    /// What goes when it is sent again.
    ///
    /// # Errors
    /// Why it is not.
    pub fn replay(&self) -> Result<Replay, Refusal> {
        match self.status {
            Status::Accepted | Status::Scheduled | Status::Processing | Status::Sent | Status::Delivered => {
                return Err(Refusal::NotFailed);
            }
            Status::Rejected if self.failure != Some(FailureCode::FrequencyCapped) => return Err(Refusal::Unreadable),
            Status::Rejected | Status::SendingFailed | Status::DeliveryFailed | Status::Skipped | Status::Deleted => {}
        }
        if self.parts == 0 {
            return Err(Refusal::ContentGone);
        }
        if self.status == Status::DeliveryFailed {
            return Ok(Replay::Anew);
        }
        if self.accepted >= self.parts {
            return Err(Refusal::NotFailed);
        }
        let maybe_sent = self.failure == Some(FailureCode::OutcomeUnknown);
        Ok(Replay::Rest { part: self.accepted, maybe_sent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(status: Status, failure: Option<FailureCode>) -> Past {
        Past { status, failure, parts: 3, accepted: 0 }
    }

    #[test]
    fn what_ended_without_delivery_may_go_again_and_nothing_else() {
        let whole = Ok(Replay::Rest { part: 0, maybe_sent: false });
        for (status, failure, expected) in [
            (Status::Accepted, None, Err(Refusal::NotFailed)),
            (Status::Scheduled, None, Err(Refusal::NotFailed)),
            (Status::Processing, None, Err(Refusal::NotFailed)),
            (Status::Sent, None, Err(Refusal::NotFailed)),
            (Status::Delivered, None, Err(Refusal::NotFailed)),
            (Status::Deleted, None, whole),
            (Status::Skipped, Some(FailureCode::Collapsed), whole),
            (Status::Rejected, Some(FailureCode::FrequencyCapped), whole),
            (Status::Rejected, Some(FailureCode::InvalidInput), Err(Refusal::Unreadable)),
            (Status::SendingFailed, Some(FailureCode::ValidityExpired), whole),
            (Status::SendingFailed, Some(FailureCode::OutcomeUnknown), Ok(Replay::Rest { part: 0, maybe_sent: true })),
            (Status::DeliveryFailed, Some(FailureCode::RecipientUnreachable), Ok(Replay::Anew)),
        ] {
            assert_eq!(past(status, failure).replay(), expected, "{status:?}");
        }
    }

    #[test]
    fn accepted_parts_are_left_out_and_content_that_is_gone_cannot_go() {
        let failed = past(Status::SendingFailed, Some(FailureCode::DependencyError));
        let rest = Past { accepted: 2, ..failed };
        assert_eq!(rest.replay(), Ok(Replay::Rest { part: 2, maybe_sent: false }));
        assert_eq!(Past { accepted: 3, ..failed }.replay(), Err(Refusal::NotFailed));
        assert_eq!(Past { parts: 0, ..failed }.replay(), Err(Refusal::ContentGone));
        let returned = Past { accepted: 3, ..past(Status::DeliveryFailed, None) };
        assert_eq!(returned.replay(), Ok(Replay::Anew));
        assert_eq!(Past { parts: 0, ..returned }.replay(), Err(Refusal::ContentGone));
    }
}
