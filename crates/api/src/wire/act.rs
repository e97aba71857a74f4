//! Requests to act on many messages, and how such an act is shown.

use domain::action::ActionKind;
use domain::id::WorkspaceId;
use domain::lifecycle::Status;
use domain::limits::{TAGS_MAX, USE_CASE_CHARS_MAX};
use domain::message::Tag;
use domain::violation::Violations;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use store::action::{Action, Selector};
use store::message::Message;
use uuid::Uuid;

use crate::errors::ApiError;
use crate::reader::Fields;
use crate::wire::message_query::{contact, to_millisecond};
use crate::wire::query::not_one_of;
use crate::wire::request::instant as read_instant;
use crate::wire::response::{MessageView, instant, view};

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// To count what an act would concern.
    Count(ActionKind, Selector),
    /// To act on what was counted, by its token.
    Act(String),
}

/// Reads a request.
///
/// # Errors
/// All violations at once.
pub(crate) fn read(body: &Value, workspace: WorkspaceId) -> Result<Asked, Violations> {
    let mut violations = Violations::default();
    let asked = Fields::of(body, "", &mut violations).and_then(|mut fields| {
        let notes = &mut violations;
        let asked = if let Some(token) = fields.text("token", notes) {
            for name in ["action", "selector"] {
                if fields.optional(name).is_some() {
                    notes.add(fields.path_of(name), "must be absent beside token");
                }
            }
            Some(Asked::Act(token.to_owned()))
        } else if fields.optional("token").is_some() {
            None
        } else {
            let kind = kind(&mut fields, notes);
            let selector = match fields.required("selector", notes) {
                Some(value) => selector(value, &fields.path_of("selector"), kind, workspace, notes),
                None => None,
            };
            kind.zip(selector).map(|(kind, selector)| Asked::Count(kind, selector))
        };
        fields.finish(notes);
        asked
    });
    asked.filter(|_| violations.is_empty()).ok_or(violations)
}

fn kind(fields: &mut Fields<'_>, notes: &mut Violations) -> Option<ActionKind> {
    let word = fields.required_text("action", notes)?;
    let kind = ActionKind::from_word(word).ok_or_else(|| not_one_of(word, ActionKind::ALL.map(ActionKind::as_str)));
    fields.keep("action", kind, notes)
}

fn selector(
    value: &Value,
    path: &str,
    kind: Option<ActionKind>,
    workspace: WorkspaceId,
    notes: &mut Violations,
) -> Option<Selector> {
    let mut fields = Fields::of(value, path, notes)?;
    let receiver = fields.text("receiver", notes).map(|text| contact(text, workspace));
    let selector = Selector {
        tags: tags(&mut fields, notes),
        statuses: statuses(&mut fields, kind, notes),
        contact: receiver.and_then(|receiver| fields.keep("receiver", receiver, notes)),
        use_case: use_case(&mut fields, notes),
        start_at: at(&mut fields, "startAt", notes),
        end_at: at(&mut fields, "endAt", notes),
    };
    if selector.start_at.zip(selector.end_at).is_some_and(|(start, end)| end < start) {
        notes.add(fields.path_of("endAt"), "must not be before startAt");
    }
    let names = ["tags", "status", "receiver", "useCase", "startAt", "endAt"];
    let is_given = |value: &Value| value.as_array().is_none_or(|items| !items.is_empty());
    if !names.into_iter().any(|name| fields.optional(name).is_some_and(is_given)) {
        notes.add(path, format!("must name at least one of {}", names.join(", ")));
    }
    fields.finish(notes);
    Some(selector)
}

fn tags(fields: &mut Fields<'_>, notes: &mut Violations) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    let given = fields.array("tags", notes).map(Vec::as_slice).unwrap_or_default();
    for (position, value) in given.iter().enumerate() {
        let tag = value.as_str().ok_or_else(|| "must be a string".to_owned()).and_then(Tag::new);
        let tag = fields.keep(&format!("tags[{position}]"), tag, notes);
        tags.extend(tag.filter(|tag| !tags.contains(tag)));
    }
    if tags.len() > TAGS_MAX {
        notes.add(fields.path_of("tags"), format!("must be at most {TAGS_MAX}: no message has more"));
    }
    tags
}

/// Statuses, one or several, that the act may concern; those that it concerns unless some are named.
fn statuses(fields: &mut Fields<'_>, kind: Option<ActionKind>, notes: &mut Violations) -> Vec<Status> {
    let (name, value) = ("status", fields.optional("status"));
    let given =
        value.and_then(Value::as_array).map(Vec::as_slice).or(value.map(std::slice::from_ref)).unwrap_or_default();
    if given.is_empty() {
        return kind.map(|kind| kind.unless_named().to_vec()).unwrap_or_default();
    }
    let mut statuses: Vec<Status> = Vec::new();
    for value in given {
        let word = value.as_str().ok_or_else(|| "must be a status, or an array of statuses".to_owned());
        let status = word.and_then(|word| {
            let status = Status::from_word(word).ok_or_else(|| not_one_of(word, Status::ALL.map(Status::as_str)))?;
            match kind.filter(|kind| !kind.concerns(status)) {
                Some(kind) => Err(format!("{word} is no status of messages to {}", kind.as_str())),
                None => Ok(status),
            }
        });
        let status = fields.keep(name, status, notes);
        statuses.extend(status.filter(|status| !statuses.contains(status)));
    }
    statuses
}

fn use_case(fields: &mut Fields<'_>, notes: &mut Violations) -> Option<String> {
    let text = fields.text("useCase", notes)?;
    let is_legal = !text.trim().is_empty() && text.chars().count() <= USE_CASE_CHARS_MAX;
    let use_case =
        if is_legal { Ok(text.to_owned()) } else { Err(format!("must be 1 to {USE_CASE_CHARS_MAX} characters")) };
    fields.keep("useCase", use_case, notes)
}

fn at(fields: &mut Fields<'_>, name: &'static str, notes: &mut Violations) -> Option<Timestamp> {
    let text = fields.text(name, notes)?;
    fields.keep(name, read_instant(text), notes).map(to_millisecond)
}

/// What an act would concern.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CountedView<'a> {
    token: Uuid,
    action: &'static str,
    selector: SelectorView<'a>,
    count: i64,
    sample: Vec<MessageView<'a>>,
    expires_at: String,
}

/// An act as it stands.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateView<'a> {
    id: Uuid,
    action: &'static str,
    selector: SelectorView<'a>,
    status: &'static str,
    count: i64,
    acted: i64,
    passed: i64,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct SelectorView<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    status: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiver: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    use_case: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_at: Option<String>,
}

impl<'a> CountedView<'a> {
    /// Shows what was counted, with some of the messages.
    ///
    /// # Errors
    /// 500 when a stored body is not JSON.
    pub(crate) fn of(action: &'a Action, sample: &'a [Message]) -> Result<Self, ApiError> {
        Ok(Self {
            token: action.id.0,
            action: action.kind.as_str(),
            selector: selector_view(&action.selector),
            count: action.counted,
            sample: sample.iter().map(view).collect::<Result<_, _>>()?,
            expires_at: instant(action.expires_at),
        })
    }
}

/// Shows how far an act is.
pub(crate) fn state_view(action: &Action, now: Timestamp) -> StateView<'_> {
    let status = match (action.confirmed_at, action.finished_at) {
        (None, _) if action.expires_at <= now => "expired",
        (None, _) => "counted",
        (Some(_), None) => "running",
        (Some(_), Some(_)) => "done",
    };
    StateView {
        id: action.id.0,
        action: action.kind.as_str(),
        selector: selector_view(&action.selector),
        status,
        count: action.counted,
        acted: action.acted,
        passed: action.passed,
        created_at: instant(action.created_at),
        expires_at: instant(action.expires_at),
        confirmed_at: action.confirmed_at.map(instant),
        finished_at: action.finished_at.map(instant),
    }
}

fn selector_view(selector: &Selector) -> SelectorView<'_> {
    SelectorView {
        tags: selector.tags.iter().map(Tag::as_str).collect(),
        status: selector.statuses.iter().copied().map(Status::as_str).collect(),
        receiver: selector.contact.map(|contact| contact.0),
        use_case: selector.use_case.as_deref(),
        start_at: selector.start_at.map(instant),
        end_at: selector.end_at.map(instant),
    }
}
