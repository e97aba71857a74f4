//! The only crate of tuma that knows Lipachat's HTTP.
//!
//! A call is made once: no repetition, no redirect, no proxy, a time-out over all of it, an answer read to a bound.
//! What an answer means is a table, `classify`, in which each row names its evidence. A 2xx is not success, and
//! neither is `status: "success"`: sent is an answer that names the message.

pub mod client;

pub mod classify;

pub mod wire;

pub use client::Lipachat;
