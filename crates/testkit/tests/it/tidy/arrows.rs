//! Who may depend on whom: our crates on each other, and our crates on libraries that would let
//! SQL, HTTP or a runtime into the wrong place. Read from the manifests; `crates/README.md` draws
//! the same arrows.

use std::collections::BTreeSet;

use toml::Table;

use super::source::Source;

/// One of our crates, the crates it may use, and those its tests may use besides.
struct Arrow {
    from: &'static str,
    to: &'static [&'static str],
    tests_to: &'static [&'static str],
}

const fn arrow(from: &'static str, to: &'static [&'static str], tests_to: &'static [&'static str]) -> Arrow {
    Arrow { from, to, tests_to }
}

const ARROWS: &[Arrow] = &[
    arrow("domain", &[], &[]),
    arrow("store", &["domain"], &["testkit"]),
    arrow("lipachat", &["domain"], &["sandbox", "testkit"]),
    arrow("engine", &["domain", "store"], &["sandbox", "lipachat", "testkit"]),
    arrow("api", &["domain", "store"], &["lipachat", "testkit"]),
    arrow("sandbox", &[], &["testkit"]),
    arrow("cluster", &[], &["testkit"]),
    arrow("server", &["domain", "store", "lipachat", "engine", "api", "sandbox", "cluster"], &["testkit", "bench"]),
    arrow("testkit", &["domain", "store", "sandbox", "cluster"], &[]),
    arrow("bench", &["server", "api", "sandbox", "testkit", "cluster", "domain", "store", "engine"], &["testkit"]),
];

/// What `domain` may use: nothing that does I/O, keeps time, rolls dice or knows a protocol.
const DOMAIN_LIBRARIES: &[(&str, &str)] = &[
    ("jiff", "instants, zones and civil time as values"),
    ("phonenumber", "validity, country and zone of a telephone number, from tables"),
    ("secrecy", "a key as a value that does not print itself"),
    ("serde", "frozen parts and settings are stored as they are"),
    ("serde_json", "initial data of a flow, as it was sent"),
    ("sha2", "fingerprint of a canonical request"),
    ("thiserror", "errors as enums"),
    ("url", "addresses of files and links in texts as values"),
    ("uuid", "identifiers as values; made elsewhere"),
];

/// Libraries that only the named crates may use, and only the named crates' tests besides.
struct Fence {
    libraries: &'static [&'static str],
    crates: &'static [&'static str],
    tests: &'static [&'static str],
}

const FENCES: &[Fence] = &[
    Fence {
        libraries: &["tokio-postgres", "tokio-postgres-rustls", "deadpool-postgres", "refinery"],
        crates: &["store", "testkit", "cluster", "bench"],
        tests: &["server"],
    },
    Fence { libraries: &["reqwest"], crates: &["lipachat", "server", "testkit", "bench"], tests: &["sandbox", "api"] },
    Fence {
        libraries: &["actix-web", "actix-http", "actix-rt"],
        crates: &["api", "server", "sandbox", "bench"],
        tests: &[],
    },
];

pub(super) fn own_crates(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (source, folder, manifest) in manifests(sources) {
        let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
        let Some(arrow) = ARROWS.iter().find(|arrow| arrow.from == folder) else {
            breaches.push(source.breach(1, "an unknown crate: draw its arrows in this test"));
            continue;
        };
        if name != Some(folder) {
            breaches.push(source.breach(1, "the package is not named as its folder"));
        }
        for dependency in dependencies(&manifest) {
            let own = ARROWS.iter().any(|arrow| arrow.from == dependency.library);
            let along = arrow.to.contains(&dependency.library.as_str());
            let in_tests = arrow.tests_to.contains(&dependency.library.as_str());
            if own && !along && !(dependency.tests_only && in_tests) {
                let what = format!("`{folder}` may not use `{}`", dependency.library);
                breaches.push(source.breach(1, &what));
            }
        }
    }
    breaches
}

pub(super) fn domain_libraries(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (source, _, manifest) in manifests(sources).filter(|(_, folder, _)| *folder == "domain") {
        for dependency in dependencies(&manifest).into_iter().filter(|d| !d.tests_only) {
            if !DOMAIN_LIBRARIES.iter().any(|(name, _)| *name == dependency.library) {
                let what = format!("`domain` may not use `{}`", dependency.library);
                breaches.push(source.breach(1, &what));
            }
        }
    }
    breaches
}

pub(super) fn fenced_libraries(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (source, folder, manifest) in manifests(sources) {
        for dependency in dependencies(&manifest) {
            let library = dependency.library.as_str();
            let Some(fence) = FENCES.iter().find(|f| f.libraries.contains(&library)) else {
                continue;
            };
            let in_tests = dependency.tests_only && fence.tests.contains(&folder);
            if !fence.crates.contains(&folder) && !in_tests {
                let what = format!("`{folder}` may not use `{library}`: {:?} may", fence.crates);
                breaches.push(source.breach(1, &what));
            }
        }
    }
    breaches
}

pub(super) fn members(sources: &[Source]) -> Vec<String> {
    let Some(root) = sources.iter().find(|source| source.path == "Cargo.toml") else {
        return vec!["Cargo.toml: missing".to_owned()];
    };
    let table = parse(root);
    let listed = table.get("workspace").and_then(|workspace| workspace.get("members")?.as_array());
    let listed = listed.into_iter().flatten().filter_map(|member| member.as_str());
    let listed: BTreeSet<&str> = listed.map(|member| member.trim_start_matches("crates/")).collect();
    let folders: BTreeSet<&str> = sources.iter().filter_map(Source::crate_name).collect();
    let with_manifest: BTreeSet<&str> = manifests(sources).map(|(_, folder, _)| folder).collect();

    let bare = folders.difference(&with_manifest);
    let mut breaches: Vec<String> =
        bare.map(|folder| format!("crates/{folder}: a folder without Cargo.toml is no crate")).collect();
    if listed != BTreeSet::from(["*"]) && listed != with_manifest {
        let what = format!("members {listed:?} are not the folders {with_manifest:?}");
        breaches.push(root.breach(1, &what));
    }
    breaches
}

/// One line of a manifest's dependencies.
struct Dependency {
    library: String,
    tests_only: bool,
}

fn dependencies(manifest: &Table) -> Vec<Dependency> {
    let platforms = manifest.get("target").and_then(|target| target.as_table());
    let platforms = platforms.into_iter().flat_map(Table::values).filter_map(|p| p.as_table());
    let mut found = Vec::new();
    for table in platforms.chain([manifest]) {
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let entries = table.get(section).and_then(|section| section.as_table());
            for (name, value) in entries.into_iter().flatten() {
                let renamed = value.get("package").and_then(|package| package.as_str());
                let library = renamed.unwrap_or(name).to_owned();
                found.push(Dependency { library, tests_only: section == "dev-dependencies" });
            }
        }
    }
    found
}

/// The manifests of our crates, with their folder.
fn manifests(sources: &[Source]) -> impl Iterator<Item = (&Source, &str, Table)> {
    sources.iter().filter_map(|source| {
        let folder = source.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        Some((source, folder, parse(source)))
    })
}

fn parse(source: &Source) -> Table {
    // Cargo has read it before this test could run.
    source.text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, dependencies: &str) -> [Source; 1] {
        let text = format!("[package]\nname = \"{name}\"\n{dependencies}\n");
        [Source::new(format!("crates/{name}/Cargo.toml"), text)]
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_reported() {
        let of = |name: &str, text: &str| own_crates(&manifest(name, text)).len();
        assert_eq!(of("store", "[dependencies]\ndomain.workspace = true\nserde = \"1\""), 0);
        assert_eq!(of("store", "[dependencies]\nengine.workspace = true"), 1);
        assert_eq!(of("api", "[dependencies.engine]\nworkspace = true"), 1);
        assert_eq!(of("engine", "[dev-dependencies]\nlipachat.workspace = true"), 0);
        assert_eq!(of("engine", "[dependencies]\nlipachat.workspace = true"), 1);
        assert_eq!(of("domain", "[dev-dependencies]\ntestkit.workspace = true"), 1);
        assert_eq!(of("api", "[build-dependencies]\ntestkit.workspace = true"), 1);
        assert_eq!(of("api", "[target.'cfg(unix)'.dependencies]\nengine.workspace = true"), 1);
        let renamed = "[dependencies]\ne = { package = \"engine\", path = \"../engine\" }";
        assert_eq!(of("api", renamed), 1);
    }

    #[test]
    fn an_unknown_or_misnamed_crate_is_reported() {
        assert_eq!(own_crates(&manifest("helpers", "")).len(), 1);
        let misnamed = [Source::new("crates/api/Cargo.toml", "[package]\nname = \"http\"\n")];
        assert_eq!(own_crates(&misnamed).len(), 1);
    }

    #[test]
    fn a_library_that_domain_must_not_know_is_reported() {
        let of = |text: &str| domain_libraries(&manifest("domain", text)).len();
        assert_eq!(of("[dependencies]\njiff.workspace = true\n[dev-dependencies]\nx = \"1\""), 0);
        assert_eq!(of("[dependencies]\ntokio.workspace = true"), 1);
        assert_eq!(of("[dependencies]\nrand = \"0.10\""), 1);
    }

    #[test]
    fn a_fenced_library_in_another_crate_is_reported() {
        let of = |name: &str, text: &str| fenced_libraries(&manifest(name, text)).len();
        let sql = "[dependencies]\ntokio-postgres.workspace = true";
        assert_eq!((of("store", sql), of("server", sql), of("api", sql)), (0, 1, 1));
        let sql_in_tests = "[dev-dependencies]\ntokio-postgres.workspace = true";
        assert_eq!((of("server", sql_in_tests), of("api", sql_in_tests)), (0, 1));
        let http = "[dependencies]\nreqwest.workspace = true";
        assert_eq!((of("lipachat", http), of("engine", http)), (0, 1));
        let web = "[dependencies]\nactix-web.workspace = true";
        assert_eq!((of("api", web), of("engine", web)), (0, 1));
    }

    #[test]
    fn a_member_list_that_is_not_the_folders_is_reported() {
        let of = |list: &str, path: &str| {
            let root = Source::new("Cargo.toml", format!("[workspace]\nmembers = [{list}]"));
            let [member] = manifest("api", "");
            members(&[root, member, Source::new(path, "")]).len()
        };
        assert_eq!(of("\"crates/*\"", "crates/README.md"), 0);
        assert_eq!(of("\"crates/api\"", "crates/api/src/lib.rs"), 0);
        assert_eq!(of("", "crates/README.md"), 1);
        assert_eq!(of("\"crates/api\", \"crates/old\"", "crates/README.md"), 1);
        assert_eq!(of("\"crates/*\"", "crates/old/src/lib.rs"), 1);
    }
}
