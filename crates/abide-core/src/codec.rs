//! Values in deterministic CBOR (RFC 8949 §4.2.1): shortest heads, shortest floats, keys in bytewise order.
//!
//! Here are the parts that need no type: [`encode_any`] and [`decode_any`], and the strict reading of heads that
//! [`crate::field`] builds on. A reader accepts the one form that the writer gives, and no other.

use std::sync::Arc;

use minicbor::{Decoder, Encoder};

use crate::value::{Value, key_order};

/// Most levels of an untyped value.
const DEPTH_MAX: usize = 66;

/// Why bytes are not the deterministic form of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct DecodeError {
    /// The byte at which it was seen.
    pub at: usize,
    /// What is wrong there: lower case.
    pub what: &'static str,
}

/// A head: what follows, and its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// A non-negative integer.
    Unsigned(u64),
    /// The integer −1 − n.
    Negative(u64),
    /// So many bytes follow.
    Bytes(u64),
    /// So many bytes of UTF-8 follow.
    Text(u64),
    /// So many items follow.
    Array(u64),
    /// So many pairs follow.
    Map(u64),
    /// `false` or `true`.
    Bool(bool),
    /// Null.
    Null,
    /// A float in its shortest form.
    Float(f64),
}

/// Reads a head; integers, lengths and floats must have their shortest form. Tags, indefinite lengths and other simple
/// values are refused.
///
/// # Errors
/// When it is none of these, or the bytes end.
pub fn head(d: &mut Decoder<'_>) -> Result<Head, DecodeError> {
    let at = d.position();
    let fail = |what| DecodeError { at, what };
    let rest = d.input().get(at..).unwrap_or_default();
    let (first, rest) = rest.split_first().ok_or(fail("the bytes end"))?;
    let (major, info) = (first >> 5, first & 0x1f);
    let width = match info {
        0..24 => 0,
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(fail("a length is not definite")),
    };
    let bytes = rest.get(..width).ok_or(fail("the bytes end"))?;
    let argument =
        bytes.iter().fold(if width == 0 { u64::from(info) } else { 0 }, |n, b| n << 8 | u64::from(*b));
    let least = match width {
        0 => 0,
        1 => 24,
        2 => 1 << 8,
        4 => 1 << 16,
        _ => 1 << 32,
    };
    d.set_position(at + 1 + width);
    if major == 7 {
        return simple(info, argument)
            .ok_or(fail("a float is not in its shortest form, or is −0, or a simple value is unknown"));
    }
    if argument < least {
        return Err(fail("an integer is not in its shortest form"));
    }
    match major {
        0 => Ok(Head::Unsigned(argument)),
        1 => Ok(Head::Negative(argument)),
        2 => Ok(Head::Bytes(argument)),
        3 => Ok(Head::Text(argument)),
        4 => Ok(Head::Array(argument)),
        5 => Ok(Head::Map(argument)),
        _ => Err(fail("a tag is not expected")),
    }
}

fn simple(info: u8, argument: u64) -> Option<Head> {
    let (value, width) = match info {
        20 => return Some(Head::Bool(false)),
        21 => return Some(Head::Bool(true)),
        22 => return Some(Head::Null),
        25 => (f16_to_f64(u16::try_from(argument).ok()?), 2),
        26 => (f64::from(f32::from_bits(u32::try_from(argument).ok()?)), 4),
        27 => (f64::from_bits(argument), 8),
        _ => return None,
    };
    let canonical =
        if value.is_nan() { argument == u64::from(NAN_F16) } else { value.to_bits() != (-0.0_f64).to_bits() };
    (shortest_width(value) == width && canonical).then_some(Head::Float(value))
}

/// Reads an integer of 64 bits with sign.
///
/// # Errors
/// When there is none.
pub fn integer(d: &mut Decoder<'_>) -> Result<i64, DecodeError> {
    let at = d.position();
    integer_of(head(d)?).ok_or(DecodeError { at, what: "an integer of 64 bits is expected" })
}

pub(crate) fn integer_of(head: Head) -> Option<i64> {
    match head {
        Head::Unsigned(n) => i64::try_from(n).ok(),
        Head::Negative(n) => i64::try_from(n).ok().map(|n| -1 - n),
        _ => None,
    }
}

/// Reads a text.
///
/// # Errors
/// When there is none.
pub fn text<'b>(d: &mut Decoder<'b>) -> Result<&'b str, DecodeError> {
    let at = d.position();
    match head(d)? {
        Head::Text(length) => text_of(d, length),
        _ => Err(DecodeError { at, what: "a text is expected" }),
    }
}

/// The bytes that a head announced.
///
/// # Errors
/// When the input ends before.
pub fn bytes_of<'b>(d: &mut Decoder<'b>, length: u64) -> Result<&'b [u8], DecodeError> {
    let at = d.position();
    let end = usize::try_from(length).ok().and_then(|n| at.checked_add(n));
    let bytes =
        end.and_then(|end| d.input().get(at..end)).ok_or(DecodeError { at, what: "the bytes end" })?;
    d.set_position(at + bytes.len());
    Ok(bytes)
}

/// The text that a head announced.
///
/// # Errors
/// When the input ends before, or is not UTF-8.
pub fn text_of<'b>(d: &mut Decoder<'b>, length: u64) -> Result<&'b str, DecodeError> {
    let at = d.position();
    std::str::from_utf8(bytes_of(d, length)?).map_err(|_| DecodeError { at, what: "a text is not UTF-8" })
}

/// Refuses what follows the value.
///
/// # Errors
/// When anything does.
pub fn end(d: &Decoder<'_>) -> Result<(), DecodeError> {
    if d.position() >= d.input().len() {
        return Ok(());
    }
    Err(DecodeError { at: d.position(), what: "something follows the value" })
}

/// Writes a value without knowing its type. Times and spans become integers (nanoseconds), a struct becomes a list: what
/// is read back has the same bytes, not always the same kind. A map is written as it stands: sorted.
pub fn encode_any(value: &Value, e: &mut Encoder<&mut Vec<u8>>) {
    match value {
        Value::Null => put(e.null()),
        Value::Bool(value) => put(e.bool(*value)),
        Value::Int(n) => put(e.i64(*n)),
        Value::Num(n) => encode_number(*n, e),
        Value::Str(text) => put(e.str(text)),
        Value::Bytes(bytes) => put(e.bytes(bytes)),
        Value::Time(time) => put(e.i64(time.0)),
        Value::Span(span) => put(e.i64(span.0)),
        Value::List(items) | Value::Struct(items) => {
            put(e.array(items.len() as u64));
            items.iter().for_each(|item| encode_any(item, e));
        }
        Value::Map(entries) => {
            put(e.map(entries.len() as u64));
            for (key, item) in entries.iter() {
                put(e.str(key));
                encode_any(item, e);
            }
        }
    }
}

/// Writes a float in the shortest form that keeps its value; −0 as 0, not-a-number in its one form.
pub fn encode_number(n: f64, e: &mut Encoder<&mut Vec<u8>>) {
    // The low bits of a fraction that no 32-bit float has: most readings have some.
    const DOUBLE_ONLY: u64 = (1 << 29) - 1;
    if n.to_bits() & DOUBLE_ONLY != 0 && n.is_finite() {
        let [a, b, c, d, f, g, h, i] = n.to_be_bytes();
        e.writer_mut().extend_from_slice(&[0xfb, a, b, c, d, f, g, h, i]);
        return;
    }
    let n = n + 0.0;
    match shortest_width(n) {
        2 => {
            let [high, low] = f64_to_f16(n).to_be_bytes();
            e.writer_mut().extend_from_slice(&[0xf9, high, low]);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the width says that nothing is lost")]
        4 => put(e.f32(n as f32)),
        _ => put(e.f64(n)),
    }
}

/// Writing to a vector cannot fail.
pub(crate) fn put<T, E>(result: Result<T, E>) {
    let written = result.is_ok();
    drop(result);
    debug_assert!(written, "writing to memory does not fail");
}

/// Reads a value that [`encode_any`] wrote: within 64 levels, keys in order.
///
/// # Errors
/// When the bytes are not in the deterministic form.
pub fn decode_any(d: &mut Decoder<'_>) -> Result<Value, DecodeError> {
    decode_at(d, DEPTH_MAX)
}

fn decode_at(d: &mut Decoder<'_>, depth: usize) -> Result<Value, DecodeError> {
    let at = d.position();
    let below = depth.checked_sub(1).ok_or(DecodeError { at, what: "values are nested too deep" })?;
    Ok(match head(d)? {
        Head::Null => Value::Null,
        Head::Bool(value) => Value::Bool(value),
        Head::Float(n) => Value::Num(n),
        Head::Text(length) => text_of(d, length)?.into(),
        Head::Bytes(length) => Value::Bytes(bytes_of(d, length)?.into()),
        Head::Array(length) => {
            let mut items = Vec::new();
            for _ in 0..length {
                items.push(decode_at(d, below)?);
            }
            Value::List(items.into())
        }
        Head::Map(length) => {
            let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
            for _ in 0..length {
                let key = key_after(d, entries.last().map(|(key, _)| &**key))?;
                entries.push((key.into(), decode_at(d, below)?));
            }
            Value::Map(entries.into())
        }
        head => {
            Value::Int(integer_of(head).ok_or(DecodeError { at, what: "an integer has more than 64 bits" })?)
        }
    })
}

/// Reads a key that must come after another in the order of keys.
///
/// # Errors
/// When it does not, or is no text.
pub fn key_after<'b>(d: &mut Decoder<'b>, last: Option<&str>) -> Result<&'b str, DecodeError> {
    let at = d.position();
    let key = text(d)?;
    if last.is_some_and(|last| key_order(last, key).is_ge()) {
        return Err(DecodeError { at, what: "a key is not in order" });
    }
    Ok(key)
}

/// The one form of not-a-number.
const NAN_F16: u16 = 0x7e00;

/// How many bytes the shortest float takes that keeps the value.
fn shortest_width(n: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "whether anything was lost is what is asked")]
    let single = n as f32;
    if n.is_nan() || f16_to_f64(f64_to_f16(n)).to_bits() == n.to_bits() {
        2
    } else if f64::from(single).to_bits() == n.to_bits() {
        4
    } else {
        8
    }
}

/// The half float of the same value, where there is one; else any other.
fn f64_to_f16(n: f64) -> u16 {
    if n.is_nan() {
        return NAN_F16;
    }
    let bits = n.to_bits();
    let sign = u16::try_from(bits >> 63).unwrap_or(0) << 15;
    let exponent = i64::try_from(bits >> 52 & 0x7ff).unwrap_or(0) - 1023;
    let fraction = bits & ((1 << 52) - 1);
    let magnitude = match exponent {
        1024 => 0x7c00,
        -14..=15 => (u64::try_from(exponent + 15).unwrap_or(0) << 10) | fraction >> 42,
        // Subnormal: the implicit bit moves into the fraction.
        -24..=-15 => (1 << 52 | fraction) >> u32::try_from(28 - exponent).unwrap_or(63).min(63),
        _ => 0,
    };
    sign | u16::try_from(magnitude).unwrap_or(0)
}

fn f16_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    };
    sign * magnitude
}
