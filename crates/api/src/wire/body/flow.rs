//! `body.flow`, an extension of tuma: a button that opens a flow.

use domain::content::{Content, Flow, check_text};
use domain::limits::{INTERACTIVE_TEXT_UNITS_MAX, LABEL_UNITS_MAX};
use domain::violation::Violations;

use crate::reader::Fields;

/// Reads the payload.
pub(super) fn read(mut fields: Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    let text = fields.required_text("text", violations);
    let text = text.and_then(|text| fields.keep("text", check_text(text, INTERACTIVE_TEXT_UNITS_MAX), violations));
    let flow_id = fields.required_text("flowId", violations);
    let flow_id = flow_id.and_then(|id| fields.keep("flowId", check_text(id, LABEL_UNITS_MAX), violations));
    let flow_cta = fields.required_text("flowCta", violations);
    let flow_cta = flow_cta.and_then(|cta| fields.keep("flowCta", Flow::check_cta(cta), violations));
    let screen = fields.required_text("screen", violations);
    let screen = screen.and_then(|screen| fields.keep("screen", check_text(screen, LABEL_UNITS_MAX), violations));
    let data = match fields.optional("data") {
        None => None,
        Some(value) => {
            let data = value.as_object().filter(|data| !data.is_empty()).cloned();
            fields.keep("data", data.ok_or("must be an object that is not empty".to_owned()), violations)
        }
    };
    fields.finish(violations);
    Some(vec![Content::Flow(Flow { text: text?, flow_id: flow_id?, flow_cta: flow_cta?, screen: screen?, data })])
}
