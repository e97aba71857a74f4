//! Configuration of `tuma serve`, from the environment: all that is wrong with it is said at once.
//!
//! The variables are one table; the README's is checked against it. An unknown `TUMA_…` variable is an error that
//! names the nearest known one, since a mistyped setting would otherwise be ignored in silence.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use store::connect::Database;
use store::vault::{KEY_BYTES, Vault};

use crate::logging::LogFormat;
use crate::state_file::StateFile;

/// Exit code of a wrong configuration (sysexits.h, `EX_CONFIG`).
pub const EXIT_CONFIG: u8 = 78;
/// Shortest admin token, characters: it opens everything.
const ADMIN_TOKEN_CHARS_MIN: usize = 16;

/// A variable, its default and its meaning.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value when it is not set; `None` for none.
    pub default: Option<&'static str>,
    /// Whether it must be set.
    pub required: bool,
}

const fn variable(name: &'static str, default: Option<&'static str>, required: bool) -> Variable {
    Variable { name, default, required }
}

/// All variables.
pub const VARIABLES: &[Variable] = &[
    variable("TUMA_DATABASE_URL", None, true),
    variable("TUMA_ALLOW_UNSAFE_DATABASE", Some("false"), false),
    variable("TUMA_LISTEN", Some("127.0.0.1:8080"), false),
    variable("TUMA_METRICS_LISTEN", Some("127.0.0.1:9464"), false),
    variable("TUMA_PUBLIC_URL", None, false),
    variable("TUMA_LIPACHAT_URL", Some("https://gateway.lipachat.com"), false),
    variable("TUMA_ADMIN_TOKEN", None, true),
    variable("TUMA_SECRET_KEY", None, true),
    variable("TUMA_SECRET_KEY_PREVIOUS", None, false),
    variable("TUMA_STATE_FILE", None, false),
    variable("TUMA_LOG", Some("info"), false),
    variable("TUMA_LOG_FORMAT", Some("text"), false),
];

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database.
    pub database: Database,
    /// API, admin API, provider webhooks.
    pub listen: SocketAddr,
    /// Metrics and health.
    pub metrics_listen: SocketAddr,
    /// The provider.
    pub lipachat_url: String,
    /// Token of the admin API.
    pub admin_token: SecretString,
    /// Secrets at rest.
    pub vault: Vault,
    /// What remembers the database beyond the process.
    pub state_file: Option<StateFile>,
}

/// What is wrong with a configuration, a line each.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Problems(pub Vec<String>);

/// How to log; read before everything else, so that the rest can be logged.
///
/// # Errors
/// What is wrong.
pub fn read_logging(environment: &BTreeMap<String, String>) -> Result<(String, LogFormat), Problems> {
    let filter = value(environment, "TUMA_LOG").unwrap_or_default();
    let format = value(environment, "TUMA_LOG_FORMAT").unwrap_or_default();
    let mut problems = Vec::new();
    if let Err(why) = crate::logging::check_filter(&filter) {
        problems.push(format!("TUMA_LOG: {why}"));
    }
    let format = match format.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => {
            problems.push("TUMA_LOG_FORMAT: must be text or json".to_owned());
            LogFormat::Text
        }
    };
    if problems.is_empty() { Ok((filter, format)) } else { Err(Problems(problems)) }
}

/// The `TUMA_…` variables of this process.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with("TUMA_"))
        .collect()
}

/// Reads a configuration.
///
/// # Errors
/// All problems at once; none repeats a secret.
pub fn read(environment: &BTreeMap<String, String>) -> Result<Config, Problems> {
    let mut problems = unknown(environment);
    for variable in VARIABLES.iter().filter(|variable| variable.required) {
        if value(environment, variable.name).is_none() {
            problems.push(format!("{}: is required", variable.name));
        }
    }
    if let Err(Problems(more)) = read_logging(environment) {
        problems.extend(more);
    }
    let mut keep = |name: &str, result: Result<(), String>| {
        if let Err(why) = result {
            problems.push(format!("{name}: {why}"));
        }
    };
    let database = parsed(
        environment,
        "TUMA_DATABASE_URL",
        |url| Database::parse(url).map_err(|error| error.to_string()),
        &mut keep,
    );
    let allowed = parsed(environment, "TUMA_ALLOW_UNSAFE_DATABASE", truth, &mut keep);
    let listen = parsed(environment, "TUMA_LISTEN", address, &mut keep);
    let metrics_listen = parsed(environment, "TUMA_METRICS_LISTEN", address, &mut keep);
    let lipachat_url = parsed(environment, "TUMA_LIPACHAT_URL", bare_url, &mut keep);
    parsed(environment, "TUMA_PUBLIC_URL", bare_url, &mut keep);
    let admin_token = parsed(environment, "TUMA_ADMIN_TOKEN", admin_token, &mut keep);
    let key = parsed(environment, "TUMA_SECRET_KEY", secret_key, &mut keep);
    let previous = parsed(environment, "TUMA_SECRET_KEY_PREVIOUS", secret_key, &mut keep);
    if let (Some(listen), Some(metrics)) = (listen, metrics_listen)
        && listen == metrics
        && listen.port() != 0
    {
        keep("TUMA_METRICS_LISTEN", Err("must differ from TUMA_LISTEN".to_owned()));
    }
    match (database, listen, metrics_listen, lipachat_url, admin_token, key) {
        (Some(database), Some(listen), Some(metrics_listen), Some(lipachat_url), Some(admin_token), Some(key))
            if problems.is_empty() =>
        {
            let vault = Vault::new(&key, previous.as_ref());
            if allowed == Some(true) {
                database.durability().allow();
            }
            let state_file = value(environment, "TUMA_STATE_FILE").map(|path| StateFile::at(Path::new(&path)));
            Ok(Config { database, listen, metrics_listen, lipachat_url, admin_token, vault, state_file })
        }
        _ => Err(Problems(problems)),
    }
}

fn unknown(environment: &BTreeMap<String, String>) -> Vec<String> {
    let is_known = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
    environment
        .keys()
        .filter(|name| !is_known(name))
        .map(|name| format!("{name}: unknown; did you mean {}?", nearest(name)))
        .collect()
}

fn nearest(name: &str) -> &'static str {
    let likeness = |known: &str| strsim::jaro(known, name);
    let names = VARIABLES.iter().map(|variable| variable.name);
    names.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or("TUMA_LISTEN")
}

/// The value of a variable or its default; an empty value counts as none.
fn value(environment: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let default = VARIABLES.iter().find(|variable| variable.name == name).and_then(|variable| variable.default);
    environment.get(name).filter(|value| !value.is_empty()).cloned().or_else(|| default.map(str::to_owned))
}

fn parsed<T>(
    environment: &BTreeMap<String, String>,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
    keep: &mut impl FnMut(&str, Result<(), String>),
) -> Option<T> {
    match parse(&value(environment, name)?) {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            keep(name, Err(why));
            None
        }
    }
}

fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:8080".to_owned())
}

/// Scheme and host, nothing else.
pub(crate) fn bare_url(text: &str) -> Result<String, String> {
    lipachat::client::parse_address(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn admin_token(text: &str) -> Result<SecretString, String> {
    if text.chars().count() < ADMIN_TOKEN_CHARS_MIN {
        return Err(format!("must have at least {ADMIN_TOKEN_CHARS_MIN} characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be printable ASCII without spaces".to_owned());
    }
    Ok(SecretString::from(text))
}

/// 32 bytes in base64.
fn secret_key(text: &str) -> Result<[u8; KEY_BYTES], String> {
    let why = || format!("must be {KEY_BYTES} bytes in base64; `openssl rand -base64 {KEY_BYTES}` makes one");
    let bytes = STANDARD.decode(text.trim()).map_err(|_| why())?;
    bytes.try_into().map_err(|_| why())
}

/// A vault under a key in base64.
///
/// # Errors
/// When it is not a key.
pub fn vault_of(key: &SecretString) -> Result<Vault, String> {
    secret_key(key.expose_secret()).map(|key| Vault::new(&key, None))
}

#[cfg(test)]
mod tests;
