//! What happens to a message besides its calls.

/// Something that happened to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// An operator holds it.
    Held,
    /// It was released.
    Released,
    /// It has another time.
    Rescheduled,
    /// It was cancelled.
    Cancelled,
    /// Another message was made of it.
    Replayed,
    /// What holds messages changed, so it was planned anew.
    Planned,
    /// Its turn came, and it has to wait on.
    PutOff,
}

impl Event {
    /// All.
    pub const ALL: [Self; 7] =
        [Self::Held, Self::Released, Self::Rescheduled, Self::Cancelled, Self::Replayed, Self::Planned, Self::PutOff];

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
        }
    }

    /// Reads the word stored.
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
        assert_eq!(Event::from_word("sent"), None);
    }
}
