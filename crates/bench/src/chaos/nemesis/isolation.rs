//! Half of the channels have a bad upstream; what becomes of the other half's waits.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Strike;
use crate::chaos::clock;
use crate::chaos::facts::{Facts, Message};
use crate::chaos::order::mark;
use crate::chaos::scenario::{Tier, ordinary, rest};
use crate::chaos::stage::digits;
use crate::chaos::verdict::{Later, Struck};

/// Until everything is warm; not counted.
const WARM: Duration = Duration::from_secs(3);
/// Each bad channel has one of these upstreams.
const FAULTS: [&str; 4] = [
    r#"{"kind":"hang"}"#,
    r#"{"kind":"drip","bytesPerSecond":1}"#,
    r#"{"kind":"status","status":429,"headers":{"Retry-After":"1"},"body":""}"#,
    r#"{"kind":"framework","status":500}"#,
];
/// Longest waits of the good channels beside those before (failure model, F36), and what noise may add, microseconds.
const SHARE_MAX: f64 = 1.2;
const NOISE: i64 = 5_000;

/// Whether a channel has a bad upstream.
fn is_bad(channel: usize) -> bool {
    channel.is_multiple_of(2)
}

/// A time, microseconds since 1970.
type Span = std::ops::Range<i64>;

/// First all upstreams are good, then every other one is bad.
pub(crate) async fn break_half(strike: &mut Strike<'_>, channels: usize) -> Result<Struck, String> {
    let time = strike.tier.pick(Duration::from_secs(10), Duration::from_secs(60));
    rest(WARM).await;
    let began = clock::now();
    rest(time).await;
    let broke = clock::now();
    strike.stage.script(&script(channels)?).await?;
    rest(time).await;
    let ended = clock::now();
    strike.stage.script(&ordinary(0, "same")).await?;
    let is_judged = strike.tier == Tier::Long;
    let later = Later::ask(move |facts| {
        let (told, wrong) = seen(channels, [began..broke, broke..ended], facts);
        // The machine has other work in a short run: figures only.
        (told, if is_judged { wrong } else { Vec::new() })
    });
    let told = json!({ "secondsEach": time.as_secs(), "judged": is_judged });
    Ok(Struck { faults: channels.div_ceil(2) as u64, told, later, ..Struck::default() })
}

fn script(channels: usize) -> Result<Value, String> {
    let bad = (0..channels).filter(|channel| is_bad(*channel)).enumerate();
    let rule = |(place, channel): (usize, usize)| -> Result<Value, String> {
        let answer: Value = serde_json::from_str(FAULTS[place % FAULTS.len()]).map_err(|error| error.to_string())?;
        Ok(json!({ "match": { "textContains": mark(channel) }, "answer": answer }))
    };
    let mut rules = bad.map(rule).collect::<Result<Vec<Value>, String>>()?;
    let mut script = ordinary(0, "same");
    rules.extend(script["rules"].as_array().cloned().unwrap_or_default());
    script["rules"] = json!(rules);
    Ok(script)
}

/// Waits of the good channels' messages that were accepted before and while others were bad.
fn seen(channels: usize, spans: [Span; 2], facts: &Facts) -> (Value, Vec<String>) {
    let good: Vec<String> = (0..channels).filter(|channel| !is_bad(*channel)).map(digits).collect();
    let first: HashMap<&str, (&str, i64)> = facts.calls.iter().rev().fold(HashMap::new(), |mut first, call| {
        first.extend(call.part.as_deref().map(|part| (part, (call.from.as_str(), call.at))));
        first
    });
    let wait = |message: &Message| -> Option<i64> {
        let (from, at) = first.get(message.parts.first()?.as_str())?;
        good.iter().any(|number| number == from).then(|| (at - message.created_at).max(0))
    };
    let [before, during] = spans.map(|span| {
        let own = facts.messages.iter().filter(|message| span.contains(&message.created_at));
        let mut waits: Vec<i64> = own.filter_map(wait).collect();
        waits.sort_unstable();
        waits
    });
    let told = json!({
        "before": { "messages": before.len(), "p50Ms": millis(&before, 50), "p99Ms": millis(&before, 99) },
        "during": { "messages": during.len(), "p50Ms": millis(&during, 50), "p99Ms": millis(&during, 99) }
    });
    let wrong = match (percentile(&before, 99), percentile(&during, 99)) {
        (Some(before), Some(during)) if during > ((before as f64 * SHARE_MAX) as i64).max(before + NOISE) => {
            vec![format!("good channels wait {during} µs (p99) beside bad ones, {before} µs before")]
        }
        (Some(_), Some(_)) => Vec::new(),
        (None, _) | (_, None) => vec!["the good channels sent nothing".to_owned()],
    };
    (told, wrong)
}

fn millis(sorted: &[i64], of_hundred: usize) -> Option<f64> {
    percentile(sorted, of_hundred).map(|micros| micros as f64 / 1e3)
}

fn percentile(sorted: &[i64], of_hundred: usize) -> Option<i64> {
    sorted.get((sorted.len() * of_hundred / 100).min(sorted.len().saturating_sub(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::facts::Call;

    #[test]
    fn the_upstream_takes_the_script() {
        let script = script(12).expect("a script");
        assert!(sandbox::Script::parse(script.to_string().as_bytes()).is_ok(), "{script}");
    }

    /// A message before and one while others are bad, by a channel, with their waits.
    fn check(channel: usize, waits: [i64; 2], is_right: bool) {
        let mut facts = Facts::default();
        for (created_at, wait) in [0, 100].into_iter().zip(waits) {
            let part = format!("p-{created_at}");
            facts.messages.push(Message { parts: vec![part.clone()], created_at, ..Message::default() });
            // The first call counts.
            for at in [created_at + wait, created_at + 10 * wait + 1_000_000] {
                facts.calls.push(Call { at, part: Some(part.clone()), from: digits(channel), ..Call::default() });
            }
        }
        let (told, wrong) = seen(4, [0..100, 100..200], &facts);
        assert_eq!(wrong.is_empty(), is_right, "{told}");
    }

    #[test]
    fn longer_waits_of_good_channels_are_found() {
        check(1, [10_000, 14_000], true);
        check(1, [10_000, 16_000], false);
        check(1, [100_000, 119_000], true);
        check(1, [100_000, 121_000], false);
        check(0, [10_000, 10_000], false);
    }
}
