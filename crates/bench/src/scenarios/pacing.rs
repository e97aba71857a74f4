//! The rate of one channel, as the sink sees it: with one, two and four replicas, and with the sending one killed.

use std::time::{Duration, Instant};

use bench::child::Role;
use domain::message::{Lane, MessageType};
use serde_json::{Value, json};

use super::Size;
use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::figures::round;
use crate::limits::Limits;
use crate::sink::{Arrival, Sink};
use crate::subject::Subject;

const RATES: [u32; 2] = [80, 1000];
const REPLICAS: [usize; 3] = [1, 2, 4];
const WINDOW: Duration = Duration::from_secs(1);
/// After the sending replica was killed: until another has noticed.
const TAKE_OVER: Duration = Duration::from_secs(6);

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let time = size.pick(Duration::from_secs(15), Duration::from_secs(4));
    let (limit_bed, sink) = (Bed::make().await?, Sink::start().await?);
    let mut results =
        json!({ "limits": Limits::measure(&limit_bed, &sink).await?.figures(), "seconds": time.as_secs() });
    limit_bed.remove().await?;
    for rate in RATES {
        for replicas in REPLICAS {
            let ways = if replicas == 1 { &[false][..] } else { &[false, true][..] };
            for is_killed in ways.iter().copied() {
                let name = if is_killed { "OneKilled" } else { "" };
                results[format!("rate{rate}Replicas{replicas}{name}")] =
                    once(&sink, rate, replicas, is_killed, time).await?;
            }
        }
    }
    Ok(results)
}

async fn once(sink: &Sink, rate: u32, replicas: usize, is_killed: bool, time: Duration) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let channels = bed.channels(1, MessageType::Transactional, rate).await?;
    // More than can go in the time, so that the rate alone decides.
    let seconds = 2 * (time + TAKE_OVER).as_secs() as usize;
    let count = seconds * rate as usize;
    Backlog { channels: &channels, lane: Lane::Normal, from: 0, count, due_in_seconds: 0.0 }.insert(&bed).await?;
    drop(sink.take());
    let mut gateways = Vec::with_capacity(replicas);
    for _ in 0..replicas {
        gateways.push(Subject::start_sending(Role::Worker, &bed, &sink.url())?);
    }
    sink.wait_for(1).await?;
    let mut killed_at = None;
    if is_killed {
        tokio::time::sleep(time / 2).await;
        let sending = busiest(&mut gateways).await?;
        gateways.swap_remove(sending).kill()?;
        killed_at = Some(Instant::now());
        tokio::time::sleep(time / 2 + TAKE_OVER).await;
    } else {
        tokio::time::sleep(time).await;
    }
    drop(gateways);
    let arrivals = sink.take();
    bed.remove().await?;
    Ok(figures(&arrivals, rate as usize, killed_at))
}

/// The replica that sends: the one that has used most processor time in a second.
async fn busiest(gateways: &mut [Subject]) -> Result<usize, String> {
    let mut used = Vec::with_capacity(gateways.len());
    for gateway in gateways.iter_mut() {
        used.push(gateway.usage()?);
    }
    tokio::time::sleep(WINDOW).await;
    let mut most = (0, 0.0);
    for (place, gateway) in gateways.iter_mut().enumerate() {
        let spent = (gateway.usage()? - used[place]).microseconds();
        if spent > most.1 {
            most = (place, spent);
        }
    }
    Ok(most.0)
}

/// Every arrival begins a window.
fn figures(arrivals: &[Arrival], rate: usize, killed_at: Option<Instant>) -> Value {
    let mut windows = Vec::with_capacity(arrivals.len());
    let mut end = 0;
    for (begin, first) in arrivals.iter().enumerate() {
        while arrivals.get(end).is_some_and(|arrival| arrival.at - first.at < WINDOW) {
            end += 1;
        }
        windows.push(end - begin);
    }
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else { return Value::Null };
    let pause = arrivals.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default();
    let elapsed = last.at - first.at;
    let share = |elapsed: Duration| round((arrivals.len() - 1) as f64 / (elapsed.as_secs_f64() * rate as f64));
    let mut numbers: Vec<u32> = arrivals.iter().map(|arrival| arrival.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    json!({
        "arrivals": arrivals.len(), "windows": windows.len(),
        "windowsOverTheLimit": windows.iter().filter(|count| **count > rate).count(),
        "mostInAWindow": windows.iter().max(),
        "shareOfTheLimit": share(elapsed),
        "longestPauseSeconds": round(pause.as_secs_f64()),
        "shareOfTheLimitWithoutThePause": killed_at.map(|_| share(elapsed - pause)),
        "repeated": arrivals.len() - numbers.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_holds_more_than_the_rate_is_counted() {
        let start = Instant::now();
        let at = |milliseconds| Arrival { number: 1, at: start + Duration::from_millis(milliseconds) };
        let even = figures(&[at(0), at(500), at(1000), at(1500)], 2, None);
        assert_eq!((&even["windowsOverTheLimit"], &even["mostInAWindow"]), (&json!(0), &json!(2)));
        let early = figures(&[at(0), at(500), at(999), at(1500)], 2, None);
        assert_eq!((&early["windowsOverTheLimit"], &early["mostInAWindow"]), (&json!(1), &json!(3)));
    }
}
