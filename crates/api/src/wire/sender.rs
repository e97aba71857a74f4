//! `sender`: only the channel's own number; the Channels API overrides senders of e-mail with it.

use domain::phone::PhoneNumber;
use domain::violation::Violations;

use crate::reader::Fields;

/// Checks the sender, if one is named.
pub(crate) fn check(fields: &mut Fields<'_>, own: &PhoneNumber, violations: &mut Violations) {
    let Some(mut sender) = fields.object("sender", violations) else { return };
    sender.required("connector", violations);
    if let Some(mut connector) = sender.object("connector", violations) {
        let value = connector.required_text("identifierValue", violations);
        if value.is_some_and(|text| PhoneNumber::parse(text).as_ref() != Ok(own)) {
            let text = "must be the channel's number: a WhatsApp channel sends from no other";
            violations.add(connector.path_of("identifierValue"), text);
        }
        connector.refuse(&["annotations"], "is not supported: WhatsApp shows the business profile's name", violations);
        connector.finish(violations);
    }
    sender.finish(violations);
}
