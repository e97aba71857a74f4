//! What is measured in a process of its own, so that its processor time and allocations are nobody else's.
//!
//! Two small programs run it: `bench-child`, as it is, and `bench-child-counted`, under an allocator that counts. Times
//! are taken from the first, since counting costs time, and allocations from the second.

pub mod usage;

pub mod child;
