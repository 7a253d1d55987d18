//! Components and traits as they are written, before links join them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_core::document::{Diagnostics, Node, NodeKind, Reader, nearest};
use abide_core::schema::Schema;

use abide_wasm::provider::Builtin as Provided;

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
            _ => None,
        }
    }
}

pub(super) enum ComponentKind {
    Object(ObjectPart),
    Capability(CapabilityPart),
    /// A capability that components have from a builtin provider.
    Provider(ProviderPart),
    /// A component that effects, messages or other components call.
    Component(ComponentPart),
}

/// What a builtin provider holds.
pub(super) struct ProviderPart {
    pub(super) builtin: Provided,
    pub(super) reference: String,
    pub(super) config: Vec<NamedConfig>,
}

/// What a component of type `component` holds.
pub(super) struct ComponentPart {
    /// `file://` and a path, or a reference of a registry.
    pub(super) image: String,
    pub(super) span: Range<usize>,
    pub(super) config: Vec<NamedConfig>,
    pub(super) instances: Option<u32>,
    /// Whether a scaler says how many of it there are.
    pub(super) is_scaled: bool,
}

/// A configuration with a name, as it is written.
pub(super) struct NamedConfig {
    pub(super) name: At<String>,
    pub(super) properties: Option<Node>,
    pub(super) span: Range<usize>,
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
    /// As what a provider it is to components, where it can be one too.
    pub(super) provided: Option<ProviderPart>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Csv,
    JsonLines,
    Exec,
    Http,
    KeyValue,
    Messaging,
}

/// A link as it is written.
pub(super) struct RawLink {
    pub(super) target: At<String>,
    pub(super) namespace: String,
    pub(super) package: String,
    pub(super) interfaces: Vec<At<String>>,
    pub(super) functions: Vec<At<String>>,
    pub(super) live_in_replay: bool,
    pub(super) name: String,
    pub(super) source_config: Vec<NamedConfig>,
    pub(super) target_config: Vec<NamedConfig>,
    pub(super) span: Range<usize>,
}

impl RawLink {
    /// Reports what its configurations say that means nothing to a source or an effect.
    pub(super) fn check_options(&self, out: &Diagnostics) {
        let configs = self.source_config.iter().chain(&self.target_config);
        for properties in configs.filter_map(|config| config.properties.as_ref()) {
            if let Some(mut reader) = Reader::new(properties, "the configuration of a link", out) {
                LinkOptions::default().read(&mut reader);
                reader.finish();
            }
        }
    }
}

const BUILTINS: [(&str, Builtin); 6] = [
    ("abide+builtin://csv", Builtin::Csv),
    ("abide+builtin://jsonl", Builtin::JsonLines),
    ("abide+builtin://exec", Builtin::Exec),
    ("abide+builtin://http", Builtin::Http),
    ("abide+builtin://keyvalue", Builtin::KeyValue),
    ("abide+builtin://messaging", Builtin::Messaging),
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
    let Traits { links, instances, scaler } = read_traits(&mut reader);
    let kind = kind.and_then(|kind| match text(kind, "`type`", out)? {
        "object" => read_object(&mut reader, schemas).map(ComponentKind::Object),
        "capability" => read_capability(&mut reader),
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
    let mut kind = kind?;
    match (&mut kind, scaler) {
        (ComponentKind::Component(part), scaler) => {
            (part.instances, part.is_scaled) = (instances, scaler.is_some());
        }
        (ComponentKind::Object(_), Some((scaler, span))) => ignored(&scaler, &span, out),
        _ => {}
    }
    Some(Component { name: name?, kind, links })
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
    let place = properties.place();
    let merged = merged(&read_named_configs(properties, "config"), place);
    let config = texts(&merged, out);
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

fn read_component(reader: &mut Reader<'_>, schemas: &Schemas<'_>) -> Option<ComponentPart> {
    let out = reader.diagnostics();
    if !reader.has("properties") {
        reader.required("properties");
        return None;
    }
    let mut properties = reader.child("properties", "the property list of a component")?;
    let image = properties.required("image").and_then(|node| {
        let written = text(node, "`image`", out)?;
        Some((read_image(written, &node.span, schemas, out)?, node.span.clone()))
    });
    // In wasmCloud it tells components of several applications apart.
    properties.text("id");
    if let Some(node) = properties.optional("secrets") {
        out.error(
            node.span.clone(),
            "this host keeps no secrets yet",
            "give it named configuration with `config`",
        );
    }
    let config = read_named_configs(&mut properties, "config");
    properties.finish();
    let (image, span) = image?;
    Some(ComponentPart { image, span, config, instances: None, is_scaled: false })
}

/// `file://` and the path, or a reference of a registry as it is written.
fn read_image(
    written: &str,
    span: &Range<usize>,
    schemas: &Schemas<'_>,
    out: &Diagnostics,
) -> Option<String> {
    let is_path = written.starts_with(['.', '/'])
        || Path::new(written).extension().is_some_and(|extension| extension == "wasm");
    if written.starts_with("file://") || is_path || written.is_empty() {
        return Some(format!("file://{}", schemas.path(written, span, out)?.display()));
    }
    if written.contains("://") && !written.starts_with("oci://") {
        let message = format!("`{}` is no image", shortened(written));
        out.error(span.clone(), message, "write `file://./component.wasm`, or `registry.example/name:1.0.0`");
        return None;
    }
    Some(written.to_owned())
}

/// The file that an image is, for effects: they call what is beside the manifest.
pub(super) fn called(part: &ComponentPart, out: &Diagnostics) -> Option<BehaviourSpec> {
    let Some(image) = part.image.strip_prefix("file://") else {
        let message = format!("effects cannot call `{}`: it is no file", shortened(&part.image));
        out.error(part.span.clone(), message, "write a path, as in `file://./component.wasm`");
        return None;
    };
    let config = texts(&merged(&part.config, part.span.clone()), out);
    Some(BehaviourSpec { image: image.into(), config, span: part.span.clone() })
}

/// The entries of a mapping, which are texts.
pub(super) fn texts(mapping: &Node, out: &Diagnostics) -> BTreeMap<String, String> {
    // What is no mapping was reported when it was read.
    let NodeKind::Map(entries) = &mapping.kind else { return BTreeMap::new() };
    let one = |(key, node): &(abide_core::document::Key, Node)| {
        Some((key.text.clone(), text(node, &format!("`{}`", key.text), out)?.to_owned()))
    };
    entries.iter().filter_map(one).collect()
}

fn read_named_configs(reader: &mut Reader<'_>, key: &'static str) -> Vec<NamedConfig> {
    let out = reader.diagnostics();
    let mut configs = Vec::new();
    for item in reader.list(key).unwrap_or_default() {
        let Some(mut config) = Reader::new(item, "a configuration", out) else { continue };
        let name = config.required("name").and_then(|node| {
            Some(At { value: text(node, "`name`", out)?.to_owned(), span: node.span.clone() })
        });
        // It has to be a mapping, which is read later.
        config.map("properties");
        let properties = config.optional("properties").cloned();
        let span = config.place();
        config.finish();
        configs.extend(name.map(|name| NamedConfig { name, properties, span }));
    }
    configs
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

fn read_capability(reader: &mut Reader<'_>) -> Option<ComponentKind> {
    let out = reader.diagnostics();
    if !reader.has("properties") {
        reader.required("properties");
        return None;
    }
    let mut properties = reader.child("properties", "the property list of a capability")?;
    let place = properties.place();
    let image = properties.required("image").and_then(|node| Some((text(node, "`image`", out)?, &node.span)));
    properties.text("id");
    let config = read_named_configs(&mut properties, "config");
    let merged = merged(&config, place);
    properties.finish();
    let (image, span) = image?;
    let builtin = BUILTINS.iter().find(|(name, _)| *name == image).map(|(_, builtin)| *builtin);
    let provided = Provided::from_ref(image).ok().map(|builtin| ProviderPart {
        builtin,
        reference: image.to_owned(),
        config,
    });
    match (builtin, provided) {
        (Some(builtin), provided) => {
            Some(ComponentKind::Capability(CapabilityPart { builtin, properties: merged, provided }))
        }
        (None, Some(provided)) => {
            if Provided::stands_for(image).is_some() {
                let message =
                    format!("`{image}` is a program, and the builtin `{}` stands for it", provided.builtin);
                let mut help = format!("write `abide+builtin://{}`", provided.builtin);
                if Provided::is_of_nats(image) {
                    help.push_str(", with `backend: nats` for values that are in NATS");
                }
                out.warning(span.clone(), message, help);
            }
            Some(ComponentKind::Provider(provided))
        }
        (None, None) => {
            let mut known: Vec<String> = BUILTINS.iter().map(|(name, _)| (*name).to_owned()).collect();
            known.extend(
                Provided::ALL
                    .map(Provided::reference)
                    .into_iter()
                    .filter(|name| !known.contains(name))
                    .collect::<Vec<_>>(),
            );
            let known = known.iter().map(String::as_str);
            let help = match nearest(image, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => crate::source::suggestion(image, known, "capabilities"),
            };
            out.error(span.clone(), format!("there is no capability `{}`", shortened(image)), help);
            None
        }
    }
}

/// The properties of all named configurations as one mapping: what comes later counts.
fn merged(configs: &[NamedConfig], place: Range<usize>) -> Node {
    let mut span = place;
    let mut merged: Vec<(abide_core::document::Key, Node)> = Vec::new();
    for config in configs {
        span = config.span.clone();
        let Some(Node { kind: NodeKind::Map(entries), .. }) = &config.properties else { continue };
        for (key, value) in entries {
            merged.retain(|(k, _)| k.text != key.text);
            merged.push((key.clone(), value.clone()));
        }
    }
    Node { span, kind: NodeKind::Map(merged) }
}

fn ignored(kind: &str, span: &Range<usize>, out: &Diagnostics) {
    let message = format!("the trait `{}` is ignored", shortened(kind));
    out.warning(span.clone(), message, "one host runs every object of the manifest once");
}

/// What the traits of a component say.
#[derive(Default)]
struct Traits {
    links: Vec<RawLink>,
    instances: Option<u32>,
    /// Where a scaler stands.
    scaler: Option<(String, Range<usize>)>,
}

/// How many of a component there are, on one host.
fn read_scaler(of_trait: &mut Reader<'_>, traits: &mut Traits) {
    let out = of_trait.diagnostics();
    let Some(mut properties) = of_trait.child("properties", "the properties of a scaler") else { return };
    let place = properties.place();
    let instances = match properties.integer("instances") {
        Some(instances) => Some(instances),
        None => properties.integer("replicas"),
    };
    // Where the others of a lattice run.
    properties.optional("spread");
    properties.finish();
    match instances.map(u32::try_from) {
        Some(Ok(instances)) => traits.instances = Some(instances),
        Some(Err(_)) => {
            out.error(place, "`instances` is out of bounds", "write a number from 0 to 4294967295");
        }
        None => {}
    }
}

fn read_traits(reader: &mut Reader<'_>) -> Traits {
    let out = reader.diagnostics();
    let mut traits = Traits::default();
    for item in reader.list("traits").unwrap_or_default() {
        let Some(mut of_trait) = Reader::new(item, "a trait", out) else { continue };
        let kind = of_trait.required("type").and_then(|node| Some((text(node, "`type`", out)?, &node.span)));
        match kind {
            Some(("link", _)) => traits.links.extend(read_link(&mut of_trait)),
            Some((scaler @ ("spreadscaler" | "daemonscaler"), span)) => {
                traits.scaler = Some((scaler.to_owned(), span.clone()));
                read_scaler(&mut of_trait, &mut traits);
            }
            Some((other, span)) if nearest(other, ["link"]).is_some() => {
                of_trait.optional("properties");
                out.error(span.clone(), format!("there is no trait `{other}`"), "did you mean `link`?");
            }
            Some((other, span)) => {
                of_trait.optional("properties");
                ignored(other, span, out);
            }
            None => {
                of_trait.optional("properties");
            }
        }
        of_trait.finish();
    }
    traits
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
    let mut target_config = Vec::new();
    let target = reader.required("target").and_then(|node| read_target(node, &mut target_config, out));
    let namespace = reader.required_text("namespace");
    let package = reader.required_text("package");
    let interfaces = reader.required("interfaces").map(|node| names(node, "interfaces", out));
    // It tells links of one component apart; an effect is routed by its interface.
    let name = reader.text("name").unwrap_or("default").to_owned();
    let mut source_config = Vec::new();
    if let Some(mut source) = reader.child("source", "the source of a link") {
        source_config = read_named_configs(&mut source, "config");
        source.finish();
    }
    source_config.extend(read_named_configs(&mut reader, "source_config"));
    target_config.extend(read_named_configs(&mut reader, "target_config"));
    reader.finish();
    // What they say wrong is said by `check_options`, of links that it means something to.
    let quiet = Diagnostics::default();
    for properties in
        source_config.iter().chain(&target_config).filter_map(|config| config.properties.as_ref())
    {
        if let Some(mut reader) = Reader::new(properties, "", &quiet) {
            options.read(&mut reader);
        }
    }
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
        name,
        source_config,
        target_config,
        span,
    })
}

fn read_target(node: &Node, configs: &mut Vec<NamedConfig>, out: &Diagnostics) -> Option<At<String>> {
    if let NodeKind::Str(name) = &node.kind {
        return Some(At { value: name.clone(), span: node.span.clone() });
    }
    let mut reader = Reader::new(node, "the target of a link", out)?;
    let name = reader
        .required("name")
        .and_then(|node| Some(At { value: text(node, "`name`", out)?.to_owned(), span: node.span.clone() }));
    configs.extend(read_named_configs(&mut reader, "config"));
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
