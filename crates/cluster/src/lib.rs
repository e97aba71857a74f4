//! A private PostgreSQL cluster: made, started and stopped by the program that needs it.
//!
//! `tuma dev` and the tests use it, so that nobody has to set up a server. It finds the installed
//! server programs, makes a data folder, runs the server on a free loopback port and hands out
//! URLs. It knows nothing of tuma's tables: the only SQL it speaks is `CREATE` and `DROP DATABASE`.
//!
//! Invariants: the server never runs as root; never outlives the program that started it, even
//! when that one is killed; and two programs never share one folder.

mod cluster;
mod data;
mod error;
mod file;
mod folder;
mod location;
mod log;
mod owner;
mod port;
mod programs;
mod server;
mod signal;
mod supervisor;

pub use cluster::Cluster;
pub use error::Error;
