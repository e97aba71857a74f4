//! `actions`: what a recipient can tap. One to three replies, or one request for a location.

use std::collections::HashSet;

use domain::content::{Button, check_text};
use domain::limits::{BUTTONS_MAX, ROW_DESCRIPTION_UNITS_MAX};
use domain::violation::Violations;
use serde_json::Value;

use crate::reader::Fields;

/// Actions of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Actions {
    /// None.
    None,
    /// Reply buttons.
    Buttons(Vec<Button>),
    /// The recipient is asked for a location.
    LocationRequest,
}

/// What a text stands above, also where something is wrong with the actions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Nothing.
    None,
    /// Buttons.
    Buttons,
    /// The request for a location.
    LocationRequest,
}

/// What an action answers with when it is tapped.
pub(super) struct Answer {
    /// Where it stands in the request.
    pub(super) path: String,
    pub(super) text: String,
    /// Postback's payload, else the text.
    pub(super) id: String,
    pub(super) description: Option<String>,
}

impl Answer {
    /// The property that holds the id.
    pub(super) fn id_name(&self) -> &'static str {
        if self.id == self.text { "text" } else { "payload" }
    }
}

/// One action.
enum Action {
    Answer(Answer),
    LocationRequest,
}

/// Reads the property `actions`; without actions when something is wrong with them.
pub(super) fn read(fields: &mut Fields<'_>, violations: &mut Violations) -> (Kind, Option<Actions>) {
    let path = fields.path_of("actions");
    if fields.optional("actions").is_none() {
        return (Kind::None, Some(Actions::None));
    }
    let Some(given) = fields.array("actions", violations) else { return (Kind::Buttons, None) };
    let read = given.iter().enumerate().map(|(at, value)| read_one(value, &format!("{path}[{at}]"), violations));
    let read: Vec<Option<Action>> = read.collect();
    let requests = read.iter().flatten().filter(|action| matches!(action, Action::LocationRequest)).count();
    let kind = match (given.len(), requests) {
        (0, _) => return (Kind::None, Some(Actions::None)),
        (1, 1) => return (Kind::LocationRequest, Some(Actions::LocationRequest)),
        _ => Kind::Buttons,
    };
    if given.len() > BUTTONS_MAX {
        violations.add(&path, format!("must not hold more than {BUTTONS_MAX} actions"));
    }
    if requests > 0 {
        violations.add(&path, "a locationRequest must be the only action: Lipachat sends it as a message of its own");
    }
    let answers = read.into_iter().flatten().filter_map(|action| match action {
        Action::Answer(answer) => Some(answer),
        Action::LocationRequest => None,
    });
    let buttons = buttons(answers.collect(), violations);
    let is_whole = buttons.as_ref().is_some_and(|buttons| buttons.len() == given.len() && buttons.len() <= BUTTONS_MAX);
    (kind, buttons.filter(|_| is_whole).map(Actions::Buttons))
}

/// Reads one action that answers with a text: a row of a list.
pub(super) fn read_answer(value: &Value, path: &str, violations: &mut Violations) -> Option<Answer> {
    match read_one(value, path, violations)? {
        Action::Answer(answer) => Some(answer),
        Action::LocationRequest => {
            violations.add(format!("{path}.type"), "a row of a list must be a reply or a postback");
            None
        }
    }
}

/// Notes texts and ids that occur more than once: WhatsApp tells buttons and rows apart by both.
pub(super) fn note_repeated(answers: &[Answer], violations: &mut Violations) -> bool {
    let (mut texts, mut ids) = (HashSet::new(), HashSet::new());
    let mut is_repeated = false;
    for answer in answers {
        let (is_new_text, is_new_id) = (texts.insert(&answer.text), ids.insert(&answer.id));
        if !is_new_text || !is_new_id {
            let name = if is_new_text { answer.id_name() } else { "text" };
            violations.add(format!("{}.{name}", answer.path), "must differ from the others of the message");
            is_repeated = true;
        }
    }
    is_repeated
}

fn buttons(answers: Vec<Answer>, violations: &mut Violations) -> Option<Vec<Button>> {
    let mut is_whole = true;
    for answer in &answers {
        let mut note = |what: &str, result: Result<String, String>| {
            if let Err(why) = result {
                violations.add(format!("{}.{what}", answer.path), why);
                is_whole = false;
            }
        };
        let title = Button::check_title(&answer.text);
        let is_good = title.is_ok();
        note("text", title);
        if answer.id != answer.text || is_good {
            note(answer.id_name(), Button::check_id(&answer.id));
        }
        if answer.description.is_some() {
            note("metadata", Err("is not supported: Lipachat's buttons have no description".to_owned()));
        }
    }
    let is_repeated = note_repeated(&answers, violations);
    (is_whole && !is_repeated)
        .then(|| answers.into_iter().map(|answer| Button { id: answer.id, title: answer.text }).collect())
}

fn read_one(value: &Value, path: &str, violations: &mut Violations) -> Option<Action> {
    let mut fields = Fields::of(value, path, violations)?;
    let kind = fields.required_text("type", violations)?;
    let action = match kind {
        "reply" => answer(&mut fields, "reply", violations).map(Action::Answer),
        "postback" => answer(&mut fields, "postback", violations).map(Action::Answer),
        "locationRequest" => location_request(&mut fields, violations),
        "link" | "buy" => {
            violations
                .add(fields.path_of("type"), format!("\"{kind}\" is not supported: Lipachat has no {kind} button"));
            return None;
        }
        other => {
            let shown: String = other.chars().take(40).collect();
            let known = "\"link\", \"reply\", \"locationRequest\", \"buy\", \"postback\"";
            violations.add(fields.path_of("type"), format!("Invalid value: \"{shown}\", expected one of: {known}"));
            return None;
        }
    };
    fields.finish(violations);
    action
}

fn location_request(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<Action> {
    if let Some(mut inner) = fields.object("locationRequest", violations) {
        // WhatsApp fixes the button's label; Bird takes one all the same.
        inner.text("text", violations);
        inner.finish(violations);
    }
    Some(Action::LocationRequest)
}

fn answer(fields: &mut Fields<'_>, name: &'static str, violations: &mut Violations) -> Option<Answer> {
    let value = fields.required(name, violations)?;
    let mut inner = Fields::of(value, &fields.path_of(name), violations)?;
    let text = inner.required_text("text", violations);
    let payload = if name == "postback" { inner.text("payload", violations) } else { None };
    inner.refuse(&["imageUrl"], "is not supported: Lipachat's buttons and rows carry no image", violations);
    let description = description(&mut inner, violations);
    inner.finish(violations);
    let text = text?;
    Some(Answer {
        path: fields.path_of(name),
        text: text.to_owned(),
        id: payload.filter(|id| !id.is_empty()).unwrap_or(text).to_owned(),
        description,
    })
}

/// `metadata.description.label`
fn description(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<String> {
    let mut metadata = fields.object("metadata", violations)?;
    let label = metadata.object("description", violations).and_then(|mut description| {
        let label = description.text("label", violations);
        let label =
            label.and_then(|label| description.keep("label", check_text(label, ROW_DESCRIPTION_UNITS_MAX), violations));
        description.finish(violations);
        label
    });
    metadata.finish(violations);
    label
}
