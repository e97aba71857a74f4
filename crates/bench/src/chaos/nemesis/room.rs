//! PostgreSQL has no room: for rows, or for connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{BEFORE, Strike};
use crate::chaos::checker::index::Index;
use crate::chaos::checker::unrecorded;
use crate::chaos::clock;
use crate::chaos::facts::Facts;
use crate::chaos::facts::database::Rows;
use crate::chaos::ledger::Line;
use crate::chaos::scenario::rest;
use crate::chaos::verdict::{Later, Struck, summed};

/// The disk stays full for so long.
const FULL: Duration = Duration::from_secs(8);
/// Room that is given back meanwhile is taken again this often.
const AGAIN: Duration = Duration::from_millis(100);
/// All connections stay taken for so long.
const TAKEN: Duration = Duration::from_secs(6);
/// Between two tries to take one more.
const TRY: Duration = Duration::from_millis(20);
/// More than the server has.
const CONNECTIONS_MAX: usize = 1_000;
/// Load between two of these faults.
const HEALTHY: Duration = Duration::from_secs(12);
/// A request that cannot be stored is turned away within this time, microseconds (failure model, F17 and F15).
const TURNED_AWAY: i64 = 2_000_000;
/// The same where there is no connection: what is looked up before the message is stored waits for one, too, microseconds.
const TURNED_AWAY_LATER: i64 = 3_500_000;
/// After the fault both ways work again within this time, microseconds (failure model, F17).
const RESUMED: i64 = 10_000_000;
/// What was claimed when the fault began may still be called for so long, microseconds: a claim is used while it is younger.
const UNDER_WAY: i64 = 5_000_000;
/// How the client names such an answer, whether or not it says that nothing was stored.
const NOT_STORED: &str = "status 503";

/// When a fault was on, microseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Span {
    began: i64,
    ended: i64,
}

/// The file system that the rows are on fills up, and has room again.
pub(crate) async fn fill(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let times = strike.times(1, 10);
    let mut spans = Vec::new();
    rest(BEFORE).await;
    for _ in 0..times {
        let began = clock::now();
        let until = Instant::now() + FULL;
        let disk = strike.stage.disk.as_ref().ok_or("the stage has no small file system")?;
        while Instant::now() < until {
            disk.fill()?;
            rest(AGAIN).await;
        }
        disk.free()?;
        spans.push(Span { began, ended: clock::now() });
        rest(HEALTHY).await;
    }
    Ok(struck(strike, spans, "timesFull", TURNED_AWAY))
}

/// Others take all connections, first those that are free, then tuma's.
pub(crate) async fn crowd(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let times = strike.times(1, 10);
    let url = strike.stage.database_url();
    let (mut spans, mut most, mut ended) = (Vec::new(), 0, 0);
    rest(BEFORE).await;
    for _ in 0..times {
        let began = clock::now();
        let mut taken = Vec::new();
        take(&url, &mut taken).await;
        let until = Instant::now() + TAKEN;
        while Instant::now() < until {
            // Some may have come back before their place was taken.
            ended += taken.first().ok_or("no connection could be taken")?.end_sessions().await?;
            take(&url, &mut taken).await;
            rest(TRY).await;
        }
        most = most.max(taken.len());
        drop(taken);
        spans.push(Span { began, ended: clock::now() });
        rest(HEALTHY).await;
    }
    let mut struck = struck(strike, spans, "timesTaken", TURNED_AWAY_LATER);
    (struck.told["connectionsTaken"], struck.told["sessionsEnded"]) = (json!(most), json!(ended));
    Ok(struck)
}

/// Takes connections until there are no more.
async fn take(url: &str, taken: &mut Vec<Rows>) {
    while taken.len() < CONNECTIONS_MAX
        && let Some(one) = Rows::one_more(url).await
    {
        taken.push(one);
    }
}

fn struck(strike: &mut Strike<'_>, spans: Vec<Span>, name: &str, turned_away: i64) -> Struck {
    let mut wrong = super::database::ended(strike);
    if strike.stage.cluster.has_exited() {
        wrong.push("PostgreSQL ended".to_owned());
    }
    let mut told = json!({});
    told[name] = json!(spans.len());
    let faults = spans.len() as u64;
    Struck { faults, told, wrong, later: Later::ask(move |facts| seen(&spans, turned_away, facts)) }
}

/// What clients and upstream saw of it; `within` is how soon an answer must come.
fn seen(spans: &[Span], within: i64, facts: &Facts) -> (Value, Vec<String>) {
    let (mut told, mut wrong) = (Vec::new(), Vec::new());
    let mut forgotten: Vec<i64> = Vec::new();
    let index = Index::of(facts);
    for message in &facts.messages {
        for (number, part) in message.parts.iter().enumerate() {
            forgotten.extend(unrecorded(index.calls_of(part), index.attempts_of(&message.id, number)));
        }
    }
    for span in spans {
        let (mut turned_away, mut longest, mut others) = (0, 0, Vec::new());
        for line in &facts.ledger {
            let (Line::Unclear { at, why, took, .. } | Line::Denied { at, text: why, took, .. }) = line else {
                continue;
            };
            if !(span.began..span.ended).contains(at) {
                continue;
            }
            (turned_away, longest) = (turned_away + usize::from(why == NOT_STORED), longest.max(*took));
            if why != NOT_STORED {
                others.push(why.clone());
            }
        }
        wrong.extend(summed("answers other than status 503", &others));
        if turned_away == 0 {
            wrong.push("nothing was turned away".to_owned());
        }
        if longest > within + facts.lag {
            wrong.push(format!("turned away after {:.1} s", seconds(longest)));
        }
        let accepting = accepted(facts).into_iter().find(|at| *at >= span.ended).map(|at| at - span.ended);
        let sending = facts.calls.iter().map(|call| call.at).find(|at| *at >= span.ended).map(|at| at - span.ended);
        for (way, took) in [("accepting", accepting), ("sending", sending)] {
            if took.is_none_or(|took| took > RESUMED + facts.lag) {
                wrong.push(format!("{way} again after {:?} s", took.map(seconds)));
            }
        }
        let own = forgotten.iter().filter(|at| (span.began..span.ended).contains(*at));
        let late = own.clone().filter(|at| **at > span.began + UNDER_WAY).count();
        if late > 0 {
            wrong.push(format!("{late} calls without a record after what was under way when it began"));
        }
        told.push(json!({
            "turnedAway": turned_away, "longestAnswerSeconds": seconds(longest), "unrecordedCalls": own.count(),
            "acceptingSeconds": accepting.map(seconds), "sendingSeconds": sending.map(seconds)
        }));
    }
    (json!(told), wrong)
}

/// When messages were acknowledged, in order.
pub(super) fn accepted(facts: &Facts) -> Vec<i64> {
    let mut all: Vec<i64> = facts.ledger.iter().filter_map(Line::accepted_at).collect();
    all.sort_unstable();
    all
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::facts::Call;

    const SECOND: i64 = 1_000_000;

    fn check(why: &str, took: i64, again: i64, expected: &[&str]) {
        let (key, at) = (|| "k".to_owned(), 2 * SECOND);
        for line in [
            Line::Unclear { key: key(), at, why: why.to_owned(), took },
            Line::Denied { key: key(), at, text: why.to_owned(), took },
        ] {
            let facts = Facts {
                ledger: vec![line, Line::Accepted { key: key(), at: again, message_id: key() }],
                calls: vec![Call { at: again, ..Call::default() }],
                ..Facts::default()
            };
            let (_, wrong) = seen(&[Span { began: SECOND, ended: 9 * SECOND }], TURNED_AWAY, &facts);
            assert_eq!(wrong, expected);
        }
    }

    #[test]
    fn clients_are_turned_away_at_once_and_taken_again_soon() {
        check(NOT_STORED, SECOND, 10 * SECOND, &[]);
        check(NOT_STORED, 3 * SECOND, 10 * SECOND, &["turned away after 3.0 s"]);
        let silent = "no answer in time";
        let others = "answers other than status 503: 1 (such as no answer in time)";
        check(silent, SECOND, 10 * SECOND, &[others, "nothing was turned away"]);
        let late = ["accepting again after Some(11.0) s", "sending again after Some(11.0) s"];
        check(NOT_STORED, SECOND, 20 * SECOND, &late);
    }
}
