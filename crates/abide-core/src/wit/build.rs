//! From a schema to its world.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::name::{Scope, kebab};
use super::text::reference;
use super::{Action, EnumCase, EnumType, MutationCase, RecordField, RecordType, Type, World, words};
use crate::field::{Field, FieldType, Kind, StructType};
use crate::schema::{CallerKind, MutationIx, Schema, Step};

/// Names in `types` that stand for themselves, and names that code generated from it would shadow to its own harm: the
/// generators write `Option`, `List` and the like without saying whose they are. `self` cannot name a type of Rust.
#[rustfmt::skip]
const TYPE_NAMES: [&str; 35] = [
    "cycle", "duration", "log", "memory", "mutation", "spawn", "step", "timestamp", "wake",
    "any", "array", "enum", "err", "flag", "generic", "guest", "list", "none", "ok", "option", "optional", "protocol",
    "result", "self", "some", "string", "tuple", "type-var", "union",
    // What a behaviour in Rust has in scope beside its types.
    "actions", "behaviour", "box", "default", "from", "vec",
];
/// What cannot name a case: Rust writes it `Self`.
const CASE_NAMES: [&str; 1] = ["self"];
/// What the world uses, and the linear memory, which a module exports beside its functions.
/// And what a compiler calls by its name in the same module: a function of a program that is called so would take its place.
#[rustfmt::skip]
const EXPORT_NAMES: [&str; 57] = [
    "cycle", "memory", "step", "gen",
    "acos", "acosf", "asin", "asinf", "atan", "atan2", "atan2f", "atanf", "cbrt", "cbrtf", "ceil", "ceilf", "cos", "cosf", "cosh",
    "coshf", "exp", "exp2", "exp2f", "expf", "expm1", "expm1f", "fabs", "floor", "floorf", "fma", "fmaf", "fmax", "fmin", "fmod",
    "fmodf", "hypot", "hypotf", "log", "log10", "log1p", "log2", "logf", "memcmp", "memcpy", "memmove", "memset", "pow", "powf",
    "rint", "round", "roundf", "sin", "sinf", "sqrt", "tan", "tanh", "trunc",
];
/// What cannot name a field: a keyword of Rust that its bindings do not know yet.
const FIELD_NAMES: [&str; 1] = ["gen"];

impl World {
    /// The world of a schema. Every schema has one; without rules that act, it exports nothing.
    #[must_use]
    pub fn of(schema: &Schema) -> Self {
        let mut builder =
            Builder { names: Scope::without(&TYPE_NAMES), known: BTreeMap::new(), types: Vec::new() };
        let memory = if schema.memory.fields.is_empty() {
            Type::Nothing("memory".into())
        } else {
            let name = |field: &Field| kebab(&field.name);
            // A type within a field may be that of another field, which is to name it: so what is flatter comes first.
            let mut flat_first: Vec<&Field> = schema.memory.fields.iter().collect();
            flat_first.sort_by_key(|field| height(&field.ty));
            for field in flat_first {
                builder.bare(&field.ty, &name(field));
            }
            let fields = builder.fields(&schema.memory, &name, |field| field.ty.nullable, words::of_field);
            let docs = "What the object keeps, as it stands before the act; complete, and within its bounds."
                .to_owned();
            Type::Record(Arc::new(RecordType { name: "memory".into(), fields, docs }))
        };
        let mutations = builder.mutations(schema);
        Self {
            package: format!("schema:{}@{}", super::text::escaped(&kebab(&schema.name)), schema.version),
            types: builder.types,
            memory,
            mutations,
            actions: actions(schema),
            docs: words::of_schema(schema),
        }
    }
}

/// How many types are within each other.
fn height(ty: &FieldType) -> usize {
    match &ty.kind {
        Kind::Array { items: inner, .. } | Kind::Map { values: inner, .. } => 1 + height(inner),
        Kind::Object(object) => 1 + object.fields.iter().map(|field| height(&field.ty)).max().unwrap_or(0),
        _ => 0,
    }
}

fn actions(schema: &Schema) -> Vec<Action> {
    let actions = schema.actions();
    let exports = Scope::name_all(actions.iter().map(|(_, name)| &***name), &EXPORT_NAMES);
    let named = actions.iter().zip(exports);
    named
        .map(|((_, name), export)| {
            let rules =
                schema.rules.iter().filter(|rule| matches!(&rule.then, Step::Act(act) if act == *name));
            Action { name: Arc::clone(name), export, docs: words::of_action(rules) }
        })
        .collect()
}

/// What makes two named types one: the texts of an enum, or the properties of an object with what their types are called and
/// what their comments say, since those tell units and bounds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Enum(Vec<Arc<str>>),
    Object(Vec<(Arc<str>, String, String)>),
}

#[derive(Debug)]
struct Builder {
    names: Scope,
    known: BTreeMap<Shape, Type>,
    types: Vec<Type>,
}

impl Builder {
    fn mutations(&mut self, schema: &Schema) -> Vec<MutationCase> {
        let open: Vec<_> = (0..)
            .map(MutationIx)
            .zip(&schema.mutations)
            .filter(|(_, mutation)| CallerKind::Behaviour.is_in(mutation.from))
            .collect();
        let cases = Scope::name_all(open.iter().map(|(_, mutation)| &*mutation.name), &CASE_NAMES);
        let mut made = Vec::new();
        for ((ix, mutation), name) in open.into_iter().zip(cases) {
            let args = (!mutation.args.fields.is_empty()).then(|| {
                let record: Arc<str> = self.names.give(format!("{name}-args")).into();
                let base = |field: &Field| format!("{name}-{}", kebab(&field.name));
                let fields = self.fields(&mutation.args, &base, |field| !field.required, words::of_argument);
                let docs = format!("The arguments of `{}`.", mutation.name);
                Arc::new(RecordType { name: record, fields, docs })
            });
            made.push(MutationCase { ix, name, args, docs: words::of_mutation(schema, mutation) });
        }
        made
    }

    /// The fields of a record. `base` names the type of a field, if it needs a name; `is_optional` says whether a field
    /// is an option.
    fn fields(
        &mut self,
        fields: &StructType,
        base: &dyn Fn(&Field) -> String,
        is_optional: fn(&Field) -> bool,
        docs: fn(&Field) -> String,
    ) -> Vec<RecordField> {
        let names = Scope::name_all(fields.fields.iter().map(|field| &*field.name), &FIELD_NAMES);
        let named = fields.fields.iter().zip(names);
        named
            .map(|(field, name)| {
                let ty = self.bare(&field.ty, &base(field));
                let ty = if is_optional(field) { Type::Option(Box::new(ty)) } else { ty };
                RecordField { name, of: Arc::clone(&field.name), ty, docs: docs(field) }
            })
            .collect()
    }

    /// The type of an item or of a map's value.
    fn element(&mut self, ty: &FieldType, base: &str) -> Box<Type> {
        let bare = self.bare(ty, base);
        Box::new(if ty.nullable { Type::Option(Box::new(bare)) } else { bare })
    }

    /// A type without what makes it an option. `base` names it, if it needs a name.
    fn bare(&mut self, ty: &FieldType, base: &str) -> Type {
        match &ty.kind {
            Kind::Boolean => Type::Bool,
            Kind::Integer { .. } => Type::S64,
            Kind::Number { .. } => Type::F64,
            Kind::String { one_of, .. } if one_of.is_empty() => Type::String,
            Kind::String { one_of, .. } => self.enumeration(one_of, base),
            Kind::Bytes { .. } => Type::Bytes,
            Kind::DateTime => Type::Timestamp,
            Kind::Duration => Type::Duration,
            Kind::Array { items, .. } => Type::List(self.element(items, &format!("{base}-item"))),
            Kind::Map { values, .. } => Type::Map(self.element(values, &format!("{base}-value"))),
            Kind::Object(object) => self.object(object, base),
        }
    }

    fn enumeration(&mut self, values: &[Arc<str>], base: &str) -> Type {
        let shape = Shape::Enum(values.to_vec());
        if let Some(known) = self.known.get(&shape) {
            return known.clone();
        }
        let names = Scope::name_all(values.iter().map(|value| &**value), &CASE_NAMES);
        let cases = names.into_iter().zip(values);
        let cases = cases.map(|(name, value)| EnumCase { name, value: Arc::clone(value) }).collect();
        let name = self.names.give(base.to_owned()).into();
        let docs = format!("A value of `{base}`.");
        self.define(shape, Type::Enum(Arc::new(EnumType { name, cases, docs })))
    }

    /// The type of an object; what is within it is defined before it.
    fn object(&mut self, object: &StructType, base: &str) -> Type {
        let inner = |field: &Field| format!("{base}-{}", kebab(&field.name));
        let fields = self.fields(object, &inner, |field| !field.required, words::of_argument);
        let shape = Shape::Object(
            fields
                .iter()
                .map(|field| (Arc::clone(&field.of), reference(&field.ty), field.docs.clone()))
                .collect(),
        );
        if let Some(known) = self.known.get(&shape) {
            return known.clone();
        }
        let name: Arc<str> = self.names.give(base.to_owned()).into();
        if fields.is_empty() {
            return self.define(shape, Type::Nothing(name));
        }
        let docs = format!("A value of `{base}`.");
        self.define(shape, Type::Record(Arc::new(RecordType { name, fields, docs })))
    }

    fn define(&mut self, shape: Shape, ty: Type) -> Type {
        self.known.insert(shape, ty.clone());
        self.types.push(ty.clone());
        ty
    }
}
