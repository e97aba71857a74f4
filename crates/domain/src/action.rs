//! What an operator may do with many messages at once.

use crate::event::Event;
use crate::lifecycle::Status;

/// A kind of act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActionKind {
    /// What waits is held until it is released.
    Hold,
    /// What is held goes.
    Release,
    /// What has not begun to be sent is not sent any more.
    Cancel,
    /// What ended without delivery is sent again, by new messages.
    Replay,
}

impl ActionKind {
    /// All, in the order they are documented.
    pub const ALL: [Self; 4] = [Self::Hold, Self::Release, Self::Cancel, Self::Replay];

    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Replay => "replay",
        }
    }

    /// Reads the word of the API.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// What it is to each message.
    #[must_use]
    pub const fn event(self) -> Event {
        match self {
            Self::Hold => Event::Held,
            Self::Release => Event::Released,
            Self::Cancel => Event::Cancelled,
            Self::Replay => Event::Replayed,
        }
    }

    /// Statuses of the messages that it concerns when none is named; with none here, all that it may concern. What was
    /// cancelled, replaced or capped ended as somebody wished: it is sent again only where its status is named.
    #[must_use]
    pub const fn unless_named(self) -> &'static [Status] {
        match self {
            Self::Hold | Self::Release | Self::Cancel => &[],
            Self::Replay => &[Status::SendingFailed, Status::DeliveryFailed],
        }
    }

    /// Whether it may concern messages with a status.
    #[must_use]
    pub fn concerns(self, status: Status) -> bool {
        match self {
            Self::Hold | Self::Release | Self::Cancel => status.is_waiting(),
            Self::Replay => match status {
                Status::Rejected
                | Status::SendingFailed
                | Status::DeliveryFailed
                | Status::Skipped
                | Status::Deleted => true,
                Status::Accepted | Status::Scheduled | Status::Processing | Status::Sent | Status::Delivered => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_reads_its_own_word() {
        for known in ActionKind::ALL {
            assert_eq!(ActionKind::from_word(known.as_str()), Some(known));
        }
        assert_eq!(ActionKind::from_word("Hold"), None);
    }

    #[test]
    fn what_waits_is_steered_and_what_ended_is_replayed() {
        for status in Status::ALL {
            for kind in [ActionKind::Hold, ActionKind::Release, ActionKind::Cancel] {
                assert_eq!(kind.concerns(status), status.is_waiting(), "{kind:?} {status:?}");
            }
            let is_past = status.is_waiting() || matches!(status, Status::Sent | Status::Delivered);
            assert_eq!(ActionKind::Replay.concerns(status), !is_past, "{status:?}");
        }
        for kind in ActionKind::ALL {
            assert!(kind.unless_named().iter().all(|status| kind.concerns(*status)), "{kind:?}");
        }
    }
}
