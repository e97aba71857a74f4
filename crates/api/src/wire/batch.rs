//! The frame of a batch: its items are read one by one, each on its own.

use domain::limits::BATCH_MESSAGES_MAX;
use domain::violation::Violations;
use serde_json::Value;

use crate::reader::Fields;

/// The items of a batch.
///
/// # Errors
/// What is wrong with the frame; items are not looked into.
pub(crate) fn read(value: &Value) -> Result<&Vec<Value>, Violations> {
    let mut violations = Violations::default();
    let items = Fields::of(value, "", &mut violations).and_then(|mut fields| {
        let items = fields.required_array("messageRequests", &mut violations);
        fields.finish(&mut violations);
        items
    });
    if let Some(items) = items.filter(|items| items.is_empty() || items.len() > BATCH_MESSAGES_MAX) {
        let text = format!("must hold 1 to {BATCH_MESSAGES_MAX} messages, holds {}", items.len());
        violations.add(".messageRequests", text);
    }
    items.filter(|_| violations.is_empty()).ok_or(violations)
}
