//! Logs: one line an event on standard error, as text or JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Checks a filter such as `info,engine=debug`.
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(drop).map_err(|error| format!("not a filter: {error}"))
}

/// Starts logging; a second call has no effect.
pub fn start(filter: &str, format: LogFormat) {
    // A stranger's malformed head is no error of ours, and the listeners' own chatter tells nothing.
    let quiet = if filter.contains("actix") { "" } else { ",actix_http=off,actix_server=warn" };
    let filter = EnvFilter::try_new(format!("{filter}{quiet}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // Already started, as in tests that run several gateways in one process.
    drop(started);
}
