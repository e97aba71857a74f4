//! Configuration: what is taken, and that all problems are said at once and no secret is repeated.

use super::*;

fn good() -> BTreeMap<String, String> {
    [
        ("TUMA_DATABASE_URL", "postgres://tuma:dbsecret@127.0.0.1:5432/tuma"),
        ("TUMA_ADMIN_TOKEN", "0123456789abcdef"),
        ("TUMA_SECRET_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn problems(changes: &[(&str, &str)]) -> Vec<String> {
    let mut environment = good();
    for (name, value) in changes {
        environment.insert((*name).to_owned(), (*value).to_owned());
    }
    read(&environment).err().map(|problems| problems.0).unwrap_or_default()
}

#[test]
fn the_required_variables_are_enough() {
    let config = read(&good()).expect("a valid configuration");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.metrics_listen.to_string(), "127.0.0.1:9464");
    assert_eq!(config.lipachat_url, "https://gateway.lipachat.com");
}

#[test]
fn each_problem_names_its_variable() {
    for (name, value) in [
        ("TUMA_DATABASE_URL", "mysql://x/y"),
        ("TUMA_DATABASE_URL", "postgres://127.0.0.1"),
        ("TUMA_LISTEN", "8080"),
        ("TUMA_LISTEN", "localhost"),
        ("TUMA_METRICS_LISTEN", "127.0.0.1:99999"),
        ("TUMA_METRICS_LISTEN", "127.0.0.1:8080"),
        ("TUMA_ALLOW_UNSAFE_DATABASE", "yes"),
        ("TUMA_LIPACHAT_URL", "gateway.lipachat.com"),
        ("TUMA_LIPACHAT_URL", "https://user:pw@gateway.lipachat.com"),
        ("TUMA_LIPACHAT_URL", "https://gateway.lipachat.com/api"),
        ("TUMA_LIPACHAT_URL", "ftp://gateway.lipachat.com"),
        ("TUMA_PUBLIC_URL", "nowhere"),
        ("TUMA_ADMIN_TOKEN", "short"),
        ("TUMA_ADMIN_TOKEN", "with spaces in between"),
        ("TUMA_SECRET_KEY", "not base64!"),
        ("TUMA_SECRET_KEY", "c2hvcnQ="),
        ("TUMA_SECRET_KEY_PREVIOUS", "c2hvcnQ="),
        ("TUMA_LOG", "tuma=shout"),
        ("TUMA_LOG_FORMAT", "xml"),
    ] {
        let found = problems(&[(name, value)]);
        assert_eq!(found.len(), 1, "{name}={value}: {found:?}");
        assert!(found[0].starts_with(&format!("{name}: ")), "{found:?}");
    }
}

#[test]
fn all_problems_are_said_at_once_and_no_secret_is_repeated() {
    let found = problems(&[
        ("TUMA_LISTEN", "x"),
        ("TUMA_SECRET_KEY", "topsecret"),
        ("TUMA_LISTN", "y"),
        ("TUMA_ADMIN_TOKEN", "hush"),
    ]);
    assert_eq!(found.len(), 4, "{found:?}");
    let text = found.join("\n");
    assert!(!text.contains("topsecret") && !text.contains("hush") && !text.contains("dbsecret"), "{text}");
    let missing = read(&BTreeMap::new()).expect_err("nothing is set").0;
    assert_eq!(
        missing,
        ["TUMA_DATABASE_URL: is required", "TUMA_ADMIN_TOKEN: is required", "TUMA_SECRET_KEY: is required"]
    );
}

#[test]
fn an_unknown_variable_is_an_error_that_names_the_nearest() {
    assert_eq!(problems(&[("TUMA_LISTN", "127.0.0.1:1")]), ["TUMA_LISTN: unknown; did you mean TUMA_LISTEN?"]);
    assert_eq!(problems(&[("TUMA_DB_URL", "x")]), ["TUMA_DB_URL: unknown; did you mean TUMA_DATABASE_URL?"]);
}

#[test]
fn debug_output_of_a_configuration_holds_no_secret() {
    let shown = format!("{:?}", read(&good()).expect("a valid configuration"));
    for secret in ["dbsecret", "0123456789abcdef", "MDEyMzQ1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
