//! `body.text`: a text, a text with buttons, or a text that asks for a location.

use domain::content::{Buttons, Content, LocationRequest, Text, check_text};
use domain::limits::INTERACTIVE_TEXT_UNITS_MAX;
use domain::violation::Violations;

use super::actions::{self, Actions};
use crate::reader::Fields;

/// Reads the payload.
pub(super) fn read(mut fields: Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    let given = fields.required_text("text", violations);
    let actions = actions::read(&mut fields, violations);
    refuse_metadata(&mut fields, violations);
    fields.refuse(&["attachments"], "is not supported: WhatsApp texts carry no attachments", violations);
    let content = given.zip(actions).and_then(|(given, actions)| {
        let checked = match &actions {
            Actions::None => Text::new(given).map(|text| text.text),
            Actions::Buttons(_) | Actions::LocationRequest => check_text(given, INTERACTIVE_TEXT_UNITS_MAX),
        };
        let text = fields.keep("text", checked, violations)?;
        Some(match actions {
            Actions::None => Content::Text(Text { text }),
            Actions::Buttons(buttons) => Content::Buttons(Buttons { text, buttons }),
            Actions::LocationRequest => Content::LocationRequest(LocationRequest { text }),
        })
    });
    fields.finish(violations);
    Some(vec![content?])
}

/// Settings of other platforms, and the one of WhatsApp that Lipachat lacks.
fn refuse_metadata(fields: &mut Fields<'_>, violations: &mut Violations) {
    fields.refuse(
        &["metadata"],
        "is not supported: Lipachat has no settings of a text, such as link previews",
        violations,
    );
}
