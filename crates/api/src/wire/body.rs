//! The `body` of a message: one file a variant.

mod text;

use domain::content::Content;
use domain::violation::Violations;
use serde_json::Value;

use crate::reader::Fields;
use crate::wire::NOT_YET;

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

/// Types that are known and come with a later version.
const TO_COME: &[&str] = &["image", "file", "location", "list", "contact", "flow"];

/// Reads a body into the contents of its parts.
pub(crate) fn read(value: &Value, violations: &mut Violations) -> Option<Vec<Content>> {
    let mut fields = Fields::of(value, ".body", violations)?;
    let kind = fields.required_text("type", violations);
    let contents = match kind {
        Some("text") => text::read(&mut fields, violations),
        Some(other) => {
            violations.add(".body.type", refusal(other));
            // The payload of a refused type is not looked into.
            return None;
        }
        None => None,
    };
    if kind.is_some() {
        fields.finish(violations);
    }
    contents
}

fn refusal(kind: &str) -> String {
    if let Some((_, why)) = LACKING.iter().find(|(lacking, _)| *lacking == kind) {
        return format!("\"{kind}\" is not supported: {why}");
    }
    if TO_COME.contains(&kind) {
        return format!("\"{kind}\" {NOT_YET}");
    }
    let shown: String = kind.chars().take(40).collect();
    format!(
        "Invalid value: \"{shown}\", expected one of: \"text\", \"html\", \"image\", \"file\", \"gif\", \"location\", \"carousel\", \"list\", \
         \"section\", \"authentication\", \"template\", \"action\", \"contact\", \"flow\""
    )
}
