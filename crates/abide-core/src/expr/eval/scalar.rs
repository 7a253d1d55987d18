//! Numbers, integers and times as they are computed with: by themselves, with no [`Val`] around them.
//!
//! Guards are mostly these, and a bare number stays in a register. Timestamps and durations are their nanoseconds here; the
//! checker has seen to it that each stands where its kind is meant.

use super::{Context, Fault, FaultKind, Val, eval, gap, integer, number, test};
use crate::expr::node::{Arith, Node, OnNull, Op, Unary};
use crate::value::Value;

/// The value of a number.
pub(super) fn num(node: &Node, cx: &Context<'_>) -> Result<f64, Fault> {
    match &node.op {
        Op::Const(Value::Num(value)) => Ok(*value),
        Op::Field { root, slot, null } => match cx.slots(*root).get(usize::from(slot.0)) {
            Some(Value::Num(value)) => Ok(*value),
            _ if *null == OnNull::Gap => Err(gap(*slot, node.at)),
            _ => Err(missing(node)),
        },
        Op::Local { level, .. } => match cx.local(*level).map(|frame| &frame.item) {
            Some(Val::Num(value)) => Ok(*value),
            _ => Err(missing(node)),
        },
        Op::NumArith(arith, of) => {
            let [a, b] = &**of;
            Ok(number(*arith, num(a, cx)?, num(b, cx)?))
        }
        Op::NumNegate(of) => Ok(-num(of, cx)?),
        Op::Cond(of) => {
            let [condition, yes, no] = &**of;
            num(if test(condition, cx)? { yes } else { no }, cx)
        }
        Op::Unary(Unary::Abs, of) => Ok(num(of, cx)?.abs()),
        Op::Unary(Unary::Floor, of) => Ok(num(of, cx)?.floor()),
        Op::Unary(Unary::Ceil, of) => Ok(num(of, cx)?.ceil()),
        Op::Unary(Unary::Round, of) => Ok(num(of, cx)?.round()),
        _ => match eval(node, cx)? {
            Val::Num(value) => Ok(value),
            _ => Err(missing(node)),
        },
    }
}

/// The value of an integer, or the nanoseconds of a timestamp or a duration.
pub(super) fn int(node: &Node, cx: &Context<'_>) -> Result<i64, Fault> {
    match &node.op {
        Op::Const(value) => of_value(value).ok_or_else(|| missing(node)),
        Op::Now => Ok(cx.env.now.0),
        Op::Field { root, slot, null } => match cx.slots(*root).get(usize::from(slot.0)).and_then(of_value) {
            Some(value) => Ok(value),
            None if *null == OnNull::Gap => Err(gap(*slot, node.at)),
            None => Err(missing(node)),
        },
        Op::IntArith(arith, of) => {
            let [a, b] = &**of;
            integer(*arith, int(a, cx)?, int(b, cx)?).map_err(|kind| Fault::new(kind, node.at))
        }
        Op::TimeArith(arith, of) => {
            let [a, b] = &**of;
            let (a, b) = (int(a, cx)?, int(b, cx)?);
            let result = if *arith == Arith::Add { a.checked_add(b) } else { a.checked_sub(b) };
            result.ok_or(Fault::new(FaultKind::TimeOverflow, node.at))
        }
        Op::IntNegate(of) => int(of, cx)?.checked_neg().ok_or(Fault::new(FaultKind::IntOverflow, node.at)),
        Op::Cond(of) => {
            let [condition, yes, no] = &**of;
            int(if test(condition, cx)? { yes } else { no }, cx)
        }
        _ => match eval(node, cx)? {
            Val::Int(value) | Val::Time(value) | Val::Span(value) => Ok(value),
            _ => Err(missing(node)),
        },
    }
}

#[inline]
fn of_value(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        Value::Time(time) => Some(time.0),
        Value::Span(span) => Some(span.0),
        _ => None,
    }
}

#[cold]
fn missing(node: &Node) -> Fault {
    Fault::new(FaultKind::Null, node.at)
}
