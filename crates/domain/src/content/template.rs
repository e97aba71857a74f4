//! A template with its parameters.

use serde::{Deserialize, Serialize};

use super::media::MediaKind;

/// A template by name and language, with what goes into it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Template {
    /// Its name: lower-case letters, digits, underscores.
    pub name: String,
    /// Its language.
    pub language: String,
    /// What goes into its header.
    pub header: Option<TemplateHeader>,
    /// Values of `{{1}}`, `{{2}}`, … of its body.
    pub placeholders: Vec<String>,
    /// Values of its buttons, by position from 0; `None` for buttons without one.
    pub buttons: Vec<Option<TemplateButton>>,
}

/// What goes into a template's header.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum TemplateHeader {
    /// Value of the one placeholder of a text header.
    Text {
        /// The value.
        parameter: String,
    },
    /// The file of a media header.
    Media {
        /// Image, video or document.
        media_kind: MediaKind,
        /// Where it is.
        url: String,
    },
}

/// The value of a template's button.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TemplateButton {
    /// Suffix of a dynamic URL, or payload of a quick reply.
    pub parameter: String,
}
