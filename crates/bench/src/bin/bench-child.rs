//! `bench-child`: measured as it is.

fn main() -> std::process::ExitCode {
    bench::child::run(|| None)
}
