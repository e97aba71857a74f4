//! Payloads of bodies of type `image` and `file`.

use utoipa::ToSchema;

use super::actions::Button;
use super::text::TelegramMetadata;
use super::words;

/// Images and what stands below them.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ImagePayload {
    /// 1 to 30 images.
    #[schema(min_items = 1, max_items = 30)]
    images: Vec<Image>,
    /// Caption of the first image, up to 1024 UTF-16 units; after a sticker a message of its own, up to 4096. With
    /// actions it stands above the buttons, is required, and may have 1024.
    #[schema(max_length = 4096, pattern = r"^$|\S", examples("The new model"))]
    text: Option<String>,
    /// Up to three buttons with different texts and payloads.
    #[schema(max_items = 3)]
    actions: Option<Vec<Button>>,
    /// Bird's settings for other platforms.
    metadata: Option<MediaMetadata>,
}

/// An image; a sticker when the path of its URL ends in `.webp`.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Image {
    #[schema(schema_with = words::image_url)]
    media_url: String,
    /// Bird's alternative text: taken and not sent, since Lipachat has no place for it.
    #[schema(examples("Front view"))]
    alt_text: Option<String>,
}

/// Bird's settings for other platforms: taken, echoed and not sent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MediaMetadata {
    /// Subject of a mail.
    #[schema(max_length = 1024)]
    subject: Option<String>,
    /// Text of an MMS.
    #[schema(max_length = 1024)]
    fallback_text: Option<String>,
    /// Kind of a story.
    #[schema(max_length = 1024)]
    story_type: Option<String>,
    /// Settings for Telegram.
    telegram: Option<TelegramMetadata>,
}

/// Files and what stands below them.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FilePayload {
    /// 1 to 30 files.
    #[schema(min_items = 1, max_items = 30)]
    files: Vec<File>,
    /// Caption of the first file, up to 1024 UTF-16 units; after audio or a sticker a message of its own, up to 4096.
    /// With actions it stands above the buttons, is required, and may have 1024.
    #[schema(max_length = 4096, pattern = r"^$|\S", examples("How it works"))]
    text: Option<String>,
    /// Up to three buttons with different texts and payloads.
    #[schema(max_items = 3)]
    actions: Option<Vec<Button>>,
    /// Bird's settings for other platforms.
    metadata: Option<MediaMetadata>,
}

/// A file.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct File {
    #[schema(schema_with = words::file_url)]
    media_url: String,
    /// MIME type: `video/*`, `audio/*` and `image/*` are sent as such, `image/webp` as a sticker, anything else as a
    /// document.
    #[schema(examples("application/pdf", "video/mp4"))]
    content_type: String,
    /// Name of a document, 1 to 256 UTF-16 units without slashes; the last segment of the URL where it is absent.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]*[^/\\\s\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*$",
        examples("invoice-7781.pdf")
    )]
    filename: Option<String>,
    /// Bird's alternative text: taken and not sent, since Lipachat has no place for it.
    #[schema(examples("Invoice"))]
    alt_text: Option<String>,
    /// Bird's settings of a sticker.
    metadata: Option<FileMetadata>,
}

/// Bird's settings of a sticker.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileMetadata {
    /// Taken and not sent: WhatsApp sees it from the file.
    is_animated: Option<bool>,
}
