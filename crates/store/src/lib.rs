//! The only crate of tuma that knows SQL.
//!
//! Each statement is a constant directly above the function that runs it and begins with its name, which is also its
//! label in metrics and in the server's log. A write that must not be half-done is one statement. No function holds a
//! transaction or a connection while somebody else is waited for.
//!
//! Reading order is the order of the modules below.

pub mod error;

pub mod connect;

pub mod durability;

pub mod migrate;

pub mod clock;

pub mod metrics;

pub mod vault;

mod bulkhead;
mod client;

pub use client::Store;

pub mod installation;

pub mod stop;

pub mod workspace;

pub mod channel;

pub mod contact;

pub mod access_key;

pub mod audit;

pub mod accept;

pub mod writer;

pub mod message;

pub mod list;

pub mod tag;

pub mod notify;

pub mod replica;

pub mod serving;

pub mod lease;

pub mod gate;

pub mod probe;

pub mod quiet_hours;

pub mod pause;

pub mod holds;

pub mod owned;

pub mod outbox;

pub mod begin;

pub mod overdue;

pub mod settle;

pub mod steer;

pub mod proof;

pub mod unknown;

pub mod replay;

pub mod action;
pub mod backlog;

pub mod explain;

mod month;

mod planted;

pub mod partition;

pub mod key;

pub mod retention;

pub mod erasure;

pub mod chore;
