//! What a request asks for besides content and time; kept with the message.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{ContactId, MessageId};
use crate::limits::COLLAPSE_KEY_CHARS_MAX;

/// The use case that counts towards the frequency cap, and that quiet hours are usually for.
pub const MARKETING: &str = "marketing";

/// Options of a message. Absent ones are not stored.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// The received message this one answers. Lipachat has no counterpart: stored, not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
    /// Where events of this message are posted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_url: Option<String>,
    /// Domain for short links. WhatsApp has no counterpart: stored and echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_links_domain: Option<String>,
    /// A newer message with the same key to the same recipient replaces this one until it begins to be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<CollapseKey>,
    /// Whether the workspace's frequency cap applies.
    #[serde(skip_serializing_if = "is_false")]
    pub cap_frequency: bool,
    /// Whether quiet hours are ignored.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_quiet_hours: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The message that another one answers (Channels API, `replyTo`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplyTo {
    /// A message received in the workspace.
    pub id: MessageId,
    /// `message`, `click` or `referrals`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Index of the pressed action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<i64>,
}

/// A key under which newer messages replace older ones.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CollapseKey(String);

impl CollapseKey {
    /// Takes 1 to 64 characters.
    ///
    /// # Errors
    /// The text of the violation.
    pub fn new(text: &str) -> Result<Self, String> {
        let chars = text.chars().count();
        if text.trim().is_empty() || chars > COLLAPSE_KEY_CHARS_MAX {
            return Err(format!("must be 1 to {COLLAPSE_KEY_CHARS_MAX} characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// What messages with this key to a contact have in common.
    #[must_use]
    pub fn id_for(&self, contact: ContactId) -> Uuid {
        Uuid::new_v5(&contact.0, format!("collapse:{}", self.0).as_bytes())
    }
}

/// How often a recipient may be written to by messages that ask for the cap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrequencyCap {
    /// Messages …
    pub messages: u32,
    /// … within so many days.
    pub days: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_absent_take_no_space() {
        assert_eq!(serde_json::to_string(&Options::default()).expect("serializable"), "{}");
        assert_eq!(serde_json::from_str::<Options>("{}").expect("readable"), Options::default());
    }

    #[test]
    fn a_collapse_key_is_of_one_contact() {
        let key = CollapseKey::new("balance").expect("legal");
        let (one, two) = (ContactId(Uuid::from_u128(1)), ContactId(Uuid::from_u128(2)));
        assert_eq!(key.id_for(one), key.id_for(one));
        assert_ne!(key.id_for(one), key.id_for(two));
        for bad in ["", " ", &"x".repeat(65)] {
            assert!(CollapseKey::new(bad).is_err(), "{bad}");
        }
    }
}
