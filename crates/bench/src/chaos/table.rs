//! Verdicts for people: a line each.

use serde_json::Value;

/// What the columns are.
const HEAD: &str = "| scenario | faults | acknowledged | lost | doubled | ambiguous | wait p99 / longest, s | open until, s | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

/// The verdicts of a run, as `run` answers them; what was skipped stands in lines of its own, `skipped NAME: why`.
#[must_use]
pub fn table(result: &Value) -> String {
    let verdicts = result["verdicts"].as_object();
    let (skipped, played): (Vec<_>, Vec<_>) =
        verdicts.into_iter().flatten().partition(|(_, verdict)| verdict["skipped"].is_string());
    let rows = played.into_iter().map(|(name, verdict)| row(name, verdict));
    let skipped = skipped.into_iter().map(|(name, verdict)| {
        let why = verdict["skipped"].as_str().unwrap_or_default();
        format!("skipped {name}: {why}")
    });
    let lines: Vec<String> = rows.chain(skipped).collect();
    format!("{HEAD}{}", lines.join("\n"))
}

fn row(name: &str, verdict: &Value) -> String {
    let count = |value: &Value| value.as_u64().map_or_else(|| "–".to_owned(), |count| count.to_string());
    let seconds =
        |value: &Value, unit: f64| value.as_f64().map_or_else(|| "–".to_owned(), |time| format!("{:.1}", time / unit));
    let (waits, why) = (&verdict["waits"], verdict["why"].as_array());
    let why: Vec<&str> = why.into_iter().flatten().filter_map(Value::as_str).collect();
    let outcome = if verdict["passed"] == true { "passed".to_owned() } else { why.join("; ") };
    let cells = [
        name.to_owned(),
        count(&verdict["faults"]),
        count(&verdict["acknowledged"]),
        count(&verdict["lost"]["count"]),
        count(&verdict["duplicated"]["count"]),
        count(&verdict["ambiguous"]),
        format!("{} / {}", seconds(&waits["p99Ms"], 1e3), seconds(&waits["maxMs"], 1e3)),
        seconds(&verdict["timeToRecover"]["drainedSeconds"], 1.0),
        outcome,
    ];
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_verdict_has_its_line() {
        let result = json!({ "verdicts": {
            "good": {
                "passed": true, "why": [], "faults": 5, "acknowledged": 30, "lost": { "count": 0 }, "duplicated": { "count": 2 },
                "ambiguous": 3, "waits": { "p99Ms": 1500, "maxMs": 32_000 }, "timeToRecover": { "drainedSeconds": 9.26 }
            },
            "bad": { "passed": false, "why": ["no verdict: gone", "lost: 1"] },
            "other": { "passed": false, "skipped": "no root" }
        } });
        let text = table(&result);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| bad | – | – | – | – | – | – / – | – | no verdict: gone; lost: 1 |",
                "| good | 5 | 30 | 0 | 2 | 3 | 1.5 / 32.0 | 9.3 | passed |",
                "skipped other: no root"
            ]
        );
    }
}
