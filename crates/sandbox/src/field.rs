//! One field of a send request: where it stands, its type, and its limit.
//!
//! Fields are named by JSON pointer. Whether a body has them is all that is judged here; which
//! endpoint wants which is in `endpoints`.

use serde_json::Value;

use crate::switches::Names;

/// One field of a send, beside the common ones.
#[derive(Debug)]
pub(crate) struct Field {
    /// JSON pointer as in the sample requests.
    sample: &'static str,
    /// JSON pointer as in the field table, where it differs.
    table: Option<&'static str>,
    shape: Shape,
    required: bool,
    /// Most UTF-16 units of a string or items of an array that WhatsApp allows.
    max: Option<usize>,
}

/// JSON type of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    Number,
    Array,
    Object,
}

/// How a body fails its endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A field is absent or of another type.
    Missing,
    /// A field is longer than WhatsApp allows.
    TooLong {
        /// Its name.
        field: &'static str,
        /// The limit.
        max: usize,
    },
}

impl Field {
    /// A required string.
    pub(crate) const fn text(sample: &'static str) -> Self {
        Self::of(sample, Shape::Text)
    }

    /// A required field of this type.
    pub(crate) const fn of(sample: &'static str, shape: Shape) -> Self {
        Self { sample, table: None, shape, required: true, max: None }
    }

    /// The same with another name in the field table.
    pub(crate) const fn or(self, table: &'static str) -> Self {
        Self { table: Some(table), ..self }
    }

    /// The same with WhatsApp's limit.
    pub(crate) const fn max(self, max: usize) -> Self {
        Self { max: Some(max), ..self }
    }

    /// The same, but it may be absent or null.
    pub(crate) const fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// What is wrong with it in this body.
    pub(crate) fn flaw(&self, body: &Value, names: Names, limits: bool) -> Option<Flaw> {
        let Some(value) = self.value(body, names).filter(|value| !value.is_null()) else {
            return self.required.then_some(Flaw::Missing);
        };
        if !self.shape.is(value) {
            return Some(Flaw::Missing);
        }
        let max = self.max.filter(|_| limits)?;
        (length(value) > max).then_some(Flaw::TooLong { field: self.sample, max })
    }

    fn value<'a>(&self, body: &'a Value, names: Names) -> Option<&'a Value> {
        let Some(table) = self.table else {
            return body.pointer(self.sample);
        };
        match names {
            Names::Samples => body.pointer(self.sample),
            Names::Table => body.pointer(table),
            Names::Both => body.pointer(self.sample).or_else(|| body.pointer(table)),
        }
    }
}

impl Shape {
    fn is(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

/// UTF-16 units of a string, items of an array.
fn length(value: &Value) -> usize {
    let text = value.as_str().map(|text| text.encode_utf16().count());
    let items = value.as_array().map(Vec::len);
    text.or(items).unwrap_or(0)
}
