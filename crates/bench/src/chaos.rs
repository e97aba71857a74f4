//! The judge: loads tuma, does to it what can happen, and says what was lost, doubled, early or late.
//!
//! It never takes the application's word. A client writes what it is about to hand in to a file of its own and syncs it first
//! (`ledger`, `client`); the upstream is a process of its own that writes down every request (`facts::journal`); the rows are
//! read past tuma (`facts::database`). A verdict (`checker`, `verdict`) is made of these three. What happens in
//! between is the nemesis' part (`nemesis`): processes killed, stopped and asked to end, the database likewise, and a
//! proxy on both ways (`proxy`) that delays, cuts, swallows, and loses the answers to commits that were made.
//!
//! Every choice is drawn from one seed (`dice`). The seed fixes what is handed in, what is struck and when it is asked for;
//! the system under it keeps its own time, so two runs of a seed are alike and not the same.
//!
//! tuma runs with the times it always has: leases of 12 s, claims of 30 s, calls of 15 s, probes of a refused key a
//! minute apart. No setting makes them shorter. Only the rate of the channels is set, to a hundred a second.

pub(crate) mod balancer;

pub(crate) mod checker;

pub(crate) mod client;

pub(crate) mod clock;

pub(crate) mod dice;

pub(crate) mod disk;

pub(crate) mod facts;

pub(crate) mod lag;

pub(crate) mod ledger;

pub(crate) mod nemesis;

pub(crate) mod order;

pub(crate) mod process;

pub mod planted;

pub(crate) mod proxy;

pub(crate) mod run;

pub(crate) mod scenario;

pub(crate) mod stage;

pub(crate) mod subject;

pub(crate) mod table;

pub(crate) mod verdict;

pub use run::{Settings, run};
pub use scenario::{Scenario, Tier};
pub use subject::Subject;
pub use table::table;
