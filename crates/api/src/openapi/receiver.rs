//! `receiver` of a request: one contact.

use utoipa::ToSchema;

use super::words;

/// Whom a message goes to.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Receiver {
    /// Exactly one contact.
    #[schema(min_items = 1, max_items = 1)]
    contacts: Vec<ReceiverContact>,
}

/// A contact, by number or, if it is known already, by id. One that is not known is made.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReceiverContact {
    /// Id of a known contact of the workspace.
    #[schema(format = "uuid", examples("2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11"))]
    id: Option<String>,
    /// What identifies the contact: `phonenumber`, the only key on WhatsApp.
    identifier_key: Option<IdentifierKey>,
    #[schema(schema_with = words::recipient_number, required = false)]
    identifier_value: Option<String>,
    /// The role of the contact: `to`, the only one on WhatsApp.
    r#type: Option<ReceiverType>,
    #[schema(schema_with = words::platform_address, required = false)]
    platform_address: Option<String>,
    /// Which identifier of the contact is written to: `identifiers.phonenumber`, the only one on WhatsApp.
    platform_address_selector: Option<AddressSelector>,
    #[schema(schema_with = words::nothing, required = false)]
    identifiers: Option<()>,
}

/// What identifies a contact.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IdentifierKey {
    PhoneNumber,
}

/// The role of a contact.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReceiverType {
    To,
}

/// Which identifier of a contact is written to.
#[derive(ToSchema)]
pub(crate) enum AddressSelector {
    #[serde(rename = "identifiers.phonenumber")]
    PhoneNumber,
}
