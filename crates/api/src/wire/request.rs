//! The request to send a message: every field read, everything wrong with it noted.

use domain::content::{Content, check_text};
use domain::limits::TAGS_MAX;
use domain::links::LinkParameters;
use domain::message::{MessageKey, Tag, check_reference};
use domain::options::Options;
use domain::phone::PhoneNumber;
use domain::schedule::{check_scheduled_for, check_validity};
use domain::violation::Violations;
use jiff::Timestamp;
use serde_json::Value;

use crate::reader::Fields;
use crate::wire::mentions::Known;
use crate::wire::meta::Meta;
use crate::wire::{body, meta, options, receiver, sender, template};

/// A request without violations.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct MessageRequest {
    pub(crate) recipient: PhoneNumber,
    pub(crate) contents: Vec<Content>,
    /// `body` and `template` as they were sent; one of them is there.
    pub(crate) body: Option<Value>,
    pub(crate) template: Option<Value>,
    pub(crate) meta: Meta,
    pub(crate) options: Options,
    pub(crate) key: Option<MessageKey>,
    pub(crate) reference: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) scheduled_for: Option<Timestamp>,
    pub(crate) validity_seconds: Option<i64>,
}

const OFFSET_BYTES: usize = 6;

/// The value of `Idempotency-Key`, if there is one, or what is wrong with it.
pub(crate) type HeaderKey<'a> = Result<Option<&'a str>, &'static str>;

/// What a request is read against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) header_key: HeaderKey<'a>,
    /// The channel's number.
    pub(crate) sender: &'a PhoneNumber,
    pub(crate) known: &'a Known,
    pub(crate) link_parameters: &'a LinkParameters,
}

/// Reads a request.
///
/// # Errors
/// All violations at once.
pub(crate) fn read(value: &Value, context: Context<'_>) -> Result<MessageRequest, Violations> {
    let mut violations = Violations::default();
    let Some(mut fields) = Fields::of(value, "", &mut violations) else {
        return Err(violations);
    };
    let notes = &mut violations;
    let recipient = fields.required("receiver", notes).and_then(|value| receiver::read(value, context.known, notes));
    sender::check(&mut fields, context.sender, notes);
    let mut contents = contents(&mut fields, notes);
    let key = key(&mut fields, context.header_key, notes);
    let reference = fields.text("reference", notes);
    if let Some(text) = reference {
        fields.keep("reference", check_reference(text), notes);
    }
    let tags = tags(&mut fields, notes);
    let meta = meta::read(&mut fields, notes);
    let options::Read { options, tracks_links } = options::read(&mut fields, context.known, &meta, notes);
    if let (true, Some(contents)) = (tracks_links, &mut contents) {
        track_links(contents, context.link_parameters, notes);
    }
    let scheduled_for = scheduled_for(&mut fields, context.now, notes);
    let validity_seconds = fields.integer("validity", notes);
    if let Some(seconds) = validity_seconds {
        fields.keep("validity", check_validity(seconds), notes);
    }
    let body = fields.optional("body").cloned().map(without_reply_to);
    let template = fields.optional("template").cloned();
    fields.finish(notes);
    match (recipient, contents) {
        (Some(recipient), Some(contents)) if violations.is_empty() => Ok(MessageRequest {
            recipient,
            contents,
            body,
            template,
            meta,
            options,
            key,
            reference: reference.unwrap_or_default().to_owned(),
            tags,
            scheduled_for,
            validity_seconds,
        }),
        _ => Err(violations),
    }
}

/// `replyTo` belongs to the message, wherever it was given.
fn without_reply_to(mut body: Value) -> Value {
    if let Value::Object(properties) = &mut body {
        properties.remove("replyTo");
    }
    body
}

/// Puts the workspace's parameters on the links of what is sent; `body` is echoed as it was.
fn track_links(contents: &mut [Content], parameters: &LinkParameters, violations: &mut Violations) {
    for (text, units_max) in contents.iter_mut().filter_map(Content::text_mut) {
        *text = parameters.track(text);
        if let Err(why) = check_text(text, units_max) {
            violations.add(".enableLinkTracking", format!("the text with tracking parameters {why}"));
        }
    }
}

fn contents(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    let (body, template) = (fields.optional("body"), fields.optional("template"));
    match (body, template) {
        (Some(body), None) => body::read(body, violations),
        (Some(body), Some(_)) => {
            violations.add(".template", "must not be given together with body");
            body::read(body, violations)
        }
        (None, Some(template)) => template::read(template, violations),
        (None, None) => {
            violations.add(".body", "body or template is required");
            None
        }
    }
}

/// The deduplication key of a request, whatever else is wrong with it.
pub(crate) fn key_of(value: &Value, header_key: HeaderKey<'_>) -> Option<MessageKey> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(value, "", &mut violations)?;
    key(&mut fields, header_key, &mut violations)
}

fn key(fields: &mut Fields<'_>, header_key: HeaderKey<'_>, violations: &mut Violations) -> Option<MessageKey> {
    let own = fields
        .text("messageId", violations)
        .and_then(|text| fields.keep("messageId", MessageKey::new(text), violations));
    let header = match header_key.map_err(str::to_owned).and_then(|text| text.map(MessageKey::new).transpose()) {
        Ok(header) => header,
        Err(why) => {
            violations.add("Idempotency-Key", why);
            None
        }
    };
    match (own, header) {
        (Some(own), Some(header)) if own != header => {
            violations.add(".messageId", "differs from the header Idempotency-Key");
            None
        }
        (own, header) => own.or(header),
    }
}

fn tags(fields: &mut Fields<'_>, violations: &mut Violations) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    let Some(given) = fields.array("tags", violations) else { return tags };
    if given.len() > TAGS_MAX {
        violations.add(".tags", format!("must not hold more than {TAGS_MAX} tags, holds {}", given.len()));
        return tags;
    }
    for (position, value) in given.iter().enumerate() {
        match value.as_str().map_or(Err("must be a string".to_owned()), Tag::new) {
            Ok(tag) if tags.contains(&tag) => {}
            Ok(tag) => tags.push(tag),
            Err(why) => violations.add(format!(".tags[{position}]"), why),
        }
    }
    tags
}

fn scheduled_for(fields: &mut Fields<'_>, now: Timestamp, violations: &mut Violations) -> Option<Timestamp> {
    let text = fields.text("scheduledFor", violations)?;
    let at = fields.keep("scheduledFor", instant(text), violations)?;
    fields.keep("scheduledFor", check_scheduled_for(now, at), violations)?;
    Some(at)
}

/// RFC 3339 with an offset, to the microsecond.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    let refused = || "must be an RFC 3339 date-time with offset, such as 2026-11-21T08:00:00+03:00".to_owned();
    let bytes = text.as_bytes();
    // The parser also knows looser forms: hours alone, a space, weeks, zone names.
    let is_separated = bytes.len() >= 20 && matches!(bytes[10], b'T' | b't') && bytes[13] == b':' && bytes[16] == b':';
    let has_offset = match bytes.last() {
        Some(b'Z' | b'z') => true,
        _ => bytes.len() >= 25 && is_offset(&bytes[bytes.len() - OFFSET_BYTES..]),
    };
    if !is_separated || !has_offset || bytes[17] == b'6' || text.contains([',', '[']) {
        return Err(refused());
    }
    let at: Timestamp = text.parse().map_err(|_| refused())?;
    Timestamp::from_microsecond(at.as_microsecond()).map_err(|_| refused())
}

/// `+03:00`: sign, hours up to 23, minutes.
fn is_offset(bytes: &[u8]) -> bool {
    matches!(bytes[0], b'+' | b'-') && bytes[3] == b':' && bytes[1..3] < b"24"[..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_date_time_and_offset() {
        for good in [
            "2026-11-21T08:00:00Z",
            "2026-11-21t08:00:00z",
            "2026-11-21T08:00:00.5+03:00",
            "2026-11-21T08:00:00.123456789-00:00",
        ] {
            assert!(instant(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "2026-11-21",
            "2026-11-21T08:00:00",
            "2026-11-21 08:00:00Z",
            "2026-11-21T08Z",
            "2026-11-21T08:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T08:00:60Z",
            "2026-13-21T08:00:00Z",
            "2026-11-21T08:00:00,5Z",
            "2026-11-21T08:00:00+0300",
            "2026-11-21T08:00:00+03",
            "1795248000",
            "tomorrow",
            "2026-11-21T08:00:00+03:00[Africa/Nairobi]",
            "20261121T080000Z",
            "2026-11-21T08:00:00+99:99",
            "10000-01-01T00:00:00Z",
        ] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
