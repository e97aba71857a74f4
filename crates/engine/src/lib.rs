//! The only crate that moves messages: own, claim, attempt, settle.
//!
//! Each active channel is owned by one replica; its lane claims what is due a little ahead of the rate, waits for its
//! turn just before the first byte, calls the provider through a trait, and hands the result to the settler, which
//! writes many results in one statement. No connection or transaction is held during a call. Hints make things faster,
//! never right: everything is found by polling, too.
//!
//! Reading order is the order of the modules below.

pub mod settings;

pub mod metrics;

pub mod wake;

pub mod engine;

mod lane;

mod pace;

mod ready;

mod attempt;

mod settler;

pub mod chores;

pub use engine::{Engine, Running};
pub use settings::Settings;
pub use wake::Wake;
