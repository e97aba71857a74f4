//! Names: of migrations, of settings outside `server`, of the machine a file was written on.

use std::collections::BTreeMap;

use super::source::Source;

/// Crates that may read the environment: `server` has the settings, the others serve tests and
/// measurement.
const ENVIRONMENT_CRATES: &[&str] = &["server", "testkit", "cluster", "bench"];

/// Functions of `std::env` that read or write variables.
const ENVIRONMENT_CALLS: &[&str] = &["var", "var_os", "vars", "vars_os", "set_var", "remove_var"];

/// Folders of build machines; in two parts, so that this file does not hold them.
const MACHINE_FOLDERS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

pub(super) fn migrations(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut numbered: BTreeMap<u32, &Source> = BTreeMap::new();
    for source in sources {
        let Some(file) = source.path.strip_prefix("migrations/") else {
            continue;
        };
        match migration_number(file) {
            Some(number) => {
                if let Some(other) = numbered.insert(number, source) {
                    let what = format!("the number is already taken by {}", other.path);
                    breaches.push(source.breach(1, &what));
                }
            }
            None if file == "README.md" => {}
            None => breaches.push(source.breach(1, "not named `V0001__words_of_it.sql`")),
        }
    }
    for (expected, (number, source)) in (1..).zip(&numbered) {
        if expected != *number {
            breaches.push(source.breach(1, &format!("number {expected} is missing before it")));
            break;
        }
    }
    breaches
}

pub(super) fn environment(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    let may = |source: &&Source| {
        source.crate_name().is_some_and(|name| ENVIRONMENT_CRATES.contains(&name))
            || source.is_test()
            || source.path.ends_with("/build.rs")
    };
    for source in sources.iter().filter(|source| !may(source)) {
        for (index, word) in source.words().filter(|(_, word)| word.text == "env") {
            if !word.in_test && uses_variables(source, index) {
                let what = "only `server` reads the environment: take the value as an argument";
                breaches.push(source.breach(word.line, what));
            }
        }
    }
    breaches
}

pub(super) fn machine_paths(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        for (line, text) in (1..).zip(source.text.lines()) {
            if MACHINE_FOLDERS.iter().any(|folder| text.contains(folder)) {
                breaches.push(source.breach(line, "a folder of one machine: make it relative"));
            }
        }
    }
    breaches
}

/// `V0007__add_message_tags.sql` is 7.
fn migration_number(file: &str) -> Option<u32> {
    let (number, words) = file.strip_prefix('V')?.strip_suffix(".sql")?.split_once("__")?;
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let digits = number.len() == 4 && number.chars().all(|c| c.is_ascii_digit());
    if digits && words.split('_').all(is_word) { number.parse().ok() } else { None }
}

/// Whether `env` at `index` goes on as `env::var` or `env::{…, var}`.
fn uses_variables(source: &Source, index: usize) -> bool {
    if !source.reads(index + 1, &[":", ":"]) {
        return false;
    }
    let start = index + 3;
    let end = source.close_of(start).unwrap_or(start);
    let named = source.tokens.get(start..=end).unwrap_or_default();
    named.iter().any(|token| ENVIRONMENT_CALLS.contains(&token.text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_out_of_line_is_reported() {
        let of = |files: &[&str]| {
            let source = |file: &&str| Source::new(format!("migrations/{file}"), "");
            migrations(&files.iter().map(source).collect::<Vec<_>>()).len()
        };
        assert_eq!(of(&["V0001__messages.sql", "V0002__add_tags_2.sql", "README.md"]), 0);
        assert_eq!(of(&["V0001__messages.sql", "V0003__tags.sql"]), 1);
        assert_eq!(of(&["V0002__messages.sql"]), 1);
        assert_eq!(of(&["V0001__messages.sql", "V0001__tags.sql"]), 1);
        for name in ["V1__a.sql", "V0001_a.sql", "V0001__A.sql", "V0001__a__b.sql", "a.sql"] {
            assert_eq!(of(&[name]), 1, "{name}");
        }
    }

    #[test]
    fn reading_the_environment_outside_server_is_reported() {
        let of = |path: &str, text: &str| environment(&[Source::new(path, text)]).len();
        let call = "fn a() { f!(std::env::var(\"A\")); }";
        assert_eq!(of("crates/api/src/a.rs", call), 1);
        assert_eq!(of("crates/api/src/a.rs", "use std::{env::{self, vars}, fs};"), 1);
        assert_eq!(of("crates/api/src/a.rs", "const A: &str = env!(\"A\"); use std::env::args;"), 0);
        let allowed = ["crates/server/src/a.rs", "crates/api/tests/it/a.rs", "crates/api/build.rs"];
        for path in allowed {
            assert_eq!(of(path, call), 0, "{path}");
        }
    }

    #[test]
    fn a_folder_of_one_machine_is_reported() {
        for folder in MACHINE_FOLDERS {
            let text = format!("# A\ncd {folder}tuma\n");
            assert_eq!(machine_paths(&[Source::new("README.md", text)]).len(), 1);
        }
        assert!(machine_paths(&[Source::new("README.md", "at work/ and root/")]).is_empty());
    }
}
