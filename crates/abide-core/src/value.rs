//! A value as memory, arguments and expressions hold it.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::time::{Span, Timestamp};

/// A value. Its type is known from the schema and not repeated here: a `Struct` is positional, in the order of the
/// properties of its type.
///
/// `Null` stands for null and for absent alike. In a memory slot whose field is not nullable it is a gap: the value has
/// not been given yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Null, absent, or a gap.
    Null,
    /// `boolean`
    Bool(bool),
    /// `integer`: 64-bit signed.
    Int(i64),
    /// `number`: 64-bit float. What is admitted is finite and never −0; an intermediate result may be neither.
    Num(f64),
    /// `string`
    Str(Arc<str>),
    /// `string` of format `byte`: base64 in text, bytes in memory.
    Bytes(Arc<[u8]>),
    /// `string` of format `date-time`.
    Time(Timestamp),
    /// `string` of format `duration`.
    Span(Span),
    /// `array`
    List(Arc<[Value]>),
    /// `object` with `properties`: a value for each, in the order of its type, `Null` where absent.
    Struct(Arc<[Value]>),
    /// `object` with `additionalProperties`: sorted by [`key_order`], each key once.
    Map(Arc<[(Arc<str>, Value)]>),
}

/// The order of keys in memory, in a record and in a canonical form: shorter first, then bytewise. It is the order
/// that core deterministic CBOR (RFC 8949 §4.2.1) gives text keys.
#[must_use]
pub fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}
