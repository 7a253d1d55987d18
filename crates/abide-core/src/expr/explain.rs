//! How a result came about: each operand as it was written, with its value.

use super::eval::{Context, Val, eval};
use super::lex::At;
use super::node::{Node, OnNull, Op, Root};
use super::{Env, Explanation, show};
use crate::field::Slot;

/// The longest text of a value, in characters.
const RESULT_MAX: usize = 200;

/// Explains a node.
pub(super) fn explain(node: &Node, env: &Env<'_>, source: &str) -> Explanation {
    let result = match eval(node, &Context::new(env)) {
        Ok(value) => Ok(shortened(show(&value.into_value()))),
        Err(fault) => Err(fault.error(source).message),
    };
    let operands = if field(node).is_some() { Vec::new() } else { operands(node, env, source) };
    Explanation { source: node.at.slice(source).to_owned(), result, field: field(node), operands }
}

/// The memory field that a node reads, or reads a part of.
fn field(node: &Node) -> Option<Slot> {
    match &node.op {
        Op::Field { root: Root::Memory, slot, .. } => Some(*slot),
        Op::Member { of, .. } => field(of),
        _ => None,
    }
}

/// The operands that were evaluated, literals left out.
fn operands(node: &Node, env: &Env<'_>, source: &str) -> Vec<Explanation> {
    let one = |of: &Node| explain(of, env, source);
    let cx = Context::new(env);
    let truth = |of: &Node| match eval(of, &cx) {
        Ok(Val::Bool(value)) => Some(value),
        _ => None,
    };
    match &node.op {
        Op::And(of) | Op::Or(of) => {
            let decides = matches!(node.op, Op::Or(_));
            let end = of.iter().position(|operand| truth(operand) == Some(decides));
            let seen = end.map_or(of.len(), |end| end + 1);
            of.iter().take(seen).filter(|operand| !is_constant(operand)).map(one).collect()
        }
        Op::Cond(of) => {
            let [condition, yes, no] = &**of;
            let branch = truth(condition).map(|holds| if holds { yes } else { no });
            [Some(condition), branch]
                .into_iter()
                .flatten()
                .filter(|operand| !is_constant(operand))
                .map(one)
                .collect()
        }
        Op::NumField { slot, field, .. }
        | Op::IntField { slot, field, .. }
        | Op::StrField { slot, field, .. } => {
            vec![one(&read(*slot, *field))]
        }
        // What holds of each item is not told: only what was looked at.
        Op::Loop(of) => (!is_constant(&of.range)).then(|| one(&of.range)).into_iter().collect(),
        _ => children(node).into_iter().filter(|operand| !is_constant(operand)).map(one).collect(),
    }
}

fn is_constant(node: &Node) -> bool {
    matches!(node.op, Op::Const(_))
}

fn read(slot: Slot, at: At) -> Node {
    Node { op: Op::Field { root: Root::Memory, slot, null: OnNull::Gap }, at }
}

fn children(node: &Node) -> Vec<&Node> {
    match &node.op {
        Op::Not(of) | Op::IntNegate(of) | Op::NumNegate(of) | Op::Unary(_, of) => vec![of],
        Op::Null { of, .. } | Op::Member { of, .. } => vec![of],
        Op::Lookup(of) | Op::Item(of) | Op::InList(of) | Op::InMap(of) | Op::Join(of) => of.iter().collect(),
        Op::Compare(_, of)
        | Op::CompareNum(_, of)
        | Op::CompareInt(_, of)
        | Op::IntArith(_, of)
        | Op::NumArith(_, of)
        | Op::TimeArith(_, of)
        | Op::Binary(_, of) => of.iter().collect(),
        Op::Matches(of) => vec![&of.0],
        Op::Extreme { of, .. } | Op::List(of) | Op::Struct(of) | Op::And(of) | Op::Or(of) => {
            of.iter().collect()
        }
        Op::Map(of) => of.iter().flatten().collect(),
        Op::Cond(of) => of.iter().collect(),
        Op::Loop(of) => vec![&of.range],
        Op::Const(_)
        | Op::Field { .. }
        | Op::Now
        | Op::CallerKind
        | Op::CallerName
        | Op::Local { .. }
        | Op::NumField { .. }
        | Op::IntField { .. }
        | Op::StrField { .. } => Vec::new(),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(RESULT_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
