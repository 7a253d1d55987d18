//! Evaluation: the value of a compiled expression over memory, arguments and time.
//!
//! It is total: whatever stands in a slot, the answer is a value or a [`Fault`]. Nothing in memory is copied to be
//! compared, indexed or searched, and a scalar result allocates nothing.

mod function;
mod loops;
mod scalar;
mod val;

use std::cmp::Ordering;
use std::sync::Arc;

use super::lex::At;
use super::node::{Arith, Binary, Cmp, Node, OnNull, Op, Root};
use super::{Env, EvalError};
use crate::field::Slot;
use crate::time::{Span, Timestamp};
use crate::value::{Value, key_order};

pub(super) use val::Val;

/// Why there is no value. Small and free to make, since `&&` and `||` may absorb it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// The memory field that is a gap; 0 otherwise.
    slot: Slot,
    pub(super) at: At,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FaultKind {
    Gap,
    Null,
    IntOverflow,
    TimeOverflow,
    DivideByZero,
    OutOfRange,
    NoSuchKey,
    DuplicateKey,
    Empty,
    Negative,
    NotAnInt,
    NotANum,
    NotATime,
    NotASpan,
    NotText,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, at: At) -> Self {
        Self { kind, slot: Slot(0), at }
    }

    /// In words.
    pub(super) fn error(self, source: &str) -> EvalError {
        let text = self.at.slice(source);
        let message = match self.kind {
            FaultKind::Gap => format!("`{text}` has not been given a value yet"),
            FaultKind::Null => format!("`{text}` is null where a value is needed"),
            FaultKind::IntOverflow => format!("`{text}` overflows a 64-bit integer"),
            FaultKind::TimeOverflow => {
                format!("`{text}` is out of range: times run from 1677-09-22 to 2262-04-11")
            }
            FaultKind::DivideByZero => format!("`{text}` divides by zero"),
            FaultKind::OutOfRange => format!("`{text}` is out of range: the list has no such item"),
            FaultKind::NoSuchKey => format!("`{text}`: the map has no such key"),
            FaultKind::DuplicateKey => format!("`{text}` has a key twice"),
            FaultKind::Empty => format!("`{text}`: the list is empty"),
            FaultKind::Negative => format!("`{text}` takes a negative number of items"),
            FaultKind::NotAnInt => format!("`{text}`: the value does not convert to a 64-bit integer"),
            FaultKind::NotANum => format!("`{text}`: the value does not convert to a number"),
            FaultKind::NotATime => format!("`{text}`: the value is not a date and time in range"),
            FaultKind::NotASpan => format!("`{text}`: the value is not a duration in range"),
            FaultKind::NotText => format!("`{text}`: the bytes are not UTF-8 text"),
        };
        EvalError { message, gap: (self.kind == FaultKind::Gap).then_some(self.slot) }
    }
}

/// What a node is evaluated against.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) env: Env<'a>,
    /// The variable of the innermost loop.
    pub(super) frame: Option<&'a Frame<'a>>,
}

/// The variable of a loop.
pub(super) struct Frame<'a> {
    pub(super) level: u16,
    pub(super) item: Val<'a>,
    pub(super) up: Option<&'a Frame<'a>>,
}

impl<'a> Context<'a> {
    /// Outside of any loop.
    pub(super) fn new(env: &Env<'a>) -> Self {
        Self { env: *env, frame: None }
    }

    fn slots(&self, root: Root) -> &'a [Value] {
        match root {
            Root::Memory => self.env.memory,
            Root::Old => self.env.old_memory,
            Root::Args => self.env.args,
        }
    }

    fn local(&self, level: u16) -> Option<&'a Frame<'a>> {
        let mut frame = self.frame;
        while let Some(here) = frame
            && here.level != level
        {
            frame = here.up;
        }
        frame
    }
}

/// Whether a boolean node holds. The way a guard is evaluated: no value is made for what is only tested.
pub(super) fn test(node: &Node, cx: &Context<'_>) -> Result<bool, Fault> {
    match &node.op {
        Op::And(of) => fold_logic(of, cx, false),
        Op::Or(of) => fold_logic(of, cx, true),
        Op::Not(of) => test(of, cx).map(|value| !value),
        Op::NumField { slot, cmp, than, field } => match cx.env.memory.get(usize::from(slot.0)) {
            Some(Value::Num(value)) => Ok(cmp.holds(value.partial_cmp(than))),
            _ => Err(gap(*slot, *field)),
        },
        Op::IntField { slot, cmp, than, field } => match cx.env.memory.get(usize::from(slot.0)) {
            Some(Value::Int(value)) => Ok(cmp.holds(Some(value.cmp(than)))),
            _ => Err(gap(*slot, *field)),
        },
        Op::StrField { slot, equal, text, field } => match cx.env.memory.get(usize::from(slot.0)) {
            Some(Value::Str(value)) => Ok((**value == **text) == *equal),
            _ => Err(gap(*slot, *field)),
        },
        Op::Compare(cmp, of) => {
            let [a, b] = &**of;
            Ok(eval(a, cx)?.satisfies(*cmp, &eval(b, cx)?))
        }
        Op::CompareNum(cmp, of) => {
            let [a, b] = &**of;
            Ok(cmp.holds(scalar::num(a, cx)?.partial_cmp(&scalar::num(b, cx)?)))
        }
        Op::CompareInt(cmp, of) => {
            let [a, b] = &**of;
            Ok(cmp.holds(Some(scalar::int(a, cx)?.cmp(&scalar::int(b, cx)?))))
        }
        Op::Null { of, is } => Ok(matches!(eval(of, cx)?, Val::Null) == *is),
        Op::InList(of) => {
            let [item, list] = &**of;
            let item = eval(item, cx)?;
            let list = eval(list, cx)?;
            let items = list.items().ok_or_else(|| Fault::new(FaultKind::Null, node.at))?;
            Ok(items.iter().any(|other| item.equals(&Val::of(other))))
        }
        Op::InMap(of) => {
            let [key, map] = &**of;
            let key = eval(key, cx)?;
            let map = eval(map, cx)?;
            Ok(find(&map, &key, node.at)?.is_some())
        }
        Op::Cond(of) => {
            let [condition, yes, no] = &**of;
            test(if test(condition, cx)? { yes } else { no }, cx)
        }
        _ => match eval(node, cx)? {
            Val::Bool(value) => Ok(value),
            _ => Err(Fault::new(FaultKind::Null, node.at)),
        },
    }
}

/// The value of a node.
pub(super) fn eval<'a>(node: &'a Node, cx: &Context<'a>) -> Result<Val<'a>, Fault> {
    let missing = || Fault::new(FaultKind::Null, node.at);
    match &node.op {
        Op::Const(value) => Ok(Val::of(value)),
        Op::Field { root, slot, null } => {
            let value = cx.slots(*root).get(usize::from(slot.0)).map_or(Val::Null, Val::of);
            match (&value, null) {
                (Val::Null, OnNull::Gap) => Err(gap(*slot, node.at)),
                (Val::Null, OnNull::Fault) => Err(missing()),
                _ => Ok(value),
            }
        }
        Op::Now => Ok(Val::Time(cx.env.now.0)),
        Op::CallerKind => Ok(Val::Text(cx.env.caller.0)),
        Op::CallerName => Ok(Val::Text(cx.env.caller.1)),
        Op::Local { level, null } => {
            let value = cx.local(*level).map_or(Val::Null, |frame| frame.item.clone());
            unless_null(value, *null, node.at)
        }
        Op::Member { of, index, null } => {
            let value = match eval(of, cx)? {
                Val::Ref(Value::Struct(values)) => values.get(usize::from(*index)).map_or(Val::Null, Val::of),
                Val::Owned(Value::Struct(values)) => {
                    values.get(usize::from(*index)).map_or(Val::Null, |value| Val::from(value.clone()))
                }
                _ => return Err(missing()),
            };
            unless_null(value, *null, node.at)
        }
        Op::Lookup(of) => {
            let [map, key] = &**of;
            let map = eval(map, cx)?;
            let key = eval(key, cx)?;
            let found = find(&map, &key, node.at)?.ok_or(Fault::new(FaultKind::NoSuchKey, node.at))?;
            match &map {
                Val::Ref(Value::Map(entries)) => {
                    Ok(entries.get(found).map_or(Val::Null, |(_, value)| Val::of(value)))
                }
                Val::Owned(Value::Map(entries)) => {
                    Ok(entries.get(found).map_or(Val::Null, |(_, value)| Val::from(value.clone())))
                }
                _ => Err(missing()),
            }
        }
        Op::Item(of) => {
            let [list, index] = &**of;
            let list = eval(list, cx)?;
            let Val::Int(index) = eval(index, cx)? else { return Err(missing()) };
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let beyond = Fault::new(FaultKind::OutOfRange, node.at);
            match &list {
                Val::Ref(Value::List(items)) => items.get(index).map(Val::of).ok_or(beyond),
                Val::Owned(Value::List(items)) => items.get(index).cloned().map(Val::from).ok_or(beyond),
                _ => Err(missing()),
            }
        }
        Op::Cond(of) => {
            let [condition, yes, no] = &**of;
            eval(if test(condition, cx)? { yes } else { no }, cx)
        }
        Op::IntArith(..) | Op::IntNegate(_) => scalar::int(node, cx).map(Val::Int),
        Op::NumArith(..) | Op::NumNegate(_) => scalar::num(node, cx).map(Val::Num),
        Op::TimeArith(arith, of) => {
            let [a, b] = &**of;
            time(*arith, &eval(a, cx)?, &eval(b, cx)?).map_err(|kind| Fault::new(kind, node.at))
        }
        Op::Join(of) => {
            let [a, b] = &**of;
            join(&eval(a, cx)?, &eval(b, cx)?).ok_or_else(missing)
        }
        Op::Unary(function, of) => {
            function::unary(*function, eval(of, cx)?).map_err(|kind| Fault::new(kind, node.at))
        }
        Op::Binary(Binary::TakeLast, of) if let [Node { op: Op::Join(parts), .. }, count] = &**of => {
            last_of_joined(parts, count, cx, node.at)
        }
        Op::Binary(function, of) => {
            let [a, b] = &**of;
            function::binary(*function, eval(a, cx)?, &eval(b, cx)?).map_err(|kind| Fault::new(kind, node.at))
        }
        Op::Matches(of) => {
            let (text, regex) = &**of;
            let text = eval(text, cx)?;
            Ok(Val::Bool(regex.is_match(text.text().ok_or_else(missing)?)))
        }
        Op::Extreme { greatest, of } => {
            let mut values = of.iter().map(|node| eval(node, cx));
            let mut best = values.next().ok_or_else(missing)??;
            for value in values {
                best = function::better(*greatest, best, value?);
            }
            Ok(best)
        }
        Op::List(_) | Op::Map(_) | Op::Struct(_) => made(node, cx),
        Op::Loop(of) => loops::run(of, cx, node.at),
        Op::Not(_)
        | Op::And(_)
        | Op::Or(_)
        | Op::Null { .. }
        | Op::Compare(..)
        | Op::CompareNum(..)
        | Op::CompareInt(..)
        | Op::NumField { .. }
        | Op::IntField { .. }
        | Op::StrField { .. }
        | Op::InList(_)
        | Op::InMap(_) => test(node, cx).map(Val::Bool),
    }
}

/// `&&` (decided by false) and `||` (decided by true): an operand that decides wins over one that fails, whatever
/// their order.
fn fold_logic(of: &[Node], cx: &Context<'_>, decides: bool) -> Result<bool, Fault> {
    let mut failed = None;
    for node in of {
        match test(node, cx) {
            Ok(value) if value == decides => return Ok(decides),
            Ok(_) => {}
            Err(fault) => {
                failed.get_or_insert(fault);
            }
        }
    }
    failed.map_or(Ok(!decides), Err)
}

#[cold]
fn gap(slot: Slot, at: At) -> Fault {
    Fault { kind: FaultKind::Gap, slot, at }
}

fn unless_null(value: Val<'_>, null: OnNull, at: At) -> Result<Val<'_>, Fault> {
    match (&value, null) {
        (Val::Null, OnNull::Gap | OnNull::Fault) => Err(Fault::new(FaultKind::Null, at)),
        _ => Ok(value),
    }
}

/// The index of a key in a map.
fn find(map: &Val<'_>, key: &Val<'_>, at: At) -> Result<Option<usize>, Fault> {
    let (Some(entries), Some(key)) = (map.entries(), key.text()) else {
        return Err(Fault::new(FaultKind::Null, at));
    };
    Ok(entries.binary_search_by(|(other, _)| key_order(other, key)).ok())
}

fn integer(arith: Arith, a: i64, b: i64) -> Result<i64, FaultKind> {
    let result = match arith {
        Arith::Add => a.checked_add(b),
        Arith::Sub => a.checked_sub(b),
        Arith::Mul => a.checked_mul(b),
        Arith::Div | Arith::Rem if b == 0 => return Err(FaultKind::DivideByZero),
        Arith::Div => a.checked_div(b),
        Arith::Rem => a.checked_rem(b),
    };
    result.ok_or(FaultKind::IntOverflow)
}

fn number(arith: Arith, a: f64, b: f64) -> f64 {
    match arith {
        Arith::Add => a + b,
        Arith::Sub => a - b,
        Arith::Mul => a * b,
        Arith::Div => a / b,
        Arith::Rem => a % b,
    }
}

fn time<'a>(arith: Arith, a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>, FaultKind> {
    let result = match (arith, a, b) {
        (Arith::Sub, Val::Time(a), Val::Time(b)) => a.checked_sub(*b).map(Val::Span),
        (Arith::Sub, Val::Time(a), Val::Span(b)) => a.checked_sub(*b).map(Val::Time),
        (Arith::Sub, Val::Span(a), Val::Span(b)) => a.checked_sub(*b).map(Val::Span),
        (Arith::Add, Val::Time(a), Val::Span(b)) | (Arith::Add, Val::Span(b), Val::Time(a)) => {
            a.checked_add(*b).map(Val::Time)
        }
        (Arith::Add, Val::Span(a), Val::Span(b)) => a.checked_add(*b).map(Val::Span),
        _ => return Err(FaultKind::Null),
    };
    result.ok_or(FaultKind::TimeOverflow)
}

fn join<'a>(a: &Val<'a>, b: &Val<'a>) -> Option<Val<'a>> {
    let joined = if let (Some(a), Some(b)) = (a.text(), b.text()) {
        Value::Str([a, b].concat().into())
    } else if let (Some(a), Some(b)) = (a.bytes(), b.bytes()) {
        Value::Bytes([a, b].concat().into())
    } else {
        Value::List(a.items()?.iter().chain(b.items()?).cloned().collect())
    };
    Some(Val::Owned(joined))
}

/// The end of one list after the other, which is what a window over readings is: the whole is never made.
fn last_of_joined<'a>(
    parts: &'a [Node; 2],
    count: &'a Node,
    cx: &Context<'a>,
    at: At,
) -> Result<Val<'a>, Fault> {
    let [a, b] = parts;
    let (a, b, count) = (eval(a, cx)?, eval(b, cx)?, eval(count, cx)?);
    let (Some(first), Some(second), Val::Int(most @ 0..)) = (a.items(), b.items(), &count) else {
        let joined = join(&a, &b).ok_or(Fault::new(FaultKind::Null, at))?;
        return function::binary(Binary::TakeLast, joined, &count).map_err(|kind| Fault::new(kind, at));
    };
    let most = usize::try_from(*most).unwrap_or(usize::MAX);
    let skipped = (first.len() + second.len()).saturating_sub(most);
    let beyond = skipped.saturating_sub(first.len());
    let (first, second) =
        (first.get(skipped..).unwrap_or_default(), second.get(beyond..).unwrap_or_default());
    Ok(Val::Owned(Value::List(first.iter().chain(second).cloned().collect())))
}

/// The value of a list, map or object literal.
fn made<'a>(node: &'a Node, cx: &Context<'a>) -> Result<Val<'a>, Fault> {
    let all = |of: &'a [Node]| {
        of.iter().map(|node| Ok(eval(node, cx)?.into_value())).collect::<Result<Arc<[Value]>, Fault>>()
    };
    let value = match &node.op {
        Op::List(of) => Value::List(all(of)?),
        Op::Struct(of) => Value::Struct(all(of)?),
        Op::Map(of) => {
            let mut entries = Vec::with_capacity(of.len());
            for [key, value] in of {
                let key = match eval(key, cx)?.into_value() {
                    Value::Str(key) => key,
                    _ => return Err(Fault::new(FaultKind::Null, key.at)),
                };
                entries.push((key, eval(value, cx)?.into_value()));
            }
            entries.sort_by(|(a, _), (b, _)| key_order(a, b));
            if entries.iter().zip(entries.iter().skip(1)).any(|((a, _), (b, _))| a == b) {
                return Err(Fault::new(FaultKind::DuplicateKey, node.at));
            }
            Value::Map(entries.into())
        }
        _ => return Err(Fault::new(FaultKind::Null, node.at)),
    };
    Ok(Val::Owned(value))
}

impl Val<'_> {
    /// The value as memory holds it.
    pub(super) fn into_value(self) -> Value {
        match self {
            Val::Null => Value::Null,
            Val::Bool(value) => Value::Bool(value),
            Val::Int(value) => Value::Int(value),
            Val::Num(value) => Value::Num(value),
            Val::Time(nanos) => Value::Time(Timestamp(nanos)),
            Val::Span(nanos) => Value::Span(Span(nanos)),
            Val::Text(text) => Value::Str(text.into()),
            Val::Key(key) => Value::Str(key.clone()),
            Val::Ref(value) => value.clone(),
            Val::Owned(value) => value,
        }
    }

    /// Whether the comparison holds of the two.
    fn satisfies(&self, cmp: Cmp, other: &Self) -> bool {
        match cmp {
            Cmp::Eq => self.equals(other),
            Cmp::Ne => !self.equals(other),
            _ => cmp.holds(self.ordering(other)),
        }
    }

    /// How two of one kind compare; `None` where one is NaN, or there is no order.
    pub(super) fn ordering(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Val::Int(a), Val::Int(b)) | (Val::Time(a), Val::Time(b)) | (Val::Span(a), Val::Span(b)) => {
                Some(a.cmp(b))
            }
            (Val::Num(a), Val::Num(b)) => a.partial_cmp(b),
            (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
            _ => match (self.text(), other.text()) {
                (Some(a), Some(b)) => Some(a.cmp(b)),
                _ => Some(self.bytes()?.cmp(other.bytes()?)),
            },
        }
    }
}
