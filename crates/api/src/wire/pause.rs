//! Pauses, as they are read and shown.

use domain::id::ChannelId;
use domain::message::Tag;
use domain::pause::{PauseScope, check_reason, check_until};
use domain::violation::Violations;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::pause::PauseRecord;

use super::request;
use super::response::instant;
use crate::reader::Fields;

/// A pause that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PauseRequest {
    pub(crate) scope: PauseScope,
    pub(crate) reason: String,
    pub(crate) until: Option<Timestamp>,
}

/// The channel that a body names, if it names one: it is looked up before the body is read.
pub(crate) fn channel_of(value: &Value) -> Option<ChannelId> {
    value.get("channelId")?.as_str()?.parse().ok()
}

/// Reads a body; `known` is the channel that it names, if the workspace has that.
///
/// # Errors
/// All violations at once.
pub(crate) fn read(value: &Value, known: Option<ChannelId>, now: Timestamp) -> Result<PauseRequest, Violations> {
    let mut violations = Violations::default();
    let read = Fields::of(value, "", &mut violations).and_then(|mut fields| {
        let scope = scope(&mut fields, known, &mut violations);
        let reason = fields.required_text("reason", &mut violations);
        let reason = reason.and_then(|text| fields.keep("reason", check_reason(text), &mut violations));
        let until = fields.text("until", &mut violations);
        let until = until.and_then(|text| {
            let checked = request::instant(text).and_then(|at| check_until(now, at));
            fields.keep("until", checked, &mut violations)
        });
        fields.finish(&mut violations);
        Some(PauseRequest { scope: scope?, reason: reason?, until })
    });
    read.filter(|_| violations.is_empty()).ok_or(violations)
}

/// `scope`, with what belongs to it and without what does not.
fn scope(fields: &mut Fields<'_>, known: Option<ChannelId>, violations: &mut Violations) -> Option<PauseScope> {
    let word = fields.required_text("scope", violations);
    let channel = fields.text("channelId", violations);
    let channel = channel.and_then(|text| fields.keep("channelId", known_channel(text, known), violations));
    let tag = fields.text("tag", violations);
    let tag = tag.and_then(|text| fields.keep("tag", Tag::new(text), violations));
    for (name, own) in [("channelId", "channel"), ("tag", "tag")] {
        let is_given = fields.optional(name).is_some();
        match word {
            Some(word) if word == own && !is_given => violations.add(fields.path_of(name), "is required"),
            Some(word) if word != own && is_given && PauseScope::WORDS.contains(&word) => {
                violations.add(fields.path_of(name), format!("is for the scope {own} only"));
            }
            Some(_) | None => {}
        }
    }
    match word? {
        "workspace" => Some(PauseScope::Workspace),
        "channel" => channel.map(PauseScope::Channel),
        "tag" => tag.map(PauseScope::Tag),
        _ => {
            violations.add(fields.path_of("scope"), format!("must be one of: {}", PauseScope::WORDS.join(", ")));
            None
        }
    }
}

fn known_channel(text: &str, known: Option<ChannelId>) -> Result<ChannelId, String> {
    let id: ChannelId = text.parse().map_err(|_| "must be a UUID".to_owned())?;
    known.filter(|known| *known == id).ok_or_else(|| NOT_OURS.to_owned())
}

/// What is wrong with a channel that the workspace does not have.
pub(crate) const NOT_OURS: &str = "is not a channel of this workspace";

/// Shows a pause.
pub(crate) fn view(PauseRecord { pause, ended_at, ended_by }: &PauseRecord) -> Value {
    json!({
        "id": pause.id.to_string(),
        "scope": pause.scope.as_str(),
        "channelId": pause.scope.channel().map(|channel| channel.to_string()),
        "tag": pause.scope.tag(),
        "reason": pause.reason,
        "until": pause.until.map(instant),
        "createdAt": instant(pause.created_at),
        "createdBy": pause.actor,
        "endedAt": ended_at.map(instant),
        "endedBy": ended_by
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[track_caller]
    fn check(value: &Value, expected: &Value) {
        let now = Timestamp::UNIX_EPOCH;
        let known = ChannelId(Uuid::from_u128(7));
        let violations = read(value, Some(known), now).err().unwrap_or_default();
        assert_eq!(serde_json::to_value(violations.by_path()).expect("JSON"), *expected, "{value}");
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let (ours, others) = ("00000000-0000-0000-0000-000000000007", "00000000-0000-0000-0000-000000000008");
        check(&json!({ "scope": "workspace", "reason": "a" }), &json!({}));
        check(&json!({ "scope": "channel", "channelId": ours, "tag": null, "reason": "a" }), &json!({}));
        check(&json!([]), &json!({ ".": ["must be an object"] }));
        check(&json!({}), &json!({ ".scope": ["is required"], ".reason": ["is required"] }));
        check(
            &json!({ "scope": "channel", "channelId": others, "tag": "a,b", "reason": "", "until": "soon", "by": 1 }),
            &json!({
                ".channelId": [NOT_OURS],
                ".tag": ["must be 1 to 50 letters, digits, spaces, - or _", "is for the scope tag only"],
                ".reason": ["must be 1 to 200 characters without control characters"],
                ".until": ["must be an RFC 3339 date-time with offset, such as 2026-11-21T08:00:00+03:00"],
                ".by": ["property \"by\" is unsupported"]
            }),
        );
        check(
            &json!({ "scope": "tag", "channelId": 7, "reason": "a", "until": "1969-12-31T23:59:59Z" }),
            &json!({
                ".channelId": ["must be a string", "is for the scope channel only"],
                ".tag": ["is required"],
                ".until": ["must be in the future"]
            }),
        );
        check(
            &json!({ "scope": "all", "channelId": ours, "reason": 7 }),
            &json!({ ".scope": ["must be one of: workspace, channel, tag"], ".reason": ["must be a string"] }),
        );
    }
}
