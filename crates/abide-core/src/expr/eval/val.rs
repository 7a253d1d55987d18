//! A value while an expression is evaluated: a scalar by itself, all else borrowed from where it stands.

use std::sync::Arc;

use crate::value::Value;

/// An intermediate value.
#[derive(Clone, Debug)]
pub(in crate::expr) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Num(f64),
    /// Nanoseconds, as [`crate::time::Timestamp`].
    Time(i64),
    /// Nanoseconds, as [`crate::time::Span`].
    Span(i64),
    /// A string that no value holds: of the caller.
    Text(&'a str),
    /// The key of a map.
    Key(&'a Arc<str>),
    /// In memory, arguments or a constant; never a scalar.
    Ref(&'a Value),
    /// Computed; never a scalar.
    Owned(Value),
}

impl<'a> Val<'a> {
    /// Borrows a value.
    #[inline]
    pub(in crate::expr) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Num(value) => Self::Num(*value),
            Value::Time(time) => Self::Time(time.0),
            Value::Span(span) => Self::Span(span.0),
            other => Self::Ref(other),
        }
    }

    /// The value that is not a scalar, if it is one that a [`Value`] holds.
    fn whole(&self) -> Option<&Value> {
        match self {
            Self::Ref(value) => Some(value),
            Self::Owned(value) => Some(value),
            _ => None,
        }
    }

    /// As a string.
    pub(in crate::expr) fn text(&self) -> Option<&str> {
        match (self, self.whole()) {
            (_, Some(Value::Str(text))) => Some(text),
            (Self::Text(text), _) => Some(text),
            (Self::Key(key), _) => Some(key),
            _ => None,
        }
    }

    /// As bytes.
    pub(in crate::expr) fn bytes(&self) -> Option<&[u8]> {
        match self.whole() {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The items of a list.
    pub(in crate::expr) fn items(&self) -> Option<&[Value]> {
        match self.whole() {
            Some(Value::List(items)) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map.
    pub(in crate::expr) fn entries(&self) -> Option<&[(Arc<str>, Value)]> {
        match self.whole() {
            Some(Value::Map(entries)) => Some(entries),
            _ => None,
        }
    }

    /// Whether two values are equal. Null equals null alone; NaN equals nothing; numbers within lists and objects compare
    /// as numbers do.
    #[expect(clippy::float_cmp, reason = "equality of numbers is that of IEEE 754, as CEL has it")]
    pub(in crate::expr) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b))
            | (Self::Time(a), Self::Time(b))
            | (Self::Span(a), Self::Span(b)) => a == b,
            (Self::Num(a), Self::Num(b)) => a == b,
            _ => match (self.text(), other.text()) {
                (Some(a), Some(b)) => a == b,
                _ => self.whole().is_some_and(|a| other.whole().is_some_and(|b| a == b)),
            },
        }
    }
}

impl From<Value> for Val<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Num(value) => Self::Num(value),
            Value::Time(time) => Self::Time(time.0),
            Value::Span(span) => Self::Span(span.0),
            other => Self::Owned(other),
        }
    }
}
