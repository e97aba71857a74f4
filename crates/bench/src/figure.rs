//! Draws results of `peers` as SVG: rates and latencies of ours beside those of the others.
//!
//! Every panel has a scale of its own, since the phases lie orders of magnitude apart; each bar carries its figure. The
//! card is white, so that it can be read on any page.

use std::fmt::Write;

use serde_json::Value;

use crate::program::Program;

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 28.0;
/// Where bars begin: names stand before.
const BARS_FROM: f64 = 190.0;
/// Longest bar; its figure stands behind.
const BAR_LENGTH: f64 = 480.0;
const ROW: f64 = 22.0;
const BAR: f64 = 15.0;
/// Between two quantiles of one program.
const THIN_ROW: f64 = 15.0;
const THIN_BAR: f64 = 11.0;
/// Above the first panel: title, machine.
const HEAD: f64 = 96.0;
/// Title of a panel.
const PANEL_HEAD: f64 = 26.0;
const PANEL_GAP: f64 = 20.0;
const FOOT: f64 = 48.0;

const RATES: [(&str, &str); 4] = [
    ("accept32", "Accepting, one message a call, 32 connections"),
    ("acceptBatch", "Accepting, 100 messages a call, 32 connections"),
    ("drain", "Draining a backlog, from the start of the process"),
    ("flow", "In and out together, 32 producers"),
];
const LATENCY: &str = "latency200";
const QUANTILES: [(&str, &str, &str); 2] = [("p50Ms", "p50", "1"), ("p99Ms", "p99", "0.55")];

/// The figure of results as `peers` or `all` printed them.
pub(crate) fn draw(results: &Value) -> Result<String, String> {
    let programs = &results["peers"]["programs"];
    if !programs.is_object() {
        return Err("no results of `peers` in it".to_owned());
    }
    let (mut body, mut y) = (String::new(), HEAD);
    for (phase, title) in RATES {
        y = rates(&mut body, programs, phase, title, y) + PANEL_GAP;
    }
    y = latencies(&mut body, programs, y) + FOOT;
    let mut page = String::new();
    let parts = [head(results, y), body, foot(programs, y)];
    let style = "font-family=\"ui-sans-serif, system-ui, Helvetica, Arial, sans-serif\" fill=\"#1f2328\"";
    push(
        &mut page,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" {style}>\n"
        ),
    );
    parts.iter().for_each(|part| page.push_str(part));
    page.push_str("</svg>");
    Ok(page)
}

/// Card, title, and what the figures are to be read with.
fn head(results: &Value, height: f64) -> String {
    let mut text = String::new();
    let (width, inner) = (WIDTH - 1.0, height - 1.0);
    push(
        &mut text,
        format_args!(
            "<rect x=\"0.5\" y=\"0.5\" width=\"{width}\" height=\"{inner}\" rx=\"10\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>\n"
        ),
    );
    label(&mut text, MARGIN, 36.0, "font-size=\"19\" font-weight=\"600\"", "tuma beside other queues on PostgreSQL");
    let machine = &results["machine"];
    let of = |name: &str| machine[name].as_str().unwrap_or("?").to_owned();
    let date = of("date").chars().take(10).collect::<String>();
    let runs = results["peers"]["runs"].as_u64().unwrap_or_default();
    let first = format!(
        "{date}, commit {}, {} build; {} cores of {}, for load, program, sink and PostgreSQL together.",
        of("commit"),
        of("build"),
        machine["cores"],
        of("processor")
    );
    let second = format!(
        "300 bytes of JSON in, committed with fsync, one HTTP POST out, completion committed. Median of {runs}, whiskers: \
         range."
    );
    for (y, line) in [(58.0, first), (76.0, second)] {
        label(&mut text, MARGIN, y, "font-size=\"12\" fill=\"#57606a\"", &line);
    }
    text
}

/// What is meant by the ceilings, and who is missing.
fn foot(programs: &Value, height: f64) -> String {
    let mut text = String::new();
    let missing = |program: &Program| programs[program.name()]["unavailable"].is_string();
    let missing: Vec<&str> =
        Program::ALL.iter().filter(|program| missing(program)).map(|program| name(*program)).collect();
    let mut note = "ceiling: a bare program of the same shape, without tenants, checks, limits or retries.".to_owned();
    if !missing.is_empty() {
        push(&mut note, format_args!(" Not run: {}.", missing.join(", ")));
    }
    label(&mut text, MARGIN, height - 20.0, "font-size=\"12\" fill=\"#57606a\"", &note);
    text
}

/// A panel of rates; answers where it ends.
fn rates(out: &mut String, programs: &Value, phase: &str, title: &str, top: f64) -> f64 {
    let shown: Vec<(Program, &Value)> = shown(programs, phase, "messagesPerSecond");
    panel_head(out, title, "messages a second", top);
    let most = most(shown.iter().map(|(_, runs)| *runs));
    let mut y = top + PANEL_HEAD;
    for (program, runs) in shown {
        row_name(out, name(program), y + BAR / 2.0);
        bar(out, &Bar { runs, most, y, height: BAR, color: color(program), opacity: "1", unit: "" });
        y += ROW;
    }
    y
}

/// The panel of latencies; answers where it ends.
fn latencies(out: &mut String, programs: &Value, top: f64) -> f64 {
    panel_head(out, "Hand-in to arrival at a steady 200 a second (solid p50, pale p99)", "milliseconds", top);
    let shown: Vec<Vec<(Program, &Value)>> =
        QUANTILES.iter().map(|(figure, ..)| shown(programs, LATENCY, figure)).collect();
    let most = most(shown.iter().flatten().map(|(_, runs)| *runs));
    let mut y = top + PANEL_HEAD;
    for program in Program::ALL {
        for (quantile, (_, _, opacity)) in shown.iter().zip(QUANTILES) {
            let Some((_, runs)) = quantile.iter().find(|(of, _)| *of == program) else { continue };
            bar(out, &Bar { runs, most, y, height: THIN_BAR, color: color(program), opacity, unit: " ms" });
            if opacity == "1" {
                row_name(out, name(program), y + THIN_ROW - 2.0);
            }
            y += THIN_ROW;
        }
        y += ROW - THIN_ROW;
    }
    y
}

/// Programs that have a figure.
fn shown<'a>(programs: &'a Value, phase: &str, figure: &str) -> Vec<(Program, &'a Value)> {
    let runs = |program: Program| (program, &programs[program.name()][phase][figure]);
    Program::ALL.into_iter().map(runs).filter(|(_, runs)| runs["median"].is_number()).collect()
}

fn most<'a>(runs: impl Iterator<Item = &'a Value>) -> f64 {
    runs.filter_map(|runs| runs["max"].as_f64()).fold(f64::MIN_POSITIVE, f64::max)
}

fn panel_head(out: &mut String, title: &str, unit: &str, top: f64) {
    label(out, MARGIN, top + 14.0, "font-size=\"14\" font-weight=\"600\"", title);
    label(out, WIDTH - MARGIN, top + 14.0, "font-size=\"12\" fill=\"#57606a\" text-anchor=\"end\"", unit);
}

fn row_name(out: &mut String, name: &str, middle: f64) {
    label(out, BARS_FROM - 10.0, middle + 4.5, "font-size=\"13\" text-anchor=\"end\"", name);
}

struct Bar<'a> {
    /// Median, lowest and highest.
    runs: &'a Value,
    /// What the longest bar stands for.
    most: f64,
    y: f64,
    height: f64,
    color: &'a str,
    opacity: &'a str,
    unit: &'a str,
}

fn bar(out: &mut String, bar: &Bar<'_>) {
    let of = |name: &str| bar.runs[name].as_f64().unwrap_or_default();
    let (median, lowest, highest) = (of("median"), of("min"), of("max"));
    let at = |figure: f64| figure / bar.most * BAR_LENGTH;
    let (y, height, color, opacity) = (bar.y, bar.height, bar.color, bar.opacity);
    let length = at(median).max(1.0);
    push(
        out,
        format_args!(
            "<rect x=\"{BARS_FROM}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{height}\" fill=\"{color}\" fill-opacity=\"{opacity}\"/>\n"
        ),
    );
    let (from, to, middle) = (BARS_FROM + at(lowest), BARS_FROM + at(highest), y + height / 2.0);
    if highest > lowest {
        push(
            out,
            format_args!("<path d=\"M{from:.1} {middle:.1}H{to:.1}\" stroke=\"#1f2328\" stroke-width=\"1.2\"/>\n"),
        );
    }
    let words = format!("{}{}", short(median), bar.unit);
    label(out, to.max(BARS_FROM + length) + 8.0, middle + 4.0, "font-size=\"12\"", &words);
}

fn label(out: &mut String, x: f64, y: f64, style: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    push(out, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{words}</text>\n"));
}

fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(what);
}

/// Three digits at the most.
fn short(figure: f64) -> String {
    match figure {
        figure if figure >= 99_950.0 => format!("{:.0} k", figure / 1_000.0),
        figure if figure >= 1_000.0 => format!("{:.1} k", figure / 1_000.0),
        figure if figure >= 100.0 => format!("{figure:.0}"),
        figure => format!("{figure:.1}"),
    }
}

fn name(program: Program) -> &'static str {
    match program {
        Program::Tuma => "tuma",
        Program::Ceiling => "ceiling",
        Program::CeilingClaim => "ceiling that claims",
        Program::Graphile => "graphile-worker",
        Program::PgBoss => "pg-boss",
    }
}

fn color(program: Program) -> &'static str {
    match program {
        Program::Tuma => "#0969da",
        Program::Ceiling | Program::CeilingClaim => "#bfc6cd",
        Program::Graphile => "#bf8700",
        Program::PgBoss => "#8250df",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_figure_shows_what_was_measured_and_names_what_was_not() {
        let rate = |median: f64| json!({ "messagesPerSecond": { "median": median, "min": median, "max": median } });
        let results = json!({ "machine": { "processor": "A & B" }, "peers": { "runs": 3, "programs": {
            "tuma": { "accept32": rate(12_345.0) }, "pgBoss": { "unavailable": "npm: not found" }
        } } });
        let text = draw(&results).expect("a figure");
        assert!(text.contains("12.3 k") && text.contains("A &amp; B") && text.contains("Not run: pg-boss."));
        assert!(draw(&json!({})).is_err());
    }

    #[test]
    fn a_figure_is_short() {
        let cases = [(175_432.0, "175 k"), (99_960.0, "100 k"), (1_234.0, "1.2 k"), (123.4, "123"), (2.64, "2.6")];
        for (figure, text) in cases {
            assert_eq!(short(figure), text);
        }
    }
}
