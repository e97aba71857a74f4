//! Identifiers, one type each, so that a workspace is never passed where a channel is meant.
//!
//! All are UUIDs. Message ids are version 7: they sort by time of acceptance. Contact ids are version 5, a
//! function of workspace and number, so that the first use of a number needs no look-up.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;

            /// Takes the hyphenated form only: other spellings of a UUID would be second names of one thing.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                if text.len() != uuid::fmt::Hyphenated::LENGTH {
                    return Err(NotAnId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)
            }
        }
    )+};
}

/// The text is not a hyphenated UUID.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAnId;

id! {
    /// The customer of one installation: holds workspaces.
    OrganizationId,
    /// The tenant: every row and every request belongs to one.
    WorkspaceId,
    /// A WhatsApp number of a workspace, with the provider key that sends from it.
    ChannelId,
    /// A message, as the API names it.
    MessageId,
    /// A person a workspace writes to.
    ContactId,
    /// An access key, as the admin API names it (not the secret).
    AccessKeyId,
    /// One call to the provider; carried by every repetition of that call.
    PartId,
    /// An account with the provider: what channels with the same provider key have in common.
    AccountId,
    /// An act on many messages.
    ActionId,
    /// A running tuma process.
    ReplicaId,
    /// A pause, as the API names it.
    PauseId,
}

impl ContactId {
    /// The id of the contact that a workspace has under a number.
    #[must_use]
    pub fn of_number(workspace: WorkspaceId, e164: &str) -> Self {
        Self(Uuid::new_v5(&workspace.0, format!("phonenumber:{e164}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let text = "6c0a8f0b-0d5a-4d0c-9a64-7f0c7d0b8e11";
        assert!(text.parse::<MessageId>().is_ok());
        for other in ["{6c0a8f0b-0d5a-4d0c-9a64-7f0c7d0b8e11}", "6c0a8f0b0d5a4d0c9a647f0c7d0b8e11", "", "..", "1"] {
            assert_eq!(other.parse::<MessageId>(), Err(NotAnId), "{other}");
        }
    }

    #[test]
    fn a_contact_id_depends_on_workspace_and_number() {
        let (a, b) = (WorkspaceId(Uuid::from_u128(1)), WorkspaceId(Uuid::from_u128(2)));
        assert_eq!(ContactId::of_number(a, "+254712345678"), ContactId::of_number(a, "+254712345678"));
        assert_ne!(ContactId::of_number(a, "+254712345678"), ContactId::of_number(b, "+254712345678"));
        assert_ne!(ContactId::of_number(a, "+254712345678"), ContactId::of_number(a, "+254712345679"));
    }
}
