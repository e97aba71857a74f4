//! What the store shows to Prometheus.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, exponential_buckets,
};

/// Metrics of the store.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Time of one statement, answer included, by its name.
    pub statement_seconds: HistogramVec,
    /// Statements that failed, by name and kind (`unavailable`, `unknown`, `refused`).
    pub statement_errors: IntCounterVec,
    /// Messages that shared one commit when they were accepted.
    pub accept_batch_size: Histogram,
    /// Claimed rows that could not be read: written by a newer version, or damaged.
    pub unreadable_rows: IntCounter,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When one of the names is taken in the registry.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = exponential_buckets(0.0005, 2.0, 14)?;
        let statement_seconds = HistogramVec::new(
            HistogramOpts::new("tuma_database_statement_seconds", "Time of one statement, answer included")
                .buckets(seconds),
            &["statement"],
        )?;
        let statement_errors = IntCounterVec::new(
            Opts::new("tuma_database_statement_errors_total", "Statements that failed, by kind of failure"),
            &["statement", "kind"],
        )?;
        let accept_batch_size = Histogram::with_opts(
            HistogramOpts::new("tuma_accept_commit_messages", "Messages accepted in one commit")
                .buckets(exponential_buckets(1.0, 2.0, 11)?),
        )?;
        let unreadable_rows =
            IntCounter::new("tuma_unreadable_rows_total", "Claimed rows that could not be read, and were left")?;
        registry.register(Box::new(unreadable_rows.clone()))?;
        registry.register(Box::new(statement_seconds.clone()))?;
        registry.register(Box::new(statement_errors.clone()))?;
        registry.register(Box::new(accept_batch_size.clone()))?;
        Ok(Self { statement_seconds, statement_errors, accept_batch_size, unreadable_rows })
    }
}
