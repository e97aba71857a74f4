//! What is measured in a process of its own, so that its processor time and allocations are nobody else's; and the judge.
//!
//! Two small programs run the first: `bench-child`, as it is, and `bench-child-counted`, under an allocator that counts. Times
//! are taken from the first, since counting costs time, and allocations from the second. The judge is the program `chaos`.

pub mod usage;

pub mod child;

pub mod machine;

pub mod chaos;
