//! The keywords of integers, numbers and strings.

use std::sync::Arc;

use crate::document::{Diagnostics, Node, NodeKind, Reader, nearest};
use crate::field::check::same_number;
use crate::field::{FieldType, Kind, compile_pattern};
use crate::value::Value;

/// Most bytes of a unit.
const UNIT_BYTES_MAX: usize = 64;
/// Most values of an enumeration.
const ENUM_MAX: usize = 1_000;

/// The keywords of an integer. Exclusive bounds become inclusive ones.
pub(super) fn integer(reader: &mut Reader<'_>, nullable: bool) -> Option<Kind> {
    let before = reader.diagnostics().len();
    let (low, low_excluded) = bound(reader, "minimum", "exclusiveMinimum", whole);
    let (high, high_excluded) = bound(reader, "maximum", "exclusiveMaximum", whole);
    let minimum = low.map_or(i64::MIN, |n| if low_excluded { n.saturating_add(1) } else { n });
    let maximum = high.map_or(i64::MAX, |n| if high_excluded { n.saturating_sub(1) } else { n });
    if low.is_some() && high.is_some() && minimum > maximum {
        no_value_between(reader);
    }
    let multiple_of = reader.integer("multipleOf");
    positive(reader, multiple_of.is_some_and(|n| n <= 0));
    let one_of = enumeration(reader, nullable, whole, |a, b| a == b);
    let kind = Kind::Integer { minimum, maximum, multiple_of, one_of };
    check_enumeration(reader, &kind, before)?;
    Some(kind)
}

/// The keywords of a number. Both forms of exclusive bounds become a flag.
pub(super) fn number(reader: &mut Reader<'_>, nullable: bool) -> Option<Kind> {
    let before = reader.diagnostics().len();
    let (minimum, low_excluded) = bound(reader, "minimum", "exclusiveMinimum", real);
    let (maximum, high_excluded) = bound(reader, "maximum", "exclusiveMaximum", real);
    if let (Some(low), Some(high)) = (minimum, maximum)
        && (low > high || (low_excluded || high_excluded) && low >= high)
    {
        no_value_between(reader);
    }
    let multiple_of = reader.number("multipleOf");
    positive(reader, multiple_of.is_some_and(|n| n <= 0.0));
    let one_of = enumeration(reader, nullable, real, |a, b| same_number(*a, *b));
    let minimum = minimum.map(|n| (n, low_excluded));
    let maximum = maximum.map(|n| (n, high_excluded));
    let kind = Kind::Number { minimum, maximum, multiple_of, one_of };
    check_enumeration(reader, &kind, before)?;
    Some(kind)
}

/// The keywords of a string without format.
pub(super) fn string(reader: &mut Reader<'_>, nullable: bool, what: &str) -> Option<Kind> {
    let out = reader.diagnostics();
    let before = out.len();
    let one_of: Vec<Arc<str>> = enumeration(reader, nullable, word, |a, b| a == b);
    let min_length = length(reader, "minLength").unwrap_or(0);
    let longest = one_of.iter().map(|one| one.chars().count()).max().and_then(|n| u32::try_from(n).ok());
    let max_length = length(reader, "maxLength").or(longest);
    if max_length.is_none() && !reader.has("maxLength") && !reader.has("enum") {
        let help = "add `maxLength`, the most characters it may hold, or `enum` with the values it may have";
        out.error(reader.place(), format!("nothing bounds {what}"), help);
    }
    let pattern = reader.optional("pattern").zip(reader.text("pattern")).and_then(|(node, source)| {
        let help = "write a regular expression without look-around and back-references";
        compile_pattern(source)
            .map_err(|why| out.error(node.span.clone(), format!("`{source}` is no pattern: {why}"), help))
            .ok()
    });
    let max_length = max_length?;
    ordered(reader, ("minLength", min_length), ("maxLength", max_length))?;
    let kind = Kind::String { min_length, max_length, pattern, one_of };
    check_enumeration(reader, &kind, before)?;
    Some(kind)
}

/// A UCUM unit.
pub(super) fn unit(reader: &mut Reader<'_>) -> Option<Arc<str>> {
    let node = reader.optional("unit")?;
    let unit = reader.text("unit")?;
    let known = unit.len() <= UNIT_BYTES_MAX
        && octofhir_ucum::parse_expression(unit).is_ok_and(|parsed| octofhir_ucum::evaluate(&parsed).is_ok());
    if !known {
        let near = nearest(unit, octofhir_ucum::get_all_units().iter().map(|u| u.code));
        let help = match (familiar(unit), near) {
            (Some(code), _) => format!("write `{code}`"),
            (None, Some(near)) => format!("did you mean `{near}`? units are case-sensitive UCUM"),
            (None, None) => {
                "write it as in UCUM, case-sensitive: `Cel`, `m/s`, `kW.h`, `%`, `1` for none".to_owned()
            }
        };
        let shown = super::super::check::shortened(unit);
        reader.diagnostics().error(node.span.clone(), format!("`{shown}` is no UCUM unit"), help);
        return None;
    }
    Some(unit.into())
}

/// What people write, and what UCUM calls it.
fn familiar(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "°C" | "degC" | "celsius" | "Celsius" => "Cel",
        "°F" | "fahrenheit" | "Fahrenheit" => "[degF]",
        "mph" => "[mi_i]/h",
        "kn" | "kt" | "knots" => "[kn_i]",
        "kWh" => "kW.h",
        "sec" | "seconds" => "s",
        "hours" | "hr" => "h",
        "rpm" => "/min",
        "percent" => "%",
        "litre" | "liter" => "L",
        "°" => "deg",
        _ => return None,
    })
}

/// A bound and whether it is itself excluded: `minimum` with `exclusiveMinimum: true` (OpenAPI 3.0, Kubernetes), or
/// `exclusiveMinimum: 5` alone (JSON Schema 2020-12).
fn bound<T>(
    reader: &mut Reader<'_>,
    inclusive: &'static str,
    exclusive: &'static str,
    read: fn(&Node, &str, &Diagnostics) -> Option<T>,
) -> (Option<T>, bool) {
    let out = reader.diagnostics();
    let value = reader.optional(inclusive).and_then(|node| read(node, inclusive, out));
    let Some(node) = reader.optional(exclusive) else { return (value, false) };
    match node.kind {
        NodeKind::Bool(excluded) => {
            if !reader.has(inclusive) {
                let message = format!("`{exclusive}` is {excluded} without `{inclusive}`");
                out.error(node.span.clone(), message, format!("add `{inclusive}`, or write the bound here"));
            }
            (value, excluded)
        }
        _ if reader.has(inclusive) => {
            let message = format!("`{inclusive}` and a number at `{exclusive}` bound the same side");
            out.error(node.span.clone(), message, "keep one of the two");
            (value, false)
        }
        _ => (read(node, exclusive, out), true),
    }
}

fn whole(node: &Node, what: &str, out: &Diagnostics) -> Option<i64> {
    match node.kind {
        NodeKind::Int(n) => Some(n),
        _ => wrong(node, what, "an integer", out),
    }
}

fn real(node: &Node, what: &str, out: &Diagnostics) -> Option<f64> {
    crate::document::number_of(node).map(|n| n + 0.0).or_else(|| wrong(node, what, "a number", out))
}

fn word(node: &Node, what: &str, out: &Diagnostics) -> Option<Arc<str>> {
    match &node.kind {
        NodeKind::Str(text) => Some(text.as_str().into()),
        _ => wrong(node, what, "a text", out),
    }
}

fn wrong<T>(node: &Node, what: &str, expected: &str, out: &Diagnostics) -> Option<T> {
    let help = match (expected, &node.kind) {
        ("a text", NodeKind::Bool(_) | NodeKind::Int(_) | NodeKind::Float(_)) => {
            "put it in quotes".to_owned()
        }
        _ => format!("write {expected}"),
    };
    out.error(node.span.clone(), format!("`{what}` holds {}; it must be {expected}", node.describe()), help);
    None
}

/// A length: 0 to 2³² − 1.
pub(super) fn length(reader: &mut Reader<'_>, key: &'static str) -> Option<u32> {
    let node = reader.optional(key)?;
    let value = reader.integer(key)?;
    let length = u32::try_from(value).ok();
    if length.is_none() {
        let message = format!("`{key}` is {value}; it must be from 0 to {}", u32::MAX);
        reader.diagnostics().error(node.span.clone(), message, "write a length");
    }
    length
}

/// Refuses a least length above the greatest.
pub(super) fn ordered(reader: &mut Reader<'_>, least: (&'static str, u32), most: (&str, u32)) -> Option<()> {
    if least.1 <= most.1 {
        return Some(());
    }
    let place = reader.optional(least.0).map_or_else(|| reader.place(), |node| node.span.clone());
    let message = format!("`{}` is {}, above `{}`, which is {}", least.0, least.1, most.0, most.1);
    reader.diagnostics().error(place, message, "lower it, or raise the other");
    None
}

fn no_value_between(reader: &mut Reader<'_>) {
    let place = ["minimum", "exclusiveMinimum"]
        .into_iter()
        .find_map(|key| reader.optional(key).map(|n| n.span.clone()));
    let place = place.unwrap_or_else(|| reader.place());
    reader.diagnostics().error(
        place,
        "no value lies between the minimum and the maximum",
        "lower it, or raise the maximum",
    );
}

fn positive(reader: &mut Reader<'_>, wrong: bool) {
    if wrong && let Some(node) = reader.optional("multipleOf") {
        reader.diagnostics().error(
            node.span.clone(),
            "`multipleOf` must be above 0",
            "write a positive number",
        );
    }
}

/// The values of `enum`: at least one, each once. Null may be among them where the type is nullable.
fn enumeration<T>(
    reader: &mut Reader<'_>,
    nullable: bool,
    read: fn(&Node, &str, &Diagnostics) -> Option<T>,
    same: fn(&T, &T) -> bool,
) -> Vec<T> {
    let out = reader.diagnostics();
    let Some((key, _)) = reader.entry("enum") else { return Vec::new() };
    let Some(nodes) = reader.list("enum") else { return Vec::new() };
    let mut values: Vec<T> = Vec::new();
    for node in nodes.iter().take(ENUM_MAX).filter(|node| !(nullable && node.kind == NodeKind::Null)) {
        let Some(value) = read(node, "enum", out) else { continue };
        if values.iter().any(|other| same(other, &value)) {
            out.error(node.span.clone(), "`enum` holds a value twice", "keep one of the two");
        }
        values.push(value);
    }
    if nodes.is_empty() {
        out.error(key.span.clone(), "`enum` is empty", "list the values, or leave it out");
    }
    if let Some(node) = nodes.get(ENUM_MAX) {
        let message = format!("`enum` has {} values; at most {ENUM_MAX} are allowed", nodes.len());
        out.error(node.span.clone(), message, "use a `pattern`");
    }
    values
}

/// Refuses values of `enum` that other keywords forbid; gives nothing when something was reported since `before`.
fn check_enumeration(reader: &mut Reader<'_>, kind: &Kind, before: usize) -> Option<()> {
    let out = reader.diagnostics();
    if out.len() > before {
        return None;
    }
    let ty = FieldType::of(kind.clone());
    let values: Vec<Value> = match kind {
        Kind::Integer { one_of, .. } => one_of.iter().map(|n| Value::Int(*n)).collect(),
        Kind::Number { one_of, .. } => one_of.iter().map(|n| Value::Num(*n)).collect(),
        Kind::String { one_of, .. } => one_of.iter().map(|text| Value::Str(text.clone())).collect(),
        _ => Vec::new(),
    };
    let wrong = values.iter().find_map(|value| ty.check(value).err());
    let Some(wrong) = wrong else { return Some(()) };
    let place = reader.optional("enum").map_or_else(|| reader.place(), |node| node.span.clone());
    out.error(
        place,
        format!("`enum` holds a value that is not allowed: {}", wrong.message),
        "leave it out, or widen the bounds",
    );
    None
}
