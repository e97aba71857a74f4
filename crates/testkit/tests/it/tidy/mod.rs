//! Rules of the code base that no compiler checks, checked over every file of the repository.
//!
//! Each checker is a function from sources to breaches, a breach being one line that says where,
//! what and how to repair it. Beside each checker stands a test with a planted breach, so that a
//! guard which can no longer fail is noticed. Here the checkers meet the real tree.

mod arrows;
mod names;
mod planted;
mod shape;
mod source;
mod sql;

use std::sync::LazyLock;

use source::Source;

static TREE: LazyLock<Vec<Source>> = LazyLock::new(source::read_tree);

#[track_caller]
fn assert_clean(breaches: &[String]) {
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

#[test]
fn the_whole_repository_is_read() {
    let has = |path: &str| TREE.iter().any(|source| source.path == path);
    assert!(has("Cargo.toml") && has(".clippy.toml") && has(".ci/run"));
    assert!(has("crates/testkit/tests/it/tidy/mod.rs") && has("crates/testkit/Cargo.toml"));
}

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    assert_clean(&arrows::own_crates(&TREE));
}

#[test]
fn the_workspace_members_are_the_folders_of_crates() {
    assert_clean(&arrows::members(&TREE));
}

#[test]
fn domain_uses_only_listed_libraries() {
    assert_clean(&arrows::domain_libraries(&TREE));
}

#[test]
fn libraries_for_sql_and_http_stay_in_their_crates() {
    assert_clean(&arrows::fenced_libraries(&TREE));
}

#[test]
fn no_rust_file_is_longer_than_500_lines() {
    assert_clean(&shape::file_lengths(&TREE));
}

#[test]
fn no_function_is_longer_than_70_lines() {
    assert_clean(&shape::function_lengths(&TREE));
}

#[test]
fn every_rust_file_begins_with_its_doc() {
    assert_clean(&shape::file_docs(&TREE));
}

#[test]
fn no_function_name_begins_with_test() {
    assert_clean(&shape::function_names(&TREE));
}

#[test]
fn no_test_is_ignored() {
    assert_clean(&shape::ignored_tests(&TREE));
}

#[test]
fn no_test_sleeps() {
    assert_clean(&shape::sleeping_tests(&TREE));
}

#[test]
fn sql_is_written_only_in_store() {
    assert_clean(&sql::outside_store(&TREE));
}

#[test]
fn every_statement_of_store_begins_with_its_name() {
    assert_clean(&sql::statement_names(&TREE));
}

#[test]
fn no_statement_counts_all_rows_takes_all_columns_or_notifies() {
    assert_clean(&sql::costly_statements(&TREE));
}

#[test]
fn migrations_are_named_and_numbered_without_gaps() {
    assert_clean(&names::migrations(&TREE));
}

#[test]
fn only_server_reads_the_environment() {
    assert_clean(&names::environment(&TREE));
}

#[test]
fn nothing_plants_bugs_unless_it_is_asked_to() {
    assert_clean(&planted::by_default(&TREE));
}

#[test]
fn no_file_names_a_folder_of_the_machine_it_was_written_on() {
    assert_clean(&names::machine_paths(&TREE));
}
