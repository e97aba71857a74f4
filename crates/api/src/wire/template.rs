//! `template`: by name and locale, with parameters by position.
//!
//! Keys of parameters: `1`, `2`, … or `body.1`, … fill the body, `header` a text header, `header.media` a media header,
//! `button.0`, … the buttons (contract, section 8).

use std::collections::BTreeMap;

use domain::content::{Content, MediaKind, Template, TemplateButton, TemplateHeader, check_https_url, check_text};
use domain::limits::{
    TEMPLATE_BODY_UNITS_MAX, TEMPLATE_BUTTONS_MAX, TEMPLATE_HEADER_UNITS_MAX, TEMPLATE_NAME_CHARS_MAX,
    TEMPLATE_PLACEHOLDERS_MAX, URL_CHARS_MAX,
};
use domain::violation::Violations;
use serde_json::{Number, Value};

use crate::reader::Fields;
use crate::wire::NOT_YET;

/// Longest locale, characters: language, script and region.
const LOCALE_CHARS_MAX: usize = 20;

/// Numbers keep all their digits up to this.
const EXACT_MAX: f64 = 999_999_999_999_999.0;

/// Values by what they fill.
#[derive(Default)]
struct Filled {
    body: BTreeMap<usize, String>,
    header: Option<TemplateHeader>,
    buttons: BTreeMap<usize, String>,
}

/// Reads a template into the content of its one part.
pub(crate) fn read(value: &Value, violations: &mut Violations) -> Option<Vec<Content>> {
    let mut fields = Fields::of(value, ".template", violations)?;
    fields.refuse(&["projectId", "version"], NOT_YET, violations);
    fields.refuse(
        &["attachments", "shortLinks", "utmParameters", "settings"],
        "is not supported: Lipachat has no counterpart",
        violations,
    );
    let is_named = fields.optional("projectId").is_none();
    let name = if is_named { fields.required_text("name", violations) } else { fields.text("name", violations) };
    let name = name.and_then(|name| fields.keep("name", check_name(name), violations));
    let locale = if is_named { fields.required_text("locale", violations) } else { fields.text("locale", violations) };
    let locale = locale.and_then(|locale| fields.keep("locale", check_locale(locale), violations));
    let mut filled = Filled::default();
    parameters(&mut fields, &mut filled, violations);
    variables(&mut fields, &mut filled, violations);
    let placeholders = in_order(filled.body, violations);
    fields.finish(violations);
    // Buttons without a value stand between those with one.
    let count = filled.buttons.keys().next_back().map_or(0, |last| last + 1);
    let button = |at| filled.buttons.remove(&at).map(|parameter| TemplateButton { parameter });
    let buttons = (0..count).map(button).collect();
    Some(vec![Content::Template(Template {
        name: name?,
        // Lipachat takes WhatsApp's codes, which are joined by an underscore (Meta, "Supported languages").
        language: locale?.replace('-', "_"),
        header: filled.header,
        placeholders: placeholders?,
        buttons,
    })])
}

fn check_name(name: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > TEMPLATE_NAME_CHARS_MAX || !name.chars().all(legal) {
        return Err(format!("must be 1 to {TEMPLATE_NAME_CHARS_MAX} lower-case letters, digits or underscores"));
    }
    Ok(name.to_owned())
}

fn check_locale(locale: &str) -> Result<String, String> {
    let legal = |part: &str| (2..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
    if locale.len() > LOCALE_CHARS_MAX || !locale.split(['-', '_']).all(legal) {
        return Err("must be a language with an optional region, such as en or pt_BR".to_owned());
    }
    Ok(locale.to_owned())
}

/// `parameters`: typed.
fn parameters(fields: &mut Fields<'_>, filled: &mut Filled, violations: &mut Violations) {
    let Some(given) = fields.array("parameters", violations) else { return };
    let path = fields.path_of("parameters");
    if given.is_empty() {
        violations.add(&path, "must not be empty");
    }
    for (position, value) in given.iter().enumerate() {
        let Some(mut one) = Fields::of(value, &format!("{path}[{position}]"), violations) else { continue };
        let kind = one.required_text("type", violations);
        let key = one.required_text("key", violations);
        let value = one.required("value", violations);
        let text = match (kind, value) {
            (Some("string"), Some(Value::String(text))) => Some(text.clone()),
            (Some("number"), Some(Value::Number(number))) => one.keep("value", decimal(number), violations),
            (Some("boolean"), Some(Value::Bool(flag))) => Some(flag.to_string()),
            (Some(kind @ ("string" | "number" | "boolean")), Some(_)) => {
                violations.add(one.path_of("value"), format!("must be a {kind}"));
                None
            }
            (Some("string" | "number" | "boolean") | None, _) => None,
            (Some(_), _) => {
                violations.add(
                    one.path_of("type"),
                    "is not supported: Lipachat's templates take texts; use string, number or boolean",
                );
                None
            }
        };
        if let (Some(key), Some(text)) = (key, text) {
            fill(filled, key, text, &one.path_of("key"), &one.path_of("value"), violations);
        }
        one.finish(violations);
    }
}

/// A number as its shortest decimal.
fn decimal(number: &Number) -> Result<String, String> {
    match number.as_f64().filter(|float| float.abs() <= EXACT_MAX) {
        Some(float) if number.is_f64() => Ok(float.to_string()),
        Some(_) => Ok(number.to_string()),
        None => Err("has more digits than a number keeps: give it as a string".to_owned()),
    }
}

/// `variables`: the older form, texts by key.
fn variables(fields: &mut Fields<'_>, filled: &mut Filled, violations: &mut Violations) {
    let Some(value) = fields.optional("variables") else { return };
    let path = fields.path_of("variables");
    let Some(given) = value.as_object() else {
        return violations.add(path, "must be an object");
    };
    for (key, value) in given {
        let at = format!("{path}.{key}");
        match value.as_str() {
            Some(text) => fill(filled, key, text.to_owned(), &at, &at, violations),
            None => violations.add(at, "must be a string"),
        }
    }
}

fn fill(filled: &mut Filled, key: &str, text: String, key_path: &str, value_path: &str, violations: &mut Violations) {
    let number = |text: &str| text.parse::<usize>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let is_new = match key {
        "header" => match check_text(&text, TEMPLATE_HEADER_UNITS_MAX) {
            Ok(parameter) => filled.header.replace(TemplateHeader::Text { parameter }).is_none(),
            Err(why) => return violations.add(value_path, why),
        },
        "header.media" => match check_https_url(&text) {
            Ok(url) => filled.header.replace(media_header(url)).is_none(),
            Err(why) => return violations.add(value_path, why),
        },
        _ => {
            let (slots, places, position, units_max) = match key.strip_prefix("button.") {
                Some(position) => (&mut filled.buttons, 0..TEMPLATE_BUTTONS_MAX, position, URL_CHARS_MAX),
                None => {
                    let position = key.strip_prefix("body.").unwrap_or(key);
                    (&mut filled.body, 1..TEMPLATE_PLACEHOLDERS_MAX + 1, position, TEMPLATE_BODY_UNITS_MAX)
                }
            };
            let Some(at) = number(position).filter(|at| places.contains(at)) else {
                return violations.add(key_path, "must be 1, 2, … or body.1, …, header, header.media, or button.0, …");
            };
            if let Err(why) = check_text(&text, units_max) {
                return violations.add(value_path, why);
            }
            slots.insert(at, text).is_none()
        }
    };
    if !is_new {
        violations.add(key_path, "is given more than once");
    }
}

/// What a media header shows follows from its URL, as long as the template itself is not known.
fn media_header(url: String) -> TemplateHeader {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    let media_kind = if ends(&[".mp4", ".3gp", ".3gpp"]) {
        MediaKind::Video
    } else if ends(&[".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".txt"]) {
        MediaKind::Document
    } else {
        MediaKind::Image
    };
    TemplateHeader::Media { media_kind, url }
}

/// Values of `{{1}}`, `{{2}}`, … without gaps.
fn in_order(filled: BTreeMap<usize, String>, violations: &mut Violations) -> Option<Vec<String>> {
    if !filled.keys().copied().eq(1..=filled.len()) {
        violations.add(".template.parameters", "body placeholders must be numbered from 1 without gaps");
        return None;
    }
    Some(filled.into_values().collect())
}
