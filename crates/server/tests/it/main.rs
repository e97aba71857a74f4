//! The built binary, as a user runs it.

mod process;

mod dev;

mod probe;

mod recovery;

mod readme;

mod serve;

mod vectors;
