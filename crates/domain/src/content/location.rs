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

/// How longitude is spelled on the wire: Lipachat's page says `longtitude`, its sample body was never seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LongitudeSpelling {
    /// Both spellings are sent.
    #[default]
    Both,
    /// `longitude` only.
    Longitude,
    /// `longtitude` only.
    Longtitude,
}

impl LongitudeSpelling {
    /// All, in the order they are documented.
    pub const ALL: [Self; 3] = [Self::Both, Self::Longitude, Self::Longtitude];

    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Longitude => "longitude",
            Self::Longtitude => "longtitude",
        }
    }

    /// Reads the word of the API.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}
