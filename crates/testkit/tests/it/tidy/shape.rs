//! Shape of a file: length, doc, functions, and what tests must not do.

use super::source::{Kind, Source, Token};

/// Stop there; aim at 100.
const FILE_LINES_MAX: usize = 500;

/// Stop there; aim at one screen.
const FUNCTION_LINES_MAX: usize = 70;

/// In a file of tests: why nothing but time can be waited for. A reason follows.
const SLEEP_REASON: &str = "tidy: sleeps because ";

pub(super) fn file_lengths(sources: &[Source]) -> Vec<String> {
    let long = |source: &&Source| source.is_rust() && source.text.lines().count() > FILE_LINES_MAX;
    let what = format!("longer than {FILE_LINES_MAX} lines: give each noun its own file");
    sources.iter().filter(long).map(|source| source.breach(FILE_LINES_MAX + 1, &what)).collect()
}

pub(super) fn file_docs(sources: &[Source]) -> Vec<String> {
    let bare = |source: &&Source| source.is_rust() && !source.text.starts_with("//!");
    let what = "the file does not begin with `//!`: say what it is for";
    sources.iter().filter(bare).map(|source| source.breach(1, what)).collect()
}

pub(super) fn function_lengths(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        for (index, name) in functions(source) {
            let lines = function_end(source, index).map_or(1, |end| end - name.line + 1);
            if lines > FUNCTION_LINES_MAX {
                let what = format!("`{}` has {lines} lines, over {FUNCTION_LINES_MAX}", name.text);
                breaches.push(source.breach(name.line, &what));
            }
        }
    }
    breaches
}

pub(super) fn function_names(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        for (_, name) in functions(source).filter(|(_, name)| name.text.starts_with("test_")) {
            let what = format!("`{}`: a test's name is a sentence of behaviour", name.text);
            breaches.push(source.breach(name.line, &what));
        }
    }
    breaches
}

pub(super) fn ignored_tests(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        for (index, word) in source.words().filter(|(_, word)| word.text == "ignore") {
            let first = index >= 2 && source.reads(index - 2, &["#", "[", "ignore"]);
            if first || inside_cfg_attr(source, index) {
                breaches.push(source.breach(word.line, "an ignored test tells nothing"));
            }
        }
    }
    breaches
}

pub(super) fn sleeping_tests(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources.iter().filter(|source| !has_sleep_reason(source)) {
        let is_kit = source.path.starts_with("crates/testkit/src/");
        for (index, word) in source.words().filter(|(_, word)| word.text.starts_with("sleep")) {
            let called =
                matches!(word.text.as_str(), "sleep" | "sleep_ms" | "sleep_until") && source.reads(index + 1, &["("]);
            let tests = source.is_test() || word.in_test;
            let named = is_kit && takes_constant(source, index + 1);
            if called && (tests || is_kit) && !named {
                let what = "a test sleeps: step, move the clock or await a signal";
                breaches.push(source.breach(word.line, what));
            }
        }
    }
    breaches
}

/// The names in `fn name`, with their index.
fn functions(source: &Source) -> impl Iterator<Item = (usize, &Token)> {
    let named = |(index, _): &(usize, &Token)| *index > 0 && source.reads(index - 1, &["fn"]);
    source.words().filter(named)
}

/// Line of the brace that closes the body of the function named at `index`; none in a trait.
fn function_end(source: &Source, index: usize) -> Option<usize> {
    let mut at = index;
    loop {
        let token = source.tokens.get(at)?;
        match (token.text.as_str(), token.kind) {
            ("{", Kind::Open { close }) => return source.tokens.get(close).map(|end| end.line),
            (";", Kind::Mark) | (_, Kind::Close) => return None,
            (_, Kind::Open { close }) => at = close + 1,
            (_, Kind::Word | Kind::Mark | Kind::String | Kind::Literal) => at += 1,
        }
    }
}

fn inside_cfg_attr(source: &Source, index: usize) -> bool {
    let mut attributes = (0..index).filter(|at| source.reads(*at, &["#", "[", "cfg_attr"]));
    attributes.any(|at| source.close_of(at + 1).is_some_and(|close| close > index))
}

fn has_sleep_reason(source: &Source) -> bool {
    let (_, reason) = source.text.split_once(SLEEP_REASON).unwrap_or_default();
    reason.lines().next().is_some_and(|line| line.contains(char::is_alphabetic))
}

/// Whether the group opened at `open` holds one constant: a wait with a name and, there, a reason.
fn takes_constant(source: &Source, open: usize) -> bool {
    let Some(close) = source.close_of(open) else {
        return false;
    };
    let arguments = source.tokens.get(open + 1..close).unwrap_or_default();
    let path = arguments.iter().all(|token| token.kind == Kind::Word || token.text == ":");
    let loud = |token: &Token| !token.text.contains(char::is_lowercase);
    path && arguments.last().is_some_and(loud)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> [Source; 1] {
        [Source::new(path, text)]
    }

    #[test]
    fn a_file_over_its_length_is_reported() {
        let lines = |count: usize| one("crates/api/src/a.rs", &"//! A\n".repeat(count));
        assert!(file_lengths(&lines(500)).is_empty());
        assert_eq!(file_lengths(&lines(501)).len(), 1);
    }

    #[test]
    fn a_file_without_doc_is_reported() {
        assert!(file_docs(&one("crates/api/src/a.rs", "//! A.\nfn a() {}")).is_empty());
        assert_eq!(file_docs(&one("crates/api/src/a.rs", "fn a() {}")).len(), 1);
    }

    #[test]
    fn a_function_over_its_length_is_reported_wherever_it_hides() {
        let of = |before: &str, lines: usize, after: &str| {
            let body = "f(&[{1}; 1]);\n".repeat(lines - 2);
            let text = format!("{before}async fn a<T>(x: [u8; 3])\n-> u8 {{ {body}}}{after}");
            function_lengths(&one("crates/api/src/a.rs", &text)).len()
        };
        assert_eq!(of("", 70, ""), 0);
        assert_eq!(of("", 71, ""), 1);
        assert_eq!(of("impl A {\n", 71, "}"), 1);
        assert_eq!(of("trait A { fn b(&self);\n", 71, "}"), 1);
        assert_eq!(of("proptest! {\n", 71, "}"), 1);
        assert_eq!(of("mod tests { fn b() {} ", 70, "}"), 0);
    }

    #[test]
    fn a_name_that_begins_with_test_is_reported() {
        let of = |text: &str| function_names(&one("crates/api/tests/it/a.rs", text)).len();
        assert_eq!(of("#[test] fn a_retest_of_it() { test_it(); }"), 0);
        assert_eq!(of("#[test] fn test_it() {}"), 1);
        assert_eq!(of("proptest! { #[test] fn test_it(x in 0..9) {} }"), 1);
    }

    #[test]
    fn an_ignored_test_is_reported() {
        let of = |text: &str| ignored_tests(&one("crates/api/tests/it/a.rs", text)).len();
        assert_eq!(of("#[serde(ignore)] fn ignore() { ignore(1); }"), 0);
        assert_eq!(of("#[test] #[ignore] fn a() {}"), 1);
        assert_eq!(of("#[test] #[ignore = \"slow\"] fn a() {}"), 1);
        assert_eq!(of("#[test] #[cfg_attr(windows, ignore)] fn a() {}"), 1);
    }

    #[test]
    fn a_sleep_in_a_test_is_reported_unless_it_gives_a_reason() {
        let of = |path: &str, text: &str| sleeping_tests(&one(path, text)).len();
        let sleep = "//! A.\nasync fn a() { join!(tokio::time::sleep(second())); }";
        assert_eq!(of("crates/api/tests/it/a.rs", sleep), 1);
        assert_eq!(of("crates/api/src/a.rs", sleep), 0);
        assert_eq!(of("crates/api/src/a.rs", &sleep.replace("async", "#[test]")), 1);
        assert_eq!(of("crates/testkit/src/a.rs", sleep), 1);
        assert_eq!(of("crates/testkit/src/a.rs", &sleep.replace("second()", "wait::TICK")), 0);
        let reason = "//! tidy: sleeps because a lease lapses by the server's clock\n";
        assert_eq!(of("crates/api/tests/it/a.rs", &format!("{reason}{sleep}")), 0);
        let empty = "//! tidy: sleeps because \n";
        assert_eq!(of("crates/api/tests/it/a.rs", &format!("{empty}{sleep}")), 1);
    }
}
