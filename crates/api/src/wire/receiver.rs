//! `receiver`: exactly one contact, by number.

use domain::phone::PhoneNumber;
use domain::violation::Violations;
use serde_json::Value;

use crate::reader::Fields;
use crate::wire::NOT_YET;

/// The identifier that WhatsApp uses.
const PHONE_NUMBER: &str = "phonenumber";

/// Reads the one recipient of a message.
pub(crate) fn read(value: &Value, violations: &mut Violations) -> Option<PhoneNumber> {
    let mut fields = Fields::of(value, ".receiver", violations)?;
    let contacts = fields.required_array("contacts", violations);
    fields.finish(violations);
    let contacts = contacts?;
    if contacts.len() != 1 {
        violations.add(".receiver.contacts", format!("must hold exactly one contact, holds {}", contacts.len()));
        return None;
    }
    contact(&contacts[0], violations)
}

fn contact(value: &Value, violations: &mut Violations) -> Option<PhoneNumber> {
    let mut fields = Fields::of(value, ".receiver.contacts[0]", violations)?;
    let key = fields.text("identifierKey", violations);
    if key.is_some_and(|key| key != PHONE_NUMBER) {
        violations.add(fields.path_of("identifierKey"), format!("must be \"{PHONE_NUMBER}\" on a WhatsApp channel"));
    }
    let given = fields.required_text("identifierValue", violations);
    let number = given.and_then(|text| {
        fields.keep("identifierValue", PhoneNumber::parse(text).map_err(|e| e.to_string()), violations)
    });
    fields.refuse(&["id", "type", "identifiers", "platformAddress", "platformAddressSelector"], NOT_YET, violations);
    fields.finish(violations);
    number
}
