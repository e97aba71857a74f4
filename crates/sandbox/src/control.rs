//! The sandbox's own routes under `/_sandbox`: health, ledger, script and reset.
//!
//! They need no key: whoever reaches the sandbox may steer it. Errors are JSON with an `error` text,
//! and a `field` where a script is refused.

use serde::Serialize;
use serde_json::json;

use crate::account::Account;
use crate::connection::now;
use crate::error::Error;
use crate::page::Selection;
use crate::request::Request;
use crate::response::Response;
use crate::script::Script;

/// Start of all paths that are not the provider's.
const PREFIX: &str = "/_sandbox";

/// Whether a path is one of the sandbox's own.
pub(crate) fn owns(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request to one of them.
pub(crate) fn answer(request: &Request, account: &Account) -> Response {
    let route = request.path.strip_prefix(PREFIX).unwrap_or_default();
    match (request.method.as_str(), route) {
        ("GET", "/healthz") => json(200, &json!({ "status": "ok" })),
        ("GET", "/ledger") => read_ledger(request.query.as_deref().unwrap_or_default(), account),
        ("GET", "/script") => json(200, &account.script()),
        ("POST", "/script") => replace_script(&request.body, account),
        ("POST", "/reset") => {
            account.reset(now());
            Response::empty(204)
        }
        (_, "/healthz" | "/ledger") => wrong_method("GET"),
        (_, "/script") => wrong_method("GET, POST"),
        (_, "/reset") => wrong_method("POST"),
        _ => json(404, &json!({ "error": "no such path" })),
    }
}

fn read_ledger(query: &str, account: &Account) -> Response {
    match Selection::parse(query) {
        Ok(selection) => {
            let (records, dropped) = account.records();
            json(200, &selection.page(&records, dropped))
        }
        Err(error) => json(400, &json!({ "error": error })),
    }
}

fn replace_script(body: &[u8], account: &Account) -> Response {
    match Script::parse(body).and_then(|script| account.set_script(script)) {
        Ok(()) => json(200, &account.script()),
        Err(Error::Script { field, reason }) => {
            json(422, &json!({ "field": field, "error": format!("{field}: {reason}") }))
        }
        Err(error @ (Error::Listen { .. } | Error::Journal { .. })) => {
            json(500, &json!({ "error": error.to_string() }))
        }
    }
}

fn wrong_method(allow: &str) -> Response {
    json(405, &json!({ "error": "wrong method" })).with("Allow", allow)
}

fn json(status: u16, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => Response::json(status, body),
        Err(error) => Response::json(500, error.to_string().into_bytes()),
    }
}
