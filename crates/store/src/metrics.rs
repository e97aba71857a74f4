//! What the store shows to Prometheus.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, exponential_buckets,
};

use crate::durability::{SETTINGS, UnsafeSetting};
use crate::stop::Stop;

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
    /// 1 for each setting of the database with which it may lose what it acknowledged, allowed or not.
    pub database_unsafe: IntGaugeVec,
    /// 1 for each reason for which this process sends nothing at all.
    pub sending_held: IntGaugeVec,
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
        let database_unsafe = IntGaugeVec::new(
            Opts::new(
                "tuma_database_unsafe",
                "Settings with which the database may lose what it acknowledged: 1 is unsafe",
            ),
            &["setting"],
        )?;
        let sending_held = IntGaugeVec::new(
            Opts::new("tuma_sending_held", "Reasons for which this process sends nothing at all: 1 holds"),
            &["reason"],
        )?;
        for stop in Stop::ALL {
            sending_held.with_label_values(&[stop.as_str()]).set(0);
        }
        registry.register(Box::new(database_unsafe.clone()))?;
        registry.register(Box::new(sending_held.clone()))?;
        registry.register(Box::new(unreadable_rows.clone()))?;
        registry.register(Box::new(statement_seconds.clone()))?;
        registry.register(Box::new(statement_errors.clone()))?;
        registry.register(Box::new(accept_batch_size.clone()))?;
        let metrics = Self {
            statement_seconds,
            statement_errors,
            accept_batch_size,
            unreadable_rows,
            database_unsafe,
            sending_held,
        };
        metrics.show_unsafe(&[]);
        Ok(metrics)
    }

    pub(crate) fn show_unsafe(&self, found: &[UnsafeSetting]) {
        for name in SETTINGS {
            let is_unsafe = found.iter().any(|setting| setting.name == name);
            self.database_unsafe.with_label_values(&[name]).set(i64::from(is_unsafe));
        }
    }
}
