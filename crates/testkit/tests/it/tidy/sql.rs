//! Where SQL may be written, how a statement says its name, and what none may do.

use super::source::{Kind, Source, Token};

/// Crates whose sources may hold SQL: the one that owns it, and those that only serve tests and
/// measurement.
const SQL_CRATES: &[&str] = &["store", "cluster", "testkit", "bench"];

/// First words of a statement, and a later word it then must hold.
const STATEMENTS: &[(&str, &str)] = &[
    ("SELECT", ""),
    ("INSERT INTO", ""),
    ("UPDATE", " SET "),
    ("DELETE FROM", ""),
    ("MERGE INTO", ""),
    ("WITH", " AS "),
    ("COPY", " FROM "),
    ("TRUNCATE", ""),
    ("LOCK TABLE", ""),
    ("CREATE TABLE", ""),
    ("CREATE INDEX", ""),
    ("CREATE UNIQUE INDEX", ""),
    ("CREATE DATABASE", ""),
    ("ALTER TABLE", ""),
    ("DROP TABLE", ""),
    ("DROP DATABASE", ""),
    ("NOTIFY", ""),
];

/// The one file of `store` that may notify: never inside an accepting transaction.
const NOTIFY_FILE: &str = "notify.rs";

pub(super) fn outside_store(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    let may = |source: &&Source| source.crate_name().is_some_and(|c| SQL_CRATES.contains(&c));
    for source in sources.iter().filter(|source| !may(source) && !source.is_test()) {
        for token in strings(source).filter(|token| is_statement(&token.text)) {
            breaches.push(source.breach(token.line, "SQL outside `store`: add a function there"));
        }
    }
    breaches
}

pub(super) fn statement_names(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in store(sources) {
        let prefix = format!("-- store.{}.", module(&source.path));
        for token in strings(source).filter(|token| is_statement(&token.text)) {
            let first = token.text.lines().next().unwrap_or_default();
            let named = first.strip_prefix(&prefix).is_some_and(is_name);
            if !named {
                let what = format!("the statement's first line is not `{prefix}<function>`");
                breaches.push(source.breach(token.line, &what));
            }
        }
    }
    breaches
}

pub(super) fn costly_statements(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in store(sources) {
        let may_notify = source.path.ends_with(&format!("/{NOTIFY_FILE}"));
        for token in strings(source) {
            let costs = costs(&token.text).into_iter();
            for cost in costs.filter(|cost| !may_notify || *cost != NOTIFY) {
                breaches.push(source.breach(token.line, cost));
            }
        }
    }
    for source in sources.iter().filter(|source| source.path.starts_with("migrations/")) {
        if costs(&source.text).contains(&NOTIFY) {
            breaches.push(source.breach(1, NOTIFY));
        }
    }
    breaches
}

const COUNT: &str = "`count(*)` reads every row: keep a sum or bound what is counted";
const STAR: &str = "`SELECT *` breaks with the next migration: name the columns";
const NOTIFY: &str = "NOTIFY serialises commits: poll, or do it in `notify.rs`";

fn costs(text: &str) -> Vec<&'static str> {
    let sql = without_comments(text).to_lowercase();
    let tight = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let tight = tight
        .replace(" (", "(")
        .replace("( ", "(")
        .replace(" )", ")")
        // Rows made in the statement itself, their columns named beside it.
        .replace("select * from unnest(", "")
        .replace("select * from input ", "");
    let notifies = tight.split([';', '\'']).any(|part| part.trim_start().starts_with("notify "))
        || tight.contains(" notify ") && is_statement(text);
    let found = [
        (tight.contains("count(*)"), COUNT),
        (tight.contains("select *") || tight.contains("select distinct *"), STAR),
        (notifies || tight.contains("pg_notify("), NOTIFY),
    ];
    found.into_iter().filter_map(|(is, what)| is.then_some(what)).collect()
}

/// Sources of `store`, tests left out.
fn store(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|s| s.path.starts_with("crates/store/src/") && !s.is_test())
}

/// Strings outside tests.
fn strings(source: &Source) -> impl Iterator<Item = &Token> {
    source.tokens.iter().filter(|token| token.kind == Kind::String && !token.in_test)
}

/// `crates/store/src/outbox/mod.rs` is `outbox`, `crates/store/src/outbox/claim.rs` `outbox.claim`.
fn module(path: &str) -> String {
    let path = path.trim_start_matches("crates/store/src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").replace('/', ".")
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
}

/// Upper case on purpose: prose and log texts begin sentences with "Select" too.
fn is_statement(text: &str) -> bool {
    let sql = without_comments(text);
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let begins = |first: &str| sql.strip_prefix(first).is_some_and(|rest| rest.starts_with(' '));
    STATEMENTS.iter().any(|(first, later)| begins(first) && sql.contains(later))
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| line.split("--").next().unwrap_or_default().to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> [Source; 1] {
        [Source::new(path, text)]
    }

    #[test]
    fn sql_outside_store_is_reported_even_inside_a_macro() {
        let of = |path: &str, text: &str| outside_store(&one(path, text)).len();
        let text = "fn a() { run(format!(\"UPDATE {t}\\n   SET a = 1\")); }";
        assert_eq!(of("crates/engine/src/a.rs", text), 1);
        assert_eq!(of("crates/engine/src/a.rs", "const A: &str = r#\"\n SELECT 1\"#;"), 1);
        assert_eq!(of("crates/engine/src/a.rs", "const A: &str = \"-- a\\nSELECT\\n 1\";"), 1);
        for path in ["crates/store/src/a.rs", "crates/bench/src/a.rs", "crates/api/tests/it/a.rs"] {
            assert_eq!(of(path, text), 0, "{path}");
        }
        let prose = "/// SELECT it.\nfn a() { say(\"Select a channel\"); say(\"UPDATE failed\"); }";
        assert_eq!(of("crates/api/src/a.rs", prose), 0);
        assert_eq!(of("crates/api/src/a.rs", &format!("#[cfg(test)] mod tests {{ {text} }}")), 0);
    }

    #[test]
    fn a_statement_without_its_own_name_is_reported() {
        let of = |path: &str, sql: &str| {
            let text = format!("const SQL: &str = \"\\\n    {sql}\";");
            statement_names(&one(path, &text)).len()
        };
        assert_eq!(of("crates/store/src/claim.rs", "-- store.claim.take\nSELECT 1"), 0);
        assert_eq!(of("crates/store/src/claim.rs", "SELECT 1"), 1);
        assert_eq!(of("crates/store/src/claim.rs", "-- store.accept.take\nSELECT 1"), 1);
        assert_eq!(of("crates/store/src/claim.rs", "-- store.claim.\nSELECT 1"), 1);
        assert_eq!(of("crates/store/src/outbox/mod.rs", "-- store.outbox.take\nSELECT 1"), 0);
        assert_eq!(of("crates/store/src/outbox/x.rs", "-- store.outbox.x.take\nSELECT 1"), 0);
        assert_eq!(of("crates/store/src/claim.rs", "no statement"), 0);
        assert_eq!(of("crates/store/tests/it/claim.rs", "SELECT 1"), 0);
    }

    #[test]
    fn a_costly_statement_is_reported() {
        let of = |path: &str, sql: &str| costly_statements(&one(path, &format!("const SQL: &str = \"{sql}\";"))).len();
        let file = "crates/store/src/a.rs";
        assert_eq!(of(file, "-- store.a.b: no count(*)\nSELECT count(id) FROM a"), 0);
        assert_eq!(of(file, "SELECT COUNT( * ) FROM a"), 1);
        assert_eq!(of(file, "SELECT a FROM (SELECT\n   * FROM a)"), 1);
        assert_eq!(of(file, "SELECT pg_notify('a', 'b')"), 1);
        assert_eq!(of(file, "NOTIFY a"), 1);
        assert_eq!(of("crates/store/src/notify.rs", "NOTIFY a"), 0);
        assert_eq!(of("crates/engine/src/a.rs", "count(*)"), 0);
    }

    #[test]
    fn a_migration_that_notifies_is_reported() {
        let of = |sql: &str| costly_statements(&one("migrations/V0001__a.sql", sql)).len();
        assert_eq!(of("-- No NOTIFY here.\nCREATE TABLE a ();"), 0);
        assert_eq!(of("BEGIN PERFORM pg_notify('a', ''); END"), 1);
    }
}
