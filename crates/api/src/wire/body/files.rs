//! `body.image` and `body.file`: each file a part; a text becomes a caption, a text of its own, or stands above buttons.

use domain::content::{Buttons, Content, Media, MediaKind, Text, check_https_url, check_text, filename_of_url};
use domain::limits::{CAPTION_UNITS_MAX, FILES_MAX, INTERACTIVE_TEXT_UNITS_MAX, LABEL_UNITS_MAX};
use domain::violation::Violations;
use serde_json::Value;

use super::actions::{self, Actions, Kind};
use crate::reader::Fields;
use crate::wire::shape::{self, Need, Shape, TELEGRAM};

/// Settings for other platforms (Channels API, `image` and `file`): taken, without meaning on WhatsApp.
const METADATA: Shape = Shape::Object(&[
    ("subject", Shape::Text, Need::Optional),
    ("fallbackText", Shape::Text, Need::Optional),
    ("storyType", Shape::Text, Need::Optional),
    ("telegram", TELEGRAM, Need::Optional),
]);

/// Reads the payload of `image`.
pub(super) fn read_images(fields: Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    read(fields, "images", read_image, violations)
}

/// Reads the payload of `file`.
pub(super) fn read_files(fields: Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    read(fields, "files", read_file, violations)
}

fn read(
    mut fields: Fields<'_>,
    name: &'static str,
    one: fn(&mut Fields<'_>, &mut Violations) -> Option<Media>,
    violations: &mut Violations,
) -> Option<Vec<Content>> {
    let files = match fields.required(name, violations) {
        Some(_) => {
            fields.array(name, violations).and_then(|given| read_each(given, &fields.path_of(name), one, violations))
        }
        None => None,
    };
    let text = fields.text("text", violations).filter(|text| !text.is_empty());
    let (kind, actions) = actions::read(&mut fields, violations);
    shape::check_property(&mut fields, "metadata", &METADATA, violations);
    // What is wrong with the first file hides what it can carry; most can carry a caption.
    let carries = files.as_ref().and_then(|files| files.first()).is_none_or(|first| first.media_kind.carries_caption());
    let text = checked_text(&fields, text, kind, carries, violations);
    fields.finish(violations);
    Some(assemble(files?, text?, actions?, carries))
}

fn read_each(
    given: &[Value],
    path: &str,
    one: fn(&mut Fields<'_>, &mut Violations) -> Option<Media>,
    violations: &mut Violations,
) -> Option<Vec<Media>> {
    if given.is_empty() || given.len() > FILES_MAX {
        violations.add(path, format!("must hold 1 to {FILES_MAX} files, holds {}", given.len()));
        return None;
    }
    let read = given.iter().enumerate().map(|(position, value)| {
        let mut fields = Fields::of(value, &format!("{path}[{position}]"), violations)?;
        let media = one(&mut fields, violations);
        fields.finish(violations);
        media
    });
    // All are read, so that all violations are said.
    let read: Vec<Option<Media>> = read.collect();
    read.into_iter().collect()
}

fn read_image(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<Media> {
    // There is no counterpart of an alternative text at Lipachat: taken, not sent.
    fields.text("altText", violations);
    let url = media_url(fields, violations)?;
    Some(Media { media_kind: MediaKind::of_image_url(&url), url, caption: None, filename: None })
}

fn read_file(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<Media> {
    fields.text("altText", violations);
    let content_type = fields.required_text("contentType", violations);
    let filename = fields.text("filename", violations);
    let filename = filename.and_then(|name| fields.keep("filename", check_filename(name), violations));
    if let Some(mut metadata) = fields.object("metadata", violations) {
        metadata.boolean("isAnimated", violations);
        metadata.finish(violations);
    }
    let url = media_url(fields, violations);
    let (url, media_kind) = (url?, MediaKind::of_content_type(content_type?));
    let filename = match media_kind {
        MediaKind::Document => filename.or_else(|| filename_of_url(&url)),
        MediaKind::Image | MediaKind::Video | MediaKind::Audio | MediaKind::Sticker => None,
    };
    Some(Media { media_kind, url, caption: None, filename })
}

fn media_url(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<String> {
    let url = fields.required_text("mediaUrl", violations)?;
    fields.keep("mediaUrl", check_https_url(url), violations)
}

fn check_filename(name: &str) -> Result<String, String> {
    if name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\')) {
        return Err("must not hold slashes or control characters".to_owned());
    }
    check_text(name, LABEL_UNITS_MAX)
}

/// The text, if there is one and it is legal where it goes; the outer `None` when it is not.
fn checked_text(
    fields: &Fields<'_>,
    text: Option<&str>,
    kind: Kind,
    carries_caption: bool,
    violations: &mut Violations,
) -> Option<Option<String>> {
    let checked = match (kind, text) {
        (Kind::LocationRequest, _) => {
            let why = "a locationRequest needs a body of type text: Lipachat sends it as a message of its own";
            violations.add(fields.path_of("actions"), why);
            return None;
        }
        (Kind::Buttons, None) => Err("is required with actions: it stands above the buttons".to_owned()),
        (Kind::Buttons, Some(text)) => check_text(text, INTERACTIVE_TEXT_UNITS_MAX),
        (Kind::None, Some(text)) if carries_caption => check_text(text, CAPTION_UNITS_MAX),
        (Kind::None, Some(text)) => Text::new(text).map(|text| text.text),
        (Kind::None, None) => return Some(None),
    };
    fields.keep("text", checked, violations).map(Some)
}

/// Files first; then the text where it belongs (contract, section 3).
fn assemble(mut files: Vec<Media>, text: Option<String>, actions: Actions, carries_caption: bool) -> Vec<Content> {
    let mut last = None;
    match (actions, text) {
        (Actions::Buttons(buttons), Some(text)) => last = Some(Content::Buttons(Buttons { text, buttons })),
        (_, Some(text)) if carries_caption => {
            if let Some(first) = files.first_mut() {
                first.caption = Some(text);
            }
        }
        (_, Some(text)) => last = Some(Content::Text(Text { text })),
        (_, None) => {}
    }
    files.into_iter().map(Content::Media).chain(last).collect()
}
