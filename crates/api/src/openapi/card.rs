//! Payload of a body of type `contact`.

use utoipa::ToSchema;

/// A contact card.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ContactCard {
    /// Who it is.
    name: CardName,
    /// 1 to 20 numbers.
    #[schema(min_items = 1, max_items = 20)]
    phones: Vec<CardPhone>,
}

/// The name on a contact card.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CardName {
    /// As it is shown, 1 to 256 UTF-16 units, not only white space.
    #[schema(min_length = 1, max_length = 256, pattern = r"\S", examples("Asha Otieno"))]
    formatted_name: String,
}

/// A number on a contact card.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CardPhone {
    /// As it is shown, 1 to 256 UTF-16 units, not only white space.
    #[schema(min_length = 1, max_length = 256, pattern = r"\S", examples("+254712345678"))]
    phone: String,
    /// What kind of number it is, up to 256 UTF-16 units, empty or not only white space.
    #[schema(max_length = 256, pattern = r"^$|\S", examples("CELL"))]
    r#type: Option<String>,
    /// The WhatsApp id of the number, up to 256 UTF-16 units, empty or not only white space.
    #[schema(max_length = 256, pattern = r"^$|\S", examples("254712345678"))]
    wa_id: Option<String>,
}
