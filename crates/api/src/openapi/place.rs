//! Payload of a body of type `location`.

use utoipa::ToSchema;

/// A place.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LocationPayload {
    /// Where it is.
    coordinates: Coordinates,
    /// What it is called.
    location: Option<Place>,
}

/// Degrees.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Coordinates {
    /// Degrees north, -90 to 90.
    #[schema(minimum = -90, maximum = 90, examples(-1.2864))]
    latitude: f64,
    /// Degrees east, -180 to 180.
    #[schema(minimum = -180, maximum = 180, examples(36.8172))]
    longitude: f64,
}

/// What a place is called.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Place {
    /// Its name, up to 256 UTF-16 units, empty or not only white space.
    #[schema(max_length = 256, pattern = r"^$|\S", examples("Town hall"))]
    label: Option<String>,
    /// Its address, up to 256 UTF-16 units, empty or not only white space.
    #[schema(max_length = 256, pattern = r"^$|\S", examples("City Hall Way, Nairobi"))]
    address: Option<String>,
}
