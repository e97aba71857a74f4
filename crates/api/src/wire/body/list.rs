//! `body.list`: an item is a section, its actions are rows.

use domain::content::{Content, List, Row, Section, check_text};
use domain::limits::{
    LIST_BUTTON_UNITS_MAX, LIST_HEADER_UNITS_MAX, LIST_ROWS_MAX, LIST_SECTIONS_MAX, LIST_TEXT_UNITS_MAX,
    ROW_ID_UNITS_MAX, ROW_TITLE_UNITS_MAX, SECTION_TITLE_UNITS_MAX, utf16_units,
};
use domain::violation::Violations;
use serde_json::Value;

use super::actions::{Answer, note_repeated, read_answer};
use crate::reader::Fields;
use crate::wire::shape::{self, Need, Shape};

/// Label of the button that opens a list where none is given.
const BUTTON_TEXT: &str = "Options";

const REPLY_MESSAGE: Shape =
    Shape::Object(&[("title", Shape::Text, Need::Optional), ("text", Shape::Text, Need::Optional)]);

/// Title and rows of a section, as far as they are right.
type ReadSection = (Option<String>, Vec<Option<Answer>>);

/// Reads the payload.
pub(super) fn read(mut fields: Fields<'_>, violations: &mut Violations) -> Option<Vec<Content>> {
    let header = fields.text("title", violations).filter(|title| !title.is_empty());
    let header = header.and_then(|title| fields.keep("title", check_text(title, LIST_HEADER_UNITS_MAX), violations));
    let body = fields.required_text("text", violations);
    let body = body.and_then(|text| fields.keep("text", check_text(text, LIST_TEXT_UNITS_MAX), violations));
    let button_text = button_label(&mut fields, violations).unwrap_or_else(|| BUTTON_TEXT.to_owned());
    // There is no counterpart of an alternative text at Lipachat: taken, not sent.
    fields.text("altText", violations);
    fields.refuse(&["actions"], "is not supported: the rows of a list stand in its items", violations);
    let path = fields.path_of("items");
    let sections = match fields.required("items", violations) {
        Some(_) => fields.array("items", violations).and_then(|items| {
            let fallback = header.as_deref().unwrap_or(&button_text);
            sections(items, &path, fallback, violations)
        }),
        None => None,
    };
    fields.finish(violations);
    Some(vec![Content::List(List { header, body: body?, button_text, sections: sections? })])
}

/// `metadata.button.label`
fn button_label(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<String> {
    let mut metadata = fields.object("metadata", violations)?;
    let label = metadata.object("button", violations).and_then(|mut button| {
        let label = button.text("label", violations);
        let label = label.and_then(|label| button.keep("label", check_text(label, LIST_BUTTON_UNITS_MAX), violations));
        button.finish(violations);
        label
    });
    // For Apple's platform: taken, without meaning on WhatsApp.
    shape::check_property(&mut metadata, "replyMessage", &REPLY_MESSAGE, violations);
    metadata.finish(violations);
    label
}

fn sections(items: &[Value], path: &str, fallback: &str, violations: &mut Violations) -> Option<Vec<Section>> {
    if items.is_empty() || items.len() > LIST_SECTIONS_MAX {
        violations.add(path, format!("must hold 1 to {LIST_SECTIONS_MAX} items, holds {}", items.len()));
        return None;
    }
    let (mut titles, mut lengths, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for (position, value) in items.iter().enumerate() {
        let read = Fields::of(value, &format!("{path}[{position}]"), violations).map(|mut fields| {
            let section = section(&mut fields, fallback, violations);
            fields.finish(violations);
            section
        });
        let (title, own) = read.unwrap_or_default();
        titles.push(title);
        lengths.push(own.len());
        rows.extend(own);
    }
    let given = rows.len();
    if given > LIST_ROWS_MAX {
        violations.add(path, format!("must not hold more than {LIST_ROWS_MAX} rows in all, holds {given}"));
    }
    let mut rows: Vec<Answer> = rows.into_iter().flatten().collect();
    let is_repeated = note_repeated(&rows, violations);
    let titles: Vec<String> = titles.into_iter().collect::<Option<_>>()?;
    if is_repeated || rows.len() < given || given > LIST_ROWS_MAX || lengths.contains(&0) {
        return None;
    }
    let sections = titles.into_iter().zip(lengths).map(|(title, length)| {
        let rows = rows.drain(..length).map(|row| Row { id: row.id, title: row.text, description: row.description });
        Section { title, rows: rows.collect() }
    });
    Some(sections.collect())
}

fn section(fields: &mut Fields<'_>, fallback: &str, violations: &mut Violations) -> ReadSection {
    let title = match fields.text("title", violations).filter(|title| !title.is_empty()) {
        Some(title) => fields.keep("title", check_text(title, SECTION_TITLE_UNITS_MAX), violations),
        None if utf16_units(fallback) > SECTION_TITLE_UNITS_MAX => {
            let text =
                format!("is required where the list's title is longer than {SECTION_TITLE_UNITS_MAX} UTF-16 units");
            fields.keep("title", Err(text), violations)
        }
        None => Some(fallback.to_owned()),
    };
    fields.text("altText", violations);
    fields.refuse(
        &["mediaUrl", "description"],
        "is not supported: a section of a WhatsApp list has a title only",
        violations,
    );
    let path = fields.path_of("actions");
    let given = match fields.required("actions", violations) {
        Some(_) => fields.array("actions", violations),
        None => None,
    };
    if given.is_some_and(Vec::is_empty) {
        violations.add(&path, "must not be empty");
    }
    let rows = given.into_iter().flatten().enumerate();
    (title, rows.map(|(at, value)| row(value, &format!("{path}[{at}]"), violations)).collect())
}

fn row(value: &Value, path: &str, violations: &mut Violations) -> Option<Answer> {
    let answer = read_answer(value, path, violations)?;
    let mut note = |name: &str, result: Result<String, String>| {
        if let Err(why) = &result {
            violations.add(format!("{}.{name}", answer.path), why.as_str());
        }
        result.is_ok()
    };
    let mut is_whole = note("text", check_text(&answer.text, ROW_TITLE_UNITS_MAX));
    if answer.id_name() == "payload" {
        is_whole &= note("payload", check_text(&answer.id, ROW_ID_UNITS_MAX));
    }
    is_whole.then_some(answer)
}
