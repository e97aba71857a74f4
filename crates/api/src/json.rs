//! JSON from strangers: bounded in depth, without doubled properties, without what cannot be stored.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of objects and arrays (contract, section 2).
const DEPTH_MAX: usize = 32;

/// Reads one JSON value that fills the text.
///
/// # Errors
/// What is wrong, for the client.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Level(0).deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Writes a value without one of its own properties, with sorted properties and without white space, so that equal
/// requests give equal bytes.
pub(crate) fn write_canonical(value: &Value, left_out: &str, out: &mut Vec<u8>) {
    match value {
        Value::Object(properties) => write_object(properties, Some(left_out), out),
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => write_value(value, out),
    }
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        Value::Object(properties) => write_object(properties, None, out),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => write_scalar(value, out),
    }
}

fn write_object(properties: &Map<String, Value>, left_out: Option<&str>, out: &mut Vec<u8>) {
    // The order of a map is a choice of the build, not of the request.
    let mut sorted: Vec<(&String, &Value)> = properties.iter().filter(|(name, _)| left_out != Some(name)).collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    out.push(b'{');
    for (position, (name, item)) in sorted.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_scalar(name, out);
        out.push(b':');
        write_value(item, out);
    }
    out.push(b'}');
}

fn write_scalar(scalar: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, scalar).expect("a vector takes every scalar");
}

/// Reads a value at a depth.
struct Level(usize);

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        if value.contains('\0') {
            return Err(E::custom("a text holds U+0000, which cannot be stored"));
        }
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Level(depth))? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut properties: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = properties.next_key::<String>()? {
            if name.contains('\0') {
                return Err(A::Error::custom("a property's name holds U+0000, which cannot be stored"));
            }
            let value = properties.next_value_seed(Level(depth))?;
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("property {name:?} is given twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

impl Level {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.0 >= DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(32).as_bytes()).is_ok());
        for bad in [
            nested(33),
            nested(100_000),
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"{"a":{"b":1,"b":1}}"#.to_owned(),
            r#"["\u0000"]"#.to_owned(),
            r#"{"\u0000":1}"#.to_owned(),
            r#"["\ud800"]"#.to_owned(),
            "1e400".to_owned(),
            "NaN".to_owned(),
            "{} x".to_owned(),
            "{".to_owned(),
            String::new(),
            "\u{feff}{}".to_owned(),
            "{'a':1}".to_owned(),
            "{\"a\":1,}".to_owned(),
            "// no\n{}".to_owned(),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{}", bad.chars().take(40).collect::<String>());
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn the_order_of_properties_does_not_show_in_canonical_form() {
        let canonical = |text: &str| {
            let mut out = Vec::new();
            write_canonical(&parse(text.as_bytes()).expect("JSON"), "left", &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(
            canonical(r#"{ "b": [1, "x"], "left": 2, "a": {"d": null, "left": 1.5} }"#),
            r#"{"a":{"d":null,"left":1.5},"b":[1,"x"]}"#
        );
        assert_ne!(canonical("[1]"), canonical("[\"1\"]"));
    }
}
