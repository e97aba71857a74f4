//! The answer to a dry run: what would become of a request.

use std::collections::BTreeMap;

use domain::provider::PreviewedCall;
use domain::violation::Violations;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::gates::GateView;
use super::response::instant;

/// What would become of a request.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanView {
    would_accept: bool,
    violations: BTreeMap<String, Vec<String>>,
    send_at: Option<String>,
    expires_at: Option<String>,
    gates: Vec<GateView>,
    lipachat_calls: Vec<CallView>,
}

/// A call to the provider.
#[derive(Serialize, Debug)]
pub(crate) struct CallView {
    method: &'static str,
    path: String,
    body: Value,
}

impl From<PreviewedCall> for CallView {
    fn from(call: PreviewedCall) -> Self {
        Self { method: call.method, path: call.path, body: call.body }
    }
}

/// The plan of a request with violations.
pub(crate) fn refused(violations: &Violations) -> PlanView {
    PlanView {
        would_accept: false,
        violations: violations.by_path().clone(),
        send_at: None,
        expires_at: None,
        gates: Vec::new(),
        lipachat_calls: Vec::new(),
    }
}

/// The plan of a request that would not be accepted because too many messages wait.
pub(crate) fn full(expires_at: Timestamp, gates: Vec<GateView>) -> PlanView {
    PlanView { would_accept: false, ..accepted(None, expires_at, gates, Vec::new()) }
}

/// The plan of a request that would be accepted. Without an instant to send at it would fail at once, or wait for somebody.
pub(crate) fn accepted(
    send_at: Option<Timestamp>,
    expires_at: Timestamp,
    gates: Vec<GateView>,
    calls: Vec<PreviewedCall>,
) -> PlanView {
    PlanView {
        would_accept: true,
        violations: BTreeMap::new(),
        send_at: send_at.map(instant),
        expires_at: Some(instant(expires_at)),
        gates,
        lipachat_calls: calls.into_iter().map(CallView::from).collect(),
    }
}
