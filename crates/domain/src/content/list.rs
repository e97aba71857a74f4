//! A text with a list of rows to choose from.

use serde::{Deserialize, Serialize};

/// Text, a button that opens the list, and its sections: at most ten, with at most ten rows in all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct List {
    /// Line above the text; WhatsApp allows none.
    pub header: Option<String>,
    /// The text.
    pub body: String,
    /// Label of the button that opens the list.
    pub button_text: String,
    /// The sections.
    pub sections: Vec<Section>,
}

/// A section of a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Section {
    /// Line above its rows.
    pub title: String,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A row of a section.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Comes back when it is chosen.
    pub id: String,
    /// Its label.
    pub title: String,
    /// Second line.
    pub description: Option<String>,
}
