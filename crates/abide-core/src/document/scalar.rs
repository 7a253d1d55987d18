//! Scalars: what a plain one means (YAML 1.2 core schema), and where a part of one stands in the text.

use std::ops::Range;

use super::NodeKind;

/// What a plain (unquoted) scalar means: null, boolean, integer, float or text.
///
/// # Errors
/// A message and a remedy where it reads as a number that 64 bits do not hold, as an infinity or as not-a-number.
pub(super) fn resolve(text: &str) -> Result<NodeKind, (String, &'static str)> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(NodeKind::Null),
        "true" | "True" | "TRUE" => return Ok(NodeKind::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(NodeKind::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err((format!("`{text}` is not a finite number"), "write a finite number"));
    }
    if let Some(integer) = integer(text, unsigned) {
        return integer.map(NodeKind::Int).ok_or_else(|| {
            (
                format!("`{text}` is outside what a 64-bit integer holds"),
                "quote it if it is a text, or write it with a decimal point if it is a number",
            )
        });
    }
    if is_float(unsigned) {
        return match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(NodeKind::Float(value)),
            _ => Err((format!("`{text}` is outside what a 64-bit float holds"), "quote it if it is a text")),
        };
    }
    Ok(NodeKind::Str(text.to_owned()))
}

/// `None` if it does not read as an integer, `Some(None)` if it does and is out of range.
fn integer(text: &str, unsigned: &str) -> Option<Option<i64>> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            return Some(i64::from_str_radix(digits, radix).ok());
        }
    }
    let decimal = !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit());
    decimal.then(|| text.parse().ok())
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(unsigned: &str) -> bool {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

/// How many bytes of `raw` are the scalar at its start: the scanner counts white space and comments in that follow it.
pub(super) fn length(raw: &str) -> usize {
    let Some(quote) = raw.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return raw.trim_end().len();
    };
    let mut rest = raw.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        if quote == '"' && c == '\\' {
            rest.next();
        } else if c == quote {
            if quote == '"' || rest.peek().is_none_or(|(_, next)| *next != quote) {
                return at + 1;
            }
            rest.next();
        }
    }
    raw.trim_end().len()
}

/// Where bytes `part` of the value of a scalar stand in the document, given the document and the place of the scalar.
///
/// Exact for plain and block scalars and for quoted ones on one line. For others (quoted over several lines, escapes by
/// number, lines of a block that are indented further) it is the place of the whole scalar.
#[must_use]
pub fn inner_span(document: &str, scalar: &Range<usize>, value: &str, part: &Range<usize>) -> Range<usize> {
    let raw = document.get(scalar.clone()).unwrap_or_default();
    let offset = |n: usize| raw_offset(raw, value, n).map(|at| scalar.start + at);
    match (offset(part.start), offset(part.end)) {
        (Some(start), Some(end)) if start <= end => start..end,
        _ => scalar.clone(),
    }
}

/// The byte of the raw scalar at which byte `n` of its value stands.
fn raw_offset(raw: &str, value: &str, n: usize) -> Option<usize> {
    if raw.starts_with(value) {
        return Some(n);
    }
    let Some(quote) = raw.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return unquoted_offset(raw, value, n);
    };
    let mut at = 1;
    let mut rest = value;
    while value.len() - rest.len() < n {
        let expected = rest.chars().next()?;
        let mut here = raw.get(at..)?.chars();
        let mut shown = here.next()?;
        let escaped = (quote == '"' && shown == '\\') || (quote == '\'' && shown == '\'');
        if escaped {
            at += shown.len_utf8();
            shown = here.next()?;
        }
        let means = match shown {
            'n' if escaped => '\n',
            't' if escaped => '\t',
            other => other,
        };
        if means != expected {
            return None;
        }
        at += shown.len_utf8();
        rest = rest.get(expected.len_utf8()..)?;
    }
    Some(at)
}

/// The same for a plain or block scalar: each line is indented, and may be folded to a space.
fn unquoted_offset(raw: &str, value: &str, n: usize) -> Option<usize> {
    let mut at = 0;
    for expected in value.get(..n)?.chars() {
        let rest = raw.get(at..)?;
        let shown = rest.chars().next()?;
        if shown == '\n' && matches!(expected, '\n' | ' ') {
            at += rest.len() - rest.trim_start_matches(['\n', ' ']).len();
        } else if shown == expected {
            at += shown.len_utf8();
        } else {
            return None;
        }
    }
    Some(at)
}
