//! `body.location`.

use domain::content::{Content, Location, check_text};
use domain::limits::LABEL_UNITS_MAX;
use domain::violation::Violations;

use crate::reader::Fields;

/// Reads the payload.
pub(super) fn read(mut fields: Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    let coordinates = match fields.required("coordinates", violations) {
        Some(_) => fields.object("coordinates", violations).and_then(|mut coordinates| {
            let latitude = degrees(&mut coordinates, "latitude", 90.0, violations);
            let longitude = degrees(&mut coordinates, "longitude", 180.0, violations);
            coordinates.finish(violations);
            latitude.zip(longitude)
        }),
        None => None,
    };
    let (mut name, mut address) = (None, None);
    if let Some(mut place) = fields.object("location", violations) {
        name = label(&mut place, "label", violations);
        address = label(&mut place, "address", violations);
        place.finish(violations);
    }
    fields.finish(violations);
    let (latitude, longitude) = coordinates?;
    Some(vec![Content::Location(Location { latitude, longitude, name, address })])
}

fn degrees(fields: &mut Fields<'_>, name: &'static str, bound: f64, violations: &mut Violations) -> Option<f64> {
    let value = fields.required(name, violations)?;
    let legal = value.as_f64().filter(|degrees| (-bound..=bound).contains(degrees));
    fields.keep(name, legal.ok_or(format!("must be a number from -{bound} to {bound}")), violations)
}

fn label(fields: &mut Fields<'_>, name: &'static str, violations: &mut Violations) -> Option<String> {
    let text = fields.text(name, violations).filter(|text| !text.is_empty())?;
    fields.keep(name, check_text(text, LABEL_UNITS_MAX), violations)
}
