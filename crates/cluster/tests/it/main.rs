//! The private cluster as its users see it: real server programs, real processes, real kills.
//!
//! Some tests run this very binary a second time (`hold_a_cluster`), to have a program that can be
//! killed. Tests about root say so and do nothing when run as somebody else.

mod databases;
mod folder;
mod holder;
mod processes;
mod start;
