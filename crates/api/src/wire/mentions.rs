//! What requests mention by id: collected first and looked up together, so that reading them needs no waiting.

use std::collections::{HashMap, HashSet};

use domain::id::{ContactId, MessageId};
use domain::phone::PhoneNumber;
use serde_json::Value;

/// Ids that requests mention, as far as they are readable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Mentions {
    pub(crate) contacts: Vec<ContactId>,
    pub(crate) received: Vec<MessageId>,
}

/// What is known of the mentioned ids in the workspace of the request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Known {
    pub(crate) contacts: HashMap<ContactId, PhoneNumber>,
    pub(crate) received: HashSet<MessageId>,
}

impl Mentions {
    /// Adds the ids of one request.
    pub(crate) fn add(&mut self, request: &Value) {
        let contacts = request.pointer("/receiver/contacts").and_then(Value::as_array);
        // More than one contact is refused; the first tells whether there is one.
        let first = contacts.and_then(|contacts| contacts.first()).and_then(|contact| contact.get("id"));
        self.contacts.extend(first.and_then(Value::as_str).and_then(|text| text.parse::<ContactId>().ok()));
        for path in ["/replyTo/id", "/body/replyTo/id"] {
            let id = request.pointer(path).and_then(Value::as_str);
            self.received.extend(id.and_then(|text| text.parse::<MessageId>().ok()));
        }
    }
}

impl Known {
    /// The number of a contact of the workspace.
    pub(crate) fn number_of(&self, contact: ContactId) -> Option<&PhoneNumber> {
        self.contacts.get(&contact)
    }

    /// Whether a message was received in the workspace.
    pub(crate) fn has_received(&self, message: MessageId) -> bool {
        self.received.contains(&message)
    }
}
