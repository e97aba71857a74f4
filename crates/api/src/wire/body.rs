//! The `body` of a message: one file a variant. A variant knows how its shape becomes the contents of parts.

mod actions;

mod contact;

mod files;

mod flow;

mod list;

mod location;

mod text;

use domain::content::Content;
use domain::violation::Violations;
use serde_json::Value;

use crate::reader::Fields;

/// Reads the payload of a variant.
type Read = fn(Fields<'_>, &mut Violations) -> Option<Vec<Content>>;

/// Variants that Lipachat can send.
const VARIANTS: &[(&str, Read)] = &[
    ("text", text::read),
    ("image", files::read_images),
    ("file", files::read_files),
    ("location", location::read),
    ("list", list::read),
    ("contact", contact::read),
    ("flow", flow::read),
];

/// Types of the Channels API that Lipachat has no counterpart for, and what it lacks.
const LACKING: &[(&str, &str)] = &[
    ("html", "Lipachat sends no HTML"),
    ("gif", "Lipachat has no GIF message; send a video"),
    ("carousel", "Lipachat has no carousel message"),
    ("section", "Lipachat has no sections of bodies"),
    ("authentication", "Lipachat has no authentication message; send an authentication template"),
    ("template", "a template goes into the property template, not into body"),
    ("action", "Lipachat has no action message"),
];

/// Reads a body into the contents of its parts.
pub(crate) fn read(value: &Value, violations: &mut Violations) -> Option<Vec<Content>> {
    let mut fields = Fields::of(value, ".body", violations)?;
    let kind = fields.required_text("type", violations)?;
    let Some((name, read)) = VARIANTS.iter().find(|(name, _)| *name == kind) else {
        violations.add(".body.type", refusal(kind));
        // The payload of a refused type is not looked into.
        return None;
    };
    // Read with the other options: the public samples print it here.
    fields.optional("replyTo");
    let payload = fields.required(name, violations);
    let path = fields.path_of(name);
    fields.finish(violations);
    read(Fields::of(payload?, &path, violations)?, violations)
}

fn refusal(kind: &str) -> String {
    if let Some((_, why)) = LACKING.iter().find(|(lacking, _)| *lacking == kind) {
        return format!("\"{kind}\" is not supported: {why}");
    }
    let shown: String = kind.chars().take(40).collect();
    format!(
        "Invalid value: \"{shown}\", expected one of: \"text\", \"html\", \"image\", \"file\", \"gif\", \"location\", \"carousel\", \"list\", \
         \"section\", \"authentication\", \"template\", \"action\", \"contact\", \"flow\""
    )
}
