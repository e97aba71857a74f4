//! Samples as figures.

use std::time::Duration;

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

/// A quantile in milliseconds.
pub(crate) fn quantile_milliseconds(samples: &[Duration], share: f64) -> f64 {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    let place = samples.len().saturating_sub(1) as f64 * share;
    samples.get(place.round() as usize).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1000.0)
}

/// Median, lowest and highest of runs.
pub(crate) fn runs(figures: &[f64]) -> Value {
    let lowest = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    json!({ "median": round(median(figures.to_vec())), "min": round(lowest), "max": round(highest) })
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Two digits behind the point.
pub(crate) fn round(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}
