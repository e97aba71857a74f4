//! What a process has used so far: processor time by kind of thread, and allocations where they are counted.
//!
//! Processor time comes from `/proc/self/task/*/schedstat` (Linux): user and system time of each thread in nanoseconds,
//! where `/proc/self/stat` has hundredths of a second. Threads that have ended are missing, so subjects keep theirs.

use std::ops::Sub;

use serde::{Deserialize, Serialize};

/// Beginning of the names of the threads that actix-web starts, listeners and workers.
const HTTP_THREADS: &str = "actix";

/// Allocations of a process since its start.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Allocations {
    /// Calls that allocate or grow.
    pub calls: usize,
    /// Bytes they asked for.
    pub bytes: usize,
}

/// What a process has used.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// Processor time of the threads that serve HTTP, nanoseconds.
    pub http_nanoseconds: u64,
    /// Processor time of all others, nanoseconds.
    pub other_nanoseconds: u64,
    /// Allocations, where they are counted.
    pub allocations: Option<Allocations>,
}

impl Usage {
    /// Reads what this process has used.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn read(allocations: Option<Allocations>) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("/proc/self/task (Linux): {error}");
        let mut usage = Self { allocations, ..Self::default() };
        for thread in std::fs::read_dir("/proc/self/task").map_err(told)? {
            let folder = thread.map_err(told)?.path();
            let name = std::fs::read_to_string(folder.join("comm")).map_err(told)?;
            let times = std::fs::read_to_string(folder.join("schedstat")).map_err(told)?;
            let run: u64 =
                times.split(' ').next().and_then(|first| first.parse().ok()).ok_or("schedstat: no number")?;
            if name.starts_with(HTTP_THREADS) {
                usage.http_nanoseconds += run;
            } else {
                usage.other_nanoseconds += run;
            }
        }
        Ok(usage)
    }

    /// Processor time of all threads, microseconds.
    #[must_use]
    pub fn microseconds(&self) -> f64 {
        (self.http_nanoseconds + self.other_nanoseconds) as f64 / 1000.0
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        let allocations = self.allocations.zip(earlier.allocations).map(|(now, then)| Allocations {
            calls: now.calls.saturating_sub(then.calls),
            bytes: now.bytes.saturating_sub(then.bytes),
        });
        Self {
            http_nanoseconds: self.http_nanoseconds.saturating_sub(earlier.http_nanoseconds),
            other_nanoseconds: self.other_nanoseconds.saturating_sub(earlier.other_nanoseconds),
            allocations,
        }
    }
}
