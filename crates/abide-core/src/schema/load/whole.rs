//! What can only be checked of the whole: invariants over the defaults.

use crate::document::{Diagnostics, Node, NodeKind};
use crate::expr::Env;
use crate::schema::Schema;
use crate::time::Timestamp;
use crate::value::Value;

/// Evaluates every invariant that reads only fields with a first value, and refuses one that does not hold.
pub(super) fn check(schema: &Schema, document: &Node, out: &Diagnostics) {
    let memory = schema.memory.initial();
    let given = |slot: crate::field::Slot| schema.memory.get(slot).is_some_and(|field| !field.required);
    for (n, invariant) in schema.invariants.iter().enumerate() {
        if invariant.transition || !invariant.expression.reads().iter().all(given) {
            continue;
        }
        let env = Env {
            memory: &memory,
            old_memory: &memory,
            args: &[],
            now: Timestamp::default(),
            caller: ("", ""),
        };
        let source = invariant.expression.source();
        let said = invariant.message.as_ref().map_or_else(String::new, |message| format!(" ({message})"));
        let message = match invariant.expression.eval(&env) {
            Ok(Value::Bool(true)) => continue,
            Ok(_) => format!("the defaults break the invariant `{source}`{said}"),
            Err(error) => {
                format!("the invariant `{source}`{said} has no value over the defaults: {}", error.message)
            }
        };
        let place = place_of(document, n).unwrap_or_else(|| document.span.clone());
        out.error(
            place,
            message,
            "change a default, take one away so that it must be given, or change the invariant",
        );
    }
}

fn place_of(document: &Node, n: usize) -> Option<std::ops::Range<usize>> {
    let NodeKind::Map(entries) = &document.kind else { return None };
    let (_, invariants) = entries.iter().find(|(key, _)| key.text == "invariants")?;
    let NodeKind::Seq(items) = &invariants.kind else { return None };
    let NodeKind::Map(entries) = &items.get(n)?.kind else { return None };
    entries.iter().find(|(key, _)| key.text == "expression").map(|(_, node)| node.span.clone())
}
