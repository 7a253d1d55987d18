//! The functions: what each does with values of the types that the checker has let through.

use std::cmp::Ordering;

use crate::expr::node::{Binary, SpanPart, TimePart, Unary};
use crate::time::{Span, Timestamp};
use crate::value::Value;

use super::{FaultKind, Val};

const SECOND: i64 = 1_000_000_000;

/// A function of one operand.
pub(super) fn unary<'a>(function: Unary, of: Val<'a>) -> Result<Val<'a>, FaultKind> {
    Ok(match function {
        Unary::Size => Val::Int(size(&of)?),
        Unary::Lower => owned(text(&of)?.to_ascii_lowercase()),
        Unary::Upper => owned(text(&of)?.to_ascii_uppercase()),
        Unary::Abs => match of {
            Val::Int(value) => Val::Int(value.checked_abs().ok_or(FaultKind::IntOverflow)?),
            Val::Num(value) => Val::Num(value.abs()),
            _ => return Err(FaultKind::Null),
        },
        Unary::Floor => Val::Num(num(&of)?.floor()),
        Unary::Ceil => Val::Num(num(&of)?.ceil()),
        Unary::Round => Val::Num(num(&of)?.round()),
        Unary::Least | Unary::Greatest => extreme(function == Unary::Greatest, &of)?,
        Unary::Sum { integers } => sum(integers, &of)?,
        Unary::ToInt => Val::Int(to_int(&of)?),
        Unary::ToNum => Val::Num(to_num(&of)?),
        Unary::ToStr => to_text(of)?,
        Unary::ToBytes => Val::Owned(Value::Bytes(text(&of)?.as_bytes().into())),
        Unary::ToTime => Val::Time(to_time(&of)?),
        Unary::ToSpan => match &of {
            Val::Span(nanos) => Val::Span(*nanos),
            _ => Val::Span(text(&of)?.parse::<Span>().map_err(|_| FaultKind::NotASpan)?.0),
        },
        Unary::TimePart(part) => match of {
            Val::Time(nanos) => Val::Int(time_part(part, nanos)?),
            _ => return Err(FaultKind::Null),
        },
        Unary::SpanPart(part) => match of {
            Val::Span(nanos) => Val::Int(span_part(part, nanos)),
            _ => return Err(FaultKind::Null),
        },
    })
}

/// A function of two operands.
pub(super) fn binary<'a>(function: Binary, a: Val<'a>, b: &Val<'a>) -> Result<Val<'a>, FaultKind> {
    let found = match function {
        Binary::StartsWith => text(&a)?.starts_with(text(b)?),
        Binary::EndsWith => text(&a)?.ends_with(text(b)?),
        Binary::Contains => text(&a)?.contains(text(b)?),
        Binary::TakeLast => return take_last(a, b),
    };
    Ok(Val::Bool(found))
}

/// The greater (or lesser) of two; NaN wins, so that it is not lost.
pub(super) fn better<'a>(greatest: bool, best: Val<'a>, other: Val<'a>) -> Val<'a> {
    match (&best, &other) {
        (Val::Num(value), _) if value.is_nan() => best,
        (_, Val::Num(value)) if value.is_nan() => other,
        _ => {
            let wins = if greatest { Ordering::Greater } else { Ordering::Less };
            if other.ordering(&best) == Some(wins) { other } else { best }
        }
    }
}

fn text<'v>(of: &'v Val<'_>) -> Result<&'v str, FaultKind> {
    of.text().ok_or(FaultKind::Null)
}

fn num(of: &Val<'_>) -> Result<f64, FaultKind> {
    match of {
        Val::Num(value) => Ok(*value),
        _ => Err(FaultKind::Null),
    }
}

fn owned<'a>(text: String) -> Val<'a> {
    Val::Owned(Value::Str(text.into()))
}

/// Characters of a string, bytes of bytes, items of a list, entries of a map.
fn size(of: &Val<'_>) -> Result<i64, FaultKind> {
    let length = match (of.text(), of.bytes(), of.items(), of.entries()) {
        (Some(text), ..) => text.chars().count(),
        (_, Some(bytes), ..) => bytes.len(),
        (_, _, Some(items), _) => items.len(),
        (.., Some(entries)) => entries.len(),
        _ => return Err(FaultKind::Null),
    };
    i64::try_from(length).map_err(|_| FaultKind::IntOverflow)
}

fn extreme<'a>(greatest: bool, of: &Val<'a>) -> Result<Val<'a>, FaultKind> {
    let items = of.items().ok_or(FaultKind::Null)?;
    let best = items.iter().map(Val::of).reduce(|best, other| better(greatest, best, other));
    // What wins may be borrowed from a list that ends here.
    best.map(|best| Val::from(best.into_value())).ok_or(FaultKind::Empty)
}

fn sum<'a>(integers: bool, of: &Val<'_>) -> Result<Val<'a>, FaultKind> {
    let items = of.items().ok_or(FaultKind::Null)?;
    if integers {
        let mut total = 0_i64;
        for item in items {
            let Value::Int(value) = item else { return Err(FaultKind::Null) };
            total = total.checked_add(*value).ok_or(FaultKind::IntOverflow)?;
        }
        return Ok(Val::Int(total));
    }
    let mut total = 0.0_f64;
    for item in items {
        let Value::Num(value) = item else { return Err(FaultKind::Null) };
        total += value;
    }
    Ok(Val::Num(total))
}

fn take_last<'a>(list: Val<'a>, count: &Val<'a>) -> Result<Val<'a>, FaultKind> {
    let Val::Int(count) = count else { return Err(FaultKind::Null) };
    if *count < 0 {
        return Err(FaultKind::Negative);
    }
    let items = list.items().ok_or(FaultKind::Null)?;
    let skipped = items.len().saturating_sub(usize::try_from(*count).unwrap_or(usize::MAX));
    match items.get(skipped..) {
        Some(last) if skipped > 0 => Ok(Val::Owned(Value::List(last.into()))),
        _ => Ok(list),
    }
}

/// Numbers lose their fraction; timestamps give seconds since 1970, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the fraction is meant to go, and the range is checked before"
)]
fn to_int(of: &Val<'_>) -> Result<i64, FaultKind> {
    // 2⁶³ is a number and i64::MAX is not; −2⁶³ is both.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match of {
        Val::Int(value) => Ok(*value),
        Val::Num(value) if *value >= -BEYOND && *value < BEYOND => Ok(*value as i64),
        Val::Num(_) => Err(FaultKind::NotAnInt),
        Val::Time(nanos) => Ok(nanos.div_euclid(SECOND)),
        _ => text(of)?.parse().map_err(|_| FaultKind::NotAnInt),
    }
}

fn to_num(of: &Val<'_>) -> Result<f64, FaultKind> {
    match of {
        Val::Int(value) => Ok(*value as f64),
        Val::Num(value) => Ok(*value),
        _ => text(of)?.parse().map_err(|_| FaultKind::NotANum),
    }
}

fn to_time(of: &Val<'_>) -> Result<i64, FaultKind> {
    match of {
        Val::Time(nanos) => Ok(*nanos),
        Val::Int(seconds) => seconds.checked_mul(SECOND).ok_or(FaultKind::NotATime),
        _ => Ok(text(of)?.parse::<Timestamp>().map_err(|_| FaultKind::NotATime)?.0),
    }
}

fn to_text(of: Val<'_>) -> Result<Val<'_>, FaultKind> {
    Ok(match &of {
        Val::Bool(value) => owned(value.to_string()),
        Val::Int(value) => owned(value.to_string()),
        Val::Num(value) => owned(number_text(*value)),
        Val::Time(nanos) => owned(Timestamp(*nanos).to_string()),
        Val::Span(nanos) => owned(seconds_text(*nanos)),
        _ => match of.bytes() {
            Some(bytes) => owned(std::str::from_utf8(bytes).map_err(|_| FaultKind::NotText)?.to_owned()),
            None => {
                text(&of)?;
                of
            }
        },
    })
}

/// The shortest digits that read back to the same number, with an exponent where they would be many.
fn number_text(value: f64) -> String {
    let size = value.abs();
    if size.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

/// A duration as CEL writes it: seconds, with as many decimals as it has.
fn seconds_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let (whole, rest) = (size / 1_000_000_000, size % 1_000_000_000);
    if rest == 0 {
        return format!("{sign}{whole}s");
    }
    let decimals = format!("{rest:09}");
    format!("{sign}{whole}.{}s", decimals.trim_end_matches('0'))
}

fn time_part(part: TimePart, nanos: i64) -> Result<i64, FaultKind> {
    let time = jiff::Timestamp::from_nanosecond(i128::from(nanos)).map_err(|_| FaultKind::TimeOverflow)?;
    let civil = jiff::tz::Offset::UTC.to_datetime(time);
    Ok(match part {
        TimePart::FullYear => i64::from(civil.year()),
        TimePart::Month => i64::from(civil.month()) - 1,
        TimePart::Date => i64::from(civil.day()),
        TimePart::DayOfMonth => i64::from(civil.day()) - 1,
        TimePart::DayOfWeek => i64::from(civil.weekday().to_sunday_zero_offset()),
        TimePart::DayOfYear => i64::from(civil.day_of_year()) - 1,
        TimePart::Hours => i64::from(civil.hour()),
        TimePart::Minutes => i64::from(civil.minute()),
        TimePart::Seconds => i64::from(civil.second()),
        TimePart::Milliseconds => i64::from(civil.millisecond()),
    })
}

fn span_part(part: SpanPart, nanos: i64) -> i64 {
    match part {
        SpanPart::Hours => nanos / (3600 * SECOND),
        SpanPart::Minutes => nanos / (60 * SECOND),
        SpanPart::Seconds => nanos / SECOND,
        SpanPart::Milliseconds => nanos % SECOND / 1_000_000,
    }
}
