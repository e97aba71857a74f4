//! A Lipachat to send to that is not Lipachat. The README below is this crate's documentation.
//!
//! Reading order: the handle (`server`), a connection and its HTTP (`connection`, `request`, `reply`,
//! `response`), the simulated account (`account`, `behaviour`, `verdict`), the script, the ledger.
//! It must not know any other crate of the workspace.
//!
#![doc = include_str!("../README.md")]

mod account;
mod answer;
mod behaviour;
mod connection;
mod control;
mod endpoints;
mod envelope;
mod error;
mod field;
mod journal;
mod known;
mod ledger;
mod page;
mod rate;
mod reply;
mod request;
mod response;
mod rule;
mod rulebook;
mod script;
mod server;
mod settings;
mod switches;
mod verdict;

pub use answer::{Answer, Kind};
pub use error::Error;
pub use ledger::{Entry, Outcome};
pub use rule::{Match, Rule};
pub use script::Script;
pub use server::Sandbox;
pub use settings::Settings;
pub use switches::{
    Credentials, Duplicates, Errors, MessageIdAnswer, Names, NotYet, Rate, RateAnswer, Session, Strictness, Window,
    WrongKeyAnswer,
};
