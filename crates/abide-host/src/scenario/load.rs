//! A document of scenarios, read with every error at once.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use abide_core::document::{self, Diagnostics, Node, NodeKind, Reader, nearest};
use abide_core::record::encode::KINDS;
use abide_core::schema::{CallerKind, Schema};
use abide_core::time::{Span, Timestamp};
use abide_core::value::Value;
use serde_json::{Map, Value as Json};

use super::{Expected, Image, MOMENTS_MAX, Moment, SCENARIOS_MAX, Scenario, Suite};
use crate::ask::args_from_json;
use crate::manifest::Report;

/// When a scenario begins that does not say when.
const START: &str = "2000-01-01T00:00:00Z";
/// Kinds of records that an expectation may name beside mutations and denials.
const KINDS_EXPECTED: [&str; 7] = ["spawn", "sleep", "wake", "retry", "terminate", "quarantine", "idle"];

/// Reads a document of scenarios and the schemas that it names, through `resolve`, which gets paths joined to the base.
pub fn load(
    file: &str,
    text: &str,
    base: &Path,
    resolve: &dyn Fn(&Path) -> io::Result<String>,
) -> (Option<Suite>, Vec<Report>) {
    let out = Diagnostics::default();
    let mut reports = Vec::new();
    let suite = document::read(text, &out).and_then(|node| {
        let reader = Reader::new(&node, "a document of scenarios", &out)?;
        read(reader, base, resolve, &mut reports)
    });
    let suite = suite.filter(|_| !out.has_errors() && !reports.iter().any(Report::has_errors));
    let diagnostics = out.into_sorted();
    if !diagnostics.is_empty() {
        reports.insert(0, Report { file: file.to_owned(), text: text.to_owned(), diagnostics });
    }
    (suite, reports)
}

fn read(
    mut reader: Reader<'_>,
    base: &Path,
    resolve: &dyn Fn(&Path) -> io::Result<String>,
    reports: &mut Vec<Report>,
) -> Option<Suite> {
    let out = reader.diagnostics();
    let mut schema_at = |node: &Node| read_schema(node, base, resolve, reports, out);
    let schema = reader.required("schema").and_then(&mut schema_at);
    let children: Vec<_> = reader.list("children").unwrap_or_default().iter().filter_map(schema_at).collect();
    let config = reader.map("config").map(|entries| {
        let text_of = |(key, node): &(document::Key, Node)| match &node.kind {
            NodeKind::Str(text) => Some((key.text.clone(), text.clone())),
            _ => {
                let message = format!("`{}` is {}; it must be a text", key.text, node.describe());
                out.error(node.span.clone(), message, "put it in quotes");
                None
            }
        };
        entries.iter().filter_map(text_of).collect::<BTreeMap<_, _>>()
    });
    if config.is_some() && !reader.has("image") {
        let help = "name a component with `image`, or take `config` out";
        out.error(reader.place(), "there is no behaviour that could read this configuration", help);
    }
    let image = reader.optional("image").and_then(|node| {
        let path = base.join(path_of(node, out)?);
        Some(Image { path, config: config.unwrap_or_default(), span: node.span.clone() })
    });
    if let Some(schema) = &schema
        && let Some(acting) = crate::manifest::acting(schema)
        && image.is_none()
    {
        let help = "name its component, as in `image: file://./behaviour.wasm`";
        out.error(reader.place(), acting, help);
    }
    reader.required("scenarios");
    let items = reader.list("scenarios").unwrap_or_default();
    if items.len() > SCENARIOS_MAX {
        let message = format!("there are {} scenarios; at most {SCENARIOS_MAX} are read", items.len());
        out.error(reader.place(), message, "put some of them into another file");
    }
    reader.finish();
    let schema = schema?;
    let scenarios = items.iter().take(SCENARIOS_MAX).filter_map(|item| read_scenario(item, &schema, out));
    let scenarios = scenarios.collect();
    Some(Suite { schema, image, children, scenarios })
}

fn path_of<'a>(node: &'a Node, out: &Diagnostics) -> Option<&'a str> {
    let NodeKind::Str(written) = &node.kind else {
        out.error(
            node.span.clone(),
            format!("a path is {}; it must be a text", node.describe()),
            "put it in quotes",
        );
        return None;
    };
    let path = written.strip_prefix("file://").unwrap_or(written);
    if path.is_empty() || path.contains("://") {
        let help = "write a path from the file's folder, as in `file://./schema.yaml`";
        out.error(node.span.clone(), format!("`{written}` is not a file"), help);
        return None;
    }
    Some(path.strip_prefix("./").unwrap_or(path))
}

fn read_schema(
    node: &Node,
    base: &Path,
    resolve: &dyn Fn(&Path) -> io::Result<String>,
    reports: &mut Vec<Report>,
    out: &Diagnostics,
) -> Option<Arc<Schema>> {
    let path = base.join(path_of(node, out)?);
    let text = match resolve(&path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the schema `{}` cannot be read: {error}", path.display());
            out.error(node.span.clone(), message, "check the path; it is relative to the file's folder");
            return None;
        }
    };
    match Schema::load(&text) {
        Ok((schema, _)) => Some(Arc::new(schema)),
        Err(diagnostics) => {
            reports.push(Report { file: path.display().to_string(), text, diagnostics });
            None
        }
    }
}

fn read_scenario(node: &Node, schema: &Schema, out: &Diagnostics) -> Option<Scenario> {
    let mut reader = Reader::new(node, "a scenario", out)?;
    let name = reader.required_text("name").map(str::to_owned);
    let start = match reader.optional("start") {
        Some(node) => read_time(node, None, out),
        None => START.parse().ok(),
    };
    let mut memory = Vec::new();
    for (key, node) in reader.map("memory").unwrap_or_default() {
        let Some((slot, field)) =
            schema.memory.slot(&key.text).and_then(|s| Some((s, schema.memory.get(s)?)))
        else {
            no_field(key, schema, out);
            continue;
        };
        match field.ty.value_from_json(&node.to_json()) {
            Ok(value) => memory.push((slot, field.ty.normalize(value))),
            Err(violation) => {
                let message = format!("the field `{}{}`: {violation}", key.text, violation.path);
                out.error(node.span.clone(), message, "write a value that the schema admits");
            }
        }
    }
    memory.sort_by_key(|(slot, _)| *slot);
    reader.required("steps");
    let items = reader.list("steps").unwrap_or_default();
    if items.len() > MOMENTS_MAX {
        let message = format!("there are {} steps; at most {MOMENTS_MAX} are read", items.len());
        out.error(reader.place(), message, "split the scenario");
    }
    reader.finish();
    let start = start?;
    let mut moments: Vec<Moment> = Vec::new();
    for item in items.iter().take(MOMENTS_MAX) {
        let Some(moment) = read_moment(item, schema, start, out) else { continue };
        if moment.at <= moments.last().map_or(start, |last| last.at) {
            let help = "steps stand in the order of time, each later than the one before and than the start";
            out.error(
                item.span.clone(),
                format!("{} is not later than what stands before it", moment.at),
                help,
            );
        }
        moments.push(moment);
    }
    Some(Scenario { name: name?, start, memory, moments })
}

fn no_field(key: &document::Key, schema: &Schema, out: &Diagnostics) {
    let message = format!("the schema `{}` has no field `{}`", schema.name, key.text);
    let names = schema.memory.fields.iter().map(|field| &*field.name);
    out.error(key.span.clone(), message, crate::source::suggestion(&key.text, names, "fields"));
}

/// A time, or a span after the start.
fn read_time(node: &Node, start: Option<Timestamp>, out: &Diagnostics) -> Option<Timestamp> {
    let help = match start {
        Some(_) => {
            "write a time after the start, as in 10m or 1h30m, or a date and time, as in 2013-02-01T05:00:00Z"
        }
        None => "write a date and time, as in 2013-02-01T05:00:00Z",
    };
    if let NodeKind::Str(text) = &node.kind {
        if let Some(time) = start.and_then(|start| start.checked_add(text.parse::<Span>().ok()?)) {
            return Some(time);
        }
        if let Ok(time) = text.parse() {
            return Some(time);
        }
    }
    out.error(node.span.clone(), "this is no time", help);
    None
}

fn read_moment(node: &Node, schema: &Schema, start: Timestamp, out: &Diagnostics) -> Option<Moment> {
    let mut reader = Reader::new(node, "a step", out)?;
    let at = reader.required("at").and_then(|node| read_time(node, Some(start), out));
    let mut observations = Vec::new();
    for (key, node) in reader.map("observe").unwrap_or_default() {
        observations.extend(read_observation(key, node, schema, out));
    }
    let expected = reader
        .list("expect")
        .map(|items| items.iter().filter_map(|item| read_expected(item, schema, out)).collect::<Vec<_>>());
    let mut memory = Map::new();
    for (key, node) in reader.map("memory").unwrap_or_default() {
        match schema.memory.slot(&key.text) {
            Some(_) => drop(memory.insert(key.text.clone(), node.to_json())),
            None => no_field(key, schema, out),
        }
    }
    let status = reader.text("status").map(str::to_owned);
    reader.finish();
    Some(Moment { at: at?, observations, expected, memory, status })
}

/// A mutation that is open to observations, with its arguments; or a list of such arguments.
fn read_observation(
    key: &document::Key,
    node: &Node,
    schema: &Schema,
    out: &Diagnostics,
) -> Vec<(abide_core::schema::MutationIx, Vec<Value>)> {
    let found =
        schema.mutation(&key.text).and_then(|ix| Some((ix, schema.mutations.get(usize::from(ix.0))?)));
    let Some((ix, mutation)) = found else {
        let message = format!("the schema `{}` has no mutation `{}`", schema.name, key.text);
        let names = schema.mutations.iter().map(|mutation| &*mutation.name);
        out.error(key.span.clone(), message, crate::source::suggestion(&key.text, names, "mutations"));
        return Vec::new();
    };
    if !CallerKind::Observation.is_in(mutation.from) {
        let message = format!("the mutation `{}` is not open to observations", key.text);
        out.error(key.span.clone(), message, "observe by one whose `from` has `observation`");
    }
    let items = match &node.kind {
        NodeKind::Seq(items) => items.iter().collect(),
        _ => vec![node],
    };
    let read = |item: &&Node| match args_from_json(mutation, &item.to_json()) {
        Ok(args) => Some((ix, args)),
        Err(error) => {
            out.error(item.span.clone(), error.to_string(), "write the arguments as in `{ value: 1.5 }`");
            None
        }
    };
    items.iter().filter_map(read).collect()
}

/// A part of an expectation as its argument's type writes it, so that 90s is 1m30s; what is no mutation's stands as it is.
fn typed_part(
    what: &str,
    name: String,
    part: Json,
    node: &Node,
    schema: &Schema,
    out: &Diagnostics,
) -> Option<(String, Json)> {
    let mutation = schema.mutation(what).and_then(|ix| schema.mutations.get(usize::from(ix.0)));
    let Some(mutation) = mutation else { return Some((name, part)) };
    let field = mutation.args.slot(&name).and_then(|slot| mutation.args.get(slot));
    let Some(field) = field else {
        let message = format!("the mutation `{what}` has no argument `{name}`");
        let names = mutation.args.fields.iter().map(|field| &*field.name);
        out.error(node.span.clone(), message, crate::source::suggestion(&name, names, "arguments"));
        return None;
    };
    match field.ty.value_from_json(&part) {
        Ok(value) => Some((name, field.ty.to_json(&value))),
        Err(violation) => {
            let message = format!("`{name}{}` of `{what}`: {violation}", violation.path);
            out.error(node.span.clone(), message, "write a value of the argument's type");
            None
        }
    }
}

fn read_expected(node: &Node, schema: &Schema, out: &Diagnostics) -> Option<Expected> {
    let (what, span, parts) = match &node.kind {
        NodeKind::Str(word) => (word.clone(), node.span.clone(), Json::Null),
        NodeKind::Map(entries) if entries.len() == 1 => {
            let (key, value) = entries.first()?;
            (key.text.clone(), key.span.clone(), value.to_json())
        }
        _ => {
            let help = "write it as in `set_burner: { level: low }`, `denied: { code: slope }` or `sleep`";
            out.error(
                node.span.clone(),
                "an expectation is one word, or one word with what is so of it",
                help,
            );
            return None;
        }
    };
    let names = || schema.mutations.iter().map(|m| &*m.name).chain(KINDS_EXPECTED).chain(["denied"]);
    if !names().any(|name| name == what) {
        let is_record = KINDS.contains(&&*what);
        let message = if is_record {
            format!("`{what}` is not looked at: expectations are of what an object does")
        } else {
            format!("nothing an object does is called `{what}`")
        };
        let help = nearest(&what, names()).map_or_else(
            || format!("name a mutation, `denied`, or one of {}", KINDS_EXPECTED.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        out.error(span, message, help);
        return None;
    }
    match parts {
        Json::Null => Some(Expected { what, parts: Map::new() }),
        Json::Object(parts) => {
            let parts =
                parts.into_iter().map(|(name, part)| typed_part(&what, name, part, node, schema, out));
            let parts = parts.collect::<Option<_>>()?;
            Some(Expected { what, parts })
        }
        _ => {
            out.error(
                node.span.clone(),
                format!("what is so of `{what}` must be a mapping"),
                "as in `{ level: low }`",
            );
            None
        }
    }
}
