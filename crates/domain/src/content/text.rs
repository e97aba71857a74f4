//! A text message.

use serde::{Deserialize, Serialize};

use crate::limits::{TEXT_UNITS_MAX, utf16_units};

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
        let units = utf16_units(text);
        if text.trim().is_empty() {
            return Err("must not be empty".to_owned());
        }
        if units > TEXT_UNITS_MAX {
            return Err(format!("must not be longer than {TEXT_UNITS_MAX} UTF-16 units, has {units}"));
        }
        Ok(Self { text: text.to_owned() })
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
