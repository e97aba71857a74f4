//! Waits at a named point of a message's way, holds the connection that gets there, and says whose it is.
//!
//! The proxies are before each replica's database and upstream, so a point is where bytes are, not where the program is: what
//! was asked and not passed on, done and not told, told in part or whole. Once caught, a connection passes nothing more.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::talk::Act;
use crate::chaos::clock;

/// Kept of what is said at a point, bytes: more than any statement of the load has.
pub(super) const SEEN_BYTES_MAX: usize = 1_000_000;

/// A point of the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Point {
    /// The statement is asked for, and does not reach the database.
    Asked(Act),
    /// It is committed, and nothing of the answer is passed on.
    Committed(Act),
    /// The answer to it was passed on whole.
    Told(Act),
    /// A connection to the upstream is made, and nothing of the request is passed on.
    Connected,
    /// The first byte of the request was passed on.
    FirstByte,
    /// All bytes of the request but the last one were.
    AllButLast,
    /// The request was passed on whole, the upstream has it, and nothing of its answer is passed on.
    LastByte,
    /// The head of the answer was passed on.
    Head,
    /// The answer was passed on whole.
    Answered,
}

impl Point {
    /// All, in the order of a message's way. That a result was told cannot be told apart from nothing: all is done then.
    pub(crate) const ALL: [Self; 14] = [
        Self::Asked(Act::Accept),
        Self::Committed(Act::Accept),
        Self::Told(Act::Accept),
        Self::Asked(Act::Claim),
        Self::Committed(Act::Claim),
        Self::Told(Act::Claim),
        Self::Connected,
        Self::FirstByte,
        Self::AllButLast,
        Self::LastByte,
        Self::Head,
        Self::Answered,
        Self::Asked(Act::Settle),
        Self::Committed(Act::Settle),
    ];

    /// Its name in verdicts.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Asked(act) => format!("{}-asked", act.name()),
            Self::Committed(act) => format!("{}-committed", act.name()),
            Self::Told(act) => format!("{}-told", act.name()),
            Self::Connected => "call-connected".to_owned(),
            Self::FirstByte => "call-first-byte".to_owned(),
            Self::AllButLast => "call-all-but-last".to_owned(),
            Self::LastByte => "call-last-byte".to_owned(),
            Self::Head => "call-head".to_owned(),
            Self::Answered => "call-answered".to_owned(),
        }
    }
}

/// Where and when a connection was caught.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Caught {
    pub(crate) point: Point,
    /// The replica whose connection it is.
    pub(crate) replica: usize,
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// What was said, by which messages are known.
    pub(crate) seen: Vec<u8>,
}

/// A trap for all proxies of a stage. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trap(Arc<Mutex<Option<Armed>>>);

#[derive(Debug)]
struct Armed {
    point: Point,
    /// How many go by before one is caught.
    skip: usize,
    told: oneshot::Sender<Caught>,
}

/// The right to tell of a connection: one of each arming.
#[derive(Debug)]
pub(super) struct Sprung {
    point: Point,
    told: oneshot::Sender<Caught>,
}

impl Trap {
    /// Waits at a point, in place of where it waited before. What is answered ends without a word when the connection
    /// did not get there after all.
    pub(crate) fn arm(&self, point: Point, skip: usize) -> oneshot::Receiver<Caught> {
        let (told, heard) = oneshot::channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Armed { point, skip, told });
        heard
    }

    /// Whether a connection that is at a point now is the one that is waited for.
    pub(super) fn takes(&self, point: Point) -> Option<Sprung> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = armed.as_mut().filter(|armed| armed.point == point)?;
        if waiting.skip > 0 {
            waiting.skip -= 1;
            return None;
        }
        armed.take().map(|Armed { point, told, .. }| Sprung { point, told })
    }
}

impl Sprung {
    pub(super) fn tell(self, replica: usize, seen: Vec<u8>) {
        // Who waited may have lost patience.
        drop(self.told.send(Caught { point: self.point, replica, at: clock::now(), seen }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_catches_one_connection_after_those_that_go_by() {
        let trap = Trap::default();
        assert!(trap.takes(Point::Head).is_none(), "not armed");
        let mut heard = trap.arm(Point::Head, 1);
        assert!(trap.takes(Point::Answered).is_none(), "another point");
        assert!(trap.takes(Point::Head).is_none(), "goes by");
        trap.takes(Point::Head).expect("caught").tell(2, b"seen".to_vec());
        assert!(trap.takes(Point::Head).is_none(), "one only");
        let caught = heard.try_recv().expect("told");
        assert_eq!((caught.point, caught.replica, caught.seen), (Point::Head, 2, b"seen".to_vec()));
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let mut names: Vec<String> = Point::ALL.into_iter().map(Point::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
