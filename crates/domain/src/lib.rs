//! The language of tuma: what a message is, when it may go, what an answer means for it.
//!
//! Pure: no I/O, no runtime, no clock, no chance, no SQL, no HTTP. `now`, limits and jitter are passed in,
//! so that the engine, a dry run and a test decide alike. Everything else in the project speaks in these words.
//!
//! Reading order is the order of the modules below.

pub mod id;

pub mod limits;

pub mod planted;

pub mod violation;

pub mod phone;

pub mod content;

pub mod message;

pub mod lanes;

pub mod spacing;

pub mod fairness;

pub mod options;

pub mod links;

pub mod lifecycle;

pub mod failure;

pub mod recipient_zone;

pub mod quiet_hours;

pub mod schedule;

pub mod pause;

pub mod spread;

pub mod again;
pub mod forecast;

pub mod outcome;

pub mod retry;

pub mod budget;

pub mod ramp;

pub mod gate;

pub mod decision;

pub mod event;

pub mod action;

pub mod replay;
pub mod timeline;

pub mod provider;
