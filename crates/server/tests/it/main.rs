//! The built binary, as a user runs it.

mod process;

mod dev;

mod recovery;

mod readme;

mod serve;

mod vectors;
