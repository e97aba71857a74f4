//! Why this process sends nothing, although it could.

use std::fmt;

use crate::client::Store;
use crate::installation::HeldReason;

/// A reason to send nothing at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The database may lose what it acknowledges, so that a result would be lost.
    UnsafeDatabase,
    /// The database was put back in time.
    Restored,
    /// The database is on another server.
    OtherServer,
    /// The database's clock was set, or this process stood still.
    ClockStep,
}

impl Stop {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::UnsafeDatabase, Self::Restored, Self::OtherServer, Self::ClockStep];

    /// The label in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnsafeDatabase => "unsafe_database",
            Self::Restored => "restored",
            Self::OtherServer => "other_server",
            Self::ClockStep => "clock_step",
        }
    }
}

impl From<HeldReason> for Stop {
    fn from(reason: HeldReason) -> Self {
        match reason {
            HeldReason::Restored => Self::Restored,
            HeldReason::OtherServer => Self::OtherServer,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsafeDatabase => "sending is held: the database may lose what it acknowledges",
            Self::Restored => "sending is held until an operator releases it: the database was put back in time",
            Self::OtherServer => "sending is held until an operator releases it: the database is on another server",
            Self::ClockStep => "sending is held here until an operator releases it: the database's clock was set",
        })
    }
}

impl Store {
    /// Whether anything may be sent; asked before every call.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.database().durability().holds() && !self.memory.is_held() && !self.clock().is_stepped()
    }

    /// Why nothing is sent; nothing when it is.
    #[must_use]
    pub fn stops(&self) -> Vec<Stop> {
        let durable = self.database().durability().holds();
        let held = self.sending_hold().map(|held| Stop::from(held.reason));
        let stops =
            [(!durable).then_some(Stop::UnsafeDatabase), held, self.clock().is_stepped().then_some(Stop::ClockStep)];
        stops.into_iter().flatten().collect()
    }

    pub(crate) fn show_stops(&self) {
        let stops = self.stops();
        for stop in Stop::ALL {
            self.metrics.sending_held.with_label_values(&[stop.as_str()]).set(i64::from(stops.contains(&stop)));
        }
        self.metrics.show_unsafe(&self.database().durability().found());
    }
}
