//! Components and traits as they are written, before links join them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::document::{Diagnostics, Node, NodeKind, Reader, nearest};
use abide_core::schema::Schema;

use super::document::Schemas;
use super::{BehaviourSpec, OBJECT_ID_BYTES_MAX, ObjectSpec};
use crate::source::At;

/// A component.
pub(super) struct Component {
    pub(super) name: At<Arc<str>>,
    pub(super) kind: ComponentKind,
    pub(super) links: Vec<RawLink>,
}

impl Component {
    /// What it is, if it is a capability.
    pub(super) fn builtin(&self) -> Option<Builtin> {
        match &self.kind {
            ComponentKind::Capability(part) => Some(part.builtin),
            ComponentKind::Object(_) | ComponentKind::Component(_) => None,
        }
    }
}

pub(super) enum ComponentKind {
    Object(ObjectPart),
    Capability(CapabilityPart),
    /// A component whose functions effects call.
    Component(BehaviourSpec),
}

/// What an `object` component holds.
pub(super) struct ObjectPart {
    pub(super) schema_path: PathBuf,
    pub(super) schema_span: Range<usize>,
    /// `None` where the schema could not be loaded, which is reported.
    pub(super) schema: Option<Arc<Schema>>,
    pub(super) behaviour: Option<BehaviourSpec>,
    pub(super) objects: Vec<At<ObjectSpec>>,
}

/// What a `capability` component holds.
pub(super) struct CapabilityPart {
    pub(super) builtin: Builtin,
    /// Its properties, those of several named configurations merged: the later wins.
    pub(super) properties: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Csv,
    JsonLines,
    Exec,
    Http,
    KeyValue,
}

/// A link as it is written.
pub(super) struct RawLink {
    pub(super) target: At<String>,
    pub(super) namespace: String,
    pub(super) package: String,
    pub(super) interfaces: Vec<At<String>>,
    pub(super) functions: Vec<At<String>>,
    pub(super) live_in_replay: bool,
    pub(super) span: Range<usize>,
}

const BUILTINS: [(&str, Builtin); 5] = [
    ("abide+builtin://csv", Builtin::Csv),
    ("abide+builtin://jsonl", Builtin::JsonLines),
    ("abide+builtin://exec", Builtin::Exec),
    ("abide+builtin://http", Builtin::Http),
    ("abide+builtin://keyvalue", Builtin::KeyValue),
];

/// Reads a component. `None` where too little of it is right to go on with; everything is reported.
/// Its name is added to `names` all the same.
pub(super) fn read(
    node: &Node,
    schemas: &mut Schemas<'_>,
    names: &mut Vec<At<Arc<str>>>,
    out: &Diagnostics,
) -> Option<Component> {
    let mut reader = Reader::new(node, "a component", out)?;
    let name_node = reader.required("name");
    let name = name_node.and_then(|node| read_name(node, out));
    names.extend(name.clone());
    let kind = reader.required("type");
    let links = read_traits(&mut reader);
    let kind = kind.and_then(|kind| match text(kind, "`type`", out)? {
        "object" => read_object(&mut reader, schemas).map(ComponentKind::Object),
        "capability" => read_capability(&mut reader).map(ComponentKind::Capability),
        "component" => read_component(&mut reader, schemas).map(ComponentKind::Component),
        other => {
            reader.optional("properties");
            let help = match nearest(other, ["object", "capability", "component"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the types are `object`, `capability` and `component`".to_owned(),
            };
            out.error(kind.span.clone(), format!("there is no component type `{other}`"), help);
            None
        }
    });
    reader.finish();
    Some(Component { name: name?, kind: kind?, links })
}

fn read_name(node: &Node, out: &Diagnostics) -> Option<At<Arc<str>>> {
    let name = text(node, "`name`", out)?;
    if !is_id(name) {
        let help = format!("use letters, digits, `.`, `_` and `-`, at most {OBJECT_ID_BYTES_MAX}");
        out.error(node.span.clone(), format!("`{}` cannot name a component", shortened(name)), help);
        return None;
    }
    Some(At { value: name.into(), span: node.span.clone() })
}

fn read_object(reader: &mut Reader<'_>, schemas: &mut Schemas<'_>) -> Option<ObjectPart> {
    let out = reader.diagnostics();
    if !reader.has("properties") {
        reader.required("properties");
        return None;
    }
    let mut properties = reader.child("properties", "the property list of an object component")?;
    let schema = properties.required("schema").and_then(|node| {
        let path = schemas.path(text(node, "`schema`", out)?, &node.span, out)?;
        Some((schemas.load(&path, &node.span, out), path, node.span.clone()))
    });
    let loaded = schema.as_ref().and_then(|(schema, ..)| schema.as_deref());
    let behaviour = read_behaviour(&mut properties, schemas);
    match (loaded.map(|schema| (acting(schema), schema)), &behaviour, &schema) {
        (Some((Some(acting), _)), None, Some((.., span))) if !properties.has("image") => {
            out.error(span.clone(), acting, ACTING_HELP);
        }
        (Some((None, schema)), Some(behaviour), _) => {
            let message = format!("no rule of the schema `{}` acts, so nothing would call it", schema.name);
            out.error(behaviour.span.clone(), message, "take `image` out, or let a rule `act`");
        }
        _ => {}
    }
    let items = properties.list("objects").unwrap_or_default();
    let objects = items.iter().filter_map(|item| read_object_spec(item, loaded, out)).collect();
    properties.finish();
    let (schema, schema_path, schema_span) = schema?;
    Some(ObjectPart { schema_path, schema_span, schema, behaviour, objects })
}

/// What to do about [`acting`].
pub const ACTING_HELP: &str =
    "name its component in a manifest, as in `image: file://./behaviour.wasm` beside `schema`";

/// Why objects of a schema cannot run by themselves: the first of its rules that needs a behaviour.
#[must_use]
pub fn acting(schema: &Schema) -> Option<String> {
    let (ix, action) = schema.actions().into_iter().next()?;
    let rule = schema.rules.get(usize::from(ix.0))?;
    Some(format!("rule `{}` acts by a behaviour (`act: {action}`), and there is none", rule.name))
}

/// `image`, and the named values of `config`.
fn read_behaviour(properties: &mut Reader<'_>, schemas: &Schemas<'_>) -> Option<BehaviourSpec> {
    let out = properties.diagnostics();
    let image = properties.optional("image").and_then(|node| {
        let written = text(node, "`image`", out)?;
        Some((schemas.path(written, &node.span, out)?, node.span.clone()))
    });
    let merged = merge_config(properties);
    let NodeKind::Map(entries) = merged.kind else { return None };
    let mut config = BTreeMap::new();
    for (key, node) in entries {
        match node.kind {
            NodeKind::Str(text) => drop(config.insert(key.text, text)),
            _ => {
                let message = format!("`{}` is {}; it must be a text", key.text, node.describe());
                out.error(node.span, message, "put it in quotes");
            }
        }
    }
    match image {
        Some((image, span)) => Some(BehaviourSpec { image, config, span }),
        None if config.is_empty() => None,
        None => {
            out.error(
                merged.span,
                "there is no behaviour that could read this configuration",
                "name one with `image`, or take `config` out",
            );
            None
        }
    }
}

/// A component that is there to be called.
fn read_component(reader: &mut Reader<'_>, schemas: &Schemas<'_>) -> Option<BehaviourSpec> {
    if !reader.has("properties") {
        reader.required("properties");
        return None;
    }
    let mut properties = reader.child("properties", "the property list of a component")?;
    let spec = if properties.has("image") {
        read_behaviour(&mut properties, schemas)
    } else {
        properties.required("image");
        None
    };
    properties.finish();
    spec
}

fn read_object_spec(node: &Node, schema: Option<&Schema>, out: &Diagnostics) -> Option<At<ObjectSpec>> {
    let NodeKind::Map(_) = node.kind else {
        let id = read_id(node, out)?;
        return Some(At { value: ObjectSpec { id, values: Vec::new() }, span: node.span.clone() });
    };
    let mut reader = Reader::new(node, "an object", out)?;
    let id_node = reader.required("id");
    let id = id_node.and_then(|node| read_id(node, out));
    let mut values = BTreeMap::new();
    for (key, node) in reader.map("values").unwrap_or_default() {
        let Some(schema) = schema else { continue };
        let Some(slot) = schema.memory.slot(&key.text) else {
            let message = format!("the schema `{}` has no field `{}`", schema.name, key.text);
            let names = schema.memory.fields.iter().map(|f| &*f.name);
            out.error(key.span.clone(), message, crate::source::suggestion(&key.text, names, "fields"));
            continue;
        };
        let Some(field) = schema.memory.get(slot) else { continue };
        let checked = field.ty.value_from_json(&node.to_json()).and_then(|value| {
            let value = field.ty.normalize(value);
            field.ty.check(&value).map(|()| value)
        });
        match checked {
            Ok(value) => {
                values.insert(slot, value);
            }
            Err(violation) => {
                let message = format!("the field `{}{}`: {violation}", key.text, violation.path);
                out.error(node.span.clone(), message, "write a value that the schema admits");
            }
        }
    }
    reader.finish();
    let span = id_node?.span.clone();
    Some(At { value: ObjectSpec { id: id?, values: values.into_iter().collect() }, span })
}

fn read_id(node: &Node, out: &Diagnostics) -> Option<Arc<str>> {
    let id = text(node, "an object's id", out)?;
    if is_id(id) {
        return Some(id.into());
    }
    let help = format!("use letters, digits, `.`, `_` and `-`, 1 to {OBJECT_ID_BYTES_MAX} of them");
    out.error(node.span.clone(), format!("`{}` cannot be an object's id", shortened(id)), help);
    None
}

fn is_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=OBJECT_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain)
}

fn read_capability(reader: &mut Reader<'_>) -> Option<CapabilityPart> {
    let out = reader.diagnostics();
    if !reader.has("properties") {
        reader.required("properties");
        return None;
    }
    let mut properties = reader.child("properties", "the property list of a capability")?;
    let builtin = properties.required("image").and_then(|node| read_builtin(node, out));
    let merged = merge_config(&mut properties);
    properties.finish();
    Some(CapabilityPart { builtin: builtin?, properties: merged })
}

fn read_builtin(node: &Node, out: &Diagnostics) -> Option<Builtin> {
    let image = text(node, "`image`", out)?;
    if let Some((_, builtin)) = BUILTINS.iter().find(|(name, _)| *name == image) {
        return Some(*builtin);
    }
    let help = match nearest(image, BUILTINS.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => crate::source::suggestion(image, BUILTINS.iter().map(|(name, _)| *name), "capabilities"),
    };
    out.error(node.span.clone(), format!("there is no capability `{}`", shortened(image)), help);
    None
}

/// The properties of all named configurations as one mapping.
fn merge_config(reader: &mut Reader<'_>) -> Node {
    let out = reader.diagnostics();
    let mut span = reader.place();
    let mut merged: Vec<(abide_core::document::Key, Node)> = Vec::new();
    for item in reader.list("config").unwrap_or_default() {
        let Some(mut config) = Reader::new(item, "a configuration", out) else { continue };
        config.required_text("name");
        span = config.place();
        for (key, value) in config.map("properties").unwrap_or_default() {
            merged.retain(|(k, _)| k.text != key.text);
            merged.push((key.clone(), value.clone()));
        }
        config.finish();
    }
    Node { span, kind: NodeKind::Map(merged) }
}

fn read_traits(reader: &mut Reader<'_>) -> Vec<RawLink> {
    let out = reader.diagnostics();
    let mut links = Vec::new();
    for item in reader.list("traits").unwrap_or_default() {
        let Some(mut of_trait) = Reader::new(item, "a trait", out) else { continue };
        let kind = of_trait.required("type").and_then(|node| Some((text(node, "`type`", out)?, &node.span)));
        match kind {
            Some(("link", _)) => links.extend(read_link(&mut of_trait)),
            Some((other, span)) if nearest(other, ["link"]).is_some() => {
                of_trait.optional("properties");
                out.error(span.clone(), format!("there is no trait `{other}`"), "did you mean `link`?");
            }
            Some((other, span)) => {
                of_trait.optional("properties");
                let message = format!("the trait `{}` is ignored", shortened(other));
                out.warning(span.clone(), message, "one host runs every object of the manifest once");
            }
            None => {
                of_trait.optional("properties");
            }
        }
        of_trait.finish();
    }
    links
}

fn read_link(of_trait: &mut Reader<'_>) -> Option<RawLink> {
    let out = of_trait.diagnostics();
    if !of_trait.has("properties") {
        of_trait.required("properties");
        return None;
    }
    let mut reader = of_trait.child("properties", "a link")?;
    let span = reader.place();
    let mut options = LinkOptions::default();
    options.read(&mut reader);
    let target = reader.required("target").and_then(|node| read_target(node, &mut options, out));
    let namespace = reader.required_text("namespace");
    let package = reader.required_text("package");
    let interfaces = reader.required("interfaces").map(|node| names(node, "interfaces", out));
    // The name tells links of one component apart in wasmCloud; here an effect is routed by its interface.
    reader.text("name");
    if let Some(mut source) = reader.child("source", "the source of a link") {
        read_configs(&mut source, "config", &mut options);
        source.finish();
    }
    read_configs(&mut reader, "source_config", &mut options);
    read_configs(&mut reader, "target_config", &mut options);
    reader.finish();
    let interfaces = interfaces?;
    if interfaces.is_empty() {
        out.error(span, "a link names no interface", "list them, as in `interfaces: [burner]`");
        return None;
    }
    Some(RawLink {
        target: target?,
        namespace: namespace?.to_owned(),
        package: package?.to_owned(),
        interfaces,
        functions: options.functions,
        live_in_replay: options.live_in_replay,
        span,
    })
}

fn read_target(node: &Node, options: &mut LinkOptions, out: &Diagnostics) -> Option<At<String>> {
    if let NodeKind::Str(name) = &node.kind {
        return Some(At { value: name.clone(), span: node.span.clone() });
    }
    let mut reader = Reader::new(node, "the target of a link", out)?;
    let name = reader
        .required("name")
        .and_then(|node| Some(At { value: text(node, "`name`", out)?.to_owned(), span: node.span.clone() }));
    read_configs(&mut reader, "config", options);
    reader.finish();
    name
}

/// What a link says beyond what it joins: in its properties, or in a configuration of either end.
#[derive(Default)]
struct LinkOptions {
    functions: Vec<At<String>>,
    live_in_replay: bool,
}

impl LinkOptions {
    fn read(&mut self, reader: &mut Reader<'_>) {
        let out = reader.diagnostics();
        if let Some(node) = reader.optional("functions") {
            self.functions = names(node, "functions", out);
            if self.functions.is_empty() {
                let help = "list them, or leave `functions` out to grant all of the interface";
                out.error(node.span.clone(), "`functions` grants nothing", help);
            }
        }
        match reader.optional("replay").map(|node| (&node.kind, &node.span)) {
            Some((NodeKind::Str(text), _)) if text == "live" => self.live_in_replay = true,
            Some((NodeKind::Str(text), _)) if text == "simulate" => self.live_in_replay = false,
            Some((_, span)) => {
                let help = "`simulate`, the default, sends nothing in a replay; `live` does";
                out.error(span.clone(), "`replay` of a link must be `simulate` or `live`", help);
            }
            None => {}
        }
    }
}

fn read_configs(reader: &mut Reader<'_>, key: &'static str, options: &mut LinkOptions) {
    let out = reader.diagnostics();
    for item in reader.list(key).unwrap_or_default() {
        let Some(mut config) = Reader::new(item, "a configuration", out) else { continue };
        config.required_text("name");
        if let Some(mut properties) = config.child("properties", "the configuration of a link") {
            options.read(&mut properties);
            properties.finish();
        }
        config.finish();
    }
}

fn names(node: &Node, key: &str, out: &Diagnostics) -> Vec<At<String>> {
    let NodeKind::Seq(items) = &node.kind else {
        let message = format!("`{key}` is {}; it must be a list", node.describe());
        out.error(node.span.clone(), message, "write it as in `[burner]`");
        return Vec::new();
    };
    let read = |item: &Node| {
        let name = text(item, &format!("an item of `{key}`"), out)?;
        Some(At { value: name.to_owned(), span: item.span.clone() })
    };
    items.iter().filter_map(read).collect()
}

pub(super) fn text<'a>(node: &'a Node, what: &str, out: &Diagnostics) -> Option<&'a str> {
    if let NodeKind::Str(text) = &node.kind {
        return Some(text);
    }
    out.error(
        node.span.clone(),
        format!("{what} is {}; it must be a text", node.describe()),
        "put it in quotes",
    );
    None
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
