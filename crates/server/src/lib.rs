//! The binary `tuma`: configuration, wiring, commands, the metrics endpoint, signals.
//!
//! The only crate that reads the environment and the only one that knows all others. `gateway` joins them; a command
//! decides where its parts come from and when they stop.
//!
//! Reading order is the order of the modules below.

pub mod cli;

pub mod config;

pub mod logging;

pub mod health;

pub mod state_file;

pub mod memory;

pub mod gateway;

pub mod probe;

pub mod signals;

mod planted;

pub mod commands;
