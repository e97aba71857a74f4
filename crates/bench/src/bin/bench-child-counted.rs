//! `bench-child-counted`: the same under an allocator that counts, which makes it slower.

use bench::usage::Allocations;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

fn main() -> std::process::ExitCode {
    bench::child::run(|| {
        let counted = COUNTING.stats();
        Some(Allocations { calls: counted.allocations + counted.reallocations, bytes: counted.bytes_allocated })
    })
}
