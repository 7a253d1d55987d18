//! The type of a field: its kind, its bounds, and how a value is read, checked and shown.
//!
//! [`FieldType`] is the structural schema of a Kubernetes custom resource, compiled. `load` reads one from a document,
//! `check` holds a value against it, `convert` makes it one of another type, `json` and `cbor` carry values in and out.
//! What a schema does with fields is left to [`crate::schema`].

mod cbor;
mod check;
mod convert;
mod json;
mod load;
mod pattern;

use std::sync::Arc;

use crate::value::Value;

pub use check::Violation;
pub use json::{untyped_from_json, untyped_to_json};
pub use load::{FIELDS_MAX, Loader, MEMORY_BYTES_MAX, TYPE_DEPTH_MAX, TYPE_NODES_MAX};
pub use pattern::compile_pattern;

/// The type of a field, an argument, an item or a property.
#[derive(Clone, Debug)]
pub struct FieldType {
    /// What it is, with its bounds.
    pub kind: Kind,
    /// Whether null is a value of it.
    pub nullable: bool,
    /// UCUM unit of a number or integer, case-sensitive form (`Cel`, `m/s`).
    pub unit: Option<Arc<str>>,
    /// The value it has until it is given another.
    pub default: Option<Value>,
    /// For people: a short name.
    pub title: Option<Arc<str>>,
    /// For people: what it is.
    pub description: Option<Arc<str>>,
}

/// What a value is, with its bounds. Bounds are inclusive unless they say otherwise.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `boolean`
    Boolean,
    /// `integer`: 64-bit signed; exclusive bounds are folded into inclusive ones.
    Integer {
        /// Least value.
        minimum: i64,
        /// Greatest value.
        maximum: i64,
        /// The value is a multiple of this.
        multiple_of: Option<i64>,
        /// Empty: any within the bounds.
        one_of: Vec<i64>,
    },
    /// `number`: a finite 64-bit float.
    Number {
        /// Least value, and whether it is itself excluded.
        minimum: Option<(f64, bool)>,
        /// Greatest value, and whether it is itself excluded.
        maximum: Option<(f64, bool)>,
        /// The value is a multiple of this.
        multiple_of: Option<f64>,
        /// Empty: any within the bounds.
        one_of: Vec<f64>,
    },
    /// `string`
    String {
        /// Least length in Unicode scalar values.
        min_length: u32,
        /// Greatest length in Unicode scalar values.
        max_length: u32,
        /// Must match somewhere (anchors as written); ASCII classes, linear time.
        pattern: Option<Pattern>,
        /// Empty: any within the bounds.
        one_of: Vec<Arc<str>>,
    },
    /// `string` of format `byte`: `max_length` counts bytes, decoded.
    Bytes {
        /// Greatest length in bytes.
        max_length: u32,
    },
    /// `string` of format `date-time`.
    DateTime,
    /// `string` of format `duration`.
    Duration,
    /// `array`
    Array {
        /// The type of every item.
        items: Box<FieldType>,
        /// Least number of items.
        min_items: u32,
        /// Greatest number of items.
        max_items: u32,
    },
    /// `object` with `properties`.
    Object(Arc<StructType>),
    /// `object` with `additionalProperties`.
    Map {
        /// The type of every value.
        values: Box<FieldType>,
        /// Least number of entries.
        min_properties: u32,
        /// Greatest number of entries.
        max_properties: u32,
        /// Greatest length of a key in Unicode scalar values.
        max_key_length: u32,
    },
}

/// A compiled pattern and its source.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written.
    pub source: Arc<str>,
    /// Compiled.
    pub regex: regex::Regex,
}

/// Named slots, in [`crate::value::key_order`]: the memory of a schema, the arguments of a mutation, the properties of an
/// object.
#[derive(Clone, Debug, Default)]
pub struct StructType {
    /// The slots.
    pub fields: Vec<Field>,
}

/// One named slot.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub ty: FieldType,
    /// For a property or an argument: must be given, since it has no default and is not nullable. For a memory field:
    /// a gap until it is given.
    pub required: bool,
}

/// The index of a slot in a [`StructType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

impl StructType {
    /// The slot of that name.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Slot> {
        let found = self.fields.binary_search_by(|field| crate::value::key_order(&field.name, name)).ok()?;
        u16::try_from(found).ok().map(Slot)
    }

    /// The field in a slot.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Field> {
        self.fields.get(usize::from(slot.0))
    }
}

impl FieldType {
    /// A type of that kind, not nullable, with nothing said about it.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self { kind, nullable: false, unit: None, default: None, title: None, description: None }
    }

    /// The value before another is given: the default, or null (which is a gap where null is no value of it).
    #[must_use]
    pub fn initial(&self) -> Value {
        self.default.clone().unwrap_or(Value::Null)
    }

    /// The most that a value of it takes: 24 bytes for every value within it, and 4 for every character of a text or
    /// 1 for every byte. Neither its memory nor its encoded form is larger.
    #[must_use]
    pub fn size_max(&self) -> u64 {
        const VALUE: u64 = 24;
        let below = match &self.kind {
            Kind::Boolean | Kind::Integer { .. } | Kind::Number { .. } | Kind::DateTime | Kind::Duration => 0,
            Kind::String { max_length, .. } => u64::from(*max_length).saturating_mul(4),
            Kind::Bytes { max_length } => u64::from(*max_length),
            Kind::Array { items, max_items, .. } => u64::from(*max_items).saturating_mul(items.size_max()),
            Kind::Object(object) => object.size_max(),
            Kind::Map { values, max_properties, max_key_length, .. } => {
                let key = u64::from(*max_key_length).saturating_mul(4).saturating_add(VALUE);
                u64::from(*max_properties).saturating_mul(values.size_max().saturating_add(key))
            }
        };
        below.saturating_add(VALUE)
    }

    /// The word for its type in a schema: `integer`, `string`, …
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Boolean => "boolean",
            Kind::Integer { .. } => "integer",
            Kind::Number { .. } => "number",
            Kind::String { .. } | Kind::Bytes { .. } | Kind::DateTime | Kind::Duration => "string",
            Kind::Array { .. } => "array",
            Kind::Object(_) | Kind::Map { .. } => "object",
        }
    }

    /// The `format` of a string that has one.
    #[must_use]
    pub fn format(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Bytes { .. } => Some("byte"),
            Kind::DateTime => Some("date-time"),
            Kind::Duration => Some("duration"),
            _ => None,
        }
    }
}

impl StructType {
    /// Its fields in [`crate::value::key_order`].
    #[must_use]
    pub fn new(mut fields: Vec<Field>) -> Self {
        fields.sort_by(|a, b| crate::value::key_order(&a.name, &b.name));
        Self { fields }
    }

    /// The values before others are given, in the order of the fields.
    #[must_use]
    pub fn initial(&self) -> Vec<Value> {
        self.fields.iter().map(|f| f.ty.initial()).collect()
    }

    /// As [`FieldType::size_max`], names included.
    #[must_use]
    pub fn size_max(&self) -> u64 {
        let names = self.fields.iter().map(|f| f.name.len() as u64);
        self.fields.iter().map(|f| f.ty.size_max()).chain(names).fold(0, u64::saturating_add)
    }
}

/// A noun with its article.
fn article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}
