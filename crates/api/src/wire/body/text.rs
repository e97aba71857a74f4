//! `body.text`: a text, a text with buttons, or a text that asks for a location.

use domain::content::{Buttons, Content, LocationRequest, Text, check_text};
use domain::limits::INTERACTIVE_TEXT_UNITS_MAX;
use domain::violation::Violations;

use super::actions::{self, Actions, Kind};
use crate::reader::Fields;
use crate::wire::shape::{self, Need, Shape, TELEGRAM};

/// Settings of a text (Channels API, `text`). None has a counterpart at Lipachat: taken, not sent.
const METADATA: Shape = Shape::Object(&[
    ("subject", Shape::Text, Need::Optional),
    ("headers", Shape::Texts, Need::Optional),
    ("whatsapp", Shape::Object(&[("previewUrl", Shape::Boolean, Need::Optional)]), Need::Optional),
    ("line", Shape::Any, Need::Optional),
    ("telegram", TELEGRAM, Need::Optional),
    ("apple", Shape::Object(&[("summaryText", Shape::Text, Need::Optional)]), Need::Optional),
]);

/// Reads the payload.
pub(super) fn read(mut fields: Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    let given = fields.required_text("text", violations);
    let (kind, actions) = actions::read(&mut fields, violations);
    shape::check_property(&mut fields, "metadata", &METADATA, violations);
    fields.refuse(&["attachments"], "is not supported: WhatsApp texts carry no attachments", violations);
    let text = given.and_then(|given| {
        let checked = match kind {
            Kind::None => Text::new(given).map(|text| text.text),
            Kind::Buttons | Kind::LocationRequest => check_text(given, INTERACTIVE_TEXT_UNITS_MAX),
        };
        fields.keep("text", checked, violations)
    });
    fields.finish(violations);
    let text = text?;
    Some(vec![match actions? {
        Actions::None => Content::Text(Text { text }),
        Actions::Buttons(buttons) => Content::Buttons(Buttons { text, buttons }),
        Actions::LocationRequest => Content::LocationRequest(LocationRequest { text }),
    }])
}
