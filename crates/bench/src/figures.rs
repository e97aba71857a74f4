//! Durations as figures.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Minimum, quantiles and maximum in milliseconds.
pub(crate) fn milliseconds(mut samples: Vec<Duration>) -> Value {
    samples.sort_unstable();
    let at = |share: f64| {
        let last = samples.len().saturating_sub(1) as f64;
        samples.get((last * share).round() as usize).map_or(f64::NAN, |sample| round(sample.as_secs_f64() * 1000.0))
    };
    json!({ "samples": samples.len(), "min": at(0.0), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0) })
}

/// Two digits behind the point.
pub(crate) fn round(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// Rate of something since an instant.
pub(crate) fn per_second(count: usize, since: Instant) -> f64 {
    (count as f64 / since.elapsed().as_secs_f64()).round()
}
