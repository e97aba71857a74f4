//! A place on the map.

use serde::{Deserialize, Serialize};

/// A place, with its name and address where they are known.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Location {
    /// Decimal degrees, −90 to 90.
    pub latitude: f64,
    /// Decimal degrees, −180 to 180.
    pub longitude: f64,
    /// Name of the place.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
}
