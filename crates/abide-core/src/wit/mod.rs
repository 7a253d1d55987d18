//! The WIT world of a schema: what a behaviour of its objects is written to.
//!
//! [`World::of`] is the model: every type, mutation and action with the identifier that WIT has for it, beside the part of
//! the schema that it stands for. The text ([`World::to_wit`]) is written from it, and a host checks a component and
//! carries values in and out by it, so that the two cannot differ. `name` makes identifiers, `build` the model, `words` doc
//! comments, `text` the text. Running components is left to others.
//!
//! The text is written here and not by the crate `wit-encoder`: that one drops the comment of a world and does not escape
//! the keyword `map`, and it would tie this crate to a release of the WebAssembly tools. Tests hold the text against their
//! parser.

mod build;
mod name;
mod text;
mod words;

use std::sync::Arc;

use crate::schema::MutationIx;

pub use name::kebab;

/// The version of the package `abide:object` that a world of this version imports.
pub const OBJECT_VERSION: &str = "0.1.0";

/// The packages that every world refers to.
pub const DEPENDENCIES: [Dependency; 2] = [
    Dependency {
        package: "abide:object@0.1.0",
        folder: "abide-object",
        text: include_str!("../../wit/abide-object/package.wit"),
    },
    Dependency {
        package: "wasi:config@0.2.0-draft",
        folder: "wasi-config",
        text: include_str!("../../wit/wasi-config/package.wit"),
    },
];

/// A package that worlds refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its name with its version.
    pub package: &'static str,
    /// The folder that it has under `deps`.
    pub folder: &'static str,
    /// Its text, in one file.
    pub text: &'static str,
}

/// The world of a schema. Names are WIT identifiers without the `%` that the text puts before keywords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The package with its version: `schema:frost-guard@1.0.0`. The world in it is `behaviour`, its types are in the
    /// interface `types`.
    pub package: String,
    /// The record, enum or nothing of every name beside `memory` and the arguments of mutations, each once. What is the
    /// same in two places is one type, named by a field of memory if there is one. A type comes after those within it.
    pub types: Vec<Type>,
    /// What an action is given: a [`Type::Record`] with a field for each of the schema's memory, in its order, or
    /// [`Type::Nothing`] where there are none. Its name is `memory`.
    pub memory: Type,
    /// The mutations that are open to behaviours, in the order of the schema: the cases of the variant `mutation`, in their
    /// order. Where there are none, neither the variant nor the case `mutate` of `step` exists.
    pub mutations: Vec<MutationCase>,
    /// The actions that rules name, in the order of evaluation: what a behaviour exports.
    pub actions: Vec<Action>,
    /// The comment of the package.
    docs: String,
}

/// A type of WIT, and the values of which [`crate::field::Kind`] it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `bool`: boolean.
    Bool,
    /// `s64`: integer, also one with `enum`.
    S64,
    /// `f64`: number, also one with `enum`.
    F64,
    /// `string`: string without `enum` and without format.
    String,
    /// `timestamp`, which is `s64`: date-time, in nanoseconds since 1970 UTC.
    Timestamp,
    /// `duration`, which is `s64`: duration, in nanoseconds.
    Duration,
    /// `list<u8>`: byte.
    Bytes,
    /// A named `enum`: string with `enum`.
    Enum(Arc<EnumType>),
    /// A named `record`: object with `properties`.
    Record(Arc<RecordType>),
    /// A named `enum` with the one case `nothing`, since a record of WIT has a field: object without any property.
    Nothing(Arc<str>),
    /// `list<T>`: array.
    List(Box<Self>),
    /// `list<tuple<string, T>>`: object with `additionalProperties`. Keys come in [`crate::value::key_order`] and may be
    /// given in any.
    Map(Box<Self>),
    /// `option<T>`. Of what is nullable, none is null. Of a property or an argument that may be left out, none is left out:
    /// its default, or null. Options do not nest: of what is nullable and has a default, none is the default.
    Option(Box<Self>),
}

/// An `enum`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumType {
    /// Its name.
    pub name: Arc<str>,
    /// The cases, in the order of the schema's `enum`; at least one.
    pub cases: Vec<EnumCase>,
    docs: String,
}

/// A case of an `enum`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumCase {
    /// Its name, unique in the enum.
    pub name: String,
    /// The text that it stands for.
    pub value: Arc<str>,
}

/// A `record` with at least one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordType {
    /// Its name.
    pub name: Arc<str>,
    /// The fields, in the order of [`crate::field::StructType::fields`].
    pub fields: Vec<RecordField>,
    docs: String,
}

/// A field of a `record`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordField {
    /// Its name, unique in the record.
    pub name: String,
    /// The name of the field, property or argument that it stands for.
    pub of: Arc<str>,
    /// Its type.
    pub ty: Type,
    docs: String,
}

/// A case of the variant `mutation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutationCase {
    /// Which mutation.
    pub ix: MutationIx,
    /// The name of the case, unique among them.
    pub name: String,
    /// Its payload, a record of its own with a field for each argument, in the order of the arguments' type; without any
    /// argument there is no payload.
    pub args: Option<Arc<RecordType>>,
    docs: String,
}

/// A function that a behaviour exports: `func(cycle: cycle, memory: memory) -> result<list<step>, string>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// As rules name it (`act`).
    pub name: Arc<str>,
    /// The name of the export, unique in the world.
    pub export: String,
    docs: String,
}
