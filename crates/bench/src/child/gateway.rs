//! The gateway as it is, or one of its halves.

use prometheus::Registry;
use secrecy::SecretString;
use serde_json::{Value, json};
use server::gateway::{Gateway, Settings};
use server::health::Health;
use store::Store;

use super::{Answer, Counter};
use crate::usage::Usage;

/// The metric that tells how many statements ran and how long they took.
const STATEMENT_SECONDS: &str = "tuma_database_statement_seconds";

/// What a gateway does.
pub(super) struct Roles {
    /// Takes requests, on a free port.
    pub(super) listens: bool,
    /// Sends, to this address.
    pub(super) sends_to: Option<String>,
}

/// Starts it; it runs until the process ends. Its answer is what the process has used, with `statements` so far.
pub(super) fn start(
    store: Store,
    registry: Registry,
    roles: Roles,
    counter: Counter,
) -> Result<(Value, Answer), String> {
    let settings = Settings {
        store,
        listen: roles.listens.then(|| ([127, 0, 0, 1], 0).into()),
        lipachat_url: roles.sends_to,
        admin_token: SecretString::from("bench-admin-token"),
        engine: engine::Settings::default(),
        state_file: None,
    };
    let health = Health::starting(registry.clone());
    let gateway = Gateway::start(settings, &registry, health).map_err(|error| error.to_string())?;
    let first_line = json!({ "address": gateway.listen });
    let answer = move |_: &_, _| {
        // An engine whose handle is dropped stops: this closure keeps it.
        let _running = &gateway;
        let mut answer = serde_json::to_value(Usage::read(counter())?).map_err(|error| error.to_string())?;
        answer["statements"] = statements(&registry);
        Ok(answer)
    };
    Ok((first_line, Box::new(answer)))
}

/// Statements so far by name: how many, and how long they took together.
fn statements(registry: &Registry) -> Value {
    let mut statements = json!({});
    for family in registry.gather().iter().filter(|family| family.name() == STATEMENT_SECONDS) {
        for metric in family.get_metric() {
            let name = metric.get_label().first().map(|label| label.value()).unwrap_or_default();
            let times = metric.get_histogram();
            statements[name] = json!({ "count": times.get_sample_count(), "seconds": times.get_sample_sum() });
        }
    }
    statements
}
