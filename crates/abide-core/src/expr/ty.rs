//! The types that the checker works with: a shape with its bounds, and whether null is a value of it.
//!
//! Bounds are what the cost of an expression and much of what can fail are computed from; they never decide whether two
//! types go together.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use super::ValueKind;
use crate::field::{FieldType, Kind, StructType, untyped_to_json};
use crate::value::Value;

/// The most values of a string that are followed through an expression.
const ONE_OF_MAX: usize = 64;

/// A type.
#[derive(Clone, Debug)]
pub(super) struct Ty {
    pub(super) shape: Shape,
    pub(super) nullable: bool,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// What has an error already: goes with everything, so that one slip is one error.
    Unknown,
    /// No value at all: of null, and of the items of `[]`.
    Never,
    Bool,
    /// Bounds are inclusive.
    Int {
        least: i64,
        greatest: i64,
    },
    Num,
    Str {
        /// In bytes.
        max: u64,
        /// All that it can be, if known.
        one_of: Option<Arc<[Arc<str>]>>,
    },
    Bytes {
        max: u64,
    },
    Time,
    Span,
    List {
        item: Box<Ty>,
        min: u64,
        max: u64,
    },
    Struct(Arc<StructType>),
    Map {
        value: Box<Ty>,
        max: u64,
        /// In bytes.
        key_max: u64,
    },
}

impl From<Shape> for Ty {
    fn from(shape: Shape) -> Self {
        Self { shape, nullable: false }
    }
}

impl Ty {
    /// The type of null.
    pub(super) const NULL: Self = Self { shape: Shape::Never, nullable: true };
    /// See [`Shape::Unknown`].
    pub(super) const UNKNOWN: Self = Self { shape: Shape::Unknown, nullable: false };
    /// A boolean.
    pub(super) const BOOL: Self = Self { shape: Shape::Bool, nullable: false };
    /// A number.
    pub(super) const NUM: Self = Self { shape: Shape::Num, nullable: false };
    /// Any integer.
    pub(super) const INT: Self = Self::int(i64::MIN, i64::MAX);

    /// A value of the type as JSON.
    pub(super) fn to_json(&self, value: &Value) -> Json {
        match (&self.shape, value) {
            (Shape::Struct(of), Value::Struct(values)) => of.to_json(values),
            (Shape::List { item, .. }, Value::List(items)) => {
                Json::Array(items.iter().map(|value| item.to_json(value)).collect())
            }
            (Shape::Map { value: of, .. }, Value::Map(entries)) => Json::Object(
                entries.iter().map(|(key, value)| (key.to_string(), of.to_json(value))).collect(),
            ),
            _ => untyped_to_json(value),
        }
    }

    /// An integer within bounds.
    pub(super) const fn int(least: i64, greatest: i64) -> Self {
        Self { shape: Shape::Int { least, greatest }, nullable: false }
    }

    /// A string of at most so many bytes.
    pub(super) const fn string(max: u64) -> Self {
        Self { shape: Shape::Str { max, one_of: None }, nullable: false }
    }

    /// A string that is one of these.
    pub(super) fn one_of<'s>(texts: impl IntoIterator<Item = &'s str>) -> Self {
        let texts: Arc<[Arc<str>]> = texts.into_iter().map(Arc::from).collect();
        let max = texts.iter().map(|text| size(text.len())).max().unwrap_or(0);
        Shape::Str { max, one_of: Some(texts) }.into()
    }

    /// A list of at least `min` and at most `max` items.
    pub(super) fn list(item: Self, min: u64, max: u64) -> Self {
        Shape::List { item: Box::new(item), min, max }.into()
    }

    /// The type of a field.
    pub(super) fn of(field: &FieldType) -> Self {
        let shape = match &field.kind {
            Kind::Boolean => Shape::Bool,
            Kind::Integer { minimum, maximum, .. } => Shape::Int { least: *minimum, greatest: *maximum },
            Kind::Number { .. } => Shape::Num,
            Kind::String { max_length, one_of, .. } if one_of.is_empty() => {
                Shape::Str { max: u64::from(*max_length) * 4, one_of: None }
            }
            Kind::String { one_of, .. } => Self::one_of(one_of.iter().map(|text| &**text)).shape,
            Kind::Bytes { max_length } => Shape::Bytes { max: u64::from(*max_length) },
            Kind::DateTime => Shape::Time,
            Kind::Duration => Shape::Span,
            Kind::Array { items, min_items, max_items } => Shape::List {
                item: Box::new(Self::of(items)),
                min: u64::from(*min_items),
                max: u64::from(*max_items),
            },
            Kind::Object(properties) => Shape::Struct(properties.clone()),
            Kind::Map { values, max_properties, max_key_length, .. } => Shape::Map {
                value: Box::new(Self::of(values)),
                max: u64::from(*max_properties),
                key_max: u64::from(*max_key_length) * 4,
            },
        };
        Self { shape, nullable: field.nullable }
    }

    /// The same without null.
    pub(super) fn non_null(&self) -> Self {
        Self { shape: self.shape.clone(), nullable: false }
    }

    /// The kind of its values other than null; `None` where there are none.
    pub(super) fn kind(&self) -> Option<ValueKind> {
        Some(match &self.shape {
            Shape::Unknown | Shape::Never => return None,
            Shape::Bool => ValueKind::Bool,
            Shape::Int { .. } => ValueKind::Int,
            Shape::Num => ValueKind::Num,
            Shape::Str { .. } => ValueKind::Str,
            Shape::Bytes { .. } => ValueKind::Bytes,
            Shape::Time => ValueKind::Time,
            Shape::Span => ValueKind::Span,
            Shape::List { .. } => ValueKind::List,
            Shape::Struct(_) => ValueKind::Struct,
            Shape::Map { .. } => ValueKind::Map,
        })
    }

    /// Whether an error has been reported for it.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.shape, Shape::Unknown)
    }

    /// Whether it is the type of null alone.
    pub(super) fn is_null(&self) -> bool {
        self.nullable && matches!(self.shape, Shape::Never)
    }

    /// The same with every integer a number.
    pub(super) fn widened(&self) -> Self {
        let shape = match &self.shape {
            Shape::Int { .. } => Shape::Num,
            Shape::List { item, min, max } => {
                Shape::List { item: Box::new(item.widened()), min: *min, max: *max }
            }
            Shape::Map { value, max, key_max } => {
                Shape::Map { value: Box::new(value.widened()), max: *max, key_max: *key_max }
            }
            other => other.clone(),
        };
        Self { shape, nullable: self.nullable }
    }

    /// The type of what is of one or of the other, or `None` where they do not go together.
    pub(super) fn join(&self, other: &Self) -> Option<Self> {
        let shape = match (&self.shape, &other.shape) {
            (Shape::Unknown, _) | (_, Shape::Unknown) => Shape::Unknown,
            (Shape::Never, shape) | (shape, Shape::Never) => shape.clone(),
            (Shape::Bool, Shape::Bool) => Shape::Bool,
            (Shape::Int { least: a, greatest: b }, Shape::Int { least: c, greatest: d }) => {
                Shape::Int { least: *a.min(c), greatest: *b.max(d) }
            }
            (Shape::Num, Shape::Num) => Shape::Num,
            (Shape::Str { max: a, one_of: these }, Shape::Str { max: b, one_of: those }) => {
                Shape::Str { max: *a.max(b), one_of: union(these.as_deref(), those.as_deref()) }
            }
            (Shape::Bytes { max: a }, Shape::Bytes { max: b }) => Shape::Bytes { max: *a.max(b) },
            (Shape::Time, Shape::Time) => Shape::Time,
            (Shape::Span, Shape::Span) => Shape::Span,
            (Shape::List { item: a, min: b, max: c }, Shape::List { item: d, min: e, max: f }) => {
                Shape::List { item: Box::new(a.join(d)?), min: *b.min(e), max: *c.max(f) }
            }
            (Shape::Map { value: a, max: b, key_max: c }, Shape::Map { value: d, max: e, key_max: f }) => {
                Shape::Map { value: Box::new(a.join(d)?), max: *b.max(e), key_max: *c.max(f) }
            }
            (Shape::Struct(a), Shape::Struct(b)) if same_struct(a, b) => Shape::Struct(a.clone()),
            _ => return None,
        };
        Some(Self { shape, nullable: self.nullable || other.nullable })
    }

    /// Whether every value of this type may stand where that type is wanted, bounds aside.
    pub(super) fn fits(&self, want: &Self) -> bool {
        let null = want.nullable || !self.nullable || self.is_unknown();
        null && match (&self.shape, &want.shape) {
            (Shape::List { item, .. }, Shape::List { item: wanted, .. }) => item.fits(wanted),
            (Shape::Map { value, .. }, Shape::Map { value: wanted, .. }) => value.fits(wanted),
            _ => self.join(want).is_some(),
        }
    }

    /// Whether this would be that, were its integers numbers or its numbers integers.
    pub(super) fn differs_in_number(&self, want: &Self) -> bool {
        self.join(want).is_none() && self.widened().join(&want.widened()).is_some()
    }

    /// A bound on the work of looking at a whole value: 1, and 1 for each item and every 64 bytes.
    pub(super) fn weight(&self) -> u64 {
        match &self.shape {
            Shape::Str { max, .. } | Shape::Bytes { max } => 1 + max / 64,
            Shape::List { item, max, .. } => max.saturating_mul(item.weight()).saturating_add(1),
            Shape::Map { value, max, key_max } => {
                let entry = value.weight().saturating_add(1 + key_max / 64);
                max.saturating_mul(entry).saturating_add(1)
            }
            Shape::Struct(properties) => properties
                .fields
                .iter()
                .fold(1_u64, |sum, field| sum.saturating_add(Self::of(&field.ty).weight())),
            _ => 1,
        }
    }

    /// The plural, for `a list of …`.
    fn plural(&self) -> &'static str {
        match &self.shape {
            Shape::Unknown | Shape::Never => "nothing",
            Shape::Bool => "booleans",
            Shape::Int { .. } => "integers",
            Shape::Num => "numbers",
            Shape::Str { .. } => "strings",
            Shape::Bytes { .. } => "bytes",
            Shape::Time => "timestamps",
            Shape::Span => "durations",
            Shape::List { .. } => "lists",
            Shape::Struct(_) => "objects",
            Shape::Map { .. } => "maps",
        }
    }
}

impl fmt::Display for Ty {
    /// With its article: `an integer`, `a list of numbers`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Unknown => f.write_str("unknown")?,
            Shape::Never => return f.write_str("null"),
            Shape::Bool => f.write_str("a boolean")?,
            Shape::Int { .. } => f.write_str("an integer")?,
            Shape::Num => f.write_str("a number")?,
            Shape::Str { .. } => f.write_str("a string")?,
            Shape::Bytes { .. } => f.write_str("bytes")?,
            Shape::Time => f.write_str("a timestamp")?,
            Shape::Span => f.write_str("a duration")?,
            Shape::List { item, .. } => match item.shape {
                Shape::Never => f.write_str("an empty list")?,
                _ if item.nullable => write!(f, "a list of {} and nulls", item.plural())?,
                _ => write!(f, "a list of {}", item.plural())?,
            },
            Shape::Struct(_) => f.write_str("an object")?,
            Shape::Map { value, .. } => write!(f, "a map to {}", value.plural())?,
        }
        if self.nullable { f.write_str(" or null") } else { Ok(()) }
    }
}

/// A length as a bound.
pub(super) fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Whether two objects have the same properties; they are positional, so the order counts.
fn same_struct(a: &Arc<StructType>, b: &Arc<StructType>) -> bool {
    Arc::ptr_eq(a, b)
        || (a.fields.len() == b.fields.len()
            && a.fields
                .iter()
                .zip(&b.fields)
                .all(|(a, b)| a.name == b.name && Ty::of(&a.ty).join(&Ty::of(&b.ty)).is_some()))
}

/// What is one of these or one of those, as long as the list stays short.
fn union(these: Option<&[Arc<str>]>, those: Option<&[Arc<str>]>) -> Option<Arc<[Arc<str>]>> {
    let mut all = these?.to_vec();
    for text in those? {
        if !all.contains(text) {
            all.push(text.clone());
        }
    }
    (all.len() <= ONE_OF_MAX).then(|| all.into())
}
