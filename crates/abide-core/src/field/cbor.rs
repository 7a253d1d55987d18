//! Values in deterministic CBOR, by their type: see [`crate::codec`] for the form.
//!
//! Times and durations are integers (nanoseconds), an object is a map of its properties, and an absent property that
//! cannot be null is left out.

use std::sync::Arc;

use minicbor::{Decoder, Encoder};

use super::{FieldType, Kind, StructType};
use crate::codec::{self, DecodeError, Head, put};
use crate::time::{Span, Timestamp};
use crate::value::Value;

impl FieldType {
    /// Writes a value of this type; scalars cost no allocation. A value that is not of this type is written as
    /// [`codec::encode_any`] does.
    pub fn encode(&self, value: &Value, e: &mut Encoder<&mut Vec<u8>>) {
        match (&self.kind, value) {
            (Kind::Array { items, .. }, Value::List(list)) => {
                put(e.array(list.len() as u64));
                list.iter().for_each(|item| items.encode(item, e));
            }
            (Kind::Object(object), Value::Struct(values)) => object.encode(values, e),
            (Kind::Map { values, .. }, Value::Map(entries)) => {
                put(e.map(entries.len() as u64));
                for (key, item) in entries.iter() {
                    put(e.str(key));
                    values.encode(item, e);
                }
            }
            _ => codec::encode_any(value, e),
        }
    }

    /// Reads a value of this type in the form that [`FieldType::encode`] gives, and in no other. Bounds are left to
    /// [`FieldType::check`].
    ///
    /// # Errors
    /// When the bytes are not the deterministic form of a value of this type.
    pub fn decode(&self, d: &mut Decoder<'_>) -> Result<Value, DecodeError> {
        let at = d.position();
        let value = match (&self.kind, codec::head(d)?) {
            (_, Head::Null) if self.nullable => Value::Null,
            (Kind::Boolean, Head::Bool(value)) => Value::Bool(value),
            (Kind::Integer { .. }, head) => Value::Int(integer(head, at)?),
            (Kind::DateTime, head) => Value::Time(Timestamp(integer(head, at)?)),
            (Kind::Duration, head) => Value::Span(Span(integer(head, at)?)),
            (Kind::Number { .. }, Head::Float(n)) if n.is_finite() => Value::Num(n),
            (Kind::String { .. }, Head::Text(length)) => codec::text_of(d, length)?.into(),
            (Kind::Bytes { .. }, Head::Bytes(length)) => Value::Bytes(codec::bytes_of(d, length)?.into()),
            (Kind::Array { items, .. }, Head::Array(length)) => {
                let mut list = Vec::new();
                for _ in 0..length {
                    list.push(items.decode(d)?);
                }
                Value::List(list.into())
            }
            (Kind::Object(object), Head::Map(length)) => {
                Value::Struct(object.decode_pairs(d, length)?.into())
            }
            (Kind::Map { values, .. }, Head::Map(length)) => {
                let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
                for _ in 0..length {
                    let key = codec::key_after(d, entries.last().map(|(key, _)| &**key))?;
                    entries.push((key.into(), values.decode(d)?));
                }
                Value::Map(entries.into())
            }
            _ => return Err(DecodeError { at, what: "the value is not of its type" }),
        };
        Ok(value)
    }
}

impl StructType {
    /// Writes the values, in the order of the fields, as a map.
    pub fn encode(&self, values: &[Value], e: &mut Encoder<&mut Vec<u8>>) {
        let present =
            || self.fields.iter().zip(values).filter(|(f, v)| f.ty.nullable || !matches!(v, Value::Null));
        put(e.map(present().count() as u64));
        for (field, value) in present() {
            put(e.str(&field.name));
            field.ty.encode(value, e);
        }
    }

    /// Reads what [`StructType::encode`] wrote.
    ///
    /// # Errors
    /// As [`FieldType::decode`]; also when a name is unknown, or the null of a nullable field is left out.
    pub fn decode(&self, d: &mut Decoder<'_>) -> Result<Vec<Value>, DecodeError> {
        let at = d.position();
        match codec::head(d)? {
            Head::Map(length) => self.decode_pairs(d, length),
            _ => Err(DecodeError { at, what: "a map is expected" }),
        }
    }

    fn decode_pairs(&self, d: &mut Decoder<'_>, length: u64) -> Result<Vec<Value>, DecodeError> {
        let mut values = Vec::with_capacity(self.fields.len());
        let mut fields = self.fields.iter();
        for _ in 0..length {
            let at = d.position();
            let name = codec::text(d)?;
            // Fields and keys have one order, so a key that none of the rest has is unknown, repeated or out of order.
            loop {
                let field =
                    fields.next().ok_or(DecodeError { at, what: "a key is unknown or not in order" })?;
                if *field.name == *name {
                    values.push(field.ty.decode(d)?);
                    break;
                }
                values.push(absent(field, at)?);
            }
        }
        let at = d.position();
        for field in fields {
            values.push(absent(field, at)?);
        }
        Ok(values)
    }
}

fn absent(field: &super::Field, at: usize) -> Result<Value, DecodeError> {
    if field.ty.nullable {
        return Err(DecodeError { at, what: "a null is left out" });
    }
    Ok(Value::Null)
}

fn integer(head: Head, at: usize) -> Result<i64, DecodeError> {
    codec::integer_of(head).ok_or(DecodeError { at, what: "an integer of 64 bits is expected" })
}
