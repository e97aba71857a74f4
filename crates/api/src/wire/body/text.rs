//! `body.text`.

use domain::content::{Content, Text};
use domain::violation::Violations;

use crate::reader::Fields;
use crate::wire::NOT_YET;

/// Buttons of a message (Lipachat docs, "Sending Buttons").
const BUTTONS_MAX: usize = 3;

/// Reads the property `text` of a body of type `text`.
pub(super) fn read(body: &mut Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    let value = body.required("text", violations)?;
    let mut fields = Fields::of(value, &body.path_of("text"), violations)?;
    let text = fields.required_text("text", violations);
    let text = text.and_then(|text| fields.keep("text", Text::new(text), violations));
    refuse_actions(&mut fields, violations);
    fields.refuse(&["attachments", "metadata"], NOT_YET, violations);
    fields.finish(violations);
    Some(vec![Content::Text(text?)])
}

fn refuse_actions(fields: &mut Fields<'_>, violations: &mut Violations) {
    let Some(actions) = fields.array("actions", violations) else { return };
    if actions.len() > BUTTONS_MAX {
        violations.add(fields.path_of("actions"), format!("must not hold more than {BUTTONS_MAX} actions"));
    }
    if !actions.is_empty() {
        violations.add(fields.path_of("actions"), NOT_YET);
    }
}
