//! The summary of a run, as people read it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use abide_core::schema::Schema;
use abide_host::manifest::Application;
use serde_json::Value as Json;

use super::summary::{Denials, Summary};
use crate::command::show::{slope, value_text};
use crate::context::Context;
use crate::error::CommandError;
use crate::folders;
use crate::output::Output;

/// Most objects that stand in a table; the others are in `ls`.
const OBJECTS_MAX: usize = 20;
/// Most objects that have a column of their own.
const COLUMNS_MAX: usize = 8;
/// Most rows of denials and of broken lines.
const ROWS_MAX: usize = 20;
/// Widest text of an object's memory.
const MEMORY_MAX: usize = 72;

/// Tells what a run came to, and what to try next.
pub(super) fn tell(
    context: &mut Context,
    application: &Application,
    folder: &Path,
    summary: &Summary,
) -> Result<(), CommandError> {
    let out = &mut context.out;
    tell_end(out, application, summary)?;
    tell_objects(out, summary)?;
    tell_actions(out, summary)?;
    tell_denials(out, summary)?;
    tell_problems(out, summary)?;
    if !out.quiet() {
        tell_next(out, application, folder, summary)?;
    }
    Ok(())
}

fn tell_end(out: &mut Output, application: &Application, summary: &Summary) -> Result<(), CommandError> {
    let (tick, time) = summary.last;
    let line = match (summary.finished, summary.ticks) {
        (true, _) if !application.is_replay() => format!("stopped after tick {tick}, at {time}"),
        (true, 0) => format!("everything was taken already: the last tick was {tick}, at {time}"),
        (true, _) => format!("done after tick {tick}, at {time}"),
        (false, _) => format!("stopped after tick {tick}, at {time}; the same command goes on from there"),
    };
    out.line(line)?;
    if summary.late_ticks > 0 {
        out.line(format_args!("{} of {} ticks came late", summary.late_ticks, summary.ticks))?;
    }
    Ok(())
}

fn tell_objects(out: &mut Output, summary: &Summary) -> Result<(), CommandError> {
    if summary.objects.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let rows = summary.objects.iter().take(OBJECTS_MAX).map(|object| {
        let text = |name: &str| object.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let length = object.pointer("/lineage/length").and_then(Json::as_u64).unwrap_or_default();
        vec![text("id"), text("status"), length.to_string(), slope(object), memory(object)]
    });
    let rows = rows.collect();
    out.table(&["OBJECT", "STATUS", "RECORDS", "SLOPE", "MEMORY"], &[2, 3], rows)?;
    more(out, summary.objects.len(), OBJECTS_MAX, "objects")
}

/// Some of an object's memory: the fields that are one short value, times and gaps left out.
fn memory(object: &Json) -> String {
    let mut text = String::new();
    for (name, value) in object.get("memory").and_then(Json::as_object).into_iter().flatten() {
        let is_time = value.as_str().is_some_and(|text| text.parse::<abide_core::time::Timestamp>().is_ok());
        if is_time || value.is_array() || value.is_object() || value.is_null() {
            continue;
        }
        let field = format!("{name}={}", value_text(value));
        if text.chars().count() + field.chars().count() >= MEMORY_MAX {
            return text + " …";
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text += &field;
    }
    text
}

fn tell_actions(out: &mut Output, summary: &Summary) -> Result<(), CommandError> {
    out.line("")?;
    if summary.actions.is_empty() {
        return out.line("no rule has acted");
    }
    let objects: BTreeSet<_> = summary.actions.keys().map(|action| action.object.as_str()).collect();
    let columns: Vec<_> =
        if objects.len() <= COLUMNS_MAX { objects.into_iter().collect() } else { Vec::new() };
    let mut rows: BTreeMap<(&str, &str), BTreeMap<&str, u64>> = BTreeMap::new();
    for (action, count) in &summary.actions {
        let does = action.mutation.as_deref().unwrap_or(action.step);
        *rows.entry((&action.rule, does)).or_default().entry(&action.object).or_default() += count;
    }
    let header: Vec<_> =
        ["RULE", "DID"].into_iter().chain(columns.iter().copied()).chain(["IN ALL"]).collect();
    let rows = rows.into_iter().map(|((rule, does), counts)| {
        let of_each =
            columns.iter().map(|object| counts.get(object).copied().unwrap_or_default().to_string());
        let all: u64 = counts.values().sum();
        [rule.to_owned(), does.to_owned()].into_iter().chain(of_each).chain([all.to_string()]).collect()
    });
    let (rows, right): (_, Vec<_>) = (rows.collect(), (2..header.len()).collect());
    out.table(&header, &right, rows)?;
    if !summary.effects.is_empty() {
        let mut by_word: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, word), count) in &summary.effects {
            *by_word.entry(word).or_default() += count;
        }
        let words: Vec<_> = by_word.iter().map(|(word, count)| format!("{count} {word}")).collect();
        out.line(format_args!("effects: {}", words.join(", ")))?;
    }
    Ok(())
}

fn tell_denials(out: &mut Output, summary: &Summary) -> Result<(), CommandError> {
    out.line("")?;
    let all: u64 = summary.denials.values().map(|denials| denials.count).sum();
    if all == 0 {
        return out.line("nothing was denied");
    }
    let line = out.strong(format_args!("{all} denied"));
    out.line(line)?;
    let rows = summary.denials.iter().take(ROWS_MAX).map(|(kind, denials)| {
        vec![
            kind.object.clone(),
            kind.mutation.clone().unwrap_or_else(|| "-".to_owned()),
            denials.caller.clone(),
            denials.count.to_string(),
            denials.first.map(|at| at.to_string()).unwrap_or_default(),
            kind.code.to_owned(),
            why(&kind.message, denials),
        ]
    });
    let rows = rows.collect();
    out.table(&["OBJECT", "MUTATION", "BY", "COUNT", "FIRST", "CODE", "REASON"], &[3], rows)?;
    more(out, summary.denials.len(), ROWS_MAX, "kinds of denials")
}

/// The message, with the value where the message does not show it.
fn why(message: &str, denials: &Denials) -> String {
    let value = denials.value.as_ref().map(value_text).filter(|value| !message.contains(value.as_str()));
    value.map_or_else(|| message.to_owned(), |value| format!("{message} (`{value}`)"))
}

fn tell_problems(out: &mut Output, summary: &Summary) -> Result<(), CommandError> {
    let problems = &summary.problems;
    if problems.count == 0 {
        return Ok(());
    }
    out.line("")?;
    let lines = if problems.count == 1 { "line" } else { "lines" };
    let line = out.strong(format_args!("{} {lines} could not be read and were left out", problems.count));
    out.line(line)?;
    for problem in problems.first.iter().take(ROWS_MAX) {
        out.line(format_args!("  {}", problem.with_help()))?;
    }
    more(out, usize::try_from(problems.count).unwrap_or(usize::MAX), ROWS_MAX, "lines")
}

fn more(out: &mut Output, all: usize, shown: usize, what: &str) -> Result<(), CommandError> {
    if all > shown { out.line(format_args!("and {} more {what}", all - shown)) } else { Ok(()) }
}

/// Commands that look at what there is now.
fn tell_next(
    out: &mut Output,
    application: &Application,
    folder: &Path,
    summary: &Summary,
) -> Result<(), CommandError> {
    let Some((id, schema)) = worth_a_look(application, summary) else { return Ok(()) };
    let at = if folders::only_store().is_ok_and(|only| only == folder) || is_named_by_environment(folder) {
        String::new()
    } else {
        format!(" --data-dir {}", quoted(&folder.display().to_string()))
    };
    out.line("")?;
    out.line("what to try next:")?;
    out.line(format_args!("  abide show {id}{at}"))?;
    if let Some(field) = changed_field(schema, id, summary) {
        out.line(format_args!("  abide why {id}.{field}{at}"))?;
    }
    out.line(format_args!("  abide lineage {id} --limit 20{at}"))?;
    out.line(format_args!("  abide verify{at}"))
}

/// An object of which there is something to tell: one that acted, else the first.
fn worth_a_look<'a>(application: &'a Application, summary: &Summary) -> Option<(&'a str, &'a Schema)> {
    let all = || {
        application
            .objects
            .iter()
            .flat_map(|component| component.objects.iter().map(move |o| (&*o.id, &*component.schema)))
    };
    let acted = |id: &str| summary.actions.keys().any(|action| action.object == id);
    all().find(|(id, _)| acted(id)).or_else(|| all().next())
}

/// A field that a rule of the object set; else its first.
fn changed_field<'a>(schema: &'a Schema, id: &str, summary: &Summary) -> Option<&'a str> {
    let by_rule = summary.actions.keys().filter(|action| action.object == id).find_map(|action| {
        let mutation = schema.mutation(action.mutation.as_deref()?)?;
        schema.mutations.get(usize::from(mutation.0))?.writes.iter().next()
    });
    let field = by_rule.and_then(|slot| schema.memory.get(slot)).or_else(|| schema.memory.fields.first());
    field.map(|field| &*field.name)
}

fn is_named_by_environment(folder: &Path) -> bool {
    std::env::var_os("ABIDE_DATA_DIR").is_some_and(|named| Path::new(&named) == folder)
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%=:,".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}
