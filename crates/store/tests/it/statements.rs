//! Every statement of the store is one that the migrated database understands.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use store::list::{Driver, Order};

use crate::fixtures::connect;

/// Fewer would mean that the scan no longer sees them.
const STATEMENTS_MIN: usize = 25;

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let mut statements = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut statements);
    for driver in Driver::ALL {
        statements.extend(Order::ALL.map(|order| driver.statement(order).to_owned()));
    }
    assert!(statements.len() >= STATEMENTS_MIN, "only {} statements found", statements.len());
    let names: BTreeSet<&str> = statements.iter().map(|sql| sql.lines().next().unwrap_or_default()).collect();
    assert_eq!(names.len(), statements.len(), "two statements have one name: {names:?}");
    let database = testkit::database().await;
    let client = connect(&database.url).await;
    for sql in &statements {
        if let Err(error) = client.prepare(sql).await {
            panic!("{error:?}\n{sql}");
        }
    }
}

#[test]
fn constants_are_read_as_the_compiler_reads_them() {
    let source = "const A: &str = \"-- store.a.b\nSELECT \\\"c\\\"\";\nconst B: &str = \"x\";\nconst C: u8 = 1;\nconst D: &str = \"-- store.a.d\\nSELECT 1\";";
    assert_eq!(constants(source), ["-- store.a.b\nSELECT \"c\"", "-- store.a.d\nSELECT 1"]);
}

/// A statement of the sources by its name.
pub(crate) fn statement(name: &str) -> String {
    let mut statements = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut statements);
    let first = format!("-- {name}");
    statements.into_iter().find(|sql| sql.lines().next() == Some(&first)).unwrap_or_else(|| panic!("no {name}"))
}

fn collect(folder: &Path, statements: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the sources can be listed") {
        let path = entry.expect("an entry of the sources").path();
        if path.is_dir() {
            collect(&path, statements);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            statements.extend(constants(&fs::read_to_string(&path).expect("a source is text")));
        }
    }
}

/// The texts of `const NAME: &str = "…";` that begin with the name of a statement.
fn constants(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in source.match_indices("const ") {
        let Some((head, rest)) = source[start..].split_once('"') else { continue };
        if head.trim_end().ends_with(": &str =") && !head.contains(';') {
            found.push(unescaped(rest));
        }
    }
    found.retain(|text| text.starts_with("-- store."));
    found
}

/// The text up to the closing quotation mark.
fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let mut characters = literal.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('"') => text.push('"'),
                Some('\\') => text.push('\\'),
                other => panic!("an escape this test does not know: {other:?}"),
            },
            other => text.push(other),
        }
    }
    text
}
