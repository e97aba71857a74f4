//! The README says what the program does.

use server::config::VARIABLES;

#[test]
fn the_readme_lists_every_variable_with_its_default() {
    let readme = include_str!("../../../../README.md");
    for variable in VARIABLES {
        let default = match variable {
            variable if variable.required => "required".to_owned(),
            variable => variable.default.map_or("–".to_owned(), |default| format!("`{default}`")),
        };
        let row = format!("| `{}` | {default} |", variable.name);
        assert!(readme.contains(&row), "no row {row:?}");
    }
    let listed = readme.lines().filter(|line| line.starts_with("| `TUMA_")).count();
    assert_eq!(listed, VARIABLES.len(), "the README lists variables that there are not");
}
