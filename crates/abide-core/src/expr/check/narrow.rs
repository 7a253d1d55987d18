//! Flow: what a condition that holds, or does not, says of places that may be null.

use crate::expr::node::{Node, Op, Root};
use crate::field::Slot;

/// A place that keeps its value throughout an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    start: Start,
    members: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Field(Root, Slot),
    Local(u16),
}

impl Path {
    /// The place that a node reads, if it reads one.
    pub(super) fn of(node: &Node) -> Option<Self> {
        match &node.op {
            Op::Field { root, slot, .. } => {
                Some(Self { start: Start::Field(*root, *slot), members: Vec::new() })
            }
            Op::Local { level, .. } => Some(Self { start: Start::Local(*level), members: Vec::new() }),
            Op::Member { of, index, .. } => {
                let mut path = Self::of(of)?;
                path.members.push(*index);
                Some(path)
            }
            _ => None,
        }
    }
}

/// The places that are not null where the condition is `truth`.
pub(super) fn facts(condition: &Node, truth: bool) -> Vec<Path> {
    match &condition.op {
        Op::Null { of, is } if *is != truth => Path::of(of).into_iter().collect(),
        Op::Not(of) => facts(of, !truth),
        Op::And(of) => combined(of, truth, truth),
        Op::Or(of) => combined(of, truth, !truth),
        _ => Vec::new(),
    }
}

/// Of several conditions: what any of them says if `all` of them are `truth`, else what each of them says.
fn combined(of: &[Node], truth: bool, all: bool) -> Vec<Path> {
    let mut each = of.iter().map(|node| facts(node, truth));
    if all {
        return each.flatten().collect();
    }
    let Some(mut common) = each.next() else { return Vec::new() };
    for other in each {
        common.retain(|path| other.contains(path));
    }
    common
}
