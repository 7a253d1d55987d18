//! `show`: one object as it stands.

use abide_core::schema::Schema;
use clap::Args;
use serde_json::Value as Json;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  abide show ewr
  abide show ewr --json | jq .memory";

/// Show an object: its memory, status, slope and rules
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Show {
    /// The object's id
    object: String,
}

impl Show {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let view = context.view()?;
        let object = ask::object(&view, &self.object)?;
        let shown = view.show(object);
        if context.out.json() {
            context.out.json_pretty(&shown)?;
        } else {
            tell(&mut context.out, &object.schema, &shown)?;
        }
        Ok(Answer::Yes)
    }
}

/// An object as people read it.
pub(super) fn tell(out: &mut Output, schema: &Schema, shown: &Json) -> Result<(), CommandError> {
    let text = |pointer: &str| shown.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let status = text("/status");
    let shown_status = if status == "active" { out.good(status) } else { out.strong(status) };
    let line = format!(
        "{}  {} {}  {shown_status}",
        out.strong(text("/id")),
        text("/schema/name"),
        text("/schema/version")
    );
    out.line(line)?;
    if let Some(intent) = &schema.intent {
        let line = out.faint(intent.trim());
        out.line(line)?;
    }
    out.line("")?;
    let rows = schema.memory.fields.iter().map(|field| {
        let value = shown.get("memory").and_then(|memory| memory.get(&*field.name));
        let value = value.map_or_else(|| "(not given yet)".to_owned(), value_text);
        vec![field.name.to_string(), value, field.ty.unit.as_deref().unwrap_or_default().to_owned()]
    });
    let rows = rows.collect();
    out.table(&["FIELD", "VALUE", "UNIT"], &[], rows)?;
    out.line("")?;
    let rules = shown.get("rules").and_then(Json::as_array).cloned().unwrap_or_default();
    if !rules.is_empty() {
        let or_dash =
            |rule: &Json, name: &str| rule.get(name).and_then(Json::as_str).unwrap_or("-").to_owned();
        let rows = rules
            .iter()
            .map(|rule| ["name", "chosen_at", "held_since", "due"].map(|name| or_dash(rule, name)).to_vec());
        let rows = rows.collect();
        out.table(&["RULE", "LAST CHOSEN", "HOLDS SINCE", "DUE"], &[], rows)?;
        out.line("")?;
    }
    out.line(format_args!("slope    {}", slope(shown)))?;
    let length = shown.pointer("/lineage/length").and_then(Json::as_u64).unwrap_or_default();
    out.line(format_args!("lineage  {length} records, head {}", text("/lineage/head")))?;
    out.line(format_args!("changed  {}", text("/changed_at")))?;
    if let Some(parent) = shown.get("parent").and_then(Json::as_str) {
        out.line(format_args!("parent   {parent}"))?;
    }
    for child in shown.get("children").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
    {
        out.line(format_args!("child    {child}"))?;
    }
    Ok(())
}

/// The level of the slope and what it holds at most.
pub(super) fn slope(shown: &Json) -> String {
    let number = |pointer: &str| shown.pointer(pointer).filter(|value| value.is_number());
    match (number("/slope/level"), number("/slope/budget")) {
        (Some(level), Some(budget)) => format!("{} of {}", rounded(level), rounded(budget)),
        _ => "unbounded".to_owned(),
    }
}

/// The first digits of a digest.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// A value of memory, as people read it: texts without quotes, and long lists cut short.
pub(super) fn value_text(value: &Json) -> String {
    const MOST: usize = 60;
    let text = match value {
        // What came from outside does not steer the terminal that shows it.
        Json::String(text) if text.chars().any(char::is_control) => text.escape_debug().to_string(),
        Json::String(text) => text.clone(),
        Json::Number(_) => rounded(value),
        Json::Array(items) if !items.is_empty() => {
            format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    };
    if text.chars().count() <= MOST {
        return text;
    }
    let (kept, what) = match value {
        Json::Array(items) => (MOST - 14, format!(" … ({} items)", items.len())),
        _ => (MOST - 1, "…".to_owned()),
    };
    text.chars().take(kept).collect::<String>() + &what
}

/// A number without the digits that only arithmetic put there.
fn rounded(value: &Json) -> String {
    match value.as_f64() {
        Some(number) if !value.is_i64() && !value.is_u64() && number.abs() < 1e6 => {
            ((number * 1e9).round() / 1e9).to_string()
        }
        _ => value.to_string(),
    }
}
