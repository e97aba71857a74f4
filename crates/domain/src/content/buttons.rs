//! A text with reply buttons.

use serde::{Deserialize, Serialize};

use super::check_text;
use crate::limits::{BUTTON_ID_UNITS_MAX, BUTTON_TITLE_UNITS_MAX};

/// Text with one to three buttons whose ids and titles differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Buttons {
    /// The text above the buttons.
    pub text: String,
    /// The buttons, from top to bottom.
    pub buttons: Vec<Button>,
}

/// A reply button.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Button {
    /// Comes back when it is pressed.
    pub id: String,
    /// Its label.
    pub title: String,
}

impl Button {
    /// Checks the label of a button.
    ///
    /// # Errors
    /// The text of the violation.
    pub fn check_title(title: &str) -> Result<String, String> {
        check_text(title, BUTTON_TITLE_UNITS_MAX)
    }

    /// Checks the id of a button: WhatsApp refuses space at its ends.
    ///
    /// # Errors
    /// The text of the violation.
    pub fn check_id(id: &str) -> Result<String, String> {
        if id != id.trim() {
            return Err("must not begin or end with white space".to_owned());
        }
        check_text(id, BUTTON_ID_UNITS_MAX)
    }
}
