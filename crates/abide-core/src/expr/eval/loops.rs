//! Comprehensions: `all`, `exists`, `exists_one`, `filter` and `map` over a list, or the keys of a map.

use crate::expr::lex::At;
use crate::expr::node::{Loop, LoopKind};
use crate::value::Value;

use super::{Context, Fault, FaultKind, Frame, Val, eval, test};

/// The value of a comprehension.
pub(super) fn run<'a>(of: &'a Loop, cx: &Context<'a>, at: At) -> Result<Val<'a>, Fault> {
    let range = eval(&of.range, cx)?;
    if let Some(items) = range.items() {
        return each(of, cx, items.iter().map(Val::of));
    }
    match range.entries() {
        Some(entries) => each(of, cx, entries.iter().map(|(key, _)| Val::Key(key))),
        None => Err(Fault::new(FaultKind::Null, at)),
    }
}

fn each<'a, 'b>(
    of: &'b Loop,
    cx: &Context<'b>,
    items: impl Iterator<Item = Val<'b>>,
) -> Result<Val<'a>, Fault> {
    match of.kind {
        LoopKind::All => decide(of, cx, items, false).map(Val::Bool),
        LoopKind::Exists => decide(of, cx, items, true).map(Val::Bool),
        LoopKind::ExistsOne => {
            let mut held = 0_u32;
            for item in items {
                held = held.saturating_add(u32::from(passes(of, cx, &item)?));
            }
            Ok(Val::Bool(held == 1))
        }
        LoopKind::Filter | LoopKind::Map => {
            let mut kept: Vec<Value> = Vec::new();
            for item in items {
                if passes(of, cx, &item)? {
                    kept.push(made(of, cx, item)?);
                }
            }
            Ok(Val::Owned(Value::List(kept.into())))
        }
    }
}

/// `all` (decided by false) and `exists` (decided by true): an item that decides wins over one that fails.
fn decide<'b>(
    of: &'b Loop,
    cx: &Context<'b>,
    items: impl Iterator<Item = Val<'b>>,
    decides: bool,
) -> Result<bool, Fault> {
    let mut failed = None;
    for item in items {
        match passes(of, cx, &item) {
            Ok(value) if value == decides => return Ok(decides),
            Ok(_) => {}
            Err(fault) => {
                failed.get_or_insert(fault);
            }
        }
    }
    failed.map_or(Ok(!decides), Err)
}

/// Whether the condition holds of an item; without one it does.
fn passes(of: &Loop, cx: &Context<'_>, item: &Val<'_>) -> Result<bool, Fault> {
    let Some(condition) = &of.test else { return Ok(true) };
    let frame = Frame { level: of.level, item: item.clone(), up: cx.frame };
    test(condition, &Context { env: cx.env, frame: Some(&frame) })
}

/// What becomes of an item.
fn made(of: &Loop, cx: &Context<'_>, item: Val<'_>) -> Result<Value, Fault> {
    let Some(make) = &of.make else { return Ok(item.into_value()) };
    let frame = Frame { level: of.level, item, up: cx.frame };
    eval(make, &Context { env: cx.env, frame: Some(&frame) }).map(Val::into_value)
}
