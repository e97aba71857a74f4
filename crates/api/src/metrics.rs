//! What the API shows to Prometheus.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, exponential_buckets};

/// Metrics of the API.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests by route (its pattern), method and status.
    pub requests: IntCounterVec,
    /// Time of a request from its head to the answer's head, by route.
    pub request_seconds: HistogramVec,
    /// Requests refused because their workspace asks too often, by kind (`get`, `post`).
    pub rate_limited: IntCounterVec,
    /// Messages accepted for the first time.
    pub accepted: IntCounter,
    /// Requests to send that were refused because too many messages wait.
    pub queue_full: IntCounter,
    /// Requests that were answered with a message accepted before.
    pub replayed: IntCounter,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When one of the names is taken in the registry.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("tuma_http_requests_total", "Requests by route, method and status"),
                &["route", "method", "status"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::new("tuma_http_request_seconds", "Time of a request")
                    .buckets(exponential_buckets(0.0005, 2.0, 14)?),
                &["route"],
            )?,
            rate_limited: IntCounterVec::new(
                Opts::new("tuma_http_requests_limited_total", "Requests refused as too many a second, by kind"),
                &["kind"],
            )?,
            accepted: IntCounter::new("tuma_messages_accepted_total", "Messages accepted for the first time")?,
            queue_full: IntCounter::new(
                "tuma_http_requests_queue_full_total",
                "Requests to send that were refused because too many messages wait",
            )?,
            replayed: IntCounter::new(
                "tuma_messages_replayed_total",
                "Requests answered with a message accepted before",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.request_seconds.clone()))?;
        registry.register(Box::new(metrics.rate_limited.clone()))?;
        registry.register(Box::new(metrics.accepted.clone()))?;
        registry.register(Box::new(metrics.queue_full.clone()))?;
        registry.register(Box::new(metrics.replayed.clone()))?;
        Ok(metrics)
    }
}
