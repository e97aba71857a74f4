//! `kill -9` of a replica at a named point of a message's way, and whether what became of the message is what the failure
//! model says of that point (2.2).
//!
//! A call is *unrecorded* when the upstream saw it and no attempt tells of it: that is what "maybe sent" is after a crash.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::{BEFORE, Strike};
use crate::chaos::checker::index::Index;
use crate::chaos::checker::unrecorded;
use crate::chaos::clock;
use crate::chaos::facts::database::Rows;
use crate::chaos::facts::{Facts, Message, SENT};
use crate::chaos::order::{KEY_DIGITS, KEY_PREFIX};
use crate::chaos::proxy::switch::Faults;
use crate::chaos::proxy::talk::Act;
use crate::chaos::proxy::trap::{Caught, Point};
use crate::chaos::scenario::rest;
use crate::chaos::verdict::{Later, Struck, summed};

/// Connections that go by a point before one is caught, so that it is not always the first.
const SKIP_MAX: usize = 5;
/// A point is reached within this time; all but a new connection are within milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// Times that a point is waited for anew, when what was caught failed by itself or had nothing to do.
const TRIES: usize = 10;
/// The upstream refuses connections for so long, so that replicas make new ones: they keep those that they have.
const REFUSED: Duration = Duration::from_millis(50);
/// A killed replica is away for so long.
const AWAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(600));
/// A call of a killed replica began within this time before the kill (a call takes 15 s at most), microseconds.
const CALL: i64 = 16_000_000;
/// It may arrive for so long after the kill, microseconds.
const ON_ITS_WAY: i64 = 500_000;
/// Bytes of an id as PostgreSQL's client sends it.
const ID_BYTES: usize = 16;

/// A kill.
struct Kill {
    caught: Caught,
    /// Microseconds since 1970.
    at: i64,
    /// Messages that were claimed by anybody right after it.
    claimed: HashSet<String>,
}

/// Kills at each point in turn.
pub(crate) async fn kill(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let rounds = strike.times(1, 50);
    let rows = Rows::connect(&strike.stage.database_url()).await?;
    let (mut kills, mut wrong) = (Vec::new(), Vec::new());
    rest(BEFORE).await;
    for _ in 0..rounds {
        for point in Point::ALL {
            let Some(caught) = catch(strike, point).await else {
                wrong.push(format!("{}: nobody came by", point.name()));
                continue;
            };
            let number = caught.replica;
            strike.stage.replicas[number].kill()?;
            kills.push(Kill { caught, at: clock::now(), claimed: rows.claimed().await? });
            rest(strike.dice.between(AWAY.0, AWAY.1)).await;
            strike.stage.replicas[number].start_again()?;
            strike.stage.replica_ready(number).await?;
            strike.between().await;
        }
    }
    let faults = kills.len() as u64;
    let later = Later::ask(move |facts| outcomes(&kills, facts));
    Ok(Struck { faults, told: json!({ "kills": faults }), wrong, later })
}

async fn catch(strike: &mut Strike<'_>, point: Point) -> Option<Caught> {
    for _ in 0..TRIES {
        let heard = strike.stage.trap.arm(point, strike.dice.below(SKIP_MAX));
        if point == Point::Connected {
            let switch = strike.stage.upstream_switch.clone();
            switch.turn(Faults { refuses: true, ..Faults::default() });
            rest(REFUSED).await;
            switch.clear();
        }
        match timeout(PATIENCE, heard).await {
            Ok(Ok(caught)) => return Some(caught),
            // What was caught failed by itself, or had nothing to do.
            Ok(Err(_)) => {}
            Err(_) => return None,
        }
    }
    None
}

/// What the failure model expects of a message that was at a point: calls without a record.
fn expected(point: Point) -> RangeInclusive<usize> {
    match point {
        // Not sent: nothing was stored, or nobody has claimed it, or the call was not made or not made whole.
        Point::Asked(Act::Accept | Act::Claim) | Point::Committed(Act::Accept | Act::Claim) => 0..=0,
        Point::Connected | Point::FirstByte | Point::AllButLast => 0..=0,
        // The kill comes a moment after the bytes: the program may be at the next point.
        Point::Told(_) | Point::Answered => 0..=1,
        // Maybe sent, and in fact sent and forgotten.
        Point::LastByte | Point::Head | Point::Asked(Act::Settle) => 1..=1,
        // Known.
        Point::Committed(Act::Settle) => 0..=0,
    }
}

/// Compares what became of each message with what is expected of its point.
fn outcomes(kills: &[Kill], facts: &Facts) -> (Value, Vec<String>) {
    let index = Index::of(facts);
    let by_key: HashMap<&str, &Message> =
        facts.messages.iter().filter_map(|message| Some((key(message)?, message))).collect();
    let by_id: HashMap<[u8; ID_BYTES], &Message> =
        facts.messages.iter().filter_map(|one| Some((Uuid::parse_str(&one.id).ok()?.into_bytes(), one))).collect();
    let forgotten: HashMap<&str, Vec<i64>> =
        facts.messages.iter().map(|message| (message.id.as_str(), calls_without_record(message, &index))).collect();
    let (mut wrong, mut told) = (Vec::new(), BTreeMap::new());
    let mut explained: HashSet<(&str, i64)> = HashSet::new();
    for kill in kills {
        let point = kill.caught.point;
        let own = |at: &i64| (kill.at - CALL..=kill.at + ON_ITS_WAY + facts.lag).contains(at);
        for id in &kill.claimed {
            let Some((id, calls)) = forgotten.get_key_value(id.as_str()) else { continue };
            explained.extend(calls.iter().copied().filter(own).map(|at| (*id, at)));
        }
        let caught = messages(&kill.caught.seen, &by_key, &by_id);
        let (count, all): &mut (usize, usize) = told.entry(point.name()).or_default();
        (*count, *all) = (*count + 1, *all + caught.len());
        for key in keys(&kill.caught.seen) {
            if matches!(point, Point::Asked(Act::Accept)) && !by_key.contains_key(key.as_str()) {
                wrong.push(format!("{}: {key} was never stored", point.name()));
            }
        }
        for message in caught {
            let calls = forgotten.get(message.id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let lost = calls.iter().filter(|at| own(at)).count();
            wrong.extend(deviation(kill, message, lost).map(|why| format!("{}: {}: {why}", point.name(), message.id)));
        }
    }
    let others = forgotten.iter().flat_map(|(id, calls)| calls.iter().map(|at| (*id, *at)));
    let others: Vec<String> =
        others.filter(|one| !explained.contains(one)).map(|(id, at)| format!("{id} at {at}")).collect();
    wrong.extend(summed("calls without a record that no kill explains", &others));
    for (point, (kills, messages)) in &told {
        let is_claim_asked = *point == Point::Asked(Act::Claim).name();
        if *messages == 0 && !is_claim_asked {
            wrong.push(format!("{point}: {kills} kills, and no message is known that was there"));
        }
    }
    let told =
        told.into_iter().map(|(point, (kills, messages))| (point, json!({ "kills": kills, "messages": messages })));
    (json!({ "points": told.collect::<serde_json::Map<_, _>>() }), wrong)
}

/// What is not as it should be of a message that was at the point of a kill.
fn deviation(kill: &Kill, message: &Message, without_record: usize) -> Option<String> {
    let at = kill.caught.at;
    match kill.caught.point {
        Point::Asked(Act::Accept) if message.created_at <= at => return Some("it was stored".to_owned()),
        Point::Committed(Act::Accept) | Point::Told(Act::Accept) if message.created_at > at => {
            return Some("it was stored anew".to_owned());
        }
        Point::Committed(Act::Claim) if !kill.claimed.contains(&message.id) => {
            return Some("it was not claimed".to_owned());
        }
        // A result may also be that it was not called: its validity was over.
        Point::Asked(Act::Settle) if message.status != SENT && without_record == 0 => return None,
        Point::Asked(_) | Point::Committed(_) | Point::Told(_) => {}
        Point::Connected | Point::FirstByte | Point::AllButLast => {}
        Point::LastByte | Point::Head | Point::Answered => {}
    }
    let expected = expected(kill.caught.point);
    (!expected.contains(&without_record)).then(|| {
        format!("{without_record} calls without a record, expected {} to {}", expected.start(), expected.end())
    })
}

/// When calls of a message arrived that nobody recorded.
fn calls_without_record(message: &Message, index: &Index<'_>) -> Vec<i64> {
    let parts = message.parts.iter().enumerate();
    parts.flat_map(|(number, part)| unrecorded(index.calls_of(part), index.attempts_of(&message.id, number))).collect()
}

/// The messages that are named in what was said: by key, or by id.
fn messages<'a>(
    seen: &[u8],
    by_key: &HashMap<&str, &'a Message>,
    by_id: &HashMap<[u8; ID_BYTES], &'a Message>,
) -> Vec<&'a Message> {
    let named = keys(seen).into_iter().filter_map(|key| by_key.get(key.as_str()).copied());
    let ids = seen.windows(ID_BYTES).filter_map(|bytes| by_id.get(bytes).copied());
    let all: BTreeMap<&str, &Message> = named.chain(ids).map(|message| (message.id.as_str(), message)).collect();
    all.into_values().collect()
}

/// The key that a message came under, without its workspace.
fn key(message: &Message) -> Option<&str> {
    message.key.as_deref()?.rsplit('/').next()
}

/// The keys of orders that are named in what was said.
fn keys(seen: &[u8]) -> HashSet<String> {
    let digits = |at: usize| seen.get(at + KEY_PREFIX.len()..at + KEY_PREFIX.len() + KEY_DIGITS);
    memchr::memmem::find_iter(seen, KEY_PREFIX.as_bytes())
        .filter_map(|at| digits(at).filter(|digits| digits.iter().all(u8::is_ascii_digit)))
        .map(|digits| format!("{KEY_PREFIX}{}", String::from_utf8_lossy(digits)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::facts::{Attempt, Call};

    /// Any instant, microseconds.
    const NOW: i64 = 1_800_000_000_000_000;
    const ID: &str = "01980000-0000-7000-8000-000000000001";
    const KEY: &str = "chaos-000007";

    /// A message that was called when its replica was killed, and again later; only that was recorded.
    fn facts(calls: &[i64]) -> Facts {
        let call = |at: &i64| Call { at: NOW + at, part: Some("p".to_owned()), accepted: true, ..Call::default() };
        let last = calls.last().map(|at| Attempt {
            message: ID.to_owned(),
            started_at: NOW + at,
            finished_at: NOW + at,
            outcome: "sent".to_owned(),
            ..Attempt::default()
        });
        let message = Message {
            id: ID.to_owned(),
            key: Some(format!("w-1/{KEY}")),
            status: SENT.to_owned(),
            parts: vec!["p".to_owned()],
            created_at: NOW - 1_000,
            ..Message::default()
        };
        Facts {
            messages: vec![message],
            calls: calls.iter().map(call).collect(),
            attempts: last.into_iter().collect(),
            ..Facts::default()
        }
    }

    fn check(point: Point, seen: &[u8], calls: &[i64], is_right: bool) {
        let claimed = HashSet::from([ID.to_owned()]);
        let caught = Caught { point, replica: 0, at: NOW, seen: seen.to_vec() };
        let (told, wrong) = outcomes(&[Kill { caught, at: NOW + 1_000, claimed }], &facts(calls));
        assert_eq!(wrong.is_empty(), is_right, "{point:?} {calls:?}: {wrong:?} {told}");
    }

    const LATER: i64 = 30_000_000;

    #[test]
    fn what_became_of_a_message_is_compared_with_the_point() {
        let key = format!("…{KEY}\"…");
        for point in [Point::Connected, Point::AllButLast, Point::Committed(Act::Claim)] {
            check(point, key.as_bytes(), &[LATER], true);
            check(point, key.as_bytes(), &[0, LATER], false);
        }
        check(Point::LastByte, key.as_bytes(), &[0, LATER], true);
        check(Point::LastByte, key.as_bytes(), &[LATER], false);
        check(Point::Answered, key.as_bytes(), &[0, LATER], true);
        check(Point::Committed(Act::Accept), key.as_bytes(), &[LATER], true);
        check(Point::Asked(Act::Accept), key.as_bytes(), &[LATER], false);
    }

    #[test]
    fn a_message_is_known_by_its_id_too_and_one_that_is_not_known_proves_nothing() {
        let id = Uuid::parse_str(ID).expect("an id").into_bytes();
        check(Point::Asked(Act::Settle), &[b"..".as_slice(), &id].concat(), &[0, LATER], true);
        check(Point::Committed(Act::Settle), &[b"..".as_slice(), &id].concat(), &[0, LATER], false);
        check(Point::Committed(Act::Settle), b"nobody", &[0], false);
        check(Point::Asked(Act::Claim), b"nobody", &[LATER], true);
    }

    #[test]
    fn a_call_without_a_record_that_no_kill_had_is_found() {
        let (_, wrong) = outcomes(&[], &facts(&[0, LATER]));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }
}
