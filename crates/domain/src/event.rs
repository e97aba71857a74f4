//! What happens to a message besides its calls: it is held, released, given another time, cancelled, replayed.

/// A kind of event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// An operator holds it.
    Held,
    /// An operator lets it go.
    Released,
    /// It got another `scheduledFor`.
    Rescheduled,
    /// It is not sent any more.
    Cancelled,
    /// It is sent again, by another message.
    Replayed,
    /// What holds it changed, and it was planned anew.
    Planned,
    /// It was due and could not go.
    PutOff,
    /// Of a part that may have been sent it was proven that it was.
    ProvenSent,
    /// Of a part that may have been sent it was proven that it was not.
    ProvenNotSent,
}

impl Event {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::Held,
        Self::Released,
        Self::Rescheduled,
        Self::Cancelled,
        Self::Replayed,
        Self::Planned,
        Self::PutOff,
        Self::ProvenSent,
        Self::ProvenNotSent,
    ];

    /// The word stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Rescheduled => "rescheduled",
            Self::Cancelled => "cancelled",
            Self::Replayed => "replayed",
            Self::Planned => "planned",
            Self::PutOff => "put_off",
            Self::ProvenSent => "proven_sent",
            Self::ProvenNotSent => "proven_not_sent",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_reads_its_own_word() {
        for known in Event::ALL {
            assert_eq!(Event::from_word(known.as_str()), Some(known));
        }
        assert_eq!(Event::from_word("Held"), None);
    }
}
