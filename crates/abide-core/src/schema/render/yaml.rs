//! A document as YAML that reads back to the same document: block style, keys in the order people expect.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::value::Value;

/// The order in which keys are shown; all others follow in theirs.
const ORDER: [&str; 68] = [
    "schema",
    "name",
    "version",
    "intent",
    "context",
    "fields",
    "invariants",
    "mutations",
    "rules",
    "safe_state",
    "trust_slope",
    "missed",
    "behaviour",
    "migration",
    "type",
    "format",
    "title",
    "description",
    "unit",
    "nullable",
    "enum",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "minItems",
    "maxItems",
    "default",
    "expression",
    "message",
    "from",
    "mutate",
    "args",
    "ignore",
    "requires",
    "rename",
    "set",
    "remove",
    "cost",
    "effect",
    "priority",
    "when",
    "for",
    "every",
    "then",
    "interface",
    "function",
    "valid_for",
    "timeout",
    "retries",
    "result",
    "error",
    "values",
    "budget",
    "refill",
    "links",
    "drift",
    "quarantine",
    "amount",
    "denials",
];

/// The document as text.
pub(super) fn emit(document: &Value) -> String {
    let mut out = String::new();
    match document {
        Value::Map(entries) => block_map(entries, 0, &mut out),
        other => {
            inline(other, &mut out);
            out.push('\n');
        }
    }
    out
}

fn block_map(entries: &[(Arc<str>, Value)], indent: usize, out: &mut String) {
    for (key, value) in ordered(entries) {
        pad(indent, out);
        text(key, out);
        out.push(':');
        after_key(value, indent, out);
    }
}

/// A value on the line of its key where it is short, else on lines of its own.
fn after_key(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Map(entries) if !is_short(value) => {
            out.push('\n');
            block_map(entries, indent + 2, out);
        }
        Value::List(items) if !is_short(value) => {
            out.push('\n');
            items.iter().for_each(|item| block_item(item, indent + 2, out));
        }
        scalar => {
            out.push(' ');
            inline(scalar, out);
            out.push('\n');
        }
    }
}

fn block_item(item: &Value, indent: usize, out: &mut String) {
    pad(indent, out);
    out.push('-');
    match item {
        Value::Map(entries) if !is_short(item) => {
            let mut block = String::new();
            block_map(entries, indent + 2, &mut block);
            // The first key stands on the line of the dash.
            out.push(' ');
            out.push_str(block.trim_start_matches(' '));
        }
        _ => after_key(item, indent, out),
    }
}

/// Whether a value fits on a line in flow style.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Map(_) | Value::List(_) => {
            let mut line = String::new();
            inline(value, &mut line);
            line.len() <= 60
        }
        _ => true,
    }
}

fn inline(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Num(n) => out.push_str(&format!("{n:?}")),
        Value::Str(string) => text(string, out),
        Value::List(items) | Value::Struct(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                inline(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Value::Map(entries) => {
            for (n, (key, item)) in ordered(entries).into_iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "{ " });
                text(key, out);
                out.push_str(": ");
                inline(item, out);
            }
            out.push_str(" }");
        }
        // A document has none of these.
        Value::Bytes(_) | Value::Time(_) | Value::Span(_) => out.push_str("null"),
    }
}

/// A text, plain where nothing could take it for anything else, in double quotes otherwise.
fn text(text: &str, out: &mut String) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control()
                || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Words of letters, digits and harmless marks that no YAML, old or new, reads as anything but a text.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 11] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ');
    is_duration(text)
        || (text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(harmless)
            && !text.ends_with(' ')
            && !WORDS.contains(&text.to_ascii_lowercase().as_str()))
}

/// `1h30m`: no number in any YAML.
fn is_duration(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['h', 'm', 's'])
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, 'h' | 'm' | 's' | 'u' | 'n'))
}

fn ordered(entries: &[(Arc<str>, Value)]) -> Vec<(&str, &Value)> {
    let mut entries: Vec<(&str, &Value)> = entries.iter().map(|(key, value)| (&**key, value)).collect();
    entries.sort_by_key(|(key, _)| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()));
    entries
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}
