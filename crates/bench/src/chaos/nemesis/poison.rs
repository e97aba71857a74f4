//! A message that ends whoever sends it.

use std::time::{Duration, Instant};

use domain::limits::TRIES_MAX;
use serde_json::{Value, json};

use super::{BEFORE, Strike, crashes};
use crate::chaos::facts::database::Rows;
use crate::chaos::facts::{Facts, Message, WAITING, journal};
use crate::chaos::order::{POISON, POISON_KEY};
use crate::chaos::scenario::{ordinary, rest};
use crate::chaos::verdict::Struck;

/// Tries that it has had when the run begins: a claim lapses after 30 s, so all of them would take five minutes.
const TRIED: (i16, i16) = (9, 0);
/// Between two looks for the message, and for its call.
const LOOK: Duration = Duration::from_millis(100);
/// It comes with the first request.
const COMES_WITHIN: Duration = Duration::from_secs(8);
/// From one call to the next: a claim, and a look.
const TRY: Duration = Duration::from_secs(36);

/// Whenever its call comes, the replicas are killed. It must be given up after as many tries as any message has.
pub(crate) async fn spread(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let tried = strike.tier.pick(TRIED.0, TRIED.1);
    strike.stage.script(&script()).await?;
    let rows = Rows::connect(&strike.stage.database_url()).await?;
    wear(&rows, tried).await?;
    let allowed = usize::from(TRIES_MAX) - usize::try_from(tried).map_err(|error| error.to_string())?;
    let part = poison(&rows).await?.parts.first().cloned().ok_or("a message without a part")?;
    rest(BEFORE).await;
    let (mut kills, mut waited_since) = (0, Instant::now());
    // One call more than allowed is enough to know.
    while kills <= allowed && waited_since.elapsed() < TRY && poison(&rows).await?.status == WAITING {
        rest(LOOK).await;
        let calls = journal::read(&strike.stage.file("journal.jsonl"))?;
        let seen = calls.iter().filter(|call| call.part.as_ref() == Some(&part)).count();
        if seen > kills {
            crashes::end_all(strike).await?;
            (kills, waited_since) = (seen, Instant::now());
        }
    }
    strike.stage.script(&ordinary(0, "same")).await?;
    let has_ended = poison(&rows).await?.status != WAITING;
    let told = json!({ "triedBefore": tried, "calls": kills, "hasEnded": has_ended });
    Ok(Struck::with(kills as u64, told, wrong(kills, allowed, has_ended)))
}

/// What is wrong with so many calls of it.
fn wrong(calls: usize, allowed: usize, has_ended: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    if calls > allowed {
        wrong.push(format!("poison: {calls} calls end their senders, and {allowed} may"));
    }
    if !has_ended {
        wrong.push("poison: it has not ended".to_owned());
    }
    wrong
}

/// Sets the tries that it has had, as soon as it is there.
async fn wear(rows: &Rows, tried: i16) -> Result<(), String> {
    let began = Instant::now();
    while began.elapsed() < COMES_WITHIN {
        if rows.wear(POISON_KEY, tried).await? {
            return Ok(());
        }
        rest(LOOK).await;
    }
    Err("the message that ends its senders did not come".to_owned())
}

async fn poison(rows: &Rows) -> Result<Message, String> {
    let mut facts = Facts::default();
    rows.read_into(&mut facts).await?;
    let is_poison = |message: &Message| message.key.as_ref().is_some_and(|key| key.ends_with(POISON_KEY));
    facts.messages.into_iter().find(is_poison).ok_or_else(|| "the message that ends its senders is gone".to_owned())
}

/// Its call is never answered, so that there is time to kill who made it.
fn script() -> Value {
    let mut script = ordinary(0, "same");
    let hangs = json!({ "match": { "textContains": POISON }, "answer": { "kind": "hang" } });
    let all: Vec<Value> =
        std::iter::once(hangs).chain(script["rules"].as_array().cloned().unwrap_or_default()).collect();
    script["rules"] = json!(all);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_takes_the_script() {
        let script = script();
        assert!(sandbox::Script::parse(script.to_string().as_bytes()).is_ok(), "{script}");
        assert_eq!(script["rules"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn as_many_calls_as_tries_are_right_and_then_it_must_have_ended() {
        assert_eq!(wrong(1, 1, true), [""; 0]);
        assert_eq!(wrong(2, 1, true).len(), 1);
        assert_eq!(wrong(2, 1, false).len(), 2);
        assert_eq!(wrong(1, 1, false), ["poison: it has not ended"]);
    }
}
