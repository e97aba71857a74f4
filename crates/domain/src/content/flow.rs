//! A text with a button that opens a flow.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::check_text;
use crate::limits::FLOW_CTA_UNITS_MAX;

/// Opens a flow at a screen, with data for it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// The text above the button.
    pub text: String,
    /// The flow.
    pub flow_id: String,
    /// Label of the button.
    pub flow_cta: String,
    /// Id of the first screen.
    pub screen: String,
    /// Data of the first screen; never empty.
    pub data: Option<Map<String, Value>>,
}

impl Flow {
    /// Checks the label of the button: at most 20 units, no emoji (Meta, "Flow messages").
    ///
    /// # Errors
    /// The text of the violation.
    pub fn check_cta(text: &str) -> Result<String, String> {
        if text.chars().any(is_emoji) {
            return Err("must not hold emoji".to_owned());
        }
        check_text(text, FLOW_CTA_UNITS_MAX)
    }
}

/// The blocks that hold emoji; symbols of other use (™, ©) are let through.
fn is_emoji(c: char) -> bool {
    matches!(u32::from(c), 0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0x2B50 | 0x2B55 | 0xFE0F | 0x200D | 0x20E3 | 0xE0020..=0xE007F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_and_plain() {
        for good in ["Start", "Anza sasa", "日本語", "Book ™"] {
            assert!(Flow::check_cta(good).is_ok(), "{good}");
        }
        for bad in ["", "🚀 Go", "✔ Go", "1️⃣", &"x".repeat(21)] {
            assert!(Flow::check_cta(bad).is_err(), "{bad}");
        }
    }
}
