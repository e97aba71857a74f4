//! The computing part of accepting: from the body's bytes to the message and the text of its answer.

use std::time::{Duration, Instant};

use api::steps::{Ground, Step, walk};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Counter, rest, text_body};

/// Messages before the first that counts: tables of telephone numbers are read on first use, and would be averaged in.
const WARM_UP: usize = 500;
/// Messages a run; the median of each step is told.
const MESSAGES: usize = 5_000;

const STEPS: [(Step, &str); 5] = [
    (Step::Json, "json"),
    (Step::Request, "request"),
    (Step::Fingerprint, "fingerprint"),
    (Step::Message, "message"),
    (Step::Answer, "answer"),
];

/// Answers each line with a run.
pub(super) fn worker(ground: Ground, now: Timestamp, counter: Counter) -> Answer {
    Box::new(move |_, pause| run(&ground, now, pause, counter))
}

fn run(ground: &Ground, now: Timestamp, pause: Duration, counter: Counter) -> Result<Value, String> {
    for number in 0..WARM_UP {
        walk(ground, text_body(number).as_bytes(), now, &mut |_| {})?;
    }
    let mut nanoseconds: [Vec<u128>; STEPS.len()] = Default::default();
    nanoseconds.iter_mut().for_each(|samples| samples.reserve(MESSAGES));
    let mut allocations = [(0, 0); STEPS.len()];
    for number in 0..MESSAGES {
        let body = text_body(number);
        rest(pause);
        let (mut allocated, mut started) = (counter().unwrap_or_default(), Instant::now());
        let mut taken = |step: Step| {
            let took = started.elapsed().as_nanos();
            let now_allocated = counter().unwrap_or_default();
            if let Some(position) = STEPS.iter().position(|(known, _)| *known == step) {
                nanoseconds[position].push(took);
                allocations[position].0 += now_allocated.calls - allocated.calls;
                allocations[position].1 += now_allocated.bytes - allocated.bytes;
            }
            (allocated, started) = (now_allocated, Instant::now());
        };
        walk(ground, body.as_bytes(), now, &mut taken)?;
    }
    let mut steps = json!({});
    for ((_, name), (mut samples, (calls, bytes))) in STEPS.iter().zip(nanoseconds.into_iter().zip(allocations)) {
        samples.sort_unstable();
        let median = samples.get(samples.len() / 2).copied().unwrap_or_default();
        steps[name] = json!({
            "microseconds": median as f64 / 1000.0,
            "allocations": counter().map(|_| calls as f64 / MESSAGES as f64),
            "bytes": counter().map(|_| bytes as f64 / MESSAGES as f64)
        });
    }
    Ok(steps)
}
