//! The canonical form: what a schema says, without how it was written, as deterministic CBOR.
//!
//! It is the document again, normalised: references followed, defaults of keywords left out, numbers of the type of
//! their field, durations and times in one spelling, keys sorted. So the loader reads it back, and two layouts of one
//! schema have one form and one digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use minicbor::{Decoder, Encoder};
use sha2::{Digest as _, Sha256};

use super::load::{escaped, load_node};
use super::{
    BehaviourLimits, CallerKind, Cost, Drift, Effect, FORMAT, Invariant, Micro, Migration, Missed,
    MutateStep, Mutation, RETRIES_DEFAULT, Rule, Schema, SpawnStep, Step, TIMEOUT_DEFAULT, Template,
    TextPart, TrustSlope, Until,
};
use crate::codec;
use crate::document::{Diagnostics, Key, Node, NodeKind};
use crate::field::{FieldType, Kind, Slot, StructType, untyped_from_json};
use crate::value::{Value, key_order};

/// Why bytes are not the canonical form of a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// They are not deterministic CBOR.
    #[error("the bytes are no canonical schema: {0}")]
    Encoding(#[from] codec::DecodeError),
    /// They hold a schema that does not load.
    #[error("the bytes hold a schema that does not load: {0}")]
    Schema(String),
    /// They hold a schema, but not in its canonical form.
    #[error("the bytes hold a schema, but not in its canonical form")]
    Form,
}

impl Schema {
    /// Reads a schema back from its canonical form.
    ///
    /// # Errors
    /// When the bytes are anything else.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CanonicalError> {
        let mut decoder = Decoder::new(bytes);
        let document = codec::decode_any(&mut decoder)?;
        codec::end(&decoder)?;
        let out = Diagnostics::default();
        let schema = load_node(&node_of(&document), "", &out);
        match schema {
            Some(schema) if !out.has_errors() && schema.canonical == bytes => Ok(schema),
            Some(_) if !out.has_errors() => Err(CanonicalError::Form),
            _ => {
                let first = out.into_sorted().into_iter().next();
                Err(CanonicalError::Schema(first.map_or_else(String::new, |d| d.message)))
            }
        }
    }

    /// Gives the schema its canonical form and its digest.
    pub(super) fn seal(&mut self) {
        let mut bytes = Vec::new();
        codec::encode_any(&self.document(), &mut Encoder::new(&mut bytes));
        self.digest = Sha256::digest(&bytes).into();
        self.canonical = bytes;
    }

    /// The normalised document.
    pub(super) fn document(&self) -> Value {
        let mut map = Entries::default();
        map.put("schema", FORMAT);
        map.put("name", &*self.name);
        map.put("version", &*self.version);
        map.some("intent", self.intent.as_deref());
        map.filled("context", Entries::of(self.context.iter().map(|(k, v)| (&**k, Value::Str(v.clone())))));
        map.filled("fields", struct_document(&self.memory));
        map.list("invariants", self.invariants.iter().map(invariant));
        map.filled(
            "mutations",
            Entries::of(self.mutations.iter().map(|m| (&*m.name, self.mutation_document(m)))),
        );
        map.list("rules", self.rules.iter().map(|rule| self.rule_document(rule)));
        map.some("safe_state", self.safe_state.as_ref().map(|step| self.mutate(step).done()));
        map.filled("trust_slope", slope(&self.trust_slope, &self.memory));
        map.some("missed", (self.missed == Missed::Skip).then_some("skip"));
        map.filled("behaviour", limits(&self.behaviour));
        map.some("migration", self.migration.as_ref().map(|migration| self.migration_document(migration)));
        map.done()
    }

    fn mutation_document(&self, mutation: &Mutation) -> Value {
        let mut map = Entries::default();
        map.some("description", mutation.description.as_deref());
        let from = CallerKind::ALL.into_iter().filter(|kind| kind.is_in(mutation.from));
        map.list("from", from.map(|kind| kind.name().into()));
        map.filled("args", struct_document(&mutation.args));
        map.some("ignore", mutation.ignore.as_ref().map(|p| p.source()));
        map.some("requires", mutation.requires.as_ref().map(|p| p.source()));
        let name = |slot| self.memory.get(slot).map_or("", |field| &*field.name);
        map.filled("set", Entries::of(mutation.set.iter().map(|(slot, p)| (name(*slot), p.source().into()))));
        match &mutation.cost {
            Cost::Constant(0) => {}
            Cost::Constant(micro) => map.put("cost", amount(*micro)),
            Cost::Expression(program) => map.put("cost", program.source()),
        }
        map.some("effect", mutation.effect.as_ref().map(|effect| self.effect(effect)));
        map.done()
    }

    fn migration_document(&self, migration: &Migration) -> Value {
        let mut map = Entries::default();
        let field = |slot| self.memory.get(slot);
        let name = |slot| field(slot).map_or("", |field| &*field.name);
        map.list("from", migration.from.iter().map(|version| Value::Str(Arc::clone(version))));
        map.filled(
            "rename",
            Entries::of(migration.rename.iter().map(|(was, slot)| (&**was, name(*slot).into()))),
        );
        let default = |(slot, value): &(Slot, Value)| {
            let value = field(*slot).map_or(Value::Null, |field| untyped_from_json(&field.ty.to_json(value)));
            (name(*slot), value)
        };
        map.filled("default", Entries::of(migration.default.iter().map(default)));
        let set = migration.set.iter();
        map.filled(
            "set",
            Entries::of(set.map(|(slot, source)| (name(*slot), Value::Str(Arc::clone(source))))),
        );
        map.list("remove", migration.remove.iter().map(|was| Value::Str(Arc::clone(was))));
        map.done()
    }

    fn effect(&self, effect: &Effect) -> Value {
        let mut map = Entries::default();
        map.put("interface", &*effect.interface);
        map.put("function", &*effect.function);
        map.list("args", effect.args.iter().map(|template| template_document(template, None)));
        map.put("valid_for", &*effect.valid_for.to_string());
        map.some(
            "timeout",
            (effect.timeout != TIMEOUT_DEFAULT).then(|| effect.timeout.to_string()).as_deref(),
        );
        map.some("retries", (effect.retries != RETRIES_DEFAULT).then(|| Value::Int(effect.retries.into())));
        map.some("result", effect.result.map(|ix| self.mutation_name(ix)));
        map.some("error", effect.error.map(|ix| self.mutation_name(ix)));
        map.done()
    }

    fn mutation_name(&self, ix: super::MutationIx) -> &str {
        self.mutations.get(usize::from(ix.0)).map_or("", |mutation| &*mutation.name)
    }

    fn rule_document(&self, rule: &Rule) -> Value {
        let mut map = Entries::default();
        map.put("name", &*rule.name);
        map.some("description", rule.description.as_deref());
        map.some("priority", (rule.priority != 0).then_some(Value::Int(rule.priority)));
        map.put("when", rule.when.source());
        map.some("for", rule.held_for.map(|span| span.to_string()).as_deref());
        map.some("every", rule.every.map(|span| span.to_string()).as_deref());
        map.put("then", self.step(&rule.then));
        map.done()
    }

    fn step(&self, step: &Step) -> Value {
        let one = |key, value: Value| Entries::of([(key, value)]).done();
        match step {
            Step::Mutate(step) => self.mutate(step).done(),
            Step::Spawn(step) => one("spawn", spawn(step)),
            Step::Sleep(Until::Condition(program) | Until::Time(program)) => {
                one("sleep", one("until", program.source().into()))
            }
            Step::Sleep(Until::For(span)) => one("sleep", one("for", span.to_string().as_str().into())),
            Step::Retry => "retry".into(),
            Step::Terminate => "terminate".into(),
            Step::Act(name) => one("act", Value::Str(name.clone())),
        }
    }

    fn mutate(&self, step: &MutateStep) -> Entries {
        let mut map = Entries::default();
        map.put("mutate", self.mutation_name(step.mutation));
        if let Some(mutation) = self.mutations.get(usize::from(step.mutation.0)) {
            let fields = mutation.args.fields.iter().zip(&step.args);
            let given =
                fields.filter_map(|(f, t)| Some((&*f.name, template_document(t.as_ref()?, Some(&f.ty)))));
            map.filled("args", Entries::of(given));
        }
        map
    }
}

fn invariant(invariant: &Invariant) -> Value {
    let mut map = Entries::default();
    map.put("expression", invariant.expression.source());
    map.some("message", invariant.message.as_deref());
    map.done()
}

fn spawn(step: &SpawnStep) -> Value {
    let mut map = Entries::default();
    map.put("schema", &*step.schema);
    map.filled(
        "values",
        Entries::of(step.values.iter().map(|(name, t)| (&**name, template_document(t, None)))),
    );
    map.some("budget", (step.budget != 0).then(|| amount(step.budget)));
    map.some("refill", (step.refill != 0).then(|| amount(step.refill)));
    map.list("links", step.links.iter().map(|link| Value::Str(link.clone())));
    map.done()
}

/// The limits that are not the default.
fn limits(limits: &BehaviourLimits) -> Entries {
    let default = BehaviourLimits::default();
    let mut map = Entries::default();
    for (key, limit, default) in [
        ("fuel", limits.fuel, default.fuel),
        ("memory", limits.memory, default.memory),
        ("tables", limits.tables, default.tables),
        ("output", limits.output, default.output),
        ("log", limits.log, default.log),
    ] {
        // A limit is at most `FUEL_MAX`, which an integer holds.
        let limit = (limit != default).then(|| i64::try_from(limit).unwrap_or(i64::MAX));
        map.some(key, limit.map(Value::Int));
    }
    map
}

fn slope(slope: &TrustSlope, memory: &StructType) -> Entries {
    let mut map = Entries::default();
    map.some("budget", slope.budget.map(amount));
    map.some(
        "refill",
        slope.refill.map(|refill| {
            Entries::of([("amount", amount(refill.amount)), ("per", refill.per.to_string().as_str().into())])
                .done()
        }),
    );
    let one = |drift: &Drift| {
        Entries::of([("from", Value::Num(drift.from)), ("within", Value::Num(drift.within))]).done()
    };
    let name = |drift: &Drift| memory.get(drift.field).map_or("", |field| &*field.name).to_owned();
    map.filled("drift", Entries::of(slope.drift.iter().map(|drift| (name(drift), one(drift)))));
    map.some(
        "quarantine",
        slope.quarantine.map(|quarantine| {
            let denials = Value::Int(quarantine.denials.into());
            Entries::of([("denials", denials), ("within", quarantine.within.to_string().as_str().into())])
                .done()
        }),
    );
    map
}

/// An amount as people write it: an integer where it is whole. Amounts are small enough for a float to be exact.
#[expect(clippy::cast_precision_loss, reason = "amounts stay below 2^53 millionths")]
fn amount(micro: Micro) -> Value {
    match i64::try_from(micro / 1_000_000) {
        Ok(whole) if micro.is_multiple_of(1_000_000) => Value::Int(whole),
        _ => Value::Num(micro as f64 / 1e6),
    }
}

fn template_document(template: &Template, ty: Option<&FieldType>) -> Value {
    match template {
        Template::Value(value) => {
            let json = ty.map_or_else(|| crate::field::untyped_to_json(value), |ty| ty.to_json(value));
            untyped_from_json(&escaped(&json))
        }
        Template::Json(json) => untyped_from_json(&escaped(json)),
        Template::Expression(program) => format!("${{{}}}", program.source()).as_str().into(),
        Template::Text(parts) => {
            let text = parts.iter().map(|part| match part {
                TextPart::Literal(text) => text.replace("${", "$${"),
                TextPart::Expression(program) => format!("${{{}}}", program.source()),
            });
            text.collect::<String>().as_str().into()
        }
        Template::List(items) => {
            let item = match ty.map(|ty| &ty.kind) {
                Some(Kind::Array { items, .. }) => Some(&**items),
                _ => None,
            };
            Value::List(items.iter().map(|template| template_document(template, item)).collect())
        }
        Template::Object(entries) => {
            Entries::of(entries.iter().map(|(key, template)| (&**key, template_document(template, None))))
                .done()
        }
    }
}

fn struct_document(fields: &StructType) -> Entries {
    Entries::of(fields.fields.iter().map(|field| (&*field.name, type_document(&field.ty))))
}

/// A type with its keywords, as a schema writes it.
pub(super) fn type_document(ty: &FieldType) -> Value {
    let mut map = Entries::default();
    map.put("type", ty.type_name());
    map.some("format", ty.format());
    map.some("title", ty.title.as_deref());
    map.some("description", ty.description.as_deref());
    map.some("unit", ty.unit.as_deref());
    map.some("nullable", ty.nullable.then_some(Value::Bool(true)));
    map.some("default", ty.default.as_ref().map(|value| untyped_from_json(&ty.to_json(value))));
    kind_keywords(&ty.kind, &mut map);
    map.done()
}

fn kind_keywords(kind: &Kind, map: &mut Entries) {
    let length = |n: u32| Value::Int(n.into());
    let least = |n: u32| (n > 0).then(|| length(n));
    match kind {
        Kind::Boolean | Kind::DateTime | Kind::Duration => {}
        Kind::Integer { minimum, maximum, multiple_of, one_of } => {
            map.some("minimum", (*minimum != i64::MIN).then_some(Value::Int(*minimum)));
            map.some("maximum", (*maximum != i64::MAX).then_some(Value::Int(*maximum)));
            map.some("multipleOf", multiple_of.map(Value::Int));
            map.list("enum", one_of.iter().map(|n| Value::Int(*n)));
        }
        Kind::Number { minimum, maximum, multiple_of, one_of } => {
            for (bound, inclusive, exclusive) in
                [(minimum, "minimum", "exclusiveMinimum"), (maximum, "maximum", "exclusiveMaximum")]
            {
                if let Some((n, excluded)) = bound {
                    map.put(if *excluded { exclusive } else { inclusive }, Value::Num(*n));
                }
            }
            map.some("multipleOf", multiple_of.map(Value::Num));
            map.list("enum", one_of.iter().map(|n| Value::Num(*n)));
        }
        Kind::String { min_length, max_length, pattern, one_of } => {
            let longest =
                one_of.iter().map(|one| one.chars().count()).max().and_then(|n| u32::try_from(n).ok());
            map.some("minLength", least(*min_length));
            map.some("maxLength", (Some(*max_length) != longest).then(|| length(*max_length)));
            map.some("pattern", pattern.as_ref().map(|p| &*p.source));
            map.list("enum", one_of.iter().map(|text| Value::Str(text.clone())));
        }
        Kind::Bytes { max_length } => map.put("maxLength", length(*max_length)),
        Kind::Array { items, min_items, max_items } => {
            map.put("items", type_document(items));
            map.some("minItems", least(*min_items));
            map.put("maxItems", length(*max_items));
        }
        Kind::Object(object) => {
            map.put("properties", struct_document(object).done());
            map.list(
                "required",
                object.fields.iter().filter(|f| f.required).map(|f| Value::Str(f.name.clone())),
            );
        }
        Kind::Map { values, min_properties, max_properties, .. } => {
            map.put("additionalProperties", type_document(values));
            map.some("minProperties", least(*min_properties));
            map.put("maxProperties", length(*max_properties));
        }
    }
}

/// The entries of a map as they are gathered.
#[derive(Debug, Default)]
struct Entries(BTreeMap<String, Value>);

impl Entries {
    fn of<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn filled(&mut self, key: &str, map: Self) {
        if !map.0.is_empty() {
            self.put(key, map.done());
        }
    }

    fn list(&mut self, key: &str, items: impl Iterator<Item = Value>) {
        let items: Arc<[Value]> = items.collect();
        if !items.is_empty() {
            self.put(key, Value::List(items));
        }
    }

    fn done(self) -> Value {
        let mut entries: Vec<(Arc<str>, Value)> = self.0.into_iter().map(|(k, v)| (k.into(), v)).collect();
        entries.sort_by(|a, b| key_order(&a.0, &b.0));
        Value::Map(entries.into())
    }
}

/// The document of a canonical form, for the loader; it has no places.
fn node_of(value: &Value) -> Node {
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(value) => NodeKind::Bool(*value),
        Value::Int(n) => NodeKind::Int(*n),
        Value::Num(n) => NodeKind::Float(*n),
        Value::Str(text) => NodeKind::Str(text.to_string()),
        Value::List(items) | Value::Struct(items) => NodeKind::Seq(items.iter().map(node_of).collect()),
        Value::Map(entries) => {
            let entry = |(key, value): &(Arc<str>, Value)| {
                (Key { span: 0..0, text: key.to_string() }, node_of(value))
            };
            NodeKind::Map(entries.iter().map(entry).collect())
        }
        // None of these is in a document that came from JSON types; the loader will not take them for texts.
        Value::Bytes(_) | Value::Time(_) | Value::Span(_) => NodeKind::Null,
    };
    Node { span: 0..0, kind }
}
