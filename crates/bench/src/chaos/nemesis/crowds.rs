//! More messages than may go at once, each of them valid for seconds.

use std::time::Duration;

use serde_json::{Value, json};

use super::Strike;
use crate::chaos::facts::journal;
use crate::chaos::scenario::{ordinary, rest};
use crate::chaos::verdict::Struck;

/// The channels are told to wait for so long, in which messages gather.
const WAIT_SECONDS: u64 = 2;
/// For every channel to be told.
const TELLING: Duration = Duration::from_millis(500);
/// What gathered goes, and much of it is not valid any more when its turn comes.
const DRAINING: Duration = Duration::from_secs(7);
const TOO_MANY: u16 = 429;

/// Channels wait again and again, and then have more to send than their rate allows before it is too late.
pub(crate) async fn gather(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let rounds = strike.times(2, 30);
    rest(super::BEFORE).await;
    for _ in 0..rounds {
        strike.stage.script(&wait()).await?;
        rest(TELLING).await;
        strike.stage.script(&ordinary(0, "same")).await?;
        rest(DRAINING).await;
    }
    let calls = journal::read(&strike.stage.file("journal.jsonl"))?;
    let told = calls.iter().filter(|call| call.answer_status == Some(TOO_MANY)).count();
    Ok(Struck::with(told as u64, json!({ "rounds": rounds, "toldToWait": told }), Vec::new()))
}

fn wait() -> Value {
    let headers = json!({ "Retry-After": WAIT_SECONDS.to_string() });
    let answer = json!({ "kind": "status", "status": TOO_MANY, "headers": headers, "body": "" });
    json!({ "latencyMillis": 20, "rules": [{ "answer": answer }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_takes_the_script() {
        assert!(sandbox::Script::parse(wait().to_string().as_bytes()).is_ok());
    }
}
