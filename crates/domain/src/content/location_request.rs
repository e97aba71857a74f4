//! A text that asks for the recipient's location.

use serde::{Deserialize, Serialize};

/// Text of up to 1,024 UTF-16 units with a button that sends a location.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LocationRequest {
    /// The text above the button.
    pub text: String,
}
