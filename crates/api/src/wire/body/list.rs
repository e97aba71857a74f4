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

/// Label of the button that opens a list where none is given.
const BUTTON_TEXT: &str = "Options";

/// Title and rows of a section.
type ReadSection = (String, Vec<Answer>);

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
    metadata.refuse(&["replyMessage"], "is not supported: it has no meaning on WhatsApp", violations);
    metadata.finish(violations);
    label
}

fn sections(items: &[Value], path: &str, fallback: &str, violations: &mut Violations) -> Option<Vec<Section>> {
    if items.is_empty() || items.len() > LIST_SECTIONS_MAX {
        violations.add(path, format!("must hold 1 to {LIST_SECTIONS_MAX} items, holds {}", items.len()));
        return None;
    }
    let read: Vec<Option<ReadSection>> = items
        .iter()
        .enumerate()
        .map(|(position, value)| {
            let mut fields = Fields::of(value, &format!("{path}[{position}]"), violations)?;
            let section = section(&mut fields, fallback, violations);
            fields.finish(violations);
            section
        })
        .collect();
    let (titles, rows): (Vec<_>, Vec<_>) = read.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
    let mut rows: Vec<Answer> = rows.into_iter().flatten().collect();
    if rows.len() > LIST_ROWS_MAX {
        violations.add(path, format!("must not hold more than {LIST_ROWS_MAX} rows in all, holds {}", rows.len()));
        return None;
    }
    if note_repeated(&rows, violations) {
        return None;
    }
    let sections = titles.into_iter().zip(lengths).map(|(title, length)| {
        let rows = rows.drain(..length).map(|row| Row { id: row.id, title: row.text, description: row.description });
        Section { title, rows: rows.collect() }
    });
    Some(sections.collect())
}

fn section(fields: &mut Fields<'_>, fallback: &str, violations: &mut Violations) -> Option<ReadSection> {
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
    let given =
        fields.required("actions", violations).is_some().then(|| fields.array("actions", violations)).flatten()?;
    if given.is_empty() {
        violations.add(&path, "must not be empty");
        return None;
    }
    let rows: Vec<Option<Answer>> =
        given.iter().enumerate().map(|(at, value)| row(value, &format!("{path}[{at}]"), violations)).collect();
    Some((title?, rows.into_iter().collect::<Option<_>>()?))
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
    if answer.id != answer.text {
        is_whole &= note("payload", check_text(&answer.id, ROW_ID_UNITS_MAX));
    }
    is_whole.then_some(answer)
}
