//! What the nemesis does to the connections of a proxy, and which of them are struck.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::talk::Act;
use crate::chaos::dice::Dice;

/// What happens to bytes of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// They go through so much later.
    Latency(Duration),
    /// After so many the connection is reset.
    CutAfter(usize),
    /// They are taken and thrown away; when the fault is over, the connection is reset.
    Swallow,
    /// The receiver sees the end, the sender none.
    HalfClose,
    /// They go one by one, with this pause between two.
    Drip(Duration),
    /// They wait until the fault is over.
    Hole,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// From who connected.
    ToServer,
    /// Back to it.
    ToClient,
}

/// The faults in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// On the way to the server.
    pub(crate) to_server: Option<Fault>,
    /// On the way back.
    pub(crate) to_client: Option<Fault>,
    /// Share of connections that are struck.
    pub(crate) share: f64,
    /// Decides which.
    pub(crate) seed: u64,
    /// Nobody listens, and connections that there were are closed.
    pub(crate) refuses: bool,
    /// Acts whose answers are lost after the commit, and how probably each.
    pub(crate) losing: BTreeSet<Act>,
    /// Probability that such an answer is lost.
    pub(crate) loss: f64,
}

impl Faults {
    /// The fault of a connection in a direction.
    pub(crate) fn of(&self, connection: u64, direction: Direction) -> Option<Fault> {
        let fault = match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        };
        fault.filter(|_| Dice::of(self.seed, &format!("connection {connection}")).happens(self.share))
    }

    /// Whether the answer to an act is lost, the so-manieth of its connection.
    pub(crate) fn loses(&self, act: Act, connection: u64, answer: u64) -> bool {
        let draw = || Dice::of(self.seed, &format!("answer {connection} {answer}")).happens(self.loss);
        self.losing.contains(&act) && draw()
    }
}

/// Turns faults on and off, and counts what they did. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    faults: Arc<watch::Sender<Arc<Faults>>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    struck: AtomicU64,
    lost: [AtomicU64; Act::ALL.len()],
}

impl Switch {
    /// A switch that does nothing.
    pub(crate) fn transparent() -> Self {
        Self { faults: Arc::new(watch::Sender::new(Arc::default())), counts: Arc::default() }
    }

    /// Puts faults in force in place of those before.
    pub(crate) fn turn(&self, faults: Faults) {
        self.faults.send_replace(Arc::new(faults));
    }

    /// Takes all faults back.
    pub(crate) fn clear(&self) {
        self.turn(Faults::default());
    }

    /// What is in force, now and later.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Faults>> {
        self.faults.subscribe()
    }

    /// Numbers a new connection.
    pub(super) fn connected(&self) -> u64 {
        self.counts.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts bytes that a fault did something to.
    pub(super) fn struck(&self) {
        self.counts.struck.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer to a commit that was lost.
    pub(super) fn lost(&self, act: Act) {
        for (count, one) in self.counts.lost.iter().zip(Act::ALL) {
            count.fetch_add(u64::from(one == act), Ordering::Relaxed);
        }
    }

    /// Answers lost so far, of all acts.
    pub(crate) fn lost_answers(&self) -> u64 {
        self.counts.lost.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Pieces of bytes that a fault did something to.
    pub(crate) fn strikes(&self) -> u64 {
        self.counts.struck.load(Ordering::Relaxed)
    }

    /// For verdicts.
    pub(crate) fn told(&self) -> Value {
        let mut lost = json!({});
        for (count, act) in self.counts.lost.iter().zip(Act::ALL) {
            lost[act.name()] = json!(count.load(Ordering::Relaxed));
        }
        json!({
            "connections": self.counts.connections.load(Ordering::Relaxed),
            "struck": self.strikes(), "lostAnswers": lost
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_which_connections_are_struck() {
        let struck = |seed| -> Vec<u64> {
            let faults = Faults { to_client: Some(Fault::Swallow), share: 0.4, seed, ..Faults::default() };
            (0..100).filter(|number| faults.of(*number, Direction::ToClient).is_some()).collect()
        };
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
        assert!((20..60).contains(&struck(1).len()), "{:?}", struck(1));
    }

    #[test]
    fn the_seed_decides_which_answers_are_lost() {
        let lost = |seed| -> Vec<u64> {
            let faults = Faults { losing: BTreeSet::from([Act::Claim]), loss: 0.1, seed, ..Faults::default() };
            assert!((0..100).all(|answer| !faults.loses(Act::Accept, 1, answer)), "not asked for");
            (0..100).filter(|answer| faults.loses(Act::Claim, 1, *answer)).collect()
        };
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
        assert!((1..30).contains(&lost(1).len()), "{:?}", lost(1));
    }

    #[test]
    fn a_fault_has_its_direction() {
        let faults = Faults { to_server: Some(Fault::Hole), share: 1.0, ..Faults::default() };
        assert_eq!(faults.of(0, Direction::ToServer), Some(Fault::Hole));
        assert_eq!(faults.of(0, Direction::ToClient), None);
        assert_eq!(Faults::default().of(0, Direction::ToServer), None);
    }
}
