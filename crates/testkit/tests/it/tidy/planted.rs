//! The feature that plants bugs is turned on by nobody but who builds for the judge.

use toml::{Table, Value};

use super::source::Source;

/// The feature.
const FEATURE: &str = "planted";

/// What releases are made from.
const RELEASES: &[&str] = &["deploy/Containerfile", "docker-compose.yml"];

pub(super) fn by_default(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        if source.path.ends_with("Cargo.toml") {
            let manifest: Table = source.text.parse().unwrap_or_default();
            if turns_on(&manifest) {
                breaches.push(source.breach(1, "turns on the feature `planted`: only a build for the judge may"));
            }
        }
        let is_release = RELEASES.iter().any(|path| source.path.starts_with(path));
        let lines = source.text.lines().enumerate().filter(|(_, line)| is_release && line.contains(FEATURE));
        breaches.extend(lines.map(|(index, _)| source.breach(index + 1, "a release holds no planted bugs")));
    }
    breaches
}

/// Whether a manifest asks for the feature anywhere but in the feature of that name.
fn turns_on(manifest: &Table) -> bool {
    manifest.iter().any(|(section, value)| match (section.as_str(), value) {
        ("features", Value::Table(features)) => {
            features.iter().any(|(feature, enables)| feature != FEATURE && names(enables))
        }
        _ => names(value),
    })
}

fn names(value: &Value) -> bool {
    match value {
        Value::String(text) => text == FEATURE || text.ends_with("/planted"),
        Value::Array(values) => values.iter().any(names),
        Value::Table(table) => table.values().any(names),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_or_an_image_that_plants_bugs_is_reported() {
        let check = |path: &str, text: &str, expected| {
            assert_eq!(by_default(&[Source::new(path, text)]).len(), expected, "{text}");
        };
        check("crates/store/Cargo.toml", "[features]\nplanted = [\"domain/planted\"]", 0);
        check("crates/store/Cargo.toml", "[features]\ndefault = [\"planted\"]\nplanted = []", 1);
        check("crates/store/Cargo.toml", "[features]\nfast = [\"domain/planted\"]", 1);
        check("crates/bench/Cargo.toml", "[dependencies]\nserver = { workspace = true, features = [\"planted\"] }", 1);
        check("Cargo.toml", "[workspace.dependencies.server]\npath = \"a\"\nfeatures = [\"planted\"]", 1);
        check("deploy/Containerfile", "RUN cargo build --release --features planted", 1);
        check("deploy/Containerfile", "RUN cargo build --release", 0);
    }
}
