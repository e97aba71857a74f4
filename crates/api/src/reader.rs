//! Reading an object by hand: each property once, all violations with their paths, unknown properties refused.

use domain::violation::Violations;
use serde_json::{Map, Value};

/// Characters shown of an unknown property's name: a name may be as long as the body.
const NAME_CHARS_SHOWN: usize = 100;

/// An object that is being read. Call [`Fields::finish`] at the end: it reports what nobody asked for.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Starts to read an object at a path (empty for the root); notes when the value is none.
    pub(crate) fn of(value: &'a Value, path: &str, violations: &mut Violations) -> Option<Self> {
        match value {
            Value::Object(object) => Some(Self { object, path: path.to_owned(), asked: Vec::new() }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                violations.add(if path.is_empty() { "." } else { path }, "must be an object");
                None
            }
        }
    }

    /// The path of a property.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// A property; `null` counts as absent.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<&'a Value> {
        self.asked.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether a property is `null`, where that says more than its absence.
    pub(crate) fn is_null(&mut self, name: &'static str) -> bool {
        self.asked.push(name);
        self.object.get(name).is_some_and(Value::is_null)
    }

    /// A property that must be there.
    pub(crate) fn required(&mut self, name: &'static str, violations: &mut Violations) -> Option<&'a Value> {
        let found = self.optional(name);
        if found.is_none() {
            violations.add(self.path_of(name), "is required");
        }
        found
    }

    /// A text, if there is one.
    pub(crate) fn text(&mut self, name: &'static str, violations: &mut Violations) -> Option<&'a str> {
        let value = self.optional(name)?;
        self.checked(name, value.as_str(), "must be a string", violations)
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &'static str, violations: &mut Violations) -> Option<&'a str> {
        let value = self.required(name, violations)?;
        self.checked(name, value.as_str(), "must be a string", violations)
    }

    /// A whole number, if there is one.
    pub(crate) fn integer(&mut self, name: &'static str, violations: &mut Violations) -> Option<i64> {
        let value = self.optional(name)?;
        self.checked(name, value.as_i64(), "must be an integer", violations)
    }

    /// A truth value, if there is one.
    pub(crate) fn boolean(&mut self, name: &'static str, violations: &mut Violations) -> Option<bool> {
        let value = self.optional(name)?;
        self.checked(name, value.as_bool(), "must be a boolean", violations)
    }

    /// A list, if there is one.
    pub(crate) fn array(&mut self, name: &'static str, violations: &mut Violations) -> Option<&'a Vec<Value>> {
        let value = self.optional(name)?;
        self.checked(name, value.as_array(), "value must be an array", violations)
    }

    /// A list that must be there.
    pub(crate) fn required_array(&mut self, name: &'static str, violations: &mut Violations) -> Option<&'a Vec<Value>> {
        let value = self.required(name, violations)?;
        self.checked(name, value.as_array(), "value must be an array", violations)
    }

    /// An object, if there is one.
    pub(crate) fn object(&mut self, name: &'static str, violations: &mut Violations) -> Option<Fields<'a>> {
        let value = self.optional(name)?;
        Fields::of(value, &self.path_of(name), violations)
    }

    /// Refuses properties that are known and not built yet.
    pub(crate) fn refuse(&mut self, names: &[&'static str], text: &str, violations: &mut Violations) {
        for name in names {
            if self.optional(name).is_some() {
                violations.add(self.path_of(name), text);
            }
        }
    }

    /// Takes the result of a check, or notes its text.
    pub(crate) fn keep<T>(&self, name: &str, result: Result<T, String>, violations: &mut Violations) -> Option<T> {
        result.map_err(|text| violations.add(self.path_of(name), text)).ok()
    }

    /// Reports the properties that nobody asked for.
    pub(crate) fn finish(self, violations: &mut Violations) {
        for name in self.object.keys() {
            if !self.asked.contains(&name.as_str()) {
                let name: String = name.chars().take(NAME_CHARS_SHOWN).collect();
                violations.add(self.path_of(&name), format!("property \"{name}\" is unsupported"));
            }
        }
    }

    fn checked<T>(&self, name: &str, found: Option<T>, text: &str, violations: &mut Violations) -> Option<T> {
        if found.is_none() {
            violations.add(self.path_of(name), text);
        }
        found
    }
}
