//! What ours has to reach beside the others: ratios of medians, and whether they are where they should be.

use serde_json::{Value, json};

use super::super::flow::LOG_BYTES_BAR;
use super::phases::Phase;
use crate::figures::round;
use crate::program::Program;

const RATE: &str = "messagesPerSecond";

/// A limit of one figure of ours.
enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

use Limit::{AtLeast, AtMost};

const BARS: [(Phase, &str, Limit); 11] = [
    (Phase::Accept32, "toBestPeer", AtLeast(3.0)),
    (Phase::Accept32, "toCeiling", AtLeast(0.5)),
    (Phase::Accept128, "toCeiling", AtLeast(0.5)),
    (Phase::AcceptBatch, "toBestPeer", AtLeast(1.0)),
    (Phase::Drain, "toBestPeer", AtLeast(1.0)),
    (Phase::Drain, "toCeilingClaim", AtLeast(0.5)),
    (Phase::Flow, "toBestPeer", AtLeast(5.0)),
    (Phase::Flow, "toCeilingClaim", AtLeast(0.5)),
    (Phase::Flow, "walBytesPerMessage", AtMost(LOG_BYTES_BAR)),
    (Phase::Latency, "p50ToBestPeer", AtMost(1.0)),
    (Phase::Latency, "p99ToBestPeer", AtMost(1.0)),
];

/// Adds ratios and bars to our own results.
pub(super) fn judge(results: &mut Value) {
    for phase in Phase::ALL {
        let ratios = if phase == Phase::Latency { latencies(results) } else { rates(results, phase) };
        let ours = &mut results[Program::Tuma.name()][phase.name()];
        for (name, ratio) in ratios {
            ours[name] = ratio.map_or(Value::Null, |ratio| json!(round(ratio)));
        }
        let mut reached = Some(true);
        for (_, name, limit) in BARS.iter().filter(|(of, ..)| *of == phase) {
            let figure = ours[name]["median"].as_f64().or_else(|| ours[name].as_f64());
            let (bar, is_reached) = match limit {
                AtLeast(bar) => (bar, figure.map(|figure| figure >= *bar)),
                AtMost(bar) => (bar, figure.map(|figure| figure <= *bar)),
            };
            ours["bar"][name] = json!(bar);
            // One that is missed decides; one that cannot be told leaves it open.
            reached = match (reached, is_reached) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (None, _) | (_, None) => None,
                (Some(true), Some(true)) => Some(true),
            };
        }
        ours["reached"] = json!(reached);
    }
}

fn rates(results: &Value, phase: Phase) -> Vec<(&'static str, Option<f64>)> {
    let to = |other: Option<f64>| Some(median(results, Program::Tuma, phase, RATE)? / other?);
    vec![
        ("toBestPeer", to(peers(results, phase, RATE).reduce(f64::max))),
        ("toCeiling", to(median(results, Program::Ceiling, phase, RATE))),
        ("toCeilingClaim", to(median(results, Program::CeilingClaim, phase, RATE))),
    ]
}

fn latencies(results: &Value) -> Vec<(&'static str, Option<f64>)> {
    let to_best = |figure| {
        let best = peers(results, Phase::Latency, figure).reduce(f64::min)?;
        Some(median(results, Program::Tuma, Phase::Latency, figure)? / best)
    };
    vec![("p50ToBestPeer", to_best("p50Ms")), ("p99ToBestPeer", to_best("p99Ms"))]
}

/// A figure of each of the other queues.
fn peers(results: &Value, phase: Phase, figure: &str) -> impl Iterator<Item = f64> {
    let others = Program::ALL.into_iter().filter(|program| program.file().is_some());
    others.filter_map(move |program| median(results, program, phase, figure))
}

fn median(results: &Value, program: Program, phase: Phase, figure: &str) -> Option<f64> {
    results[program.name()][phase.name()][figure]["median"].as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(median: f64) -> Value {
        json!({ "messagesPerSecond": { "median": median } })
    }

    #[test]
    fn a_bar_is_reached_when_every_ratio_of_it_is() {
        let mut results = json!({
            "tuma": { "accept32": rate(6_000.0), "drain": rate(9_000.0) },
            "ceiling": { "accept32": rate(12_000.0) },
            "ceilingClaim": { "drain": rate(20_000.0) },
            "graphile": { "accept32": rate(1_000.0), "drain": rate(8_000.0) },
            "pgBoss": { "accept32": rate(2_000.0), "drain": rate(7_000.0) }
        });
        judge(&mut results);
        let accept = &results["tuma"]["accept32"];
        assert_eq!((&accept["toBestPeer"], &accept["toCeiling"]), (&json!(3.0), &json!(0.5)));
        assert_eq!(accept["reached"], json!(true));
        assert_eq!(results["tuma"]["drain"]["reached"], json!(false));
    }

    #[test]
    fn without_peers_a_bar_against_them_is_left_open() {
        let mut results = json!({
            "tuma": { "accept32": rate(9_000.0), "accept128": rate(9_000.0) },
            "ceiling": { "accept32": rate(10_000.0), "accept128": rate(10_000.0) },
            "graphile": { "unavailable": "npm: not found" }
        });
        judge(&mut results);
        assert_eq!(results["tuma"]["accept32"]["reached"], Value::Null);
        assert_eq!(results["tuma"]["accept128"]["reached"], json!(true));
    }

    #[test]
    fn a_latency_is_compared_with_the_least_of_each_quantile() {
        let way =
            |p50: f64, p99: f64| json!({ "latency200": { "p50Ms": { "median": p50 }, "p99Ms": { "median": p99 } } });
        let mut results = json!({ "tuma": way(2.0, 6.0), "graphile": way(4.0, 10.0), "pgBoss": way(5.0, 5.0) });
        judge(&mut results);
        let ours = &results["tuma"]["latency200"];
        assert_eq!((&ours["p50ToBestPeer"], &ours["p99ToBestPeer"]), (&json!(0.5), &json!(1.2)));
        assert_eq!(ours["reached"], json!(false));
    }
}
