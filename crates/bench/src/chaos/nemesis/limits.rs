//! The upstream says no: to the key, or to the rate.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Strike;
use crate::chaos::clock;
use crate::chaos::facts::Call;
use crate::chaos::facts::database::Rows;
use crate::chaos::facts::journal;
use crate::chaos::order::mark;
use crate::chaos::scenario::{Tier, ordinary, rest};
use crate::chaos::stage::digits;
use crate::chaos::verdict::Struck;

/// How the upstream names a refused key, and too high a rate.
const KEY_REFUSED: &str = "invalidCredentials";
const TOO_MANY: u16 = 429;
/// For so long messages come in while the key is refused, and for so long it is: in the long run ten thousand wait, and it is
/// mended after five minutes (failure model, F32).
const REFUSED_SHORT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));
const REFUSED_LONG: (Duration, Duration) = (Duration::from_secs(27), Duration::from_secs(300));
/// Calls of a channel with a refused key at the most, in five minutes.
const REFUSED_CALLS_MAX: usize = 10;
/// A refused key is tried again after this time, microseconds (contract, section 9).
const PROBE: i64 = 60_000_000;
/// A channel's calls under way when its gate closes may arrive for so long, microseconds.
const UNDER_WAY: i64 = 500_000;
const SECOND: i64 = 1_000_000;
/// Instants are compared with this tolerance, microseconds.
const TOLERANCE: i64 = 50_000;
/// Pause where the upstream names none that makes sense: half of tuma's first one, microseconds.
const BACK_OFF: i64 = 500_000;
/// How long the one that names a date asks for.
const DATE_AHEAD: i64 = 6_000_000;
const STORM: Duration = Duration::from_secs(14);

/// What the upstream answers with 429, by channel.
pub(crate) const VARIANTS: [Variant; 7] = [
    Variant { retry_after: Some("5"), pause: 5_000_000 },
    Variant { retry_after: Some(DATE), pause: DATE_AHEAD },
    Variant { retry_after: Some("0"), pause: 1_000_000 },
    Variant { retry_after: Some("-1"), pause: BACK_OFF },
    Variant { retry_after: Some("1000000000000"), pause: 900_000_000 },
    Variant { retry_after: Some("soon"), pause: BACK_OFF },
    Variant { retry_after: None, pause: BACK_OFF },
];
/// Stands for an instant that is filled in.
const DATE: &str = "date";

/// A way to ask for a pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    retry_after: Option<&'static str>,
    /// The pause that must be kept at least, microseconds: what is asked for, between 1 s and 15 min.
    pause: i64,
}

/// The key is refused while messages come in; then it is right again.
pub(crate) async fn refuse_keys(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let (filling, refusing) = strike.tier.pick(REFUSED_SHORT, REFUSED_LONG);
    let rows = Rows::connect(&strike.stage.database_url()).await?;
    // From before the first message: what ends although the key is refused has ended wrongly.
    rest(filling).await;
    if refusing > filling {
        strike.load.raise();
    }
    rest(refusing.saturating_sub(filling)).await;
    let ended = rows.ended().await?.len();
    let waiting = rows.open().await?;
    strike.stage.script(&ordinary(0, "same")).await?;
    let calls = journal::read(&strike.stage.file("journal.jsonl"))?;
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.outcome == KEY_REFUSED) {
        *refused.entry(&call.from).or_default() += 1;
    }
    let mut wrong = Vec::new();
    if ended > 0 {
        wrong.push(format!("{ended} messages ended while the key was refused"));
    }
    for number in refused.keys() {
        let own: Vec<&Call> = calls.iter().filter(|call| call.from == *number).collect();
        let ignored = ignored(&own, |call| (call.outcome == KEY_REFUSED).then_some(call.at + PROBE));
        if ignored > 0 {
            wrong.push(format!("{number} made {ignored} calls between probes of a refused key"));
        }
    }
    let most = refused.values().max().copied().unwrap_or_default();
    // How many were under way when the first was refused is the machine's matter, too: judged where it is left alone.
    if strike.tier == Tier::Long && most > REFUSED_CALLS_MAX {
        wrong.push(format!("a channel made {most} calls with a refused key"));
    }
    let seconds = refusing.as_secs();
    let told =
        json!({ "refusedCalls": refused, "mostOfAChannel": most, "waitingThen": waiting, "refusedSeconds": seconds });
    Ok(Struck::with(refused.values().sum::<usize>() as u64, told, wrong))
}

/// Every call is one too many for a while, and each channel is told to wait in another way.
pub(crate) async fn limit_rates(strike: &mut Strike<'_>) -> Result<Struck, String> {
    rest(super::BEFORE).await;
    // Before the script: its first refusal may be all that a channel hears until the end of the storm.
    let began = clock::now();
    let until = began + DATE_AHEAD;
    strike.stage.script(&script(until)?).await?;
    rest(STORM).await;
    strike.stage.script(&ordinary(0, "same")).await?;
    let calls = journal::read(&strike.stage.file("journal.jsonl"))?;
    let (mut wrong, mut told) = (Vec::new(), json!({}));
    let mut faults = 0;
    for (channel, variant) in VARIANTS.iter().enumerate() {
        let number = digits(channel);
        let own: Vec<&Call> = calls.iter().filter(|call| call.from == number && call.at >= began).collect();
        let limited = own.iter().filter(|call| call.answer_status == Some(TOO_MANY)).count();
        faults += limited as u64;
        let ends = (variant.retry_after == Some(DATE)).then_some(until);
        let ignored = ignored(&own, |call| variant.asked(call, ends));
        let name = variant.retry_after.unwrap_or("none");
        told[name] = json!({ "limited": limited, "ignored": ignored });
        if limited == 0 {
            wrong.push(format!("Retry-After {name}: no call was limited"));
        }
        if ignored > 0 {
            wrong.push(format!("Retry-After {name}: {ignored} calls within the pause"));
        }
    }
    Ok(Struck::with(faults, told, wrong))
}

impl Variant {
    /// The end of the pause that the answer to a call asked for; `ends` is the date that it named.
    fn asked(self, call: &Call, ends: Option<i64>) -> Option<i64> {
        if call.answer_status != Some(TOO_MANY) {
            return None;
        }
        let answered = call.ended_at.unwrap_or(call.at);
        // A date is whole seconds; one that is past asks for nothing.
        let date = ends.map(|ends| ends / SECOND * SECOND);
        Some(date.map_or(answered + self.pause, |date| date.max(answered + BACK_OFF)))
    }
}

/// Calls that came in a pause that was asked for; `asked` tells when the pause is over that an answer asked for.
fn ignored(calls: &[&Call], asked: impl Fn(&Call) -> Option<i64>) -> usize {
    let (mut closed, mut ignored) = (None, 0);
    for call in calls {
        match closed {
            Some((since, until)) if call.at < until => {
                ignored += usize::from(call.at > since + UNDER_WAY && call.at < until - TOLERANCE);
            }
            Some(_) | None => closed = asked(call).map(|until| (call.ended_at.unwrap_or(call.at), until)),
        }
    }
    ignored
}

fn script(until: i64) -> Result<Value, String> {
    let date = Timestamp::from_microsecond(until).map_err(|error| error.to_string())?;
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let rules: Vec<Value> = VARIANTS
        .iter()
        .enumerate()
        .map(|(channel, variant)| {
            let header = variant.retry_after.map(|text| if text == DATE { date.as_str() } else { text });
            let headers = header.map_or_else(|| json!({}), |header| json!({ "Retry-After": header }));
            json!({
                "match": { "textContains": mark(channel) },
                "answer": { "kind": "status", "status": TOO_MANY, "headers": headers, "body": "" }
            })
        })
        .collect();
    Ok(json!({ "latencyMillis": 20, "rules": rules }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_takes_the_script_of_the_storm() {
        let script = script(1_800_000_000_000_000).expect("a script");
        assert!(sandbox::Script::parse(script.to_string().as_bytes()).is_ok(), "{script}");
        assert_eq!(
            script["rules"][1]["answer"]["headers"]["Retry-After"],
            json!("Fri, 15 Jan 2027 08:00:00 GMT"),
            "RFC 9110, HTTP-date"
        );
    }

    #[test]
    fn a_call_within_a_pause_is_found_and_one_under_way_or_after_it_is_not() {
        let call = |at: i64, status| Call { at, ended_at: Some(at), answer_status: Some(status), ..Call::default() };
        let check = |at: &[(i64, u16)], expected| {
            let calls: Vec<Call> = at.iter().map(|(millis, status)| call(millis * 1000, *status)).collect();
            let calls: Vec<&Call> = calls.iter().collect();
            let found = ignored(&calls, |call| VARIANTS[0].asked(call, None));
            assert_eq!(found, expected, "{at:?}");
        };
        check(&[(0, 429), (400, 429), (5_000, 429), (10_000, 200), (10_001, 200)], 0);
        check(&[(0, 429), (600, 429)], 1);
        check(&[(0, 429), (5_000, 429), (7_000, 200)], 1);
    }
}
