//! The document around the components, and the schemas that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_core::document::{self, Diagnostic, Diagnostics, Node, Reader, nearest};
use abide_core::schema::{Schema, Step};
use abide_core::time::Span;

use super::component::{self, ComponentKind, shortened, text};
use super::link;
use super::{Application, Loaded, Manifest, Report, TICK_DEFAULT};
use crate::source::At;

const TICK_ANNOTATION: &str = "abide.dev/tick";
const TICK_MIN: Span = Span::from_millis(1);
const TICK_MAX: Span = Span::from_secs(24 * 3600);

pub(super) fn load(manifest: Manifest<'_>, resolve: &dyn Fn(&Path) -> io::Result<String>) -> Loaded {
    let report =
        |diagnostics| Report { file: manifest.file.to_owned(), text: manifest.text.to_owned(), diagnostics };
    let out = Diagnostics::default();
    let Some(node) = document::read(manifest.text, &out) else {
        return Loaded { application: None, reports: vec![report(out.into_sorted())] };
    };
    let mut schemas = Schemas { base: manifest.base, resolve, loaded: BTreeMap::new(), reports: Vec::new() };
    let application = read(&node, manifest.base, &mut schemas, &out);
    let diagnostics = out.into_sorted();
    let mut reports = schemas.reports;
    if !diagnostics.is_empty() {
        reports.insert(0, report(diagnostics));
    }
    let sound = !reports.iter().any(Report::has_errors);
    Loaded { application: application.filter(|_| sound), reports }
}

fn read(node: &Node, base: &Path, schemas: &mut Schemas<'_>, out: &Diagnostics) -> Option<Application> {
    let mut reader = Reader::new(node, "the manifest", out)?;
    constant(&mut reader, "apiVersion", "core.oam.dev/v1beta1");
    constant(&mut reader, "kind", "Application");
    let metadata = read_metadata(&mut reader);
    let (mut components, mut names) = (Vec::new(), Vec::new());
    if !reader.has("spec") {
        reader.required("spec");
    } else if let Some(mut spec) = reader.child("spec", "the spec") {
        spec.optional("policies");
        spec.required("components");
        for item in spec.list("components").unwrap_or_default() {
            components.extend(component::read(item, schemas, &mut names, out));
        }
        spec.finish();
    }
    reader.finish();
    report_duplicate_names(&names, out);
    report_duplicate_ids(&components, out);
    check_schemas(&components, out);
    let joined = link::join(components, &names, base, out);
    let (name, version, tick) = metadata?;
    let (objects, sources, targets, deployment) = joined;
    let tick = tick.unwrap_or(TICK_DEFAULT);
    let application = Application { name, version, tick, objects, sources, targets, deployment };
    if let Some((_, span)) = reader_annotation(node, TICK_ANNOTATION).filter(|_| application.is_replay()) {
        let help = "the times of a replayed source are the ticks";
        out.warning(span, format!("`{TICK_ANNOTATION}` has no meaning in a replay"), help);
    }
    Some(application)
}

/// The value and the place of an annotation, read without a word about what else is there.
fn reader_annotation(node: &Node, name: &str) -> Option<(Node, Range<usize>)> {
    let quiet = Diagnostics::default();
    let mut reader = Reader::new(node, "", &quiet)?;
    let mut metadata = reader.child("metadata", "")?;
    let (key, value) = metadata.map("annotations")?.iter().find(|(key, _)| key.text == name)?;
    Some((value.clone(), key.span.clone()))
}

fn constant(reader: &mut Reader<'_>, key: &'static str, expected: &str) {
    let out = reader.diagnostics();
    let Some(node) = reader.required(key) else { return };
    let Some(found) = text(node, &format!("`{key}`"), out) else { return };
    if found != expected {
        let message = format!("`{key}` is `{}`; this version reads `{expected}`", shortened(found));
        out.error(node.span.clone(), message, format!("write `{key}: {expected}`"));
    }
}

type Metadata = (Arc<str>, Option<Arc<str>>, Option<Span>);

fn read_metadata(reader: &mut Reader<'_>) -> Option<Metadata> {
    if !reader.has("metadata") {
        reader.required("metadata");
        return None;
    }
    let mut metadata = reader.child("metadata", "the metadata")?;
    let out = metadata.diagnostics();
    let name = metadata.required_text("name").filter(|name| !name.is_empty());
    metadata.map("labels");
    metadata.text("namespace");
    let (mut version, mut tick) = (None, None);
    for (key, node) in metadata.map("annotations").unwrap_or_default() {
        match key.text.as_str() {
            "version" => version = text(node, "`version`", out).map(Arc::from),
            TICK_ANNOTATION => tick = read_tick(node, out),
            other if other.starts_with("abide.dev/") => {
                let help = match nearest(other, [TICK_ANNOTATION]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("of those that begin with `abide.dev/` there is `{TICK_ANNOTATION}`"),
                };
                out.error(key.span.clone(), format!("there is no annotation `{}`", shortened(other)), help);
            }
            _ => {}
        }
    }
    metadata.finish();
    Some((name?.into(), version, tick))
}

fn read_tick(node: &Node, out: &Diagnostics) -> Option<Span> {
    let written = text(node, &format!("`{TICK_ANNOTATION}`"), out)?;
    let help = "write it as in 1ms, 100ms, 1s or 10m, from 1ms to 24h";
    match written.parse::<Span>() {
        Ok(span) if (TICK_MIN..=TICK_MAX).contains(&span) => Some(span),
        Ok(_) => {
            out.error(node.span.clone(), format!("the tick `{written}` is out of bounds"), help);
            None
        }
        Err(_) => {
            out.error(node.span.clone(), format!("`{}` is not a duration", shortened(written)), help);
            None
        }
    }
}

fn report_duplicate_names(names: &[At<Arc<str>>], out: &Diagnostics) {
    let mut known = BTreeSet::new();
    for name in names.iter().filter(|name| !known.insert(&name.value)) {
        let message = format!("there are two components `{}`", name.value);
        out.error(name.span.clone(), message, "rename one of them");
    }
}

fn report_duplicate_ids(components: &[component::Component], out: &Diagnostics) {
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    for component in components {
        let name = &component.name;
        let ComponentKind::Object(part) = &component.kind else { continue };
        for object in &part.objects {
            if let Some(other) = ids.insert(&object.value.id, &name.value) {
                let message = format!("there are two objects `{}`", object.value.id);
                let help = format!("the other belongs to `{other}`; ids are unique over the manifest");
                out.error(object.span.clone(), message, help);
            }
        }
    }
}

/// A schema name means one schema, and what a rule spawns is there.
fn check_schemas(components: &[component::Component], out: &Diagnostics) {
    let parts = || {
        components.iter().filter_map(|component| match &component.kind {
            ComponentKind::Object(part) => part.schema.as_ref().map(|schema| (part, schema)),
            _ => None,
        })
    };
    let mut names: BTreeMap<&str, &Arc<Schema>> = BTreeMap::new();
    for (part, schema) in parts() {
        let first = *names.entry(&schema.name).or_insert(schema);
        if first.digest != schema.digest {
            let message = format!("two schemas have the name `{}` and differ", schema.name);
            out.error(part.schema_span.clone(), message, "rename one, or use the same file for both");
        }
    }
    let all_known = components.iter().all(|component| match &component.kind {
        ComponentKind::Object(part) => part.schema.is_some(),
        _ => true,
    });
    for (part, schema) in parts().filter(|_| all_known) {
        for rule in &schema.rules {
            let Step::Spawn(spawn) = &rule.then else { continue };
            if !names.contains_key(&*spawn.schema) {
                let message = format!(
                    "the rule `{}` spawns `{}`, and no component has that schema",
                    rule.name, spawn.schema
                );
                let help = "add a component of type `object` with that schema; it needs no `objects`";
                out.error(part.schema_span.clone(), message, help);
            }
        }
    }
}

/// The schemas of a manifest, each read once.
pub(super) struct Schemas<'a> {
    base: &'a Path,
    resolve: &'a dyn Fn(&Path) -> io::Result<String>,
    loaded: BTreeMap<PathBuf, Option<Arc<Schema>>>,
    reports: Vec<Report>,
}

impl Schemas<'_> {
    /// The path that `file://./x.yaml`, or a plain path, means.
    pub(super) fn path(&self, written: &str, span: &Range<usize>, out: &Diagnostics) -> Option<PathBuf> {
        let path = written.strip_prefix("file://").unwrap_or(written);
        if path.contains("://") || path.is_empty() {
            let message = format!("`{}` is not a file", shortened(written));
            out.error(
                span.clone(),
                message,
                "write a path from the manifest's folder, as in `file://./schema.yaml`",
            );
            return None;
        }
        Some(self.base.join(path.strip_prefix("./").unwrap_or(path)))
    }

    /// The schema of a file; `None` where it has errors, which are in its report or at `span`.
    pub(super) fn load(
        &mut self,
        path: &Path,
        span: &Range<usize>,
        out: &Diagnostics,
    ) -> Option<Arc<Schema>> {
        if let Some(known) = self.loaded.get(path) {
            return known.clone();
        }
        let loaded = self.read(path, span, out);
        self.loaded.insert(path.to_owned(), loaded.clone());
        loaded
    }

    fn read(&mut self, path: &Path, span: &Range<usize>, out: &Diagnostics) -> Option<Arc<Schema>> {
        let text = match (self.resolve)(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("the schema `{}` cannot be read: {error}", path.display());
                out.error(span.clone(), message, "check the path; it is relative to the manifest's folder");
                return None;
            }
        };
        let (schema, diagnostics): (_, Vec<Diagnostic>) = match Schema::load(&text) {
            Ok((schema, warnings)) => (Some(Arc::new(schema)), warnings),
            Err(errors) => (None, errors),
        };
        if !diagnostics.is_empty() {
            self.reports.push(Report { file: path.display().to_string(), text, diagnostics });
        }
        schema
    }
}
