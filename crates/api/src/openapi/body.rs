//! `body` of a request: one variant a kind, told apart by `type`; the payload stands in a property of that name.

use utoipa::ToSchema;

use super::card::ContactCard;
use super::flow::FlowPayload;
use super::list::ListPayload;
use super::media::{FilePayload, ImagePayload};
use super::place::LocationPayload;
use super::reply_to::ReplyTo;
use super::text::TextPayload;
use super::words;

/// What a message says.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "type", mapping(
    ("text" = "#/components/schemas/TextBody"),
    ("image" = "#/components/schemas/ImageBody"),
    ("file" = "#/components/schemas/FileBody"),
    ("location" = "#/components/schemas/LocationBody"),
    ("list" = "#/components/schemas/ListBody"),
    ("contact" = "#/components/schemas/ContactBody"),
    ("flow" = "#/components/schemas/FlowBody")
)))]
pub(crate) enum Body {
    Text(TextBody),
    Image(ImageBody),
    File(FileBody),
    Location(LocationBody),
    List(ListBody),
    Contact(ContactBody),
    Flow(FlowBody),
}

/// A body of one kind.
macro_rules! body {
    ($(#[$doc:meta])* $name:ident, $word:ident: $payload:ty) => {
        $(#[$doc])*
        #[derive(ToSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(crate) struct $name {
            #[schema(schema_with = words::$word)]
            r#type: String,
            /// The payload.
            $word: $payload,
            /// The same as `replyTo` beside `body`, where it belongs.
            reply_to: Option<ReplyTo>,
        }
    };
}

body! {
    /// A text, with up to three buttons or one request for a location.
    TextBody, text: TextPayload
}
body! {
    /// Images, each sent as a message of its own, with a text and up to three buttons.
    ImageBody, image: ImagePayload
}
body! {
    /// Files (video, audio, documents, stickers), each sent as a message of its own, with a text and up to three
    /// buttons.
    FileBody, file: FilePayload
}
body! {
    /// A place.
    LocationBody, location: LocationPayload
}
body! {
    /// A text with rows to choose from.
    ListBody, list: ListPayload
}
body! {
    /// A contact card; an extension of tuma.
    ContactBody, contact: ContactCard
}
body! {
    /// A button that opens a flow; an extension of tuma.
    FlowBody, flow: FlowPayload
}
