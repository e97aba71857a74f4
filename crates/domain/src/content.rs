//! What is said: the content of a message, independent of either dialect.
//!
//! A message becomes one or more parts at accept time; a part is frozen with its id, so that every repetition of the
//! call carries the same content under the same id. One file a kind; limits are WhatsApp's, lengths in UTF-16 units.

mod buttons;

mod contact;

mod flow;

mod list;

mod location;

mod location_request;

mod media;

mod template;

mod text;

use serde::{Deserialize, Serialize};

use crate::id::PartId;
use crate::limits::{CAPTION_UNITS_MAX, INTERACTIVE_TEXT_UNITS_MAX, LIST_TEXT_UNITS_MAX, TEXT_UNITS_MAX, utf16_units};

pub use buttons::{Button, Buttons};
pub use contact::{Contact, Phone};
pub use flow::Flow;
pub use list::{List, Row, Section};
pub use location::{Location, LongitudeSpelling};
pub use location_request::LocationRequest;
pub use media::{Media, MediaKind, check_https_url, filename_of_url};
pub use template::{Template, TemplateButton, TemplateHeader};
pub use text::Text;

/// What one call to the provider says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Content {
    /// Plain text.
    Text(Text),
    /// Text with one to three reply buttons.
    Buttons(Buttons),
    /// Text that asks for the recipient's location.
    LocationRequest(LocationRequest),
    /// An image, video, audio, document or sticker by URL.
    Media(Media),
    /// A place.
    Location(Location),
    /// Text with a list of rows to choose from.
    List(List),
    /// A contact card.
    Contact(Contact),
    /// Text with a button that opens a flow.
    Flow(Flow),
    /// A template with its parameters.
    Template(Template),
}

impl Content {
    /// The text that stands for itself, with its greatest length in UTF-16 units; not names, labels and parameters.
    pub fn text_mut(&mut self) -> Option<(&mut String, usize)> {
        match self {
            Self::Text(text) => Some((&mut text.text, TEXT_UNITS_MAX)),
            Self::Buttons(buttons) => Some((&mut buttons.text, INTERACTIVE_TEXT_UNITS_MAX)),
            Self::LocationRequest(request) => Some((&mut request.text, INTERACTIVE_TEXT_UNITS_MAX)),
            Self::Media(media) => media.caption.as_mut().map(|caption| (caption, CAPTION_UNITS_MAX)),
            Self::List(list) => Some((&mut list.body, LIST_TEXT_UNITS_MAX)),
            Self::Flow(flow) => Some((&mut flow.text, INTERACTIVE_TEXT_UNITS_MAX)),
            Self::Location(_) | Self::Contact(_) | Self::Template(_) => None,
        }
    }
}

/// One call to the provider: content under an id that never changes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Goes out as the provider's `messageId` of the call.
    pub id: PartId,
    /// What the call says.
    pub content: Content,
}

/// Checks that a text shows something (not only white space or marks without width) and is not too long.
///
/// # Errors
/// The text of the violation.
pub fn check_text(text: &str, units_max: usize) -> Result<String, String> {
    if text.chars().all(|c| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')) {
        return Err("must not be empty".to_owned());
    }
    let units = utf16_units(text);
    if units > units_max {
        return Err(format!("must not be longer than {units_max} UTF-16 units, has {units}"));
    }
    Ok(text.to_owned())
}
