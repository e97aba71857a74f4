//! `body.contact`, an extension of tuma: a contact card.

use domain::content::{Contact, Content, Phone, check_text};
use domain::limits::{CONTACT_PHONES_MAX, LABEL_UNITS_MAX};
use domain::violation::Violations;
use serde_json::Value;

use crate::reader::Fields;

/// Reads the payload.
pub(super) fn read(mut fields: Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    let name = match fields.required("name", violations) {
        Some(_) => fields.object("name", violations).and_then(|mut name| {
            let formatted = required_label(&mut name, "formattedName", violations);
            name.finish(violations);
            formatted
        }),
        None => None,
    };
    let path = fields.path_of("phones");
    let phones = match fields.required("phones", violations) {
        Some(_) => fields.array("phones", violations).and_then(|given| phones(given, &path, violations)),
        None => None,
    };
    fields.finish(violations);
    Some(vec![Content::Contact(Contact { formatted_name: name?, phones: phones? })])
}

fn phones(given: &[Value], path: &str, violations: &mut Violations) -> Option<Vec<Phone>> {
    if given.is_empty() || given.len() > CONTACT_PHONES_MAX {
        violations.add(path, format!("must hold 1 to {CONTACT_PHONES_MAX} numbers, holds {}", given.len()));
        return None;
    }
    let read: Vec<Option<Phone>> = given
        .iter()
        .enumerate()
        .map(|(position, value)| {
            let mut fields = Fields::of(value, &format!("{path}[{position}]"), violations)?;
            let phone = required_label(&mut fields, "phone", violations);
            let phone_type = optional_label(&mut fields, "type", violations);
            let wa_id = optional_label(&mut fields, "waId", violations);
            fields.finish(violations);
            Some(Phone { phone: phone?, phone_type, wa_id })
        })
        .collect();
    read.into_iter().collect()
}

fn required_label(fields: &mut Fields<'_>, name: &'static str, violations: &mut Violations) -> Option<String> {
    let text = fields.required_text(name, violations)?;
    fields.keep(name, check_text(text, LABEL_UNITS_MAX), violations)
}

fn optional_label(fields: &mut Fields<'_>, name: &'static str, violations: &mut Violations) -> Option<String> {
    let text = fields.text(name, violations).filter(|text| !text.is_empty())?;
    fields.keep(name, check_text(text, LABEL_UNITS_MAX), violations)
}
