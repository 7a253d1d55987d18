//! What comments say: words of the schema, units and bounds, which types of WIT do not hold.

use serde_json::Value as Json;

use crate::field::{Field, FieldType, Kind};
use crate::schema::{Mutation, Rule, Schema};

/// Most characters of a value that a comment shows.
const VALUE_MAX: usize = 100;
/// Most values of an `enum` that a comment lists.
const VALUES_MAX: usize = 20;

/// Of the package.
pub(super) fn of_schema(schema: &Schema) -> String {
    let intent = schema.intent.as_deref().map_or_else(String::new, |intent| format!("{intent}\n\n"));
    let digest: String = schema.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{intent}The world of the schema `{}` {}, as `abide wit` writes it: change the schema, not this file.\n\
         The digest of the schema is {digest}.",
        schema.name, schema.version
    )
}

/// Of a field of memory.
pub(super) fn of_field(field: &Field) -> String {
    let null = if field.ty.nullable { vec!["None means null.".to_owned()] } else { Vec::new() };
    lines(&field.ty, null)
}

/// Of an argument or a property.
pub(super) fn of_argument(field: &Field) -> String {
    let none = match &field.ty.default {
        Some(default) => vec![format!("None means {}.", shown(&field.ty.to_json(default)))],
        None if field.ty.nullable => vec!["None means null.".to_owned()],
        None if !field.required => vec!["None means left out.".to_owned()],
        None => Vec::new(),
    };
    lines(&field.ty, none)
}

/// Of a mutation: what it is, what it changes, when it is allowed.
pub(super) fn of_mutation(schema: &Schema, mutation: &Mutation) -> String {
    let mut said: Vec<String> = mutation.description.iter().map(ToString::to_string).collect();
    let written = mutation.writes.iter().filter_map(|slot| schema.memory.get(slot));
    let written: Vec<String> = written.map(|field| format!("`{}`", field.name)).collect();
    if !written.is_empty() {
        said.push(format!("Sets {}.", written.join(", ")));
    }
    if let Some(requires) = &mutation.requires {
        said.push(format!("Requires `{}`.", requires.source()));
    }
    if let Some(effect) = &mutation.effect {
        said.push(format!("Calls `{}` of `{}`.", effect.function, effect.interface));
    }
    said.join("\n")
}

/// Of an action: the rules that name it.
pub(super) fn of_action<'r>(rules: impl Iterator<Item = &'r Rule>) -> String {
    let said = rules.map(|rule| {
        let words = rule.description.as_deref().map_or_else(String::new, |words| format!("\n{words}"));
        format!("Called by the rule `{}`.{words}", rule.name)
    });
    said.collect::<Vec<_>>().join("\n")
}

/// A text or a number as it stands in JSON, cut where it is long.
pub(super) fn shown(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

/// Words, then unit and bounds in one line with what else there is to say.
fn lines(ty: &FieldType, more: Vec<String>) -> String {
    let mut facts = facts(ty);
    facts.extend(more);
    let words = ty.title.iter().chain(&ty.description).map(ToString::to_string);
    words.chain((!facts.is_empty()).then(|| facts.join(" "))).collect::<Vec<_>>().join("\n")
}

fn facts(ty: &FieldType) -> Vec<String> {
    let mut facts: Vec<String> = ty.unit.iter().map(|unit| format!("In `{unit}`.")).collect();
    match &ty.kind {
        Kind::Boolean | Kind::DateTime | Kind::Duration | Kind::Object(_) => {}
        Kind::Integer { minimum, maximum, multiple_of, one_of } => {
            let least = (*minimum != i64::MIN).then(|| format!("at least {minimum}"));
            let most = (*maximum != i64::MAX).then(|| format!("at most {maximum}"));
            let of = multiple_of.map(|of| format!("a multiple of {of}"));
            facts.extend(bounds([least, most, of]));
            facts.extend(values(one_of.iter().map(ToString::to_string)));
        }
        Kind::Number { minimum, maximum, multiple_of, one_of } => {
            let least = minimum.map(|(n, excluded)| {
                format!("{} {}", if excluded { "above" } else { "at least" }, number(n))
            });
            let most = maximum
                .map(|(n, excluded)| format!("{} {}", if excluded { "below" } else { "at most" }, number(n)));
            let of = multiple_of.map(|of| format!("a multiple of {}", number(of)));
            facts.extend(bounds([least, most, of]));
            facts.extend(values(one_of.iter().map(|n| number(*n))));
        }
        Kind::String { min_length, max_length, pattern, one_of } => {
            if one_of.is_empty() {
                let (least, most) = count(*min_length, *max_length, "character");
                let pattern =
                    pattern.as_ref().map(|p| format!("matching {}", shown(&Json::from(&*p.source))));
                facts.extend(bounds([least, most, pattern]));
            }
        }
        Kind::Bytes { max_length } => facts.extend(bounds([None, count(0, *max_length, "byte").1, None])),
        Kind::Array { items, min_items, max_items } => {
            let (least, most) = count(*min_items, *max_items, "item");
            facts.extend(bounds([least, most, None]));
            facts.extend(each(items));
        }
        Kind::Map { values, min_properties, max_properties, max_key_length } => {
            let (least, most) = count(*min_properties, *max_properties, "entry");
            facts.extend(bounds([least, most, None]));
            facts.push(format!("Each key once, at most {max_key_length} characters."));
            facts.extend(each(values));
        }
    }
    facts
}

/// What holds of every item or value.
fn each(ty: &FieldType) -> Option<String> {
    let mut facts = facts(ty);
    if ty.nullable {
        facts.push("None means null.".to_owned());
    }
    (!facts.is_empty()).then(|| format!("Each: {}", facts.join(" ")))
}

fn count(least: u32, most: u32, what: &str) -> (Option<String>, Option<String>) {
    let counted = |n: u32| match (n, what) {
        (1, _) => format!("1 {what}"),
        (_, "entry") => format!("{n} entries"),
        _ => format!("{n} {what}s"),
    };
    ((least > 0).then(|| format!("at least {least}")), Some(format!("at most {}", counted(most))))
}

fn bounds(said: [Option<String>; 3]) -> Option<String> {
    let said = said.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let mut rest = said.chars();
    rest.next().map(|first| format!("{}{}.", first.to_ascii_uppercase(), rest.as_str()))
}

fn values(one_of: impl ExactSizeIterator<Item = String>) -> Option<String> {
    let more = if one_of.len() > VALUES_MAX { ", …" } else { "" };
    let shown: Vec<String> = one_of.take(VALUES_MAX).collect();
    (!shown.is_empty()).then(|| format!("One of {}{more}.", shown.join(", ")))
}

/// A number as short as it goes: without a fraction where it has none, with an exponent where it is far from 1.
fn number(n: f64) -> String {
    let shown = format!("{n:?}");
    shown.strip_suffix(".0").map_or_else(|| shown.clone(), ToOwned::to_owned)
}
