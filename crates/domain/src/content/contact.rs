//! A contact card.

use serde::{Deserialize, Serialize};

/// A person with one or more numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    /// Name as it is shown.
    pub formatted_name: String,
    /// Numbers.
    pub phones: Vec<Phone>,
}

/// A number of a contact card, as it is shown: not necessarily international.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Phone {
    /// The number.
    pub phone: String,
    /// Cell, work, home …
    pub phone_type: Option<String>,
    /// The person's WhatsApp id; without it the card offers to invite.
    pub wa_id: Option<String>,
}
