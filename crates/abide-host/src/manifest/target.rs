//! Builtin targets, as the manifest configures them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_core::document::{NodeKind, Reader};

use super::BehaviourSpec;
use crate::behaviour::Compiler;
use crate::broker::Broker;
use crate::effect::{
    Called, Exec, ExecConfig, Http, HttpConfig, JsonLines, KeyValue, KeyValueConfig, Messages, Target,
};
use crate::source::At;

/// A target of effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// The component's name.
    pub name: Arc<str>,
    /// What it is.
    pub kind: TargetKind,
}

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A line of JSON for each effect, appended to that file.
    JsonLines(PathBuf),
    /// A program run for each effect.
    Exec(ExecConfig),
    /// A request for each effect.
    Http(HttpConfig),
    /// Values in a file of the data folder.
    KeyValue(KeyValueConfig),
    /// A message for each effect.
    Messages,
    /// A function of a component, called for each effect.
    Component(BehaviourSpec),
}

impl TargetConfig {
    /// Makes it ready for calls. `folder` is the data folder, and messages go by the broker.
    ///
    /// # Errors
    /// If the file cannot be opened, the program is not there, a variable is not set, the component cannot be loaded, or there is no
    /// broker.
    pub fn open(
        &self,
        folder: &Path,
        compiler: &Compiler,
        broker: Option<&Arc<dyn Broker>>,
    ) -> io::Result<Arc<dyn Target>> {
        match &self.kind {
            TargetKind::JsonLines(path) => Ok(Arc::new(JsonLines::open(path)?)),
            TargetKind::Exec(config) => {
                if std::fs::metadata(&config.program)?.is_file() {
                    Ok(Arc::new(Exec::new(config.clone())))
                } else {
                    Err(io::Error::new(io::ErrorKind::InvalidInput, "the program is not a file"))
                }
            }
            TargetKind::Http(config) => Ok(Arc::new(Http::open(config.clone())?)),
            TargetKind::KeyValue(config) => {
                let path = folder.join(format!("keyvalue-{}.redb", self.name));
                Ok(Arc::new(KeyValue::open(&path, config.clone())?))
            }
            TargetKind::Messages => {
                let broker =
                    broker.ok_or_else(|| io::Error::other("there is nothing here that carries messages"))?;
                Ok(Arc::new(Messages::new(Arc::clone(broker))))
            }
            TargetKind::Component(spec) => {
                let called = compiler.callable(spec).map_err(|error| io::Error::other(error.to_string()))?;
                Ok(Arc::new(Called::new(called)))
            }
        }
    }
}

/// Reads the properties of a `jsonl` target.
pub(super) fn read_json_lines(mut reader: Reader<'_>, base: &Path) -> Option<TargetKind> {
    let path = reader.required_text("path").map(|path| base.join(path));
    reader.finish();
    Some(TargetKind::JsonLines(path?))
}

/// Reads the properties of an `exec` target.
pub(super) fn read_exec(mut reader: Reader<'_>, base: &Path) -> Option<TargetKind> {
    let program = reader.required_text("program").map(|path| base.join(path));
    let args = texts(&mut reader, "args");
    let inherit = texts(&mut reader, "inherit");
    let out = reader.diagnostics();
    let mut env = BTreeMap::new();
    for (name, node) in reader.map("env").unwrap_or_default() {
        if name.text.is_empty() || name.text.contains(['=', '\0']) {
            out.error(name.span.clone(), format!("`{}` cannot name a variable", name.text), "leave out `=`");
        }
        match &node.kind {
            NodeKind::Str(value) => {
                env.insert(name.text.clone(), value.clone());
            }
            _ => {
                let message =
                    format!("the variable `{}` is {}; it must be a text", name.text, node.describe());
                out.error(node.span.clone(), message, "put it in quotes");
            }
        }
    }
    reader.finish();
    Some(TargetKind::Exec(ExecConfig { program: program?, args, env, inherit, directory: base.to_owned() }))
}

fn texts(reader: &mut Reader<'_>, key: &'static str) -> Vec<String> {
    placed_texts(reader, key).into_iter().map(|text| text.value).collect()
}

/// The texts of a list, each with its place.
pub(super) fn placed_texts(reader: &mut Reader<'_>, key: &'static str) -> Vec<At<String>> {
    let out = reader.diagnostics();
    let mut found = Vec::new();
    for item in reader.list(key).unwrap_or_default() {
        match &item.kind {
            NodeKind::Str(text) => found.push(At { value: text.clone(), span: item.span.clone() }),
            _ => {
                let message = format!("an item of `{key}` is {}; it must be a text", item.describe());
                out.error(item.span.clone(), message, "put it in quotes");
            }
        }
    }
    found
}
