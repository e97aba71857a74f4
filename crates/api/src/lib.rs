//! The only crate that knows HTTP in: Channels shapes, the admin API, access, errors.
//!
//! A request is authenticated before its body is read, its body is bounded before it is parsed, and all that is wrong
//! with it is said at once. What is accepted goes to the store's writer; the engine is met only in the database, save
//! for a hint that something is due.
//!
//! Reading order is the order of the modules below.

pub mod app;

pub mod metrics;

pub mod steps;

mod routes;

mod access;

mod rate_limit;

mod patience;

mod body;

mod json;

mod reader;

mod wire;

mod timing;

mod backlog;

mod outlook;

mod prospect;

mod admission;

mod cursor;

mod errors;

mod openapi;

pub use access::scopes;
pub use app::{Api, configure, served_routes};
