//! Reading types from a document: every keyword, every bound, every reference.

mod keywords;
mod scalar;

use std::collections::BTreeMap;

use self::keywords::{Kinds, refuse_other_keywords};
use super::{Field, FieldType, Kind, StructType};
use crate::document::{Diagnostics, Key, Node, NodeKind, Reader, nearest};

/// Most named fields, arguments or properties in one place.
pub const FIELDS_MAX: usize = 1_000;
/// Most levels of a type, references followed.
pub const TYPE_DEPTH_MAX: usize = 16;
/// Most types within a schema, references counted as often as they are used.
pub const TYPE_NODES_MAX: usize = 10_000;
/// Most that memory, or the arguments of a mutation, may take: see [`FieldType::size_max`].
pub const MEMORY_BYTES_MAX: u64 = 1 << 20;
/// Most patterns in a schema: each is compiled when it is loaded.
const PATTERNS_MAX: usize = 200;
/// The bound of a map's keys, in characters.
const KEY_LENGTH_MAX: u32 = 64;

/// Reads the types of a schema. References (`$ref: "#/fields/NAME"`) are to the fields that it was made with.
#[derive(Debug)]
pub struct Loader<'a> {
    out: &'a Diagnostics,
    fields: BTreeMap<&'a str, Named<'a>>,
    names: Vec<&'a str>,
    nodes: usize,
    patterns: usize,
}

#[derive(Debug)]
struct Named<'a> {
    key: &'a Key,
    node: &'a Node,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Waiting,
    Loading,
    Done(Option<Loaded>),
}

/// A type, with what it takes of the bounds of a schema.
#[derive(Clone, Debug)]
struct Loaded {
    ty: FieldType,
    nodes: usize,
    height: usize,
}

/// What is within a type.
#[derive(Clone, Copy, Debug, Default)]
struct Below {
    nodes: usize,
    height: usize,
}

/// What a type is of: its words in a message.
#[derive(Clone, Copy, Debug)]
struct Of<'w> {
    what: &'w str,
    depth: usize,
}

impl<'a> Loader<'a> {
    /// A loader whose references go to `fields`.
    #[must_use]
    pub fn new(fields: &'a [(Key, Node)], out: &'a Diagnostics) -> Self {
        let all = fields;
        let fields = fields.iter().take(FIELDS_MAX);
        let named =
            fields.clone().map(|(key, node)| (key.text.as_str(), Named { key, node, state: State::Waiting }));
        let names = fields.map(|(key, _)| key.text.as_str()).collect();
        let loader = Self { out, fields: named.collect(), names, nodes: 0, patterns: 0 };
        loader.refuse_too_many(all, "fields");
        loader
    }

    fn refuse_too_many(&self, entries: &[(Key, Node)], what: &str) {
        if let Some((key, _)) = entries.get(FIELDS_MAX) {
            let message = format!("there are {} {what}; at most {FIELDS_MAX} are allowed", entries.len());
            self.out.error(key.span.clone(), message, "gather them in objects or lists");
        }
    }

    /// The fields of memory. A field that is wrong is left out.
    pub fn memory(&mut self) -> StructType {
        let mut fields = Vec::new();
        for name in self.names.clone() {
            check_name(self.fields.get(name).map(|f| f.key), "field", self.out);
            if let Some(loaded) = self.named(name, 0) {
                let required = loaded.ty.default.is_none() && !loaded.ty.nullable;
                fields.push(Field { name: name.into(), ty: loaded.ty, required });
            }
        }
        let memory = StructType::new(fields);
        if let Some(first) = self.names.first().and_then(|name| self.fields.get(name)) {
            self.check_size(&memory, "memory", first.key);
        }
        memory
    }

    /// The arguments of a mutation. An argument without a default that is not nullable must be given.
    pub fn arguments(&mut self, entries: &'a [(Key, Node)]) -> StructType {
        let mut fields = Vec::new();
        self.refuse_too_many(entries, "arguments");
        for (key, node) in entries.iter().take(FIELDS_MAX) {
            check_name(Some(key), "argument", self.out);
            let what = format!("argument `{}`", key.text);
            if let Some(loaded) = self.typed(Some(key), node, Of { what: &what, depth: 0 }) {
                let required = loaded.ty.default.is_none() && !loaded.ty.nullable;
                fields.push(Field { name: key.text.as_str().into(), ty: loaded.ty, required });
            }
        }
        let arguments = StructType::new(fields);
        if let Some((key, _)) = entries.first() {
            self.check_size(&arguments, "the arguments", key);
        }
        arguments
    }

    fn check_size(&self, fields: &StructType, what: &str, at: &Key) {
        if fields.size_max() <= MEMORY_BYTES_MAX {
            return;
        }
        let largest = fields.fields.iter().max_by_key(|f| f.ty.size_max()).map_or("", |f| &*f.name);
        let message =
            format!("{what} may take {} bytes; at most {MEMORY_BYTES_MAX} are allowed", fields.size_max());
        self.out.error(at.span.clone(), message, format!("lower the bounds; `{largest}` takes the most"));
    }

    /// The type of a named field, read when it is first asked for.
    fn named(&mut self, name: &str, depth: usize) -> Option<Loaded> {
        let (name, named) = self.fields.get_key_value(name).map(|(name, named)| (*name, named))?;
        let (key, node) = (named.key, named.node);
        match &named.state {
            State::Done(loaded) => return loaded.clone(),
            State::Loading => {
                let message = format!("field `{name}` refers to itself");
                self.out.error(key.span.clone(), message, "write its type out");
                return None;
            }
            State::Waiting => {}
        }
        self.set_state(name, State::Loading);
        let what = format!("field `{name}`");
        let loaded = self.typed(Some(key), node, Of { what: &what, depth });
        self.set_state(name, State::Done(loaded.clone()));
        loaded
    }

    fn set_state(&mut self, name: &str, state: State) {
        if let Some(named) = self.fields.get_mut(name) {
            named.state = state;
        }
    }

    fn typed(&mut self, key: Option<&'a Key>, node: &'a Node, of: Of<'_>) -> Option<Loaded> {
        let mut reader = Reader::new(node, of.what, self.out)?;
        if let Some(key) = key {
            reader = reader.at(key.span.clone());
        }
        if of.depth > TYPE_DEPTH_MAX {
            return self.too_deep(reader.place());
        }
        let place = reader.place();
        if reader.has("$ref") { self.reference(reader, of) } else { self.written(reader, of) }
            .and_then(|loaded| self.within_bounds(loaded, place))
    }

    fn within_bounds(&self, loaded: Loaded, place: std::ops::Range<usize>) -> Option<Loaded> {
        if loaded.height > TYPE_DEPTH_MAX {
            return self.too_deep(place);
        }
        if self.nodes > TYPE_NODES_MAX {
            let message =
                format!("the schema has more than {TYPE_NODES_MAX} types, references counted each time");
            self.out.error(place, message, "split it, or refer less");
            return None;
        }
        Some(loaded)
    }

    fn too_deep<T>(&self, place: std::ops::Range<usize>) -> Option<T> {
        let message = format!("types are nested more than {TYPE_DEPTH_MAX} deep, references followed");
        self.out.error(place, message, "flatten them");
        None
    }

    /// `$ref` takes the type of a field, its bounds, unit and words; not its default, which says what memory starts with.
    fn reference(&mut self, mut reader: Reader<'a>, of: Of<'_>) -> Option<Loaded> {
        let node = reader.optional("$ref")?;
        let target = reader.text("$ref");
        let name = target.and_then(|target| target.strip_prefix("#/fields/"));
        if target.is_some() && name.is_none() {
            let message = format!("`{}` is no reference to a field", target.unwrap_or_default());
            self.out.error(node.span.clone(), message, "write `$ref: \"#/fields/NAME\"`");
        }
        let found = name.and_then(|name| {
            if !self.fields.contains_key(name) {
                let help = match nearest(name, self.names.iter().copied()) {
                    Some(near) => format!("did you mean `#/fields/{near}`?"),
                    None => "name a field of `fields`".to_owned(),
                };
                self.out.error(node.span.clone(), format!("there is no field `{name}`"), help);
                return None;
            }
            self.named(name, of.depth + 1)
        });
        let mut loaded = found?;
        self.nodes = self.nodes.saturating_add(loaded.nodes);
        loaded.ty.default = None;
        if let Some(nullable) = reader.boolean("nullable") {
            loaded.ty.nullable = nullable;
        }
        self.about(&mut reader, &mut loaded.ty);
        self.default(&mut reader, &mut loaded.ty, of);
        refuse_other_keywords(&mut reader, None);
        reader.finish();
        Some(loaded)
    }

    fn written(&mut self, mut reader: Reader<'a>, of: Of<'_>) -> Option<Loaded> {
        let kinds = self.kind_named(&mut reader, of)?;
        let nullable = reader.boolean("nullable").unwrap_or(false);
        self.nodes = self.nodes.saturating_add(1);
        let scalar = |kind: Kind| (kind, Below::default());
        let built = match kinds {
            Kinds::Boolean => Some(scalar(Kind::Boolean)),
            Kinds::Integer => scalar::integer(&mut reader, nullable).map(scalar),
            Kinds::Number => scalar::number(&mut reader, nullable).map(scalar),
            Kinds::String => self.string(&mut reader, nullable, of).map(scalar),
            Kinds::Array => self.array(&mut reader, of),
            Kinds::Object => self.object(&mut reader, of),
        };
        let unit = match kinds {
            Kinds::Integer | Kinds::Number => scalar::unit(&mut reader),
            _ => None,
        };
        let mut ty =
            built.as_ref().map(|(kind, _)| FieldType { nullable, unit, ..FieldType::of(kind.clone()) });
        let mut nothing = FieldType::of(Kind::Boolean);
        self.about(&mut reader, ty.as_mut().unwrap_or(&mut nothing));
        match &mut ty {
            Some(ty) => self.default(&mut reader, ty, of),
            None => drop(reader.optional("default")),
        }
        refuse_other_keywords(&mut reader, Some(kinds));
        reader.finish();
        let (_, below) = built?;
        Some(Loaded { ty: ty?, nodes: below.nodes + 1, height: below.height + 1 })
    }

    fn kind_named(&self, reader: &mut Reader<'a>, of: Of<'_>) -> Option<Kinds> {
        let Some(node) = reader.optional("type") else {
            let message = format!("{} has no `type`", of.what);
            self.out.error(reader.place(), message, format!("add `type:` with one of {}", Kinds::listed()));
            return None;
        };
        if let NodeKind::Seq(_) = node.kind {
            let help = "write one type, and `nullable: true` where null is a value";
            self.out.error(node.span.clone(), "`type` is a list; it must be a text", help);
            return None;
        }
        let name = reader.text("type")?;
        let found = Kinds::ALL.into_iter().find(|kind| kind.name() == name);
        if found.is_none() {
            let help = match nearest(name, Kinds::ALL.map(Kinds::name)).or(Kinds::by_another_name(name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the types are {}", Kinds::listed()),
            };
            self.out.error(node.span.clone(), format!("`{name}` is no type"), help);
        }
        found
    }

    fn about(&self, reader: &mut Reader<'a>, ty: &mut FieldType) {
        if let Some(title) = reader.text("title") {
            ty.title = Some(title.into());
        }
        if let Some(description) = reader.text("description") {
            ty.description = Some(description.into());
        }
    }

    fn default(&self, reader: &mut Reader<'a>, ty: &mut FieldType, of: Of<'_>) {
        let Some(node) = reader.optional("default") else { return };
        if node.kind == NodeKind::Null && ty.nullable {
            return;
        }
        let checked = ty.value_from_json(&node.to_json()).and_then(|value| {
            let value = ty.normalize(value);
            ty.check(&value).map(|()| value)
        });
        match checked {
            Ok(value) => ty.default = Some(value),
            Err(wrong) => {
                let path =
                    if wrong.path.is_empty() { String::new() } else { format!(" at `{}`", wrong.path) };
                let message = format!("the default of {}{path}: {}", of.what, wrong.message);
                let help = if wrong.keyword == "type" {
                    "write a value of its type"
                } else {
                    "change the default or the bound"
                };
                self.out.error(node.span.clone(), message, help);
            }
        }
    }

    fn string(&mut self, reader: &mut Reader<'a>, nullable: bool, of: Of<'_>) -> Option<Kind> {
        let format = reader.optional("format").map(|node| (node, reader.text("format")));
        match format {
            None => {
                if reader.has("pattern") {
                    self.patterns += 1;
                    if self.patterns > PATTERNS_MAX {
                        let message = format!("the schema has more than {PATTERNS_MAX} patterns");
                        self.out.error(
                            reader.place(),
                            message,
                            "refer to a field that has the pattern (`$ref`)",
                        );
                        return None;
                    }
                }
                scalar::string(reader, nullable, of.what)
            }
            Some((_, Some("date-time"))) => Some(Kind::DateTime),
            Some((_, Some("duration"))) => Some(Kind::Duration),
            Some((_, Some("byte"))) => {
                let max_length = scalar::length(reader, "maxLength").or_else(|| {
                    self.unbounded(reader, of, "maxLength", "the most bytes it may hold, decoded")
                })?;
                Some(Kind::Bytes { max_length })
            }
            Some((node, Some(other))) => {
                let near = nearest(other, ["date-time", "duration", "byte"]);
                let help = near.map_or_else(
                    || {
                        "the formats are `date-time`, `duration` and `byte`; leave it out for any other text"
                            .to_owned()
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                self.out.error(node.span.clone(), format!("the format `{other}` is not known"), help);
                None
            }
            Some((_, None)) => None,
        }
    }

    fn array(&mut self, reader: &mut Reader<'a>, of: Of<'_>) -> Option<(Kind, Below)> {
        let min_items = scalar::length(reader, "minItems").unwrap_or(0);
        let max_items = scalar::length(reader, "maxItems")
            .or_else(|| self.unbounded(reader, of, "maxItems", "the most items it may hold"));
        let what = format!("the items of {}", of.what);
        let items = reader
            .entry("items")
            .map(|(key, node)| self.typed(Some(key), node, Of { what: &what, depth: of.depth + 1 }));
        if items.is_none() {
            let message = format!("{} has no `items`", of.what);
            self.out.error(reader.place(), message, "add `items` with the type of every item");
        }
        let (items, max_items) = (items??, max_items?);
        scalar::ordered(reader, ("minItems", min_items), ("maxItems", max_items))?;
        Some((
            Kind::Array { items: Box::new(items.ty), min_items, max_items },
            Below { nodes: items.nodes, height: items.height },
        ))
    }

    fn object(&mut self, reader: &mut Reader<'a>, of: Of<'_>) -> Option<(Kind, Below)> {
        match (reader.has("properties"), reader.has("additionalProperties")) {
            (true, true) => {
                let message = format!("{} has both `properties` and `additionalProperties`", of.what);
                let help =
                    "keep `properties` for known names, or `additionalProperties` for a map of any names";
                self.out.error(reader.place(), message, help);
                reader.optional("properties");
                reader.optional("additionalProperties");
                None
            }
            (false, true) => self.map(reader, of),
            (true, false) => self.structure(reader, of),
            (false, false) => {
                let message = format!("{} is an object without `properties`", of.what);
                let help =
                    "add `properties` for known names, or `additionalProperties` for a map of any names";
                self.out.error(reader.place(), message, help);
                None
            }
        }
    }

    fn map(&mut self, reader: &mut Reader<'a>, of: Of<'_>) -> Option<(Kind, Below)> {
        let min_properties = scalar::length(reader, "minProperties").unwrap_or(0);
        let max_properties = scalar::length(reader, "maxProperties")
            .or_else(|| self.unbounded(reader, of, "maxProperties", "the most entries it may hold"));
        let what = format!("the values of {}", of.what);
        let (key, node) = reader.entry("additionalProperties")?;
        if let NodeKind::Bool(_) = node.kind {
            let help = "write the type of every value: `additionalProperties: { type: … }`";
            self.out.error(node.span.clone(), "`additionalProperties` is a boolean; it must be a type", help);
            return None;
        }
        let values = self.typed(Some(key), node, Of { what: &what, depth: of.depth + 1 });
        let (values, max_properties) = (values?, max_properties?);
        scalar::ordered(reader, ("minProperties", min_properties), ("maxProperties", max_properties))?;
        let kind = Kind::Map {
            values: Box::new(values.ty),
            min_properties,
            max_properties,
            max_key_length: KEY_LENGTH_MAX,
        };
        Some((kind, Below { nodes: values.nodes, height: values.height }))
    }

    fn structure(&mut self, reader: &mut Reader<'a>, of: Of<'_>) -> Option<(Kind, Below)> {
        let entries = reader.map("properties")?;
        let required = self.required(reader, entries);
        let mut fields = Vec::new();
        let mut below = Below::default();
        self.refuse_too_many(entries, "properties");
        for (key, node) in entries.iter().take(FIELDS_MAX) {
            check_name(Some(key), "property", self.out);
            let what = format!("property `{}` of {}", key.text, of.what);
            if let Some(loaded) = self.typed(Some(key), node, Of { what: &what, depth: of.depth + 1 }) {
                let required = required.contains(&key.text.as_str())
                    && loaded.ty.default.is_none()
                    && !loaded.ty.nullable;
                fields.push(Field { name: key.text.as_str().into(), ty: loaded.ty, required });
                below.nodes += loaded.nodes;
                below.height = below.height.max(loaded.height);
            }
        }
        (fields.len() == entries.len()).then(|| (Kind::Object(StructType::new(fields).into()), below))
    }

    fn required(&self, reader: &mut Reader<'a>, entries: &[(Key, Node)]) -> Vec<&'a str> {
        let mut required = Vec::new();
        for node in reader.list("required").unwrap_or_default() {
            let NodeKind::Str(name) = &node.kind else {
                let message = format!("an item of `required` is {}; it must be a text", node.describe());
                self.out.error(node.span.clone(), message, "write the name of a property");
                continue;
            };
            if !entries.iter().any(|(key, _)| key.text == *name) {
                let help = match nearest(name, entries.iter().map(|(key, _)| key.text.as_str())) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add it to `properties`".to_owned(),
                };
                self.out.error(node.span.clone(), format!("there is no property `{name}`"), help);
            } else if required.contains(&name.as_str()) {
                self.out.error(node.span.clone(), format!("`{name}` is here twice"), "keep one of the two");
            }
            required.push(name.as_str());
        }
        required
    }

    fn unbounded<T>(&self, reader: &Reader<'a>, of: Of<'_>, keyword: &str, meaning: &str) -> Option<T> {
        // A bound that is there and wrong has been reported already.
        if !reader.has(keyword) {
            let message = format!("nothing bounds {}", of.what);
            self.out.error(reader.place(), message, format!("add `{keyword}`, {meaning}"));
        }
        None
    }
}

/// Names that expressions can mention: `[a-z][a-z0-9_]*`, at most 64 bytes.
fn check_name(key: Option<&Key>, what: &str, out: &Diagnostics) {
    let Some(key) = key else { return };
    let mut bytes = key.text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !(first && rest && key.text.len() <= 64) {
        let message = format!("`{}` is no name of {}", key.text, super::article(what));
        out.error(
            key.span.clone(),
            message,
            "begin with a-z and go on with a-z, 0-9 and _, 64 characters at most",
        );
    }
}
