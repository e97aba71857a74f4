//! `receiver`: exactly one contact, by number, by id, or by both if they agree.

use domain::id::ContactId;
use domain::phone::PhoneNumber;
use domain::violation::Violations;
use serde_json::Value;

use super::mentions::Known;
use crate::reader::Fields;

/// The identifier that WhatsApp uses, and the expression that picks it from a contact.
const PHONE_NUMBER: &str = "phonenumber";
const SELECTOR: &str = "identifiers.phonenumber";

/// Reads the one recipient of a message.
pub(crate) fn read(value: &Value, known: &Known, violations: &mut Violations) -> Option<PhoneNumber> {
    let mut fields = Fields::of(value, ".receiver", violations)?;
    let contacts = fields.required_array("contacts", violations);
    fields.finish(violations);
    let contacts = contacts?;
    if contacts.len() != 1 {
        violations.add(".receiver.contacts", format!("must hold exactly one contact, holds {}", contacts.len()));
        return None;
    }
    contact(&contacts[0], known, violations)
}

fn contact(value: &Value, known: &Known, violations: &mut Violations) -> Option<PhoneNumber> {
    let mut fields = Fields::of(value, ".receiver.contacts[0]", violations)?;
    word(&mut fields, "identifierKey", PHONE_NUMBER, violations);
    word(&mut fields, "type", "to", violations);
    word(&mut fields, "platformAddressSelector", SELECTOR, violations);
    let by_id = by_id(&mut fields, known, violations);
    let by_number = number(&mut fields, "identifierValue", violations);
    let address = number(&mut fields, "platformAddress", violations);
    fields.refuse(
        &["identifiers"],
        "is not supported: identifierValue or id names the one recipient of a WhatsApp message",
        violations,
    );
    let recipient = match (by_id, by_number) {
        (None, None) => {
            violations.add(fields.path_of("identifierValue"), "is required, or id");
            None
        }
        (Some(Some(one)), Some(Some(other))) if one != other => {
            violations.add(fields.path_of("identifierValue"), "is not the number of the contact that id names");
            None
        }
        (one, other) => one.flatten().or(other.flatten()),
    };
    if address.flatten().zip(recipient.as_ref()).is_some_and(|(address, recipient)| address != *recipient) {
        violations.add(fields.path_of("platformAddress"), "must be the recipient's number");
    }
    fields.finish(violations);
    recipient
}

/// The number of the contact that `id` names; the outer `None` when it is absent.
fn by_id(fields: &mut Fields<'_>, known: &Known, violations: &mut Violations) -> Option<Option<PhoneNumber>> {
    fields.optional("id")?;
    let number = fields.text("id", violations).and_then(|text| {
        let found = text.parse::<ContactId>().ok().and_then(|id| known.number_of(id));
        fields.keep("id", found.ok_or("is not a contact of this workspace".to_owned()), violations)
    });
    Some(number.cloned())
}

/// A number; the outer `None` when it is absent.
fn number(fields: &mut Fields<'_>, name: &'static str, violations: &mut Violations) -> Option<Option<PhoneNumber>> {
    fields.optional(name)?;
    let number = fields
        .text(name, violations)
        .and_then(|text| fields.keep(name, PhoneNumber::parse(text).map_err(|e| e.to_string()), violations));
    Some(number)
}

/// A property with one legal value.
fn word(fields: &mut Fields<'_>, name: &'static str, legal: &str, violations: &mut Violations) {
    if fields.text(name, violations).is_some_and(|given| given != legal) {
        violations.add(fields.path_of(name), format!("must be \"{legal}\" on a WhatsApp channel"));
    }
}
