//! A value as text, as an expression would write it.

use std::fmt::Write as _;

use crate::value::Value;

/// The value as the literal that an expression would write: `"low"`, `1.0`, `duration("2h")`, `[1, 2]`. An object, whose
/// names its type has and its value has not, shows its values in order.
#[must_use]
pub fn show(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value) {
    // Writing to a string cannot fail.
    let _ = match value {
        Value::Null => write!(out, "null"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Num(value) => write!(out, "{value:?}"),
        Value::Str(text) => write!(out, "{text:?}"),
        Value::Bytes(bytes) => write!(out, "b\"{}\"", bytes.escape_ascii()),
        Value::Time(time) => write!(out, "timestamp(\"{time}\")"),
        Value::Span(span) => write!(out, "duration(\"{span}\")"),
        Value::List(items) => return write_all(out, ('[', ']'), items.iter(), write_value),
        Value::Struct(values) => return write_all(out, ('{', '}'), values.iter(), write_value),
        Value::Map(entries) => {
            return write_all(out, ('{', '}'), entries.iter(), |out, (key, value)| {
                let _ = write!(out, "{key:?}: ");
                write_value(out, value);
            });
        }
    };
}

fn write_all<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut String, T),
) {
    out.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write(out, item);
    }
    out.push(close);
}
