//! A verdict: what a scenario saw, whether it may pass, and what a zero in it means.

use serde_json::{Value, json};

use super::checker::Findings;
use super::facts::Facts;

/// Failures that no trial showed are rarer than this in the number of trials, with 95 % confidence (failure model, 2.6).
const RULE_OF_THREE: f64 = 3.0;
/// Examples of a finding that are shown.
const EXAMPLES: usize = 5;

/// What a scenario may show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Allowed {
    /// Not once.
    Never,
    /// It belongs to the fault: it is counted.
    Counted,
}

/// What a scenario may show of what a fault can bring about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expected {
    /// Parts delivered more than once, where an unknown outcome explains it; never where the upstream deduplicates.
    pub(crate) duplicates: Allowed,
    /// Two tries of a part at a time: only where a replica that was stopped goes on.
    pub(crate) overlaps: Allowed,
    /// Calls whose outcome nobody knew.
    pub(crate) ambiguity: Allowed,
    /// Calls without a record: only where a replica ends or the database is away.
    pub(crate) unrecorded: Allowed,
}

/// What a scenario says of itself when all facts are there: for the verdict, and what is wrong.
type Told = (Value, Vec<String>);

type Question = dyn FnOnce(&Facts) -> Told + Send;

/// What a scenario has to ask the facts itself.
#[derive(Default)]
pub(crate) struct Later(Option<Box<Question>>);

impl Later {
    pub(crate) fn ask(question: impl FnOnce(&Facts) -> Told + Send + 'static) -> Self {
        Self(Some(Box::new(question)))
    }

    /// The answer, if there is a question.
    fn asked(self, facts: &Facts) -> Option<Told> {
        self.0.map(|question| question(facts))
    }
}

/// What the nemesis did.
#[derive(Default)]
pub(crate) struct Struck {
    /// Faults that came about.
    pub(crate) faults: u64,
    /// What they were, for the verdict.
    pub(crate) told: Value,
    /// What the scenario itself found wrong.
    pub(crate) wrong: Vec<String>,
    pub(crate) later: Later,
}

impl Struck {
    /// So many faults of a kind, and what was wrong in the scenario's own eyes.
    pub(crate) fn with(faults: u64, told: Value, wrong: Vec<String>) -> Self {
        Self { faults, told, wrong, later: Later::default() }
    }

    /// Adds what the scenario asks the facts.
    pub(crate) fn ask(mut self, facts: &Facts) -> Self {
        if let Some((told, wrong)) = std::mem::take(&mut self.later).asked(facts) {
            self.told = json!({ "did": self.told, "saw": told });
            self.wrong.extend(wrong);
        }
        self
    }
}

/// When what was over.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Recovery {
    /// From the last fault's end to the next message that was acknowledged, seconds.
    pub(crate) accepting_seconds: Option<f64>,
    /// To the moment when nothing was open any more.
    pub(crate) drained_seconds: Option<f64>,
}

/// Why a scenario does not pass; empty when it does.
pub(crate) fn failures(found: &Findings, expected: Expected, struck: &Struck, recovery: Recovery) -> Vec<String> {
    let mut failures = struck.wrong.clone();
    let mut never = |name: &str, count: usize| {
        if count > 0 {
            failures.push(format!("{name}: {count}"));
        }
    };
    for (name, findings) in rules(found) {
        never(name, findings.len());
    }
    for (name, count, allowed) in [
        ("duplicated", found.duplicated.len(), expected.duplicates),
        ("overlapping", found.overlapping.len(), expected.overlaps),
        ("ambiguous", found.ambiguous, expected.ambiguity),
        ("unrecorded", found.unrecorded, expected.unrecorded),
    ] {
        match allowed {
            Allowed::Never => never(name, count),
            Allowed::Counted => {}
        }
    }
    // A judge that saw nothing has nothing to say.
    for (name, count) in [
        ("no fault came about", usize::try_from(struck.faults).unwrap_or(usize::MAX)),
        ("nothing was acknowledged", found.acknowledged),
        ("nothing was delivered", found.delivered),
    ] {
        if count == 0 {
            failures.push(name.to_owned());
        }
    }
    if recovery.drained_seconds.is_none() {
        failures.push("what was open has not come to rest in time".to_owned());
    }
    failures
}

/// Many findings of a kind as one, with a few of them.
pub(crate) fn summed(what: &str, all: &[String]) -> Option<String> {
    let some: Vec<&str> = all.iter().take(EXAMPLES).map(String::as_str).collect();
    (!all.is_empty()).then(|| format!("{what}: {} (such as {})", all.len(), some.join("; ")))
}

/// Rules that nothing excuses.
fn rules(found: &Findings) -> [(&'static str, &[String]); 17] {
    [
        ("lost", &found.lost),
        ("stuck", &found.stuck),
        ("denied", &found.denied),
        ("cancelled", &found.cancelled),
        ("unexpected", &found.unexpected),
        ("refused", &found.refused),
        ("unexplainedDuplicates", &found.unexplained),
        ("changed", &found.changed),
        ("outOfOrder", &found.out_of_order),
        ("unfenced", &found.unfenced),
        ("turnedBack", &found.turned_back),
        ("early", &found.early),
        ("late", &found.late),
        ("overdue", &found.overdue),
        ("overshoot", &found.overshooting),
        ("misjudged", &found.misjudged),
        ("phantom", &found.phantom),
    ]
}

/// The verdict as JSON.
pub(crate) fn told(found: &Findings, expected: Expected, struck: &Struck, recovery: Recovery) -> Value {
    let why = failures(found, expected, struck, recovery);
    let mut verdict = json!({
        "passed": why.is_empty(), "why": why,
        "attempted": found.attempted, "acknowledged": found.acknowledged, "recovered": found.recovered,
        "unclearAnswers": found.unclear, "waiting": found.waiting,
        "calls": found.calls, "partsDelivered": found.delivered,
        "ambiguous": found.ambiguous, "cutByValidity": found.cut_short, "crowdedNumbers": found.crowded, "unrecorded": found.unrecorded,
        "duplicated": counted(&found.duplicated, found.delivered),
        "overlap": counted(&found.overlapping, found.calls),
        "waits": waits(&found.waits),
        "faults": struck.faults, "nemesis": struck.told,
        "timeToRecover": { "acceptingSeconds": recovery.accepting_seconds, "drainedSeconds": recovery.drained_seconds }
    });
    for (name, findings) in rules(found) {
        let trials = match name {
            "lost" | "stuck" => found.acknowledged,
            "unexpected" | "refused" => found.attempted,
            _ => found.calls,
        };
        verdict[name] = counted(findings, trials);
    }
    verdict
}

/// A count with its trials; a zero with the rate that it leaves possible, anything else with examples.
pub(crate) fn counted(findings: &[String], trials: usize) -> Value {
    let count = findings.len();
    if count == 0 {
        let below = (trials > 0).then(|| RULE_OF_THREE / trials as f64);
        return json!({ "count": 0, "of": trials, "rateBelow": below });
    }
    json!({ "count": count, "of": trials, "examples": findings.iter().take(EXAMPLES).collect::<Vec<_>>() })
}

fn waits(sorted: &[i64]) -> Value {
    let at = |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)));
    json!({ "count": sorted.len(), "p50Ms": at(0.5), "p99Ms": at(0.99), "maxMs": sorted.last() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Expected = Expected {
        duplicates: Allowed::Never,
        overlaps: Allowed::Never,
        ambiguity: Allowed::Never,
        unrecorded: Allowed::Never,
    };

    fn check(change: impl FnOnce(&mut Findings, &mut Struck, &mut Recovery), expected: Expected, why: &[&str]) {
        let mut found = Findings { attempted: 3, acknowledged: 3, delivered: 3, calls: 3, ..Findings::default() };
        let mut struck = Struck { faults: 1, ..Struck::default() };
        let mut recovery = Recovery { drained_seconds: Some(1.0), ..Recovery::default() };
        change(&mut found, &mut struck, &mut recovery);
        assert_eq!(failures(&found, expected, &struck, recovery), why);
        assert_eq!(told(&found, expected, &struck, recovery)["passed"], json!(why.is_empty()));
    }

    #[test]
    fn a_clean_run_passes() {
        check(|_, _, _| {}, NOTHING, &[]);
    }

    #[test]
    fn any_finding_of_a_rule_fails_it() {
        check(|found, _, _| found.lost.push("k-1".to_owned()), NOTHING, &["lost: 1"]);
        check(|found, _, _| found.early.push("m-1".to_owned()), NOTHING, &["early: 1"]);
        check(|_, struck, _| struck.wrong.push("no".to_owned()), NOTHING, &["no"]);
    }

    #[test]
    fn what_belongs_to_the_fault_is_counted_only_where_it_is_allowed() {
        let counted = Expected { duplicates: Allowed::Counted, ambiguity: Allowed::Counted, ..NOTHING };
        let doubled = |found: &mut Findings, _: &mut Struck, _: &mut Recovery| {
            found.duplicated.push("p-1".to_owned());
            found.ambiguous = 1;
        };
        check(doubled, counted, &[]);
        check(doubled, NOTHING, &["duplicated: 1", "ambiguous: 1"]);
    }

    #[test]
    fn a_run_in_which_nothing_happened_fails() {
        check(|_, struck, _| struck.faults = 0, NOTHING, &["no fault came about"]);
        check(|found, _, _| found.acknowledged = 0, NOTHING, &["nothing was acknowledged"]);
        let open = "what was open has not come to rest in time";
        check(|_, _, recovery| recovery.drained_seconds = None, NOTHING, &[open]);
    }

    #[test]
    fn a_zero_says_how_much_it_leaves_possible() {
        assert_eq!(counted(&[], 200), json!({ "count": 0, "of": 200, "rateBelow": 0.015 }));
        assert_eq!(counted(&["a".to_owned()], 200), json!({ "count": 1, "of": 200, "examples": ["a"] }));
    }
}
