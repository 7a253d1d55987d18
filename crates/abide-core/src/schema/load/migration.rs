//! The migration: how a schema takes over from other versions of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::expression::Compiler;
use super::{instead_of, is_name};
use crate::document::{Key, Node, NodeKind, Reader};
use crate::field::{Field, Slot};
use crate::schema::{MIGRATION_VERSIONS_MAX, Migration};
use crate::value::Value;

/// `None` where it did not load, `Some(None)` where there is none.
#[expect(clippy::option_option, reason = "absent and wrong are two things")]
pub(super) fn migration(reader: &mut Reader<'_>, compiler: &Compiler<'_>) -> Option<Option<Migration>> {
    let Some((key, node)) = reader.entry("migration") else { return Some(None) };
    let out = compiler.out;
    let mut reader = Reader::new(node, "the migration", out)?.at(key.span.clone());
    let from = reader.required("from").map(|node| versions(node, compiler));
    let rename = reader.map("rename").unwrap_or_default();
    let default = reader.map("default").unwrap_or_default();
    let set = reader.map("set").unwrap_or_default();
    let remove = reader.list("remove").unwrap_or_default();
    reader.finish();

    let mut taken = Taken { compiler, by: BTreeMap::new() };
    let remove: Vec<_> = remove.iter().map(|node| removed(node, rename, compiler)).collect();
    let rename: Vec<_> = rename.iter().map(|(was, is)| taken.renamed(was, is)).collect();
    let set: Vec<_> = set.iter().map(|(key, node)| taken.computed(key, node)).collect();
    let default: Vec<_> = default.iter().map(|(key, node)| taken.default(key, node)).collect();
    let rename: BTreeMap<_, _> = rename.into_iter().collect::<Option<_>>()?;
    let (mut set, mut default) =
        (set.into_iter().collect::<Option<Vec<_>>>()?, default.into_iter().collect::<Option<Vec<_>>>()?);
    set.sort_by_key(|(slot, _)| *slot);
    default.sort_by_key(|(slot, _)| *slot);
    let remove = remove.into_iter().collect::<Option<BTreeSet<_>>>()?;
    Some(Some(Migration { from: from??, rename, default, set, remove }))
}

/// A version, or a list of them.
fn versions(node: &Node, compiler: &Compiler<'_>) -> Option<Vec<Arc<str>>> {
    let out = compiler.out;
    let nodes = match &node.kind {
        NodeKind::Seq(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if nodes.is_empty() {
        out.error(
            node.span.clone(),
            "`from` names no version",
            "name the versions that objects may have before",
        );
        return None;
    }
    super::too_many(nodes, MIGRATION_VERSIONS_MAX, "versions", out);
    let version = |node: &Node| match &node.kind {
        NodeKind::Str(version) if semver::Version::parse(version).is_ok() => {
            Some(Arc::from(version.as_str()))
        }
        _ => {
            out.error(
                node.span.clone(),
                "`from` names no semantic version",
                "write three numbers, as in 1.0.0",
            );
            None
        }
    };
    let versions: Vec<_> = nodes.iter().map(version).collect();
    let versions: BTreeSet<Arc<str>> = versions.into_iter().collect::<Option<_>>()?;
    Some(versions.into_iter().collect())
}

/// The fields that the migration gives a value, each in one way.
struct Taken<'a> {
    compiler: &'a Compiler<'a>,
    by: BTreeMap<Slot, &'static str>,
}

impl<'a> Taken<'a> {
    fn renamed(&mut self, was: &Key, is: &Node) -> Option<(Arc<str>, Slot)> {
        let NodeKind::Str(name) = &is.kind else {
            let message = format!("`{}` is renamed to {}; it must be a name", was.text, is.describe());
            self.compiler.out.error(is.span.clone(), message, "write the name of a field of `fields`");
            return None;
        };
        let is_name = is_name_of_field(&was.text, was.span.clone(), self.compiler);
        let slot = self.field(name, is.span.clone(), "rename")?;
        is_name.then(|| (was.text.as_str().into(), slot))
    }

    fn computed(&mut self, key: &Key, node: &Node) -> Option<(Slot, Arc<str>)> {
        let found = self.field(&key.text, key.span.clone(), "set");
        let source = self.compiler.parse(node)?;
        Some((found?, source))
    }

    /// A renamed field may have no value before, so it may have a default as well.
    fn default(&mut self, key: &Key, node: &Node) -> Option<(Slot, Value)> {
        let (slot, field) = self.find(&key.text, key.span.clone())?;
        if self.by.get(&slot) == Some(&"set") {
            return self.twice(&key.text, key.span.clone());
        }
        let checked = field.ty.value_from_json(&node.to_json()).and_then(|value| {
            let value = field.ty.normalize(value);
            field.ty.check(&value).map(|()| value)
        });
        match checked {
            Ok(value) => Some((slot, value)),
            Err(wrong) => {
                let message = format!("the default of `{}`: {}", key.text, wrong.message);
                let help = "write a value of its type and within its bounds";
                self.compiler.out.error(node.span.clone(), message, help);
                None
            }
        }
    }

    fn field(&mut self, name: &str, span: Range<usize>, by: &'static str) -> Option<Slot> {
        let (slot, _) = self.find(name, span.clone())?;
        if self.by.insert(slot, by).is_some() {
            return self.twice(name, span);
        }
        Some(slot)
    }

    fn twice<T>(&self, name: &str, span: Range<usize>) -> Option<T> {
        let message = format!("the migration gives `{name}` a value in two ways");
        self.compiler.out.error(span, message, "keep one of them");
        None
    }

    fn find(&self, name: &str, span: Range<usize>) -> Option<(Slot, &'a Field)> {
        let memory = &self.compiler.memory;
        let found = memory.slot(name).and_then(|slot| Some((slot, memory.get(slot)?)));
        if found.is_none() && !self.compiler.broken.iter().any(|broken| broken == name) {
            let help =
                instead_of(name, memory.fields.iter().map(|field| &*field.name), "name a field of `fields`");
            self.compiler.out.error(span, format!("there is no field `{name}`"), help);
        }
        found
    }
}

fn removed(node: &Node, rename: &[(Key, Node)], compiler: &Compiler<'_>) -> Option<Arc<str>> {
    let NodeKind::Str(name) = &node.kind else {
        let message = format!("`remove` names {}; it must be a field of the version before", node.describe());
        compiler.out.error(node.span.clone(), message, "write the name of a field");
        return None;
    };
    if !is_name_of_field(name, node.span.clone(), compiler) {
        return None;
    }
    if rename.iter().any(|(was, _)| was.text == *name) {
        let message = format!("`{name}` is renamed, and removed");
        compiler.out.error(node.span.clone(), message, "keep one of them");
        return None;
    }
    Some(name.as_str().into())
}

/// Whether a field of the version before can have that name.
fn is_name_of_field(name: &str, span: Range<usize>, compiler: &Compiler<'_>) -> bool {
    let is_one = is_name(name, false);
    if !is_one {
        let help = "begin with a-z and go on with a-z, 0-9 and _, 64 characters at most";
        compiler.out.error(span, format!("`{name}` is no name of a field"), help);
    }
    is_one
}
