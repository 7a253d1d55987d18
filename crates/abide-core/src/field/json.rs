//! Values as JSON and as text on a command line.
//!
//! Times are RFC 3339 in UTC, durations as in `1h30m`, bytes base64; absent optional properties are left out.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;

use super::check::{missing, shortened};
use super::{FieldType, Kind, StructType, Violation};
use crate::document::nearest;
use crate::time::{Span, Timestamp};
use crate::value::{Value, key_order};

/// Most levels of untyped JSON that are read or written.
const DEPTH_MAX: usize = 64;

impl FieldType {
    /// The value that a JSON value means for this type. Bounds are left to [`FieldType::check`]; the types all the way
    /// down, unknown properties and missing ones are not.
    ///
    /// # Errors
    /// The first thing that is not of its type.
    pub fn value_from_json(&self, json: &Json) -> Result<Value, Violation> {
        let mismatch =
            || wrong(json, "type", &format!("is {}; it must be {}", kind_of(json), self.in_words()));
        let value = match (&self.kind, json) {
            (_, Json::Null) if self.nullable => Some(Value::Null),
            (Kind::Boolean, Json::Bool(value)) => Some(Value::Bool(*value)),
            (Kind::Integer { .. }, Json::Number(n)) => n.as_i64().map(Value::Int),
            (Kind::Number { .. }, Json::Number(n)) => {
                n.as_f64().filter(|n| n.is_finite()).map(|n| Value::Num(n + 0.0))
            }
            (Kind::String { .. }, Json::String(text)) => Some(Value::Str(text.as_str().into())),
            (Kind::Bytes { .. } | Kind::DateTime | Kind::Duration, Json::String(text)) => {
                self.formatted(text)
            }
            (Kind::Array { items, .. }, Json::Array(list)) => {
                let read = |(n, item)| items.value_from_json(item).map_err(|v| v.within(&format!("[{n}]")));
                Some(Value::List(list.iter().enumerate().map(read).collect::<Result<_, _>>()?))
            }
            (Kind::Object(object), Json::Object(_)) => {
                Some(Value::Struct(object.values_from_json(json)?.into()))
            }
            (Kind::Map { values, .. }, Json::Object(entries)) => {
                let read = |(key, item): (&String, &Json)| {
                    let value = values.value_from_json(item).map_err(|v| v.within(&format!(".{key}")))?;
                    Ok((Arc::from(key.as_str()), value))
                };
                let mut entries: Vec<(Arc<str>, Value)> =
                    entries.iter().map(read).collect::<Result<_, _>>()?;
                entries.sort_by(|a, b| key_order(&a.0, &b.0));
                Some(Value::Map(entries.into()))
            }
            _ => None,
        };
        value.ok_or_else(mismatch)
    }

    fn formatted(&self, text: &str) -> Option<Value> {
        match self.kind {
            Kind::Bytes { .. } => BASE64.decode(text).ok().map(|bytes| Value::Bytes(bytes.into())),
            Kind::DateTime => text.parse().ok().map(Value::Time),
            Kind::Duration => text.parse().ok().map(Value::Span),
            _ => None,
        }
    }

    /// The value that `name=TEXT` on a command line means for this type: a text as it stands, anything else as JSON
    /// (`12`, `true`, `[1, 2]`), times, durations and base64 without quotes, and `null` where null is a value.
    ///
    /// # Errors
    /// As [`FieldType::value_from_json`].
    pub fn value_from_text(&self, text: &str) -> Result<Value, Violation> {
        let plain = Json::String(text.to_owned());
        let json = match self.kind {
            _ if self.nullable && text == "null" => Json::Null,
            Kind::String { .. } | Kind::Bytes { .. } | Kind::DateTime | Kind::Duration => plain,
            _ => serde_json::from_str(text).unwrap_or(plain),
        };
        self.value_from_json(&json)
    }

    /// A value of this type that was recorded without it, as the arguments of a denial are: there a time is an integer, and
    /// an object a list. What cannot be of this type stays as it is.
    #[must_use]
    pub fn retyped(&self, value: &Value) -> Value {
        match (&self.kind, value) {
            (Kind::DateTime, Value::Int(nanos)) => Value::Time(Timestamp(*nanos)),
            (Kind::Duration, Value::Int(nanos)) => Value::Span(Span(*nanos)),
            (Kind::Array { items, .. }, Value::List(list)) => {
                Value::List(list.iter().map(|item| items.retyped(item)).collect())
            }
            (Kind::Object(object), Value::List(list)) if list.len() == object.fields.len() => {
                let values = object.fields.iter().zip(&**list);
                Value::Struct(values.map(|(field, value)| field.ty.retyped(value)).collect())
            }
            (Kind::Map { values, .. }, Value::Map(entries)) => Value::Map(
                entries.iter().map(|(key, value)| (Arc::clone(key), values.retyped(value))).collect(),
            ),
            _ => value.clone(),
        }
    }

    /// The value as JSON. What is not of this type is shown as [`untyped_to_json`] does.
    #[must_use]
    pub fn to_json(&self, value: &Value) -> Json {
        match (&self.kind, value) {
            (Kind::Array { items, .. }, Value::List(list)) => {
                Json::Array(list.iter().map(|v| items.to_json(v)).collect())
            }
            (Kind::Object(object), Value::Struct(values)) => object.to_json(values),
            (Kind::Map { values, .. }, Value::Map(entries)) => {
                Json::Object(entries.iter().map(|(k, v)| (k.to_string(), values.to_json(v))).collect())
            }
            _ => untyped_to_json(value),
        }
    }
}

impl StructType {
    /// The values that a JSON object means, in the order of the fields: defaults where a field is left out, null where
    /// it has none and is not required.
    ///
    /// # Errors
    /// The first field that is unknown (with the nearest known name), missing, or not of its type.
    pub fn values_from_json(&self, json: &Json) -> Result<Vec<Value>, Violation> {
        let Json::Object(entries) = json else {
            return Err(wrong(json, "type", &format!("is {}; it must be an object", kind_of(json))));
        };
        if let Some(name) = entries.keys().find(|name| self.slot(name).is_none()) {
            return Err(self.unknown(name));
        }
        let read = |field: &super::Field| match entries.get(&*field.name) {
            Some(json) => field.ty.value_from_json(json).map_err(|v| v.within(&format!(".{}", field.name))),
            None if field.required => Err(missing(&field.name)),
            None => Ok(field.ty.initial()),
        };
        self.fields.iter().map(read).collect()
    }

    /// A name that none of the fields has.
    #[must_use]
    pub fn unknown(&self, name: &str) -> Violation {
        let shown = shortened(name);
        let message = match nearest(name, self.fields.iter().map(|f| &*f.name)) {
            Some(near) => format!("there is no `{shown}`; did you mean `{near}`?"),
            None => format!("there is no `{shown}`"),
        };
        Violation { keyword: "additionalProperties", path: format!(".{shown}"), value: shown, message }
    }

    /// The values, in the order of the fields, as a JSON object; absent ones are left out unless null is a value.
    #[must_use]
    pub fn to_json(&self, values: &[Value]) -> Json {
        let shown =
            self.fields.iter().zip(values).filter(|(f, v)| f.ty.nullable || !matches!(v, Value::Null));
        Json::Object(shown.map(|(f, v)| (f.name.to_string(), f.ty.to_json(v))).collect())
    }
}

/// A value as JSON when its type is not known: a struct, whose names only its type knows, is a list.
#[must_use]
pub fn untyped_to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Num(value) => (*value).into(),
        Value::Str(text) => (&**text).into(),
        Value::Bytes(bytes) => BASE64.encode(bytes).into(),
        Value::Time(time) => time.to_string().into(),
        Value::Span(span) => span.to_string().into(),
        Value::List(items) | Value::Struct(items) => Json::Array(items.iter().map(untyped_to_json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|(k, v)| (k.to_string(), untyped_to_json(v))).collect())
        }
    }
}

/// A value from JSON when its type is not known: for arguments that are not of their type and are recorded as they came.
/// What is nested more than 64 deep is cut to null.
#[must_use]
pub fn untyped_from_json(json: &Json) -> Value {
    untyped_at(json, DEPTH_MAX)
}

fn untyped_at(json: &Json, depth: usize) -> Value {
    let Some(below) = depth.checked_sub(1) else { return Value::Null };
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(n) => match n.as_i64() {
            Some(n) => Value::Int(n),
            None => n.as_f64().filter(|n| n.is_finite()).map_or(Value::Null, |n| Value::Num(n + 0.0)),
        },
        Json::String(text) => Value::Str(text.as_str().into()),
        Json::Array(items) => Value::List(items.iter().map(|item| untyped_at(item, below)).collect()),
        Json::Object(entries) => {
            let mut entries: Vec<(Arc<str>, Value)> =
                entries.iter().map(|(k, v)| (k.as_str().into(), untyped_at(v, below))).collect();
            entries.sort_by(|a, b| key_order(&a.0, &b.0));
            Value::Map(entries.into())
        }
    }
}

fn wrong(json: &Json, keyword: &'static str, message: &str) -> Violation {
    let value = shortened(&json.to_string());
    Violation { keyword, path: String::new(), message: format!("`{value}` {message}"), value }
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(n) if n.is_f64() => "a number",
        Json::Number(_) => "an integer",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
