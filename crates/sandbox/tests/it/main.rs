//! The sandbox over real HTTP: an ordinary client for what is HTTP, bare sockets for what is not.
//!
//! Each test starts its own sandbox on a free port. Nothing sleeps: tests wait for answers, for the
//! end of a connection, or for the ledger.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test that calls them")]

mod client;
mod control;
mod faults;
mod http;
mod journal;
mod sends;
mod switches;
