//! Payload of a body of type `flow`.

use utoipa::ToSchema;

use super::words;

/// A button that opens a flow.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FlowPayload {
    /// The text above the button, 1 to 1024 UTF-16 units, not only white space.
    #[schema(min_length = 1, max_length = 1024, pattern = r"\S", examples("Book a table"))]
    text: String,
    /// Which flow, 1 to 256 UTF-16 units, not only white space.
    #[schema(min_length = 1, max_length = 256, pattern = r"\S", examples("987654321"))]
    flow_id: String,
    /// The button's label, 1 to 20 UTF-16 units without emoji, not only white space.
    #[schema(min_length = 1, max_length = 20, pattern = r"\S", examples("Book"))]
    flow_cta: String,
    /// The first screen, 1 to 256 UTF-16 units, not only white space.
    #[schema(min_length = 1, max_length = 256, pattern = r"\S", examples("BOOKING"))]
    screen: String,
    #[schema(schema_with = words::flow_data, required = false)]
    data: Option<()>,
}
