//! What the engine shows to Prometheus.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, exponential_buckets,
};

/// Metrics of the engine.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Calls of the provider, by outcome and the row of the classification that decided it.
    pub calls: IntCounterVec,
    /// Time of one call, from before the first byte to after the last.
    pub call_seconds: Histogram,
    /// Calls under way.
    pub calls_in_flight: IntGauge,
    /// Answers that no row of the classification knows.
    pub unclassified_answers: IntCounter,
    /// Messages that left the outbox, by final status and failure code (`0` when sent).
    pub settled: IntCounterVec,
    /// From the instant a message fell due to the call.
    pub due_to_call_seconds: Histogram,
    /// Messages put off before a call, by reason.
    pub held_back: IntCounterVec,
    /// Messages that may have been sent.
    pub unknown: UnknownMetrics,
    /// Results that changed nothing because their claim was superseded.
    pub results_superseded: IntCounter,
    /// Channels that this replica owns.
    pub channels_owned: IntGauge,
    /// Channels that this replica cannot run, and leaves to others.
    pub channels_unusable: IntGauge,
    /// Owned channels of which nothing is sent, by a pause of their own or of their workspace.
    pub channels_paused: IntGauge,
    /// Closed gates of owned channels, by reason.
    pub gates_closed: IntGaugeVec,
    /// Lanes whose first message has been due for over a minute without moving, while nothing explains it: a failure. Not of
    /// channels whose account has a limit.
    pub lanes_overdue: IntGauge,
    /// How long the first of them is late, in seconds.
    pub overdue_seconds: IntGauge,
    /// Whether results can be written (1) or the database is away (0); nothing new is sent meanwhile.
    pub recording: IntGauge,
    /// What is done about a provider that fails.
    pub restraint: RestraintMetrics,
    /// Regular work.
    pub chores: ChoreMetrics,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When one of the names is taken in the registry.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = || exponential_buckets(0.001, 2.0, 16);
        let metrics = Self {
            calls: IntCounterVec::new(
                Opts::new("tuma_provider_calls_total", "Calls of the provider by outcome"),
                &["outcome", "rule"],
            )?,
            call_seconds: Histogram::with_opts(
                HistogramOpts::new("tuma_provider_call_seconds", "Time of one call of the provider")
                    .buckets(seconds()?),
            )?,
            calls_in_flight: IntGauge::new("tuma_provider_calls_in_flight", "Calls of the provider under way")?,
            unclassified_answers: IntCounter::new(
                "tuma_unclassified_answers_total",
                "Answers of the provider that no rule knows",
            )?,
            settled: IntCounterVec::new(
                Opts::new("tuma_messages_settled_total", "Messages that left the outbox"),
                &["status", "code"],
            )?,
            due_to_call_seconds: Histogram::with_opts(
                HistogramOpts::new("tuma_due_to_call_seconds", "From the instant a message fell due to its call")
                    .buckets(seconds()?),
            )?,
            held_back: IntCounterVec::new(
                Opts::new("tuma_messages_held_back_total", "Messages put off before a call"),
                &["reason"],
            )?,
            unknown: UnknownMetrics::register(registry)?,
            results_superseded: IntCounter::new("tuma_results_superseded_total", "Results whose claim was superseded")?,
            channels_owned: IntGauge::new("tuma_channels_owned", "Channels that this replica owns")?,
            channels_unusable: IntGauge::new("tuma_channels_unusable", "Channels that this replica cannot run")?,
            channels_paused: IntGauge::new("tuma_channels_paused", "Owned channels that are paused as a whole")?,
            gates_closed: IntGaugeVec::new(
                Opts::new("tuma_gates_closed", "Closed gates of owned channels"),
                &["reason"],
            )?,
            lanes_overdue: IntGauge::new(
                "tuma_lanes_overdue",
                "Lanes whose first message is due, does not move, and nothing explains it; not of accounts with a limit",
            )?,
            overdue_seconds: IntGauge::new(
                "tuma_overdue_seconds",
                "How long the first message of these lanes is late",
            )?,
            recording: IntGauge::new("tuma_results_recordable", "Whether results can be written to the database")?,
            restraint: RestraintMetrics::register(registry)?,
            chores: ChoreMetrics::register(registry)?,
        };
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.call_seconds.clone()))?;
        registry.register(Box::new(metrics.calls_in_flight.clone()))?;
        registry.register(Box::new(metrics.unclassified_answers.clone()))?;
        registry.register(Box::new(metrics.settled.clone()))?;
        registry.register(Box::new(metrics.due_to_call_seconds.clone()))?;
        registry.register(Box::new(metrics.held_back.clone()))?;
        registry.register(Box::new(metrics.results_superseded.clone()))?;
        registry.register(Box::new(metrics.channels_owned.clone()))?;
        registry.register(Box::new(metrics.channels_unusable.clone()))?;
        registry.register(Box::new(metrics.channels_paused.clone()))?;
        registry.register(Box::new(metrics.gates_closed.clone()))?;
        registry.register(Box::new(metrics.lanes_overdue.clone()))?;
        registry.register(Box::new(metrics.overdue_seconds.clone()))?;
        registry.register(Box::new(metrics.recording.clone()))?;
        metrics.recording.set(1);
        Ok(metrics)
    }
}

/// Metrics of what is done about a provider that fails, besides the gates that are closed.
#[derive(Clone, Debug)]
pub struct RestraintMetrics {
    /// Probes of closed gates, by the outcome of the call.
    pub probes: IntCounterVec,
    /// Repetitions that the channel's budget put off, when they were planned or were about to go.
    pub retries_put_off: IntCounter,
}

impl RestraintMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let probes = Opts::new("tuma_gate_probes_total", "Probes of closed gates by outcome");
        let put_off = "Repetitions that the channel's budget put off";
        let metrics = Self {
            probes: IntCounterVec::new(probes, &["outcome"])?,
            retries_put_off: IntCounter::new("tuma_retries_put_off_total", put_off)?,
        };
        registry.register(Box::new(metrics.probes.clone()))?;
        registry.register(Box::new(metrics.retries_put_off.clone()))?;
        Ok(metrics)
    }
}

/// Metrics of messages that may have been sent.
#[derive(Clone, Debug)]
pub struct UnknownMetrics {
    /// Those that wait, of the whole installation: every replica shows the same.
    pub waiting: IntGauge,
    /// How often it came to that: a call was not answered, or a process died with a call under way.
    pub total: IntCounter,
}

impl UnknownMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            waiting: IntGauge::new(
                "tuma_unknown_outcomes",
                "Messages of the installation that wait and may have been sent",
            )?,
            total: IntCounter::new("tuma_unknown_outcomes_total", "Messages whose outcome became unknown")?,
        };
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.total.clone()))?;
        Ok(metrics)
    }
}

/// Metrics of the regular work that this replica did, by chore.
#[derive(Clone, Debug)]
pub struct ChoreMetrics {
    /// Rows that it touched; tables for partitions.
    pub rows: IntCounterVec,
    /// Runs that failed and are repeated.
    pub failures: IntCounterVec,
    /// When it last succeeded, seconds since 1970 by the database's clock. One replica does it at a time, so the latest of
    /// all replicas tells whether it is done.
    pub succeeded_at: IntGaugeVec,
}

impl ChoreMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        const CHORE: &[&str] = &["chore"];
        let rows = Opts::new("tuma_chore_rows_total", "Rows that regular work touched; tables for partitions");
        let failures = Opts::new("tuma_chore_failures_total", "Runs of regular work that failed and are repeated");
        let succeeded_at =
            Opts::new("tuma_chore_success_timestamp_seconds", "When regular work last succeeded on this replica");
        let metrics = Self {
            rows: IntCounterVec::new(rows, CHORE)?,
            failures: IntCounterVec::new(failures, CHORE)?,
            succeeded_at: IntGaugeVec::new(succeeded_at, CHORE)?,
        };
        registry.register(Box::new(metrics.rows.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.succeeded_at.clone()))?;
        Ok(metrics)
    }
}
