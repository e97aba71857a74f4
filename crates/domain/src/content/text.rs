//! A text message.

use serde::{Deserialize, Serialize};

use super::check_text;
use crate::limits::TEXT_UNITS_MAX;

/// Text of 1 to 4,096 UTF-16 units that holds more than white space.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Text {
    /// The text as it is shown.
    pub text: String,
}

impl Text {
    /// Checks a text against WhatsApp's limits.
    ///
    /// # Errors
    /// The text of the violation.
    pub fn new(text: &str) -> Result<Self, String> {
        check_text(text, TEXT_UNITS_MAX).map(|text| Self { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_utf16_units() {
        assert!(Text::new(&"x".repeat(TEXT_UNITS_MAX)).is_ok());
        assert!(Text::new(&"x".repeat(TEXT_UNITS_MAX + 1)).is_err());
        assert!(Text::new(&"🌍".repeat(TEXT_UNITS_MAX / 2)).is_ok());
        assert!(Text::new(&"🌍".repeat(TEXT_UNITS_MAX / 2 + 1)).is_err());
        assert!(Text::new(" \n\t").is_err());
    }
}
