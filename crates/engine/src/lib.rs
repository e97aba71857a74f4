//! The only crate that moves messages: own, claim, attempt, settle.
//!
//! Each active channel is owned by one replica; its lane claims what is due a little ahead of the rate, waits for its
//! turn just before the first byte, calls the provider through a trait, and hands the result to the settler. Claims of all
//! lanes share statements, and so do results. No connection or transaction is held during a call. Hints make things faster,
//! never right: everything is found by looking, too.
//!
//! Reading order is the order of the modules below.

pub mod settings;

pub mod metrics;

pub mod wake;

mod licence;

pub mod engine;

mod owner;

mod beyond;

mod lane;

mod shared;

mod looks;

mod claimer;

mod gather;

mod ready;

mod recipients;

mod quiet;

mod pauses;

mod holds;

mod pace;

mod account;

mod attempt;

mod beginner;

mod starts;

mod gatekeeper;

mod settler;

pub mod chores;

pub mod overdue;

pub use engine::{Engine, Running, tell_owners};
pub use settings::Settings;
pub use wake::Wake;
